"""What a seeded database holds, and what it takes to get there."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from microblog.errors import StackError
from microblog.seed import PRESETS, load
from microblog.seed.shape import LARGEST_AUTHOR
from microblog.settings import ROOT
from tests.seed.conftest import MIXED, UNTIL, fill
from tests.support.catalog import fingerprint, schema_dump
from tests.support.cluster import Cluster
from tests.support.database import Database

# active_until of active users counts from now, like a login's.
DIGEST = """
select md5(string_agg(row, E'\\n' order by row)) from (
  select concat_ws(' ', 'user', u.id, u.username, u.created_at) as row from app.users u
  union all
  select concat_ws(' ', 'follow', f.follower_id, f.followed_id, f.created_at) from app.follows f
  union all
  select concat_ws(' ', 'post', p.id, p.author_id, p.parent_id, p.replies_count, p.is_reply,
    p.content) from app.posts p
  union all
  select concat_ws(' ', 'state', s.user_id, s.delivered_from, s.complete_from)
  from app.feed_states s
  union all
  select concat_ws(' ', 'entry', e.user_id, e.post_id) from app.feed_entries e
) x
"""


def nothing_is_there(database: Database) -> bool:
    """Tell whether no row was loaded."""
    return database.run(
        "select (select count(*) from app.users), (select count(*) from app.follows),"
        " (select count(*) from app.posts), (select count(*) from app.feed_entries)"
    ) == [(0, 0, 0, 0)]


# -- what is there -------------------------------------------------------------------------------


def test_the_numbers_are_exactly_those_asked_for(seeded: Database) -> None:
    assert seeded.run(
        "select (select count(*) from app.users), (select count(*) from app.follows),"
        " (select count(*) from app.posts)"
    ) == [(MIXED.users, MIXED.follows, MIXED.posts)]


def test_the_views_are_to_be_refreshed_at_once(seeded: Database) -> None:
    assert seeded.values("select distinct age >= lifetime from dba.views") == [True]


def test_the_largest_author_is_user_1_with_exactly_as_many_followers(seeded: Database) -> None:
    top = seeded.run(
        "select user_id, followers_count::bigint from app.user_counts"
        " order by followers_count desc limit 2"
    )
    assert top[0] == (LARGEST_AUTHOR, MIXED.largest)
    assert top[1][1] < MIXED.largest


def test_the_reserved_readers_follow_exactly_as_many_as_they_say_and_are_active(
    seeded: Database,
) -> None:
    (ids,) = MIXED.readers().values()
    found = seeded.run(
        "select c.following_count::bigint, s.complete_from from app.user_counts c"
        " join app.feed_states s on s.user_id = c.user_id where c.user_id = any (%s)",
        [list(ids)],
    )
    assert found == [(50, 0)] * 10


def test_feeds_and_counters_are_as_defined_with_all_kinds_of_readers_and_authors(
    seeded: Database,
) -> None:
    assert seeded.value("select count(*) from app.pull_ranges") > 1
    assert seeded.value("select count(*) from app.feed_entries") > 1000
    active = seeded.value("select count(*) from app.feed_states where complete_from = 0")
    assert 80 < active < 180
    assert seeded.value(
        "select count(*) from app.feed_states where complete_from = 1::bigint << 53"
    ) == (MIXED.users - active)
    seeded.assert_sound()
    every_id = seeded.values("select id from app.users")
    assert seeded.run("select * from dba.drift_sample(%s)", [every_id]) == []


def test_no_reference_dangles_though_none_was_checked(seeded: Database) -> None:
    for table, column, target in (
        ("follows", "follower_id", "users"),
        ("follows", "followed_id", "users"),
        ("feed_states", "user_id", "users"),
        ("user_counters", "user_id", "users"),
        ("posts", "author_id", "users"),
        ("posts", "parent_id", "posts"),
    ):
        assert (
            seeded.value(
                f"select count(*) from app.{table} x where x.{column} is not null"
                f" and not exists (select from app.{target} y where y.id = x.{column})"
            )
            == 0
        ), (table, column)


def test_posts_are_of_the_sixty_days_before_and_some_are_replies_to_older_ones(
    seeded: Database,
) -> None:
    days = seeded.run(
        "select extract(day from %s - min(app.post_created_at(id))),"
        " max(app.post_created_at(id)) < %s from app.posts",
        [UNTIL, UNTIL],
    )
    assert days == [(59, True)]
    replies = seeded.value("select count(*) from app.posts where is_reply and parent_id < id")
    assert replies == seeded.value("select count(*) from app.posts where is_reply")
    assert 0.1 < replies / MIXED.posts < 0.2


def test_an_inactive_reader_and_an_active_one_see_what_the_definition_says(
    seeded: Database,
) -> None:
    for comparison in ("=", ">"):
        reader = seeded.value(
            "select s.user_id from app.feed_states s join app.user_counters c using (user_id)"
            f" where s.complete_from {comparison} 0 and c.following_count > 20 limit 1"
        )
        wanted = seeded.values(
            "select p.id from app.posts p join app.follows f on f.followed_id = p.author_id"
            " where f.follower_id = %s and not p.is_reply order by p.id desc limit 50",
            [reader],
        )
        assert seeded.feed(reader, limit=50) == wanted


def test_nobody_can_log_in_and_the_next_to_sign_up_gets_the_next_id(database: Database) -> None:
    fill(database)
    assert database.value("select count(*) from app.credentials") == 0
    assert database.user("newcomer") == MIXED.users + 1
    database.follow(MIXED.users + 1, LARGEST_AUTHOR)
    database.post(LARGEST_AUTHOR)
    database.assert_sound()


# -- how it got there ----------------------------------------------------------------------------


def test_the_same_seed_and_day_make_the_same_rows_and_another_seed_others(cluster: Cluster) -> None:
    digests = []
    for shape in (MIXED, MIXED, MIXED.changed(seed=2)):
        with cluster.clone() as database:
            fill(database, shape)
            digests.append(database.value(DIGEST))
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_the_schema_is_the_same_before_and_after_to_the_letter(database: Database) -> None:
    before, objects = schema_dump(database), fingerprint(database)
    fill(database, floor=True)
    assert schema_dump(database) == before
    assert fingerprint(database) == objects


def test_indexes_that_came_back_otherwise_undo_the_load(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore = load._restore

    def restore_and_add(connection: load.Connection, table: str, steps: load.Steps) -> None:
        restore(connection, table, steps)
        connection.execute(f"create index on {table} (post_id)" if "feed" in table else "select")

    monkeypatch.setattr(load, "_restore", restore_and_add)
    with pytest.raises(Exception, match="indexes are not what they were"):
        fill(database)
    assert nothing_is_there(database)


def test_drift_undoes_the_load(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "FEED_CHUNKS", 1)
    monkeypatch.setattr(load, "_chunks", lambda rows: iter([(0, 1, 0)]))
    with pytest.raises(StackError, match="not as defined"):
        fill(database)
    assert nothing_is_there(database)


def test_a_database_that_somebody_uses_is_refused_and_left_alone(database: Database) -> None:
    someone = database.user("someone")
    with pytest.raises(StackError, match="is not empty") as refused:
        fill(database)
    assert "microblog down --wipe" in refused.value.hint
    assert database.values("select id from app.users") == [someone]


def test_a_seeded_database_is_not_seeded_again(database: Database) -> None:
    fill(database)
    digest = database.value(DIGEST)
    with pytest.raises(StackError, match="is not empty"):
        fill(database)
    assert database.value(DIGEST) == digest


def test_a_database_without_the_schema_is_refused(cluster: Cluster) -> None:
    with cluster.empty() as database, pytest.raises(StackError, match="lacks"):
        fill(database)


@pytest.mark.parametrize(
    "change",
    [
        {"users": 10},
        {"posts": -1},
        {"largest": 300},
        {"largest": 30},
        {"follows": 100},
        {"follows": 60_000},
        {"active_share": 1.5},
        {"seed": -1},
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_words(
    database: Database, change: dict[str, float]
) -> None:
    with pytest.raises(StackError, match="expected"):
        fill(database, PRESETS["demo"].changed(**change))
    assert nothing_is_there(database)


def test_a_load_that_is_killed_leaves_nothing_and_is_run_again(
    database: Database, tmp_path: Path
) -> None:
    """Killed while it copies follows: the server rolls back, and the next run finds it empty."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, threading\n"
        "from microblog.seed import PRESETS, seed, load\n"
        "from microblog.settings import Settings\n"
        "def stop(*_):\n"
        "    print('copied', flush=True)\n"
        "    threading.Event().wait()\n"
        "load._restore = stop\n"
        "settings = Settings.create(sys.argv[1], pg_port=int(sys.argv[2]))\n"
        "seed(settings, PRESETS['demo'], sys.argv[3])\n"
    )
    with subprocess.Popen(
        [
            *(sys.executable, script),
            *(database.settings.stack, str(database.settings.pg_port), database.name),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        # It is at the point where the indexes of app.follows would be built.
        assert any("copied" in line for line in child.stdout)
        child.send_signal(signal.SIGKILL)
    database.wait_for(
        "select count(*) = 0 from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and query like '%%app.follows%%'"
    )
    before = schema_dump(database)
    assert nothing_is_there(database)
    fill(database)
    assert schema_dump(database) == before
    database.assert_sound()


def test_a_sample_of_users_is_audited_where_there_are_too_many(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both audits find a feed row that is gone and a counter that is off."""
    monkeypatch.setattr(load, "AUDIT_ALL", 0)
    fill(database)
    reader = MIXED.readers()[50][0]
    database.run("delete from app.feed_entries where user_id = %s", [reader])
    database.run("update app.user_counters set posts_count = -1 where user_id = %s", [reader])
    found = database.run(
        "select problem, count(*) from dba.drift_sample(%s) group by problem order by problem",
        [[reader, reader, LARGEST_AUTHOR]],
    )
    assert [problem for problem, _ in found] == ["counters", "missing"]
    assert found[0][1] == 1
    assert found[1][1] == database.value("select count(*) from dba.feed_drift()")


def test_the_rows_thread_ends_with_a_load_that_fails(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load.Table, "statement", lambda *_: "copy app.users from stdin (bad)")
    with pytest.raises(Exception, match="bad"):
        fill(database)
    assert [thread.name for thread in threading.enumerate() if thread.name == "rows"] == []


def test_a_floor_that_was_broken_off_is_in_nobodys_way(database: Database) -> None:
    before = schema_dump(database)
    database.run("set role microblog_owner; select app.seed_floor_begin(); reset role")
    assert schema_dump(database) != before
    fill(database, floor=True)
    assert schema_dump(database) == before


def test_the_floor_and_what_was_loaded_are_printed(database: Database) -> None:
    seeded, printed = fill(database, floor=True)
    assert seeded.floor and seeded.entries > 1000
    assert seeded.entries == database.value("select count(*) from app.feed_entries")
    for text in ("floor", "ratio", "2.276", "300 users", "6,000 follows", "users 2–11", "largest"):
        assert text in printed, text

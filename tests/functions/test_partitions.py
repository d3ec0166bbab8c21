"""Monthly partitions of app.feed_entries: made ahead, never in the way of a post or a reader."""

import itertools

from tests.support.actors import POST, WORK, stage
from tests.support.database import Database
from tests.support.plans import recorder

EXTEND = "select app.feed_partitions_extend(%s)"


def bounds(database: Database) -> list[tuple[str, str | None, str | None]]:
    """Name, lower and upper bound of each partition, in the order of the ids."""
    rows = database.run("select partition::text, bounds from dba.feed_partitions")
    parsed = []
    for name, text in rows:
        lower, upper = text.removeprefix("FOR VALUES FROM (").removesuffix(")").split(") TO (")
        parsed.append((name, lower.strip("'"), upper.strip("'")))
    return sorted(parsed, key=lambda part: int(part[1]) if part[1].isdigit() else -1)


def assert_without_gap(database: Database) -> None:
    parts = bounds(database)
    assert parts[0][0] == "feed_entries_past" and parts[0][1] == "MINVALUE"
    assert parts[-1][0] == "feed_entries_future" and parts[-1][2] == "MAXVALUE"
    for (_, _, upper), (_, lower, _) in itertools.pairwise(parts):
        assert upper == lower


def test_a_deployment_has_this_month_and_the_next_two(database: Database) -> None:
    months = database.values(
        "select to_char(date_trunc('month', now(), 'UTC') + n * interval '1 month',"
        ' \'"feed_entries_y"YYYY"m"MM\') from generate_series(0, 2) n'
    )
    assert [name for name, _, _ in bounds(database)] == [
        "feed_entries_past", *months, "feed_entries_future",
    ]  # fmt: skip
    assert_without_gap(database)


def test_to_extend_again_changes_nothing(database: Database) -> None:
    before = bounds(database)
    assert database.value(EXTEND, [2]) == 0
    assert bounds(database) == before


def test_to_extend_makes_each_missing_month(database: Database) -> None:
    assert database.value(EXTEND, [14]) == 12
    assert len(bounds(database)) == 2 + 15
    assert_without_gap(database)
    assert database.value(EXTEND, [14]) == 0
    assert database.value(EXTEND, [3]) == 0, "never back"


def test_each_partition_begins_with_the_first_millisecond_of_its_month(database: Database) -> None:
    database.run(EXTEND, [30])
    for name, lower, _ in bounds(database)[1:-1]:
        assert name == database.value(
            'select to_char(app.post_created_at(%s), \'"feed_entries_y"YYYY"m"MM\')', [lower]
        )
        first = database.value(
            "select app.post_created_at(%s) = date_trunc('month', app.post_created_at(%s), 'UTC')",
            [lower, lower],
        )
        assert first is True


def test_rows_that_went_into_the_future_move_to_their_month(database: Database) -> None:
    """No month was made in time: entries went to the open end. They are found before and after."""
    author, fan = database.users(2)
    database.follow(fan, author)
    posts = database.values(
        "insert into app.posts (id, author_id, content)"
        " select app.post_id_at(now() + n * interval '1 month'), %s, 'x'"
        " from generate_series(3, 8) n returning id",
        [author],
    )
    where = "select distinct tableoid::regclass::text from app.feed_entries"
    assert database.values(where) == ["app.feed_entries_future"]
    assert database.value(EXTEND, [5]) == 3
    assert database.entries(fan) == sorted(posts)
    assert len(database.values(where)) == 4
    assert database.value("select count(*) from app.feed_entries_future") == 3
    assert database.run("select * from dba.feed_drift()") == []
    database.unfollow(fan, author)
    assert database.entries(fan) == []


def test_every_partition_has_its_key_and_its_comment(database: Database) -> None:
    database.run(EXTEND, [5])
    assert (
        database.values(
            """
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'app.feed_entries'::regclass and (
          obj_description(c.oid, 'pg_class') is null
          or c.relowner <> 'microblog_owner'::regrole
          or not exists (select from pg_index x where x.indrelid = c.oid and x.indisprimary)
        )
        """
        )
        == []
    )


def test_a_reader_who_is_at_it_makes_the_job_try_again_later(database: Database) -> None:
    """It does not queue up before a table that everybody reads: it gives up after a second, the
    failure is recorded, and the retry does it once the reader is gone.
    """
    database.pause_schedules()
    database.set(feed_partitions_ahead=5)
    reader, fan = database.users(2)
    with database.as_member(reader) as reading:
        reading.execute("begin")
        reading.execute("select count(*) from app.feed_entries")
        database.run("select app.job_add('feed_partitions')")
        assert database.work() == "feed_partitions"
        assert database.run("select state, left(last_error, 5) from app.jobs") == [
            ("queued", "55P03")
        ]
        with stage(database) as actors:
            assert actors.member(fan).do(POST, "nobody is held up")
        reading.execute("commit")
    database.run("update app.jobs set run_at = now()")
    database.drain()
    assert len(bounds(database)) == 2 + 6


def test_a_post_in_flight_makes_the_job_try_again_later(database: Database) -> None:
    database.pause_schedules()
    database.set(feed_partitions_ahead=4)
    author, fan = database.users(2)
    database.follow(fan, author)
    with stage(database) as actors:
        poster, worker = actors.member(author), actors.worker()
        poster.begin()
        ((post,),) = poster.do(POST, "hello")
        database.run("select app.job_add('feed_partitions')")
        assert worker.do(WORK) == [("feed_partitions",)]
        assert database.run("select attempts from app.jobs") == [(1,)]
        poster.commit()
    database.run("update app.jobs set run_at = now()")
    database.drain()
    assert database.entries(fan) == [post]
    assert len(bounds(database)) == 2 + 5


def test_a_page_reads_only_the_partitions_it_needs_and_in_order(database: Database) -> None:
    """An Append in the order of the ids, newest first, that ends when the page is full: the months
    before the one that fills it are never touched.
    """
    database.run(EXTEND, [12])
    author, fan = database.users(2)
    database.follow(fan, author)
    database.posts(author, 300)
    database.run("analyze app.feed_entries")
    with recorder(database, fan) as made:
        (page,) = made.run(
            "select post_id from app.feed_entries where user_id = app.current_user_id()"
            " and post_id < app.post_id_at(now() + interval '1 hour')"
            " order by post_id desc limit 20"
        )
    kinds = [node["Node Type"] for node in page.nodes()]
    assert "Sort" not in kinds and "Merge Append" not in kinds
    assert len(page.scans()) == 1
    assert page.plan["Actual Rows"] == 20

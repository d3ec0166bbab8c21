"""The audits: blind to nothing that a test can plant, silent where nothing is wrong."""

import pytest

from tests.support.database import Database


@pytest.fixture
def town(database: Database) -> Database:
    """Three users who follow each other, with posts and replies; all sound."""
    users = database.users(3)
    database.follow(users, users)
    post = database.post(users[0])
    database.post(users[1], "reply", parent=post)
    database.post(users[2])
    database.assert_sound()
    return database


def drift(town: Database) -> list[tuple[object, ...]]:
    return town.run("select counter, id, cached, recounted from dba.counter_drift()")


@pytest.mark.parametrize("counter", ["followers", "following", "posts"])
@pytest.mark.parametrize("by", [3, -1])
def test_a_counter_that_is_off_is_found_and_repaired(town: Database, counter: str, by: int) -> None:
    (user,) = town.values("select min(id) from app.users")
    before = town.counts(user)
    town.run(
        f"update app.user_counters set {counter}_count = {counter}_count + %s where user_id = %s",
        [by, user],
    )
    ((found, user_id, cached, recounted),) = drift(town)
    assert (found, user_id, cached) == (counter, user, recounted + by)  # type: ignore[operator]
    assert town.value("select dba.counter_repair()") == 1
    assert town.counts(user) == before
    town.assert_sound()


def test_a_replies_count_that_is_off_is_found_and_repaired(town: Database) -> None:
    (post,) = town.values("select min(id) from app.posts")
    town.run("update app.posts set replies_count = 7 where id = %s", [post])
    assert drift(town) == [("replies", post, 7, 1)]
    assert town.value("select dba.counter_repair()") == 1
    assert town.replies_count(post) == 1
    town.assert_sound()


@pytest.mark.parametrize("table", ["user", "post"])
def test_a_delta_from_nowhere_is_found_and_repaired(town: Database, table: str) -> None:
    if table == "user":
        town.run("insert into app.user_counter_deltas (user_id, followers) select id, 5"
                 " from app.users")  # fmt: skip
    else:
        town.run("insert into app.post_counter_deltas (post_id, replies) select id, 5"
                 " from app.posts")  # fmt: skip
    assert len(drift(town)) == 3
    assert town.value("select dba.counter_repair()") == 3
    town.assert_sound()


def test_a_row_removed_behind_the_triggers_back_is_found(town: Database) -> None:
    with town.superuser() as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("delete from app.follows where follower_id = "
                           "(select min(id) from app.users)")  # fmt: skip
    assert {row[0] for row in drift(town)} == {"followers", "following"}
    assert len(drift(town)) == 3
    town.run("select dba.counter_repair()")
    assert drift(town) == []


def test_a_missing_counter_row_is_found_and_repaired(town: Database) -> None:
    """A load with triggers off may leave a user without one."""
    (user,) = town.values("select min(id) from app.users")
    town.run("delete from app.user_counters where user_id = %s", [user])
    assert {row[1] for row in drift(town)} == {user}
    town.run("select dba.counter_repair()")
    assert town.counts(user) == (2, 2, 1)
    town.assert_sound()


def test_a_repair_while_somebody_follows_counts_both(town: Database) -> None:
    """The correction is a change like any other, so one in flight is not lost."""
    (user,) = town.values("select min(id) from app.users")
    fan = town.user("fan")
    town.run("update app.user_counters set followers_count = 50 where user_id = %s", [user])
    with town.superuser() as following:
        following.execute("begin")
        following.execute("insert into app.follows values (%s, %s)", [fan, user])
        town.run("select dba.counter_repair()")
        following.execute("commit")
    counts = town.counts(user)
    assert counts is not None and counts[0] == 3
    town.assert_sound()


def feed_drift(town: Database) -> list[tuple[object, ...]]:
    return town.run("select problem, user_id, post_id from dba.feed_drift()")


def test_a_missing_feed_entry_is_found(town: Database) -> None:
    ((user, post),) = town.run(
        "delete from app.feed_entries where ctid in"
        " (select ctid from app.feed_entries limit 1) and tableoid in"
        " (select tableoid from app.feed_entries limit 1) returning user_id, post_id"
    )
    assert feed_drift(town) == [("missing", user, post)]


@pytest.mark.parametrize("kind", ["of no post", "of oneself", "of a reply", "of nobody followed"])
def test_a_surplus_feed_entry_is_found(town: Database, kind: str) -> None:
    user, *_ = town.values("select id from app.users order by id")
    posts = dict(town.run("select author_id, id from app.posts where not is_reply"))
    stranger = town.user("stranger")
    (reply,) = town.values("select id from app.posts where is_reply")
    entry = {
        "of no post": (user, 4096),
        "of oneself": (user, posts[user]),
        "of a reply": (user, reply),
        "of nobody followed": (stranger, posts[user]),
    }[kind]
    town.run("insert into app.feed_entries values (%s, %s)", entry)
    assert feed_drift(town) == [("surplus", *entry)]


def test_the_views_for_operators_say_what_is_there(town: Database) -> None:
    town.pause_schedules()
    town.run("insert into app.user_counter_deltas (user_id) select id from app.users")
    assert town.run("select * from dba.counter_deltas") == [(3, 0)]
    partitions = town.values("select partition::text from dba.feed_partitions order by 1")
    assert {"feed_entries_past", "feed_entries_future"} < set(partitions)
    assert len(partitions) >= 5
    town.run("analyze app.feed_entries")
    assert town.value("select sum(estimated_rows) from dba.feed_partitions") == 4

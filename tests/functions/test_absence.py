"""People who are away lose their timeline's rows, and never a post: they read a complete feed
the moment they return, and the rows are made again behind them.
"""

from typing import Any

import pytest

from tests.support.database import Database
from tests.support.horizon import (
    NEVER,
    assert_complete,
    come_back,
    defined,
    forget,
    old_months,
    old_post,
    read,
)

MANY = 150  # follows: three chunks of a rebuild


@pytest.fixture
def database(database: Database) -> Database:
    """A database where no recurring job comes in between."""
    database.pause_schedules()
    return database


@pytest.fixture
def authors(database: Database) -> list[int]:
    """Many people with a post each."""
    authors = database.users(MANY)
    for _ in range(2):
        database.run(
            "insert into app.posts (author_id, content) select a, 'x' from unnest(%s::bigint[]) a",
            [authors],
        )
    return authors


@pytest.fixture
def reader(database: Database, authors: list[int]) -> int:
    """Somebody who follows all of them and was away."""
    reader = database.user("reader")
    database.follow(reader, authors)
    forget(database, reader)
    return reader


def state(database: Database, user: int) -> tuple[Any, ...]:
    """Return (delivered_from, complete_from)."""
    return database.run(
        "select delivered_from, complete_from from app.feed_states where user_id = %s", [user]
    )[0]


def test_only_those_away_for_long_are_released(database: Database) -> None:
    author, away, here = database.users(3)
    database.follow([away, here], author)
    post = database.post(author)
    forget(database, away)
    assert state(database, away) == (NEVER, NEVER)
    assert state(database, here) == (0, 0)
    assert database.entries(here) == [post]
    assert_complete(database, [away, here])
    database.assert_sound()


def test_more_than_a_batch_is_released_in_several_chunks(database: Database) -> None:
    author, *fans = database.users(251)
    database.set(fan_out_sync_limit=1000)
    database.follow(fans, author)
    database.post(author)
    database.run("update app.feed_states set active_until = now() - interval '1 day'")
    database.run("update app.job_schedules set next_run_at = now() where kind = 'feeds_release'")
    assert database.drain(fold=False) == ["feeds_release"] * 3
    assert database.run("select from app.feed_entries") == []
    assert database.values("select distinct delivered_from from app.feed_states") == [NEVER]
    database.run("update app.job_schedules set next_run_at = now() where kind = 'feeds_release'")
    assert database.drain(fold=False) == ["feeds_release"], "released once only"


@pytest.mark.parametrize("sync_limit", [100, 0], ids=["within the post", "by a job"])
def test_nothing_is_delivered_to_who_is_away(database: Database, sync_limit: int) -> None:
    database.set(fan_out_sync_limit=sync_limit, fan_out_chunk_size=1, backfill_sync_limit=0)
    author, other, away, here = database.users(4)
    database.follow([away, here], author)
    forget(database, away)
    post = database.post(author)
    database.post(other)
    database.follow(away, other)
    assert database.jobs("follow_backfill") == []
    assert len(read(database, away)) == 2, "a new follow shows at once"
    database.drain()
    assert database.entries(away) == []
    assert database.entries(here) == [post]
    database.unfollow(away, other)
    assert read(database, away) == [post]
    assert_complete(database, [away, here])
    database.assert_sound()


def test_a_feed_is_complete_before_during_and_after_the_rebuild(
    database: Database, authors: list[int], reader: int
) -> None:
    """Also with a fan-out still queued, which who stayed waits for."""
    database.set(fan_out_sync_limit=0)
    database.post(authors[0])
    come_back(database, reader)
    assert len(database.jobs("feed_rebuild")) == 1
    assert_complete(database, reader, sizes=100)
    chunks = 0
    while database.jobs("feed_rebuild"):
        assert state(database, reader) == (0, NEVER)
        chunks += database.work() == "feed_rebuild"
        assert_complete(database, reader, sizes=100)
    assert chunks == 3
    assert state(database, reader) == (0, 0)
    assert len(database.entries(reader)) == 2 * MANY + 1
    database.assert_sound()


@pytest.mark.parametrize("follows", [0, 1, 63, 64, 65, 128])
def test_a_rebuild_ends_whatever_the_remainder(
    database: Database, authors: list[int], follows: int
) -> None:
    reader = database.user("reader")
    database.follow(reader, authors[:follows])
    forget(database, reader)
    come_back(database, reader)
    assert database.drain(fold=False) == ["feed_rebuild"] * max(1, -(-follows // 64))
    assert state(database, reader) == (0, 0)
    assert len(database.entries(reader)) == 2 * follows
    assert_complete(database, reader, sizes=100)
    database.assert_sound()


def test_follows_unfollows_posts_and_deletions_between_two_chunks(
    database: Database, authors: list[int], reader: int
) -> None:
    """On both sides of the mark that the rebuild has reached."""
    new = database.users(2)
    database.posts(new[0], 2)
    before_all = database.value("select min(id) from app.users")
    database.unfollow(reader, before_all)
    come_back(database, reader)
    assert database.work() == "feed_rebuild"
    database.follow(reader, [before_all, *new])
    database.unfollow(reader, [authors[5], authors[140]])
    for author in (authors[6], authors[141], new[1]):
        database.post(author)
    database.run("delete from app.posts where author_id = any (%s)", [[authors[7], authors[142]]])
    database.run("select app.account_close(u) from unnest(%s::bigint[]) u", [authors[8:10]])
    assert_complete(database, reader, sizes=100)
    assert database.work() == "feed_rebuild"
    database.unfollow(reader, [authors[10], authors[70], authors[149]])
    assert_complete(database, reader, sizes=100)
    database.drain()
    assert state(database, reader) == (0, 0)
    assert database.entries(reader) == sorted(defined(database, reader, "following"))
    assert_complete(database, reader, sizes=100)
    database.assert_sound()


def test_a_second_login_starts_no_second_rebuild(
    database: Database, authors: list[int], reader: int
) -> None:
    come_back(database, reader)
    come_back(database, reader)
    assert len(database.jobs("feed_rebuild")) == 1
    database.work()
    come_back(database, reader)
    assert len(database.jobs("feed_rebuild")) == 1
    database.drain()
    come_back(database, reader)
    assert database.jobs() == []
    assert_complete(database, reader, sizes=100)
    database.assert_sound()


def test_who_leaves_again_before_the_rebuild_ends_is_rebuilt_from_the_start(
    database: Database, authors: list[int], reader: int
) -> None:
    """The first job waits with its mark, as one that had failed too often and is requeued; what
    it brought is gone. It must not declare complete what the second has still to bring.
    """
    come_back(database, reader)
    assert database.work() == "feed_rebuild"
    forget(database, reader)
    assert_complete(database, reader, sizes=100)
    come_back(database, reader)
    _, second = database.jobs("feed_rebuild")
    database.run("update app.jobs set run_at = now() + interval '1 hour' where id = %s", [second])
    while database.work():
        assert_complete(database, reader, sizes=100)
    assert database.jobs() == [second], "the first has nothing to say any more"
    database.run("update app.jobs set run_at = now()")
    while database.work():
        assert_complete(database, reader, sizes=100)
    assert_complete(database, reader, sizes=100)
    assert state(database, reader) == (0, 0)
    database.assert_sound()


def test_a_job_of_who_has_left_again_does_nothing(
    database: Database, authors: list[int], reader: int
) -> None:
    come_back(database, reader)
    forget(database, reader)
    assert database.drain(fold=False) == ["feed_rebuild"]
    assert database.entries(reader) == []
    assert state(database, reader) == (NEVER, NEVER)
    database.run("delete from app.users where id = %s", [reader])
    database.assert_sound()


def test_an_account_deleted_before_its_rebuild(
    database: Database, authors: list[int], reader: int
) -> None:
    come_back(database, reader)
    database.run("delete from app.users where id = %s", [reader])
    assert database.drain(fold=False) == ["feed_rebuild"]
    assert database.run("select from app.feed_entries where user_id = %s", [reader]) == []
    database.assert_sound()


def test_a_rebuild_leaves_out_what_is_pulled_and_what_is_below_the_horizon(
    database: Database,
) -> None:
    old_months(database, 2)
    small, large, reader, *fans = database.users(6)
    database.follow([reader, *fans], large)
    database.follow(reader, small)
    old_post(database, small, "70 days")
    kept = database.post(small)
    database.set(fan_out_pull_limit=3, fan_out_push_limit=3)
    database.post(large)
    assert database.value("select app.feed_partitions_drop(0)") == 2
    forget(database, reader)
    come_back(database, reader)
    assert_complete(database, reader, sizes=1)
    database.drain()
    assert database.entries(reader) == [kept]
    assert_complete(database, reader, sizes=1)
    database.assert_sound()


def test_a_horizon_that_moves_while_a_rebuild_waits(database: Database) -> None:
    old_months(database, 3)
    author, reader = database.users(2)
    database.follow(reader, author)
    old_post(database, author, "80 days")
    kept = database.post(author)
    forget(database, reader)
    come_back(database, reader)
    assert database.value("select app.feed_partitions_drop(0)") == 3
    database.drain()
    assert database.entries(reader) == [kept], "nothing that retention has just dropped"
    assert_complete(database, reader, sizes=1)
    database.assert_sound()

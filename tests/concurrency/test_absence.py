"""Somebody's timeline is dropped or made again while others post and they follow and unfollow."""

import pytest

from tests.support.actors import DELETE_POST, FOLLOW, POST, UNFOLLOW, WORK, Actor, Stage
from tests.support.database import Database
from tests.support.horizon import NEVER, assert_complete, come_back, forget

KEEP = "select app.feed_keep(%s, now() + interval '1 hour')"
RELEASE = "select app.job_feeds_release('{}', null)"


@pytest.fixture
def author(database: Database) -> int:
    """Somebody with two posts."""
    author = database.user("author")
    database.posts(author, 2)
    return author


@pytest.fixture
def reader(database: Database, author: int) -> int:
    """A follower of the author and of somebody else, whose timeline was dropped."""
    other, reader = database.users(2)
    database.post(other)
    database.follow(reader, [author, other])
    forget(database, reader)
    return reader


def overdue(database: Database, user: int) -> None:
    """Let somebody be away for too long; the job has not run yet."""
    database.run(
        "update app.feed_states set active_until = now() - interval '1 day' where user_id = %s",
        [user],
    )


def rebuilding(actors: Stage) -> Actor:
    """A worker whose transaction has done a chunk of a rebuild and is not committed."""
    worker = actors.worker()
    worker.begin()
    assert worker.do(WORK) == [("feed_rebuild",)]
    return worker


def finished(database: Database, reader: int) -> None:
    """At the end: no job, complete, and the audits agree."""
    assert_complete(database, reader, sizes=1)
    database.assert_sound()
    assert_complete(database, reader, sizes=1)


@pytest.mark.parametrize("ends", ["commit", "rollback"])
@pytest.mark.parametrize("act", [FOLLOW, UNFOLLOW], ids=["follow", "unfollow"])
def test_what_the_reader_does_waits_for_a_rebuild_in_flight(
    database: Database, actors: Stage, author: int, reader: int, act: str, ends: str
) -> None:
    new = database.user("new")
    database.post(new)
    come_back(database, reader)
    worker, hand = rebuilding(actors), actors.member(reader)
    pending = hand.start_blocked(act, new if act == FOLLOW else author, by=worker)
    worker.do(ends)
    pending.result(60)
    assert_complete(database, reader, sizes=1)
    database.drain()
    assert len(database.entries(reader)) == (4 if act == FOLLOW else 1)
    finished(database, reader)


@pytest.mark.parametrize("ends", ["commit", "rollback"])
@pytest.mark.parametrize("act", [FOLLOW, UNFOLLOW], ids=["follow", "unfollow"])
def test_a_rebuild_waits_for_what_the_reader_does(
    database: Database, actors: Stage, author: int, reader: int, act: str, ends: str
) -> None:
    new = database.user("new")
    database.post(new)
    come_back(database, reader)
    hand, worker = actors.member(reader), actors.worker()
    hand.begin()
    hand.do(act, new if act == FOLLOW else author)
    pending = worker.start_blocked(WORK, by=hand)
    hand.do(ends)
    assert pending.result(60) == [("feed_rebuild",)]
    finished(database, reader)


@pytest.mark.parametrize("sync_limit", [100, 0], ids=["within the post", "by a job"])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_post_that_did_not_see_the_login_is_brought_by_the_rebuild(
    database: Database, actors: Stage, author: int, reader: int, sync_limit: int, ends: str
) -> None:
    """It passed over somebody who was away, is not committed, and the rebuild waits for it."""
    database.set(fan_out_sync_limit=sync_limit)
    poster, worker = actors.member(author), actors.worker()
    poster.begin()
    poster.do(POST, "in flight")
    come_back(database, reader)
    pending = worker.start_blocked(WORK, by=poster)
    poster.do(ends)
    assert pending.result(60) == [("feed_rebuild",)]
    assert_complete(database, reader, sizes=1)
    assert len(database.entries(reader)) == (4 if ends == "commit" else 3)
    finished(database, reader)


def test_a_chunk_that_did_not_see_the_login_is_made_up_for_by_the_rebuild(
    database: Database, actors: Stage, author: int, reader: int
) -> None:
    database.set(fan_out_sync_limit=0)
    post = database.post(author)
    chunk, worker = actors.worker(), actors.worker()
    chunk.begin()
    assert chunk.do(WORK) == [("fan_out",)]
    come_back(database, reader)
    pending = worker.start_blocked(WORK, by=chunk)
    chunk.commit()
    assert pending.result(60) == [("feed_rebuild",)]
    assert post in database.entries(reader)
    finished(database, reader)


@pytest.mark.parametrize("sync_limit", [100, 0], ids=["within the post", "by a job"])
@pytest.mark.parametrize("act", [POST, DELETE_POST], ids=["post", "deletion"])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_an_author_waits_for_a_rebuild_in_flight(
    database: Database,
    actors: Stage,
    author: int,
    reader: int,
    sync_limit: int,
    act: str,
    ends: str,
) -> None:
    """The post is delivered to who is back; the deletion removes what the rebuild brought."""
    database.set(fan_out_sync_limit=sync_limit)
    doomed = database.value("select min(id) from app.posts where author_id = %s", [author])
    come_back(database, reader)
    worker, poster = rebuilding(actors), actors.member(author)
    pending = poster.start_blocked(act, "new" if act == POST else doomed, by=worker)
    worker.do(ends)
    pending.result(60)
    database.drain()
    assert len(database.entries(reader)) == (4 if act == POST else 2)
    finished(database, reader)


def test_a_rebuild_waits_for_a_deletion_in_flight(
    database: Database, actors: Stage, author: int, reader: int
) -> None:
    doomed = database.value("select min(id) from app.posts where author_id = %s", [author])
    come_back(database, reader)
    deleter, worker = actors.member(author), actors.worker()
    deleter.begin()
    deleter.do(DELETE_POST, doomed)
    pending = worker.start_blocked(WORK, by=deleter)
    deleter.commit()
    assert pending.result(60) == [("feed_rebuild",)]
    assert len(database.entries(reader)) == 2
    finished(database, reader)


def test_an_account_deleted_while_its_timeline_is_rebuilt(
    database: Database, actors: Stage, author: int, reader: int
) -> None:
    come_back(database, reader)
    worker, owner = rebuilding(actors), actors.superuser()
    pending = owner.start_blocked("select app.account_close(%s)", reader, by=worker)
    worker.commit()
    pending.result(60)
    assert database.entries(reader) == []
    database.assert_sound()


def test_a_release_passes_over_who_is_busy_and_takes_them_next_time(
    database: Database, actors: Stage, author: int
) -> None:
    """Somebody overdue follows at this moment: not dropped under their hands."""
    reader = database.user("reader")
    overdue(database, reader)
    hand = actors.member(reader)
    hand.begin()
    hand.do(FOLLOW, author)
    database.run(RELEASE)
    hand.commit()
    assert len(database.entries(reader)) == 2
    assert_complete(database, reader)
    database.run(RELEASE)
    assert database.entries(reader) == []
    finished(database, reader)


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_follow_waits_for_a_release_in_flight(
    database: Database, actors: Stage, author: int, ends: str
) -> None:
    reader, other = database.users(2)
    database.post(other)
    database.follow(reader, other)
    overdue(database, reader)
    releaser, hand = actors.superuser(), actors.member(reader)
    releaser.begin()
    releaser.do(RELEASE)
    pending = hand.start_blocked(FOLLOW, author, by=releaser)
    releaser.do(ends)
    pending.result(60)
    assert len(database.entries(reader)) == (0 if ends == "commit" else 3)
    finished(database, reader)


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_login_waits_for_a_release_in_flight(
    database: Database, actors: Stage, author: int, ends: str
) -> None:
    """Who returns in the very moment is rebuilt; who is not dropped after all keeps everything."""
    reader = database.user("reader")
    database.follow(reader, author)
    overdue(database, reader)
    releaser, login = actors.superuser(), actors.superuser()
    releaser.begin()
    releaser.do(RELEASE)
    pending = login.start_blocked(KEEP, reader, by=releaser)
    releaser.do(ends)
    pending.result(60)
    assert len(database.jobs("feed_rebuild")) == (1 if ends == "commit" else 0)
    finished(database, reader)
    assert len(database.entries(reader)) == 2


def test_a_login_in_flight_is_not_released(database: Database, actors: Stage, author: int) -> None:
    reader = database.user("reader")
    database.follow(reader, author)
    overdue(database, reader)
    login = actors.superuser()
    login.begin()
    login.do(KEEP, reader)
    database.run(RELEASE)
    login.commit()
    database.run(RELEASE)
    assert len(database.entries(reader)) == 2
    finished(database, reader)


@pytest.mark.parametrize("sync_limit", [100, 0], ids=["within the post", "by a job"])
def test_a_post_that_did_not_see_the_release(
    database: Database, actors: Stage, author: int, sync_limit: int
) -> None:
    """Its row for somebody who has just left does no harm: not now, not after an unfollow, and
    not when they return.
    """
    database.set(fan_out_sync_limit=sync_limit)
    reader = database.user("reader")
    database.follow(reader, author)
    overdue(database, reader)
    poster = actors.member(author)
    if sync_limit == 0:
        database.post(author)
        poster = actors.worker()
    poster.begin()
    poster.do(WORK) if sync_limit == 0 else poster.do(POST, "in flight")
    database.run(RELEASE)
    poster.commit()
    assert (
        database.value("select complete_from from app.feed_states where user_id = %s", [reader])
        == NEVER
    )
    assert len(database.entries(reader)) == 1
    assert_complete(database, reader, sizes=1)
    database.assert_sound()
    database.run("delete from app.posts where id = %s", database.entries(reader))
    database.drain()
    assert database.entries(reader) == []
    come_back(database, reader)
    finished(database, reader)


def test_two_logins_at_once_queue_one_rebuild(
    database: Database, actors: Stage, author: int, reader: int
) -> None:
    one, two = actors.superuser(), actors.superuser()
    one.begin()
    one.do(KEEP, reader)
    pending = two.start_blocked(KEEP, reader, by=one)
    one.commit()
    pending.result(60)
    assert len(database.jobs("feed_rebuild")) == 1
    finished(database, reader)

"""Months are made and dropped while others read, post and follow: nobody is refused, nobody waits
behind a job that waits, and no page has a gap.
"""

from typing import Any

import pytest

from tests.support.actors import FOLLOW, POST, WORK, Stage
from tests.support.database import Database
from tests.support.horizon import assert_complete, horizon, old_months, old_post, partitions

READ = "select id from api.feed_timeline(null, 100)"
DROP = "select app.feed_partitions_drop(0)"
BUSY = "55P03"  # lock_not_available


@pytest.fixture
def author(database: Database) -> int:
    """Somebody with posts of four months and this one, in a database as old as that."""
    old_months(database, 3)
    author = database.user("author")
    for ago in ("80 days", "50 days", "1 day"):
        old_post(database, author, ago)
    return author


@pytest.fixture
def reader(database: Database, author: int) -> int:
    """Somebody who has all of them."""
    reader = database.user("reader")
    database.follow(reader, author)
    return reader


@pytest.fixture
def retention(database: Database, author: int, reader: int) -> None:
    """The job that drops is due, and so is its retry at once."""
    database.set(feed_retention=0, job_retry_base=0)
    database.run("update app.job_schedules set next_run_at = now() where kind = 'feed_partitions'")


def job(database: Database) -> tuple[Any, ...] | None:
    """Return (attempts, state, last_error) of the waiting job."""
    rows = database.run(
        "select attempts, state, last_error from app.jobs where kind = 'feed_partitions'"
    )
    return rows[0] if rows else None


@pytest.mark.parametrize("busy", [READ, POST, FOLLOW], ids=["reader", "fan-out", "follow"])
def test_a_busy_moment_makes_the_drop_try_again(
    database: Database, actors: Stage, author: int, reader: int, retention: None, busy: str
) -> None:
    """It gives up after its lock_timeout, with nothing done; a retry finds the way free."""
    before = partitions(database)
    other = database.user("other")
    database.post(other)
    actor = actors.member(author if busy == POST else reader)
    worker = actors.worker()
    actor.begin()
    actor.do(busy, *{READ: (), POST: ("in flight",), FOLLOW: (other,)}[busy])
    assert worker.do(WORK) == [("feed_partitions",)]
    waiting = job(database)
    assert waiting is not None
    assert (waiting[0], waiting[1]) == (1, "queued")
    assert waiting[2].startswith(BUSY)
    assert partitions(database) == before
    assert horizon(database) == 0
    assert_complete(database, reader, sizes=1)
    actor.commit()
    database.drain()
    assert job(database) is None
    assert len(partitions(database)) == len(before) - 3
    assert horizon(database) > 0
    assert_complete(database, [author, reader], sizes=1)
    database.assert_sound()


def test_who_comes_behind_a_waiting_drop_waits_no_longer_than_it_does(
    database: Database, actors: Stage, author: int, reader: int, retention: None
) -> None:
    """One reader holds on to the entries, the drop waits for it, the next reader waits for the
    drop; the drop gives way and the second reader reads, while the first still holds on.
    """
    first, second, worker = actors.member(reader), actors.member(reader), actors.worker()
    first.begin()
    expected = first.do(READ)
    pending_drop = worker.start_blocked(WORK, by=first)
    pending_read = second.start(READ)
    assert pending_drop.result(60) == [("feed_partitions",)]
    assert pending_read.result(60) == expected
    waiting = job(database)
    assert waiting is not None
    assert waiting[2].startswith(BUSY)
    first.commit()
    database.drain()
    assert second.do(READ) == expected


@pytest.mark.parametrize("ends", ["commit", "rollback"])
@pytest.mark.parametrize("act", [READ, POST, FOLLOW], ids=["reader", "fan-out", "follow"])
def test_what_waits_for_a_drop_in_flight_sees_what_it_left(
    database: Database, actors: Stage, author: int, reader: int, act: str, ends: str
) -> None:
    """The months are gone and the horizon has moved for those who waited: as one."""
    other = database.user("other")
    old_post(database, other, "80 days")
    dropper = actors.superuser()
    actor = actors.member(author if act == POST else reader)
    before = actor.do(READ)
    dropper.begin()
    assert dropper.do(DROP) == [(3,)]
    pending = actor.start_blocked(
        act, *{READ: (), POST: ("waits",), FOLLOW: (other,)}[act], by=dropper
    )
    dropper.do(ends)
    shown = pending.result(60)
    if act == READ:
        assert shown == before
    assert (horizon(database) > 0) == (ends == "commit")
    below = database.value(
        "select count(*) from app.feed_entries where post_id < (select post_id from"
        " app.feed_horizon)"
    )
    assert below == 0, "nothing is written below the new horizon"
    assert_complete(database, [author, reader], sizes=1)
    database.assert_sound()


def test_a_chunk_in_flight_whose_post_is_of_a_month_to_be_dropped(
    database: Database, actors: Stage, author: int, reader: int, retention: None
) -> None:
    database.set(fan_out_sync_limit=0)
    old_post(database, author, "60 days")
    chunk, dropper = actors.worker(), actors.superuser()
    chunk.begin()
    kinds = []
    while "fan_out" not in kinds:
        chunk.do("commit")
        chunk.begin()
        kinds = [row[0] for row in chunk.do(WORK)]
    pending = dropper.start_blocked(DROP, by=chunk)
    chunk.commit()
    assert pending.result(60) == [(3,)]
    assert len(database.entries(reader)) == 1
    assert_complete(database, reader, sizes=1)
    database.assert_sound()


def test_a_page_begun_above_the_horizon_goes_on_below_the_one_that_came_meanwhile(
    database: Database, actors: Stage, author: int, reader: int
) -> None:
    """A reader's connection has its plans; the months go between two of its pages."""
    hand = actors.member(reader)
    page = "select id from api.feed_timeline(%s, 1)"
    shown: list[int] = []
    for step in range(3):
        ((post,),) = hand.do(page, str(shown[-1]) if shown else None)
        shown.append(post)
        if step == 0:
            assert database.value(DROP) == 3
    assert hand.do(page, str(shown[-1])) == []
    assert shown == [row[0] for row in hand.do(READ)]

"""Months that pass out of retention: dropped as partitions, read on from posts and follows."""

import pytest

from tests.support.database import Database
from tests.support.horizon import (
    assert_complete,
    horizon,
    id_at,
    old_months,
    old_post,
    partitions,
    read,
)


@pytest.fixture
def months(database: Database) -> list[str]:
    """A database that has been running for four months."""
    database.pause_schedules()
    return old_months(database, 4)


def drop(database: Database, kept: int) -> int:
    """Drop what is older than ``kept`` months before this one."""
    return database.value("select app.feed_partitions_drop(%s)", [kept])


def month_start(database: Database, ago: int) -> int:
    """Return the first post id of the month that began ``ago`` months before this one."""
    return database.value(
        "select app.post_id_at(date_trunc('month', now(), 'UTC') - make_interval(months => %s))",
        [ago],
    )


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4, 5])
def test_only_what_is_past_retention_is_dropped(
    database: Database, months: list[str], kept: int
) -> None:
    before = partitions(database)
    dropped = max(4 - kept, 0)
    assert drop(database, kept) == dropped
    gone = {f"app.{name}" for name in months[:dropped]}
    assert partitions(database) == [name for name in before if name not in gone]
    assert horizon(database) == (month_start(database, kept) if dropped else 0)
    assert drop(database, kept) == 0, "nothing is left to drop"


def test_pages_run_on_across_each_new_horizon(database: Database, months: list[str]) -> None:
    author, other, reader = database.users(3)
    database.follow(reader, [author, other])
    for days in range(120, 0, -10):
        old_post(database, author if days % 20 else other, f"{days} days")
    database.post(reader, "my own")
    kept = len(database.entries(reader))
    assert kept == 12
    for months_kept in (3, 2, 1, 0):
        drop(database, months_kept)
        assert len(database.entries(reader)) <= kept
        kept = len(database.entries(reader))
        for size in (1, 3, 100):
            assert_complete(database, reader, size)
        database.assert_sound()
    assert kept < 12


def test_no_post_is_refused_whatever_its_age(database: Database, months: list[str]) -> None:
    """The partition of the past is made anew each time, up to the new horizon."""
    author, reader = database.users(2)
    database.follow(reader, author)
    for months_kept in (4, 2, 0):
        drop(database, months_kept)
        for ago in ("6 years", "100 days", "45 days", "0 days"):
            old_post(database, author, ago)
        assert_complete(database, reader)
        assert "app.feed_entries_past" in partitions(database)
    bound = database.value(
        "select pg_get_expr(relpartbound, oid) from pg_class"
        " where oid = 'app.feed_entries_past'::regclass"
    )
    assert str(horizon(database)) in bound
    assert database.value("select obj_description('app.feed_entries_past'::regclass)")


def test_nothing_is_kept_of_a_post_that_is_older_than_the_horizon(
    database: Database, months: list[str]
) -> None:
    """Neither within the post nor by a job, nor by a follow, nor for one who comes back."""
    author, reader, late = database.users(3)
    database.follow(reader, author)
    drop(database, 0)
    old_post(database, author, "100 days")
    database.set(fan_out_sync_limit=0, backfill_sync_limit=0)
    old_post(database, author, "100 days")
    assert database.jobs("fan_out") == []
    database.follow(late, author)
    assert database.jobs() == []
    assert database.run("select from app.feed_entries") == []
    assert_complete(database, [reader, late], sizes=1)
    database.assert_sound()


def test_a_queued_fan_out_that_the_horizon_overtakes_brings_nothing(
    database: Database, months: list[str]
) -> None:
    """What is queued for a month that is dropped meanwhile: read from below, not delivered."""
    database.set(
        fan_out_sync_limit=0, fan_out_chunk_size=1, backfill_sync_limit=0, backfill_chunk_size=1
    )
    author, *fans = database.users(4)
    database.follow(fans, author)
    old_post(database, author, "60 days")
    late = database.user()
    database.follow(late, author)
    database.work()
    drop(database, 0)
    assert_complete(database, [*fans, late], sizes=1)
    database.drain()
    assert database.run("select from app.feed_entries") == []
    assert_complete(database, [*fans, late], sizes=1)
    database.assert_sound()


def test_the_scheduled_job_makes_months_ahead_and_drops_those_past_retention(
    database: Database, months: list[str]
) -> None:
    author, reader = database.users(2)
    database.follow(reader, author)
    old_post(database, author, "110 days")
    database.post(author)
    before = set(partitions(database))
    database.set(feed_retention=1, feed_partitions_ahead=4)
    database.run("update app.job_schedules set next_run_at = now() where kind = 'feed_partitions'")
    database.drain()
    after = set(partitions(database))
    assert before - after == {f"app.{name}" for name in months[:3]}
    assert len(after - before) == 2
    assert horizon(database) == month_start(database, 1)
    assert horizon(database) > id_at(database, "110 days")
    assert len(read(database, reader, "timeline", 1)) == 2
    database.assert_sound()


def test_the_horizon_never_moves_back(database: Database, months: list[str]) -> None:
    drop(database, 0)
    reached = horizon(database)
    database.set(feed_retention=12)
    database.run("select app.job_feed_partitions('{}', null)")
    assert horizon(database) == reached

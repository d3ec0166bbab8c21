"""Loads a made-up network into an empty database, in one transaction: all of it, or nothing."""

import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from rich.console import Console

from microblog.errors import StackError
from microblog.importer import owner_connection
from microblog.seed import report
from microblog.seed.ahead import ahead
from microblog.seed.rows import Rows, Table
from microblog.seed.shape import RESERVED, Shape
from microblog.seed.steps import Steps
from microblog.settings import Settings

FEED_CHUNKS = 50
AUDIT_ALL = 500_000  # follows up to which everything is audited unasked, beyond: a sample
SAMPLE = 500  # users
FLOOR_TABLES = ("users", "posts", "follows")
TABLES = (
    *("users", "user_counters", "feed_states", "posts", "follows"),
    *("pull_ranges", "feed_entries"),
)

Connection = psycopg.Connection[Any]

# Of the loading transaction alone. The server notices within a second that the loader is gone.
LOAD_SETTINGS = """
set local session_replication_role = replica;
set local idle_in_transaction_session_timeout = 0;
set local statement_timeout = 0;
set local lock_timeout = '60s';
set local client_connection_check_interval = '1s';
set local timezone = 'UTC';
set local work_mem = '256MB';
set local maintenance_work_mem = '1GB'
"""


@dataclass(frozen=True)
class Seeded:
    """What was loaded, and in how many seconds, to the end of the vacuum. ``floor``: the same of
    the same rows by bare COPY, or None.
    """

    shape: Shape
    entries: int
    pulled: int
    seconds: float
    floor: float | None


def seed(
    settings: Settings,
    shape: Shape,
    dbname: str | None = None,
    console: Console | None = None,
    until: datetime | None = None,
    floor: bool = False,
    audit_all: bool = False,
) -> Seeded:
    """Fill the stack's database, or ``dbname``, and print how it went.

    ``until`` (UTC; default: the last midnight) ends the days of posts; the same shape and
    ``until`` give the same rows. ``floor`` also measures a bare COPY; ``audit_all`` audits every
    user's feed and counters however many there are. Raises StackError for a shape that cannot be,
    a database that is not empty, or one without the schema.
    """
    shape.check()
    until = _until(until)
    console = console or Console(highlight=False, soft_wrap=True)
    with owner_connection(settings, dbname) as connection:
        _check_empty(connection)
        start = time.perf_counter()
        with Steps(console) as steps:
            with steps.step("follower counts"):
                rows = Rows(shape, until)
            entries, pulled = _load(connection, rows, steps, audit_all)
            _vacuum(connection, TABLES, steps)
        seconds = time.perf_counter() - start
        report.distribution(console, rows, _mutual(connection, rows))
        report.sizes(console, connection, TABLES)
        report.timings(console, steps.done)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        report.summary(console, rows, entries, pulled, seconds, peak)
        bare = _floor(connection, rows, console) if floor else None
        if bare is not None:
            report.floor(console, seconds, bare)
    return Seeded(shape, entries, pulled, seconds, bare)


def _until(until: datetime | None) -> datetime:
    now = datetime.now(UTC)
    until = until or now.replace(hour=0, minute=0, second=0, microsecond=0)
    if until > now:
        raise StackError(f"{until:%Y-%m-%d} has not come yet", "Posts end in the past.")
    return until


# -- the load ------------------------------------------------------------------------------------


def _load(connection: Connection, rows: Rows, steps: Steps, audit_all: bool) -> tuple[int, int]:
    """Load, count, deliver and audit; return the numbers of feed entries and pulled authors."""
    with _loading(connection):
        with steps.step("lock and empty the tables"):
            _call(connection, "app.seed_begin()")
        for table in rows.tables():
            _copy(connection, table, table.table, steps)
        _restore(connection, "app.follows", steps)
        with steps.step("authors that readers pull"):
            pulled = _call(connection, "app.seed_pull_ranges()")
        entries = 0
        with steps.step("feeds", rows.shape.posts) as advance:
            for first, last, posts in _chunks(rows):
                entries += _call(connection, "app.seed_feeds(%s, %s)", first, last)
                advance(posts)
        _restore(connection, "app.feed_entries", steps)
        with steps.step("statistics"):
            _call(connection, "app.seed_end()")
        with steps.step("audit"):
            _audit(connection, rows, audit_all)
    return entries, pulled


@contextmanager
def _loading(connection: Connection) -> Iterator[None]:
    """Open a transaction as the owner with triggers off."""
    with connection.transaction():
        connection.execute("set local role none")
        connection.execute(LOAD_SETTINGS)
        connection.execute("set local role microblog_owner")
        yield


def _check_empty(connection: Connection) -> None:
    """Raise StackError where there is anybody, any post, or no function to load with."""
    found = connection.execute("select to_regproc('app.seed_begin') is not null").fetchone()
    if found != (True,):
        raise StackError(
            f"database {connection.info.dbname} lacks a part of the schema",
            "Deploy it: microblog migrate",
        )
    found = connection.execute(
        "select exists (select from app.users) or exists (select from app.posts)"
    ).fetchone()
    if found != (False,):
        raise StackError(
            f"database {connection.info.dbname} is not empty; seeding starts from nothing",
            "Remove everything in this stack, then start anew: microblog down --wipe",
        )


def _copy(connection: Connection, table: Table, target: str, steps: Steps) -> None:
    with (
        steps.step(f"copy {target}", table.rows) as advance,
        connection.cursor() as cursor,
        cursor.copy(table.statement(target)) as copy,
    ):
        for count, data in ahead(table.blocks()):
            copy.write(data)
            advance(count)


def _vacuum(connection: Connection, tables: Iterable[str], steps: Steps) -> None:
    """Vacuum tables of app, in no transaction."""
    with steps.step("vacuum"):
        connection.execute("vacuum " + ", ".join(f"app.{table}" for table in tables))


def _restore(connection: Connection, table: str, steps: Steps) -> None:
    """Build the indexes of a table that the load began without."""
    with steps.step(f"indexes of {table}"):
        while _call(connection, "app.seed_restore(%s::text::regclass)", table) is not None:
            continue


def _chunks(rows: Rows) -> Iterator[tuple[int, int, int]]:
    """Yield first id, last id (exclusive) and number of posts of each part of the feeds."""
    for ids in np.array_split(rows.post_ids(), FEED_CHUNKS):
        if len(ids):
            yield int(ids[0]), int(ids[-1]) + 1, len(ids)


def _audit(connection: Connection, rows: Rows, everything: bool) -> None:
    """Raise StackError where counters or feeds are not what the definition says."""
    if everything or rows.shape.follows <= AUDIT_ALL:
        query = (
            "select (select count(*) from dba.counter_drift()) +"
            " (select count(*) from dba.feed_drift())"
        )
        drift = connection.execute(query).fetchone()
    else:
        query = "select count(*) from dba.drift_sample(%s)"
        drift = connection.execute(query, [_sample(rows)]).fetchone()
    if drift != (0,):
        raise StackError(
            f"{drift[0] if drift else 0} rows of feeds or counters are not as defined",
            "Nothing was loaded.",
        )


def _mutual(connection: Connection, rows: Rows) -> float:
    return float(_call(connection, "app.seed_mutual(%s)", _sample(rows)[RESERVED:]))


def _sample(rows: Rows) -> list[int]:
    """Return the reserved ids and some others, always the same."""
    others = np.random.default_rng(rows.shape.seed).integers(RESERVED, rows.shape.users, SAMPLE)
    return [*range(1, RESERVED + 1), *(int(number) + 1 for number in others)]


def _call(connection: Connection, call: str, *parameters: Any) -> Any:
    """Call a function of the database and return its value."""
    row = connection.execute(f"select {call}", parameters).fetchone()
    return row[0] if row else None


# -- the floor -----------------------------------------------------------------------------------


def _floor(connection: Connection, rows: Rows, console: Console) -> float:
    """Copy the same rows into plain tables, build the same indexes, vacuum, drop all; seconds."""
    start = time.perf_counter()
    try:
        with Steps(console) as steps:
            with _loading(connection):
                _call(connection, "app.seed_floor_begin()")
                for table in rows.tables():
                    name = table.table.removeprefix("app.")
                    if name in FLOOR_TABLES:
                        _copy(connection, table, f"app.seed_floor_{name}", steps)
                with steps.step("floor: indexes"):
                    number = 1
                    while _call(connection, "app.seed_floor_index(%s)", number) is not None:
                        number += 1
            _vacuum(connection, [f"seed_floor_{name}" for name in FLOOR_TABLES], steps)
        return time.perf_counter() - start
    finally:
        _call(connection, "app.seed_floor_end()")

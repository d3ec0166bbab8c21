"""The worker: a loop around ``app.job_work``, which does everything that matters in SQL.

It listens for wake-ups on the channel ``microblog_jobs`` and looks by itself at the latest every
``POLL`` seconds, so that a lost notification delays a job by no more.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from microblog.errors import StackError

POLL = 5.0  # seconds without a wake-up after which it looks for itself
SHORTEST_WAIT = 0.1  # seconds between two looks where a due job is in another worker's hands
HEARTBEAT = 5.0  # seconds between two signs of life
SLICE = 0.2  # seconds at most until a stop is noticed while waiting
BACKOFF = (0.1, 5.0)  # seconds before the first and, doubling, the later attempts to reconnect

log = logging.getLogger(__name__)


class Pace:
    """Growing, jittered pauses between attempts that fail."""

    def __init__(self, shortest: float, longest: float) -> None:
        self.shortest, self.longest = shortest, longest
        self.attempts = 0

    def next(self) -> float:
        """Return the next pause in seconds: half to all of the doubled last one."""
        bound = min(self.longest, self.shortest * 2**self.attempts)
        self.attempts = min(self.attempts + 1, 32)
        return bound * random.uniform(0.5, 1.0)  # noqa: S311

    def reset(self) -> None:
        """Begin again with the shortest, after a success."""
        self.attempts = 0


def run_worker(
    dsn: str,
    name: str,
    stop: threading.Event,
    poll: float = POLL,
    chore: Callable[[], None] = lambda: None,
) -> None:
    """Work on due jobs until ``stop`` is set, then finish the chunk in hand and say good-bye.

    Reconnects for as long as it takes where the database goes away; a job that fails is the
    database's to retry. ``poll`` is in seconds. ``chore`` is what the machine wants done now and
    then, at each heartbeat; an error of it is logged.
    """
    pace = Pace(*BACKOFF)
    while not stop.is_set():
        try:
            with psycopg.connect(dsn, autocommit=True, application_name=f"microblog {name}") as c:
                c.execute("listen microblog_jobs")
                log.info("%s: connected", name)
                _work(c, name, stop, poll, pace, chore)
                with suppress(psycopg.Error):
                    c.execute("select app.worker_bye(%s)", [name])
        except psycopg.Error as error:
            pause = pace.next()
            log.warning("%s: %s; again in %.1f s", name, str(error).strip(), pause)
            stop.wait(pause)
    log.info("%s: stopped", name)


def _work(
    connection: psycopg.Connection[Any],
    name: str,
    stop: threading.Event,
    poll: float,
    pace: Pace,
    chore: Callable[[], None],
) -> None:
    """Work on one connection until ``stop``; psycopg.Error ends it too."""
    next_heartbeat = 0.0
    while not stop.is_set():
        if time.monotonic() >= next_heartbeat:
            connection.execute("select app.worker_heartbeat(%s)", [name])
            next_heartbeat = time.monotonic() + HEARTBEAT
            _do(chore, name)
        kind = _value(connection, "select app.job_work(%s)", [name])
        pace.reset()
        if kind is None:
            due = _value(connection, "select app.job_next_due()")
            pause = poll if due is None else min(max(due, SHORTEST_WAIT), poll)
            _wait(connection, min(pause, next_heartbeat - time.monotonic()), stop)


def _do(chore: Callable[[], None], name: str) -> None:
    try:
        chore()
    except (StackError, OSError) as error:
        log.warning("%s: %s", name, error)


def _value(connection: psycopg.Connection[Any], query: str, parameters: Any = None) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def _wait(connection: psycopg.Connection[Any], pause: float, stop: threading.Event) -> None:
    """Wait for a notification, the stop or the end of ``pause`` seconds."""
    end = time.monotonic() + pause
    while not stop.is_set() and (left := end - time.monotonic()) > 0:
        for _ in connection.notifies(timeout=min(left, SLICE), stop_after=1):
            return

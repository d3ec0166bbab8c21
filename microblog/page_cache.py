"""The keeper of the shared page cache: tells proxies what to forget, and the database how they do.

The cache is HAProxy's (docs/runbooks/cache.md). Each part of it has a version in the proxy's map;
what the database notifies on the channel ``microblog_cache`` gets a new one, so that old answers
are asked for no more. Of several workers one at a time does this. What was notified while nobody
listened is not known: whoever begins, or loses its connection, invalidates everything.
"""

import logging
import re
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from microblog.errors import StackError
from microblog.worker import BACKOFF, SLICE, Pace

REPORT = 5.0  # seconds between two reports
LISTING_SHARE = 50  # the cache is listed for a fiftieth of the time at most
TIMEOUT = 2.0  # seconds that a proxy may take to answer
EVERYTHING = "all"
MAP = "cache.map"
# What the proxy's scripts count: kinds of requests, and how they were answered. Those of
# "conditional" are the values of X-Conditional.
ANSWERED = {
    "conditional": ("short", "full", "fallback", "changed"),
    "feeds": ("direct", "fallback"),
}
BLOCK = 1024  # bytes in which HAProxy hands out the memory of a cache
# Notifications are anybody's who may connect; nothing but a name may become part of a command.
PART = re.compile(r"all|/rpc/[a-z_]+(?:/[0-9]{1,2})?")
ENTRY = re.compile(r"size:(\d+) \((\d+) blocks\), refcount:(\d+), expire:(-?\d+)")

log = logging.getLogger(__name__)


class ProxyError(StackError):
    """A proxy did not take a command."""


@dataclass(frozen=True)
class Figures:
    """What a proxy holds and did since it was started; sizes in bytes."""

    proxy: str
    hits: int
    misses: int
    entries: int
    bytes: int
    max_bytes: int
    conditional_short: int
    conditional_full: int
    conditional_fallback: int
    conditional_changed: int
    feeds_direct: int
    feeds_fallback: int


class Proxy:
    """A running HAProxy, by its admin socket. Raises OSError where it does not answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holds = (0, 0, 0)
        self._next_listing = 0.0

    def ask(self, command: str) -> str:
        """Send one line of commands; return the answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(str(self.path))
            connection.sendall(f"{command}\n".encode())
            with connection.makefile("rb") as answer:
                return answer.read().decode()

    def invalidate(self, parts: Iterable[str]) -> None:
        """Give these parts of the cache new versions."""
        for part in parts:
            said = self.ask(f"set map {MAP} {part} {uuid.uuid4().hex}").strip()
            if said:
                raise ProxyError(f"{self.path}: {part}: {said}")

    def noted(self, what: str) -> dict[str, int]:
        """Return the numbers that the proxy's rules keep in its map as ``what:name``."""
        rows = [line.split() for line in self.ask(f"show map {MAP}").splitlines()]
        return {
            row[1].removeprefix(f"{what}:"): int(row[2])
            for row in rows
            if len(row) == 3 and row[1].startswith(f"{what}:")
        }

    def filled(self) -> dict[str, int]:
        """Return when each call was last answered anew, seconds since 1970."""
        return self.noted("filled")

    def answered(self) -> dict[str, int]:
        """Return how many requests were answered in each way; threads count apart."""
        found: Counter[str] = Counter()
        for kind, ways in ANSWERED.items():
            found.update({f"{kind}_{way}": 0 for way in ways})
            for name, times in self.noted(kind).items():
                found[f"{kind}_{name.partition(':')[0]}"] += times
        return dict(found)

    def stat(self) -> dict[str, str]:
        """Return HAProxy's own statistics of the public door, by its names."""
        head, *rows = (line.split(",") for line in self.ask("show stat").splitlines() if line)
        public = next(row for row in rows if row[:2] == ["public", "FRONTEND"])
        return dict(zip(head, public, strict=False))

    def figures(self) -> Figures:
        """Return what it holds, as of the last listing, and did."""
        stat = self.stat()
        lookups, hits = int(stat["cache_lookups"]), int(stat["cache_hits"])
        begin = time.monotonic()
        if begin >= self._next_listing:
            self._holds = listed(self.ask("show cache"))
            took = time.monotonic() - begin
            self._next_listing = begin + LISTING_SHARE * took
        return Figures(str(self.path), hits, lookups - hits, *self._holds, **self.answered())


def listed(answer: str) -> tuple[int, int, int]:
    """Read ``show cache``: entries that can still be served, their bytes, and bytes there are."""
    free = re.search(r"available blocks:(\d+)", answer)
    blocks, entries, size = int(free[1]) if free else 0, 0, 0
    for found in ENTRY.finditer(answer):
        length, taken, used, left = map(int, found.groups())
        blocks += taken if used else 0  # what is being sent is not available
        entries += left > 0
        size += length if left > 0 else 0
    return entries, size, blocks * BLOCK


class Keeper:
    """Keeps the caches of ``proxies`` true to the database at ``dsn``."""

    def __init__(self, dsn: str, proxies: Iterable[Path], report: float = REPORT) -> None:
        self.dsn, self.report_every = dsn, report
        self.pending: dict[Proxy, set[str]] = {Proxy(path): set() for path in proxies}
        self.invalidated: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; reconnects for as long as it takes."""
        pace = Pace(*BACKOFF)
        while not stop.is_set():
            try:
                with psycopg.connect(
                    self.dsn, autocommit=True, application_name="microblog cache"
                ) as connection:
                    connection.execute("set statement_timeout = '5s'")  # a report may not hold up
                    self._keep(connection, stop, pace)
            except psycopg.Error as error:
                pause = pace.next()
                log.warning("cache: %s; again in %.1f s", str(error).strip(), pause)
                stop.wait(pause)

    def _keep(self, connection: psycopg.Connection[Any], stop: threading.Event, pace: Pace) -> None:
        while not _value(connection, "select app.cache_keep()"):
            pace.reset()
            if stop.wait(self.report_every):
                return
        connection.execute("listen microblog_cache")
        self.note(EVERYTHING)
        next_report = 0.0
        while not stop.is_set():
            pace.reset()
            self.pass_on()
            if time.monotonic() >= next_report:
                self._report(connection)
                next_report = time.monotonic() + self.report_every
            for notified in connection.notifies(timeout=SLICE, stop_after=1):
                self.note(notified.payload)

    def note(self, part: str) -> None:
        """Remember that this part is to be invalidated; anything that is no part is ignored."""
        if PART.fullmatch(part):
            for parts in self.pending.values():
                parts.add(part)
            self.invalidated[re.sub(r"/[0-9]+$", "", part)] += 1

    def pass_on(self) -> None:
        """Tell the proxies; what one does not take now is told again."""
        for proxy, parts in self.pending.items():
            if parts:
                try:
                    proxy.invalidate(parts)
                    parts.clear()
                except (OSError, ProxyError) as error:
                    log.warning("cache: %s: %s", proxy.path, error)

    def _report(self, connection: psycopg.Connection[Any]) -> None:
        figures, filled = [], dict[str, int]()
        for proxy in self.pending:
            try:
                figures.append(asdict(proxy.figures()))
                for call, at in proxy.filled().items():
                    filled[call] = max(at, filled.get(call, 0))
            except OSError as error:
                log.warning("cache: %s: %s", proxy.path, error)
        connection.execute(
            "select app.cache_report(%s, %s, %s)",
            [Jsonb(figures), Jsonb(filled), Jsonb(self.invalidated)],
        )
        self.invalidated.clear()


def _value(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None

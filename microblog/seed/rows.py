"""The rows of a seeded database, in blocks of COPY's formats. The same for the same shape and day.

Follows and timelines go in the binary format, which numpy writes without a loop; what holds text
goes in the text format.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from microblog.seed.degrees import Integers, follower_counts
from microblog.seed.graph import follows
from microblog.seed.shape import DAYS, REPLY_SHARE, RESERVED, Shape

POST_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)  # of post ids, in milliseconds
SERVER_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # of timestamps in binary, in microseconds
NOT_KEPT = 1 << 53  # feed_states of users without a timeline
YEAR = 365 * 86_400  # seconds
NULL = "\\N"  # of COPY's text format
TEXT_BLOCK = 20_000  # rows
BINARY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_END = b"\xff\xff"

Block = tuple[int, bytes]  # rows, bytes


@dataclass(frozen=True)
class Table:
    """Rows for one COPY into ``table``; ``blocks`` makes them anew with each call."""

    table: str
    columns: str
    binary: bool
    rows: int
    blocks: Callable[[], Iterator[Block]]

    def statement(self, table: str) -> str:
        """Return the COPY statement into ``table``, made or truncated in the same transaction."""
        form = "binary" if self.binary else "text"
        return f"copy {table} ({self.columns}) from stdin (format {form}, freeze)"


class Rows:
    """Everything that is loaded. ``until``: end of the days of posts, in UTC."""

    def __init__(self, shape: Shape, until: datetime) -> None:
        self.shape = shape
        self.until = until
        self.followers: Integers = follower_counts(shape, self._rng(0))
        self.active = self._rng(1).random(shape.users) < shape.active_share
        self.active[:RESERVED] = True
        self._following = np.zeros(shape.users, dtype=np.int64)
        self._written = np.zeros(shape.users, dtype=np.int64)

    def tables(self) -> list[Table]:
        """Return what to copy, in this order: the counters count what was made before them."""
        shape = self.shape
        active = int(self.active.sum())
        return [
            Table("app.users", "id, username, created_at", False, shape.users, self._users),
            Table("app.feed_states", "user_id", True, active, self._active),
            Table(
                "app.feed_states",
                "user_id, delivered_from, complete_from, active_until",
                True,
                shape.users - active,
                self._inactive,
            ),
            Table(
                "app.posts",
                "id, author_id, parent_id, is_reply, replies_count, content",
                False,
                shape.posts,
                self._posts,
            ),
            Table(
                "app.follows",
                "follower_id, followed_id, created_at",
                True,
                shape.follows,
                self._follows,
            ),
            Table(
                "app.user_counters",
                "user_id, followers_count, following_count, posts_count",
                True,
                shape.users,
                self._counters,
            ),
        ]

    def _rng(self, purpose: int) -> np.random.Generator:
        """Return a stream of its own for each purpose."""
        return np.random.default_rng([self.shape.seed, purpose])

    def _users(self) -> Iterator[Block]:
        """Joined in the order of ids, between three years and one year before ``until``."""
        ages = np.linspace(3 * YEAR, YEAR, self.shape.users).astype(np.int64)
        times = np.datetime64(self.until.replace(tzinfo=None), "s") - ages
        for start in range(0, self.shape.users, TEXT_BLOCK):
            text = np.datetime_as_string(times[start : start + TEXT_BLOCK])
            lines = [f"{i}\tuser_{i}\t{time}Z\n" for i, time in enumerate(text, start + 1)]
            yield len(lines), "".join(lines).encode()

    def _active(self) -> Iterator[Block]:
        """Active until as long from now as after a login."""
        yield from _binary([np.flatnonzero(self.active) + 1])

    def _inactive(self) -> Iterator[Block]:
        """Last seen long ago."""
        ids = np.flatnonzero(~self.active) + 1
        days = self._rng(2).integers(1, 365, len(ids))
        none = np.full(len(ids), NOT_KEPT)
        yield from _binary([ids, none, none, self._microseconds() - days * 86_400_000_000])

    def _follows(self) -> Iterator[Block]:
        """Made in the year before ``until``."""
        rng = self._rng(3)
        seconds = self._rng(4)
        until = self._microseconds()
        self._following[:] = 0
        yield 0, BINARY_HEAD
        for follower, followed in follows(self.shape, self.followers, rng):
            self._following += np.bincount(follower - 1, minlength=self.shape.users)
            age = seconds.integers(0, YEAR, len(follower), dtype=np.int32).astype(np.int64)
            yield len(follower), _records([follower, followed, until - age * 1_000_000])
        yield 0, BINARY_END

    def _counters(self) -> Iterator[Block]:
        """What the blocks of posts and follows came to."""
        ids = np.arange(1, self.shape.users + 1)
        yield from _binary([ids, self.followers, self._following, self._written])

    def _microseconds(self) -> int:
        return int((self.until - SERVER_EPOCH).total_seconds()) * 1_000_000

    def _posts(self) -> Iterator[Block]:
        """Written by the followed more than by others, in proportion to √(followers + 1)."""
        shape, rng = self.shape, self._rng(5)
        weights = np.sqrt(self.followers + 1.0)
        authors = rng.choice(shape.users, size=shape.posts, p=weights / weights.sum()) + 1
        self._written = np.bincount(authors - 1, minlength=shape.users)
        ids = self.post_ids()
        numbers = np.arange(shape.posts)
        # A reply answers one of the posts before it, mostly a recent one.
        lags = 1 + rng.exponential(min(2000, shape.posts / 10), shape.posts).astype(np.int64)
        parents = numbers - lags
        is_reply = (rng.random(shape.posts) < REPLY_SHARE) & (parents >= 0)
        replies = np.bincount(parents[is_reply], minlength=shape.posts)
        for start in range(0, shape.posts, TEXT_BLOCK):
            lines = [
                f"{ids[n]}\t{authors[n]}\t{ids[parents[n]] if is_reply[n] else NULL}\t"
                f"{'t' if is_reply[n] else 'f'}\t{replies[n]}\t{_content(n)}\n"
                for n in range(start, min(start + TEXT_BLOCK, shape.posts))
            ]
            yield len(lines), "".join(lines).encode()

    def post_ids(self) -> NDArray[np.int64]:
        """Return the ids of all posts, ascending: their times are spread evenly at random."""
        last = int((self.until - POST_EPOCH).total_seconds()) * 1000
        times = last - 1 - self._rng(6).integers(0, DAYS * 86_400_000, self.shape.posts)
        times.sort()
        ids = (times << 12) | (np.arange(self.shape.posts) & 4095)
        ids.sort()
        return ids


def _content(number: int) -> str:
    return f"Post number {number} says " + "something or other " * (1 + number % 8) + "and ends."


def _records(columns: list[NDArray[np.int64]]) -> bytes:
    """Encode columns of eight-byte values as records of COPY's binary format."""
    fields = [("count", ">i2")]
    for number in range(len(columns)):
        fields += [(f"size{number}", ">i4"), (f"value{number}", ">i8")]
    records = np.empty(len(columns[0]), dtype=fields)
    records["count"] = len(columns)
    for number, column in enumerate(columns):
        records[f"size{number}"] = 8
        records[f"value{number}"] = column
    return records.tobytes()


def _binary(columns: list[NDArray[np.int64]]) -> Iterator[Block]:
    """Yield a whole stream of COPY's binary format."""
    yield 0, BINARY_HEAD
    yield len(columns[0]), _records(columns)
    yield 0, BINARY_END

"""Posts and looks for them, at the database: a process that reads a Job and prints an Outcome.

    python -m microblog.bench.generators.delivery_worker < job.json > outcome.json

One post after the other. "post" is how long the call took; "delivered" is how long it took, from
the beginning of the same call, until each of some followers had the post on their page, looking
included: the first and the last one in the order of ids, in which they are served, and others at
random.
"""

import sys
import time
from math import floor
from typing import Any

import msgspec
import numpy as np
import psycopg
from psycopg import sql

from microblog.bench import histogram
from microblog.bench.generators.job import Job, Outcome, Tally, deliver
from microblog.bench.scenario import Delivery
from microblog.errors import StackError

NOT_AT_ONCE = "not seen at once"

AUTHORS = "select p.user_id from bench.people p where p.kind = %s order by p.number limit 40"
EDGE = """
select f.follower_id
from app.follows f
join app.feed_states s on s.user_id = f.follower_id
where f.followed_id = %s and (s.complete_from = 0 or %s)
order by f.follower_id {}
limit 1
"""
SOME = """
select f.follower_id
from app.follows f
where f.followed_id = %s and f.follower_id >= %s
order by f.follower_id
limit 1
"""

Connection = psycopg.Connection[Any]


class Deliveries:
    """Sends the posts of one round and keeps the score."""

    def __init__(self, job: Job, connection: Connection, delivery: Delivery) -> None:
        self.job, self.connection, self.delivery = job, connection, delivery
        self.random = np.random.default_rng(job.seed)
        self.authors = [int(row[0]) for row in connection.execute(AUTHORS, [delivery.by])]
        self.readers: dict[int, list[int]] = {}
        self.taken: dict[str, list[float]] = {"post": [], "delivered": []}
        self.late = 0
        self.over_time = [0] * floor(job.seconds)

    def followers(self, author: int) -> list[int]:
        """Return the followers of an author that are looked at."""
        if author not in self.readers:
            asked = [
                *((EDGE.format("asc"), kept) for kept in (True, False)),
                *((EDGE.format("desc"), kept) for kept in (True, False)),
            ]
            found = [self._one(query, author, every) for query, every in asked]
            spread = self.random.integers(1, max(2, self.job.user_count), self.delivery.readers)
            found += [self._one(SOME, author, int(start)) for start in spread]
            self.readers[author] = sorted({one for one in found if one is not None})
        return self.readers[author]

    def _one(self, query: str, *values: Any) -> int | None:
        row = self.connection.execute(query.encode(), values).fetchone()
        return int(row[0]) if row else None

    def call(self, function: str, *values: int) -> Any:
        """Call a function of the schema bench and return its value."""
        query = sql.SQL("select {}({})").format(
            sql.Identifier("bench", function),
            sql.SQL(", ").join(sql.Literal(int(value)) for value in values),
        )
        row = self.connection.execute(query, prepare=True).fetchone()
        return row[0] if row else None

    def one(self, author: int, until: float) -> None:
        """Post once, and wait until its readers see it; StackError where one never does."""
        readers, delivery = self.followers(author), self.delivery
        start = time.perf_counter()
        post = int(self.call(delivery.post, author))
        posted = time.perf_counter()
        if delivery.work:
            self.call(delivery.work, post)
        at_once = True
        for reader in readers:
            while not self.call(delivery.sees, reader, post):
                at_once = False
                if time.perf_counter() > until + self.job.load.timeout:
                    raise StackError(f"post {post} of user {author} never reached user {reader}")
        seen = time.perf_counter()
        self.late += delivery.at_once and not at_once
        self.taken["post"].append(posted - start)
        self.taken["delivered"].append(seen - start)
        second = int(seen - (until - self.job.seconds))
        if second < len(self.over_time):  # the last one may end after the round
            self.over_time[second] += 1

    def run(self) -> Outcome:
        """Post until the time is over; authors in turn."""
        if not self.authors:
            raise StackError(f"nobody is of the kind {self.delivery.by}")
        for author in self.authors:
            for reader in self.followers(author):  # plans and caches
                self.call(self.delivery.sees, reader, 0)
        cpu = time.process_time()
        until = time.perf_counter() + self.job.seconds
        number = self.job.seed
        while time.perf_counter() < until:
            self.one(self.authors[number % len(self.authors)], until)
            number += 1
        operations = {
            name: Tally(
                count=len(times),
                errors={NOT_AT_ONCE: self.late} if self.late and name == "delivered" else {},
                histogram=histogram.encode(histogram.of(times)),
            )
            for name, times in self.taken.items()
        }
        return Outcome(
            operations=operations,
            seconds=self.job.seconds,
            cpu=time.process_time() - cpu,
            over_time=self.over_time,
        )


def main() -> None:
    """Read a Job from standard input, print its Outcome."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    assert job.load.delivery is not None  # noqa: S101 - for the type checker
    with psycopg.connect(job.dsn, autocommit=True) as connection:
        deliver(Deliveries(job, connection, job.load.delivery).run())


if __name__ == "__main__":
    main()

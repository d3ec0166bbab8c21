"""Posts and looks for them, at the database: a process that reads a Job and prints an Outcome.

    python -m microblog.bench.generators.delivery_worker < job.json > outcome.json

One post after the other. "post" is how long the call took. "delivered" is how long it took, from
the beginning of the same call, until each of some followers could see the post: the first and the
last one in the order of ids, in which they are served, and others at random.

A follower sees a post at the moment at which the first read of a page that shows it began, not
when it ended: what is measured is how long a post is on its way, not how long a page takes. Pages
of many followers cannot be read at one moment, one after the other they would count as a delay of
the post, and a page read late tells nothing of whether the post was on it before. So all are read
in one transaction with one snapshot (REPEATABLE READ), which PostgreSQL takes when the first read
begins: they are what each of the followers would have been shown at that moment. Where all pages
have the post, it was visible to everybody by then. Where one lacks it, it was not visible to that
follower, the attempt ends, and the next begins with that follower's page. So the moment told is
that at which the first attempt began by which everybody saw the post, and it is late by no more
than the attempt before took: a page of the follower who lacked it, and those of whoever was found
to see it first. A post that is visible when the call returns is looked for right then, and is as
late as the call.
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
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # of lacking()
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

    def lacking(self, readers: list[int], post: int) -> int | None:
        """Return the first whose page lacks the post, all pages as of one moment; None: nobody."""
        with self.connection.transaction():  # one snapshot for all of them
            for reader in readers:
                if not self.call(self.delivery.sees, reader, post):
                    return reader
        return None

    def one(self, author: int, until: float) -> None:
        """Post once, and wait until its readers see it; StackError where one never does."""
        readers, delivery = self.followers(author), self.delivery
        start = time.perf_counter()
        post = int(self.call(delivery.post, author))
        posted = time.perf_counter()
        if delivery.work:
            self.call(delivery.work, post)
        at_once = True
        while True:
            seen = time.perf_counter()
            lacking = self.lacking(readers, post)
            if lacking is None:
                break
            at_once = False
            if seen > until + self.job.load.timeout:
                raise StackError(f"post {post} of user {author} never reached user {lacking}")
            readers = [lacking, *(one for one in readers if one != lacking)]
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
                self.lacking([reader], 0)
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

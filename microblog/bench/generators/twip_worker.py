"""One client of the Twip mix: a process that reads a Job and prints an Outcome.

    python -m microblog.bench.generators.twip_worker BEGIN_AT < job.json > outcome.json

BEGIN_AT is when all clients begin, on the system's monotonic clock, in seconds.
"""

import sys
import time
from itertools import islice
from math import floor
from pathlib import Path
from threading import Event

import msgspec
import numpy as np

from microblog.bench import histogram
from microblog.bench.generators import actors
from microblog.bench.generators.job import Job, Outcome, Sample, Tally, deliver
from microblog.bench.generators.requests import WORDS
from microblog.bench.generators.twip_stores import Store, store

MIX = {"post": 1.0, "check": 100.0, "subscribe": 10.0, "logout": 5.0}
START_BY = 2.0  # seconds that all clients together take to start and connect


class Client:
    """Draws the mix and times each call."""

    def __init__(self, job: Job, begin_at: float) -> None:
        self.job = job
        self.store: Store = store(job.load.store, job.dsn, job.redis)
        random = np.random.default_rng(job.seed)
        people = [user for user, _ in actors.read(Path(job.actors))]
        self.who = (people[i] for i in actors.draw(len(people), job.users, random))
        self.others = actors.numbers(1, job.user_count, random)
        self.words = actors.numbers(0, len(WORDS) - 1, random)
        self.which = actors.choices(list(MIX.values()), random)
        self.begin_at = begin_at
        self.latencies: dict[str, list[float]] = {name: [] for name in MIX}
        self.over_time = [0] * floor(job.seconds)
        self.samples: list[Sample] = []
        self.unsteady: set[int] = set()

    def call(self, name: str) -> tuple[int, str]:
        """Send one call; return who and, of a check, the answer."""
        user = next(self.who)
        if name == "check":
            return user, self.store.check(user)
        if name == "post":
            self.store.post(user, " ".join(WORDS[i] for i in islice(self.words, 8)))
        elif name == "subscribe":
            other = next(self.others)
            self.unsteady.add(user)
            self.store.subscribe(user, other if other != user else other % self.job.user_count + 1)
        else:
            self.store.logout(user)
        return user, ""

    def run(self) -> Outcome:
        """Send until the time is over."""
        clock, names = time.perf_counter, list(MIX)
        Event().wait(max(0.0, self.begin_at - time.clock_gettime(time.CLOCK_MONOTONIC)))
        start, cpu = clock(), time.process_time()
        end = start + self.job.seconds
        while (begun := clock()) < end:
            name = names[next(self.which)]
            user, answer = self.call(name)
            ended = clock()
            if not start <= ended < end:
                continue
            self.latencies[name].append(ended - begun)
            second = int(ended - start)
            if second < len(self.over_time):
                self.over_time[second] += 1
            if answer and len(self.samples) < self.wanted(ended - start):
                self.samples.append(Sample(user=user, check="timeline", cursor="", body=answer))
        return self.outcome(time.process_time() - cpu)

    def wanted(self, elapsed: float) -> float:
        """How many samples there should be by now, the same in each store."""
        return self.job.samples * elapsed / self.job.seconds

    def outcome(self, cpu: float) -> Outcome:
        """Sum up."""
        operations = {
            name: Tally(count=len(times), histogram=histogram.encode(histogram.of(times)))
            for name, times in self.latencies.items()
        }
        return Outcome(
            operations=operations,
            seconds=self.job.seconds,
            cpu=cpu,
            over_time=self.over_time,
            samples=self.samples,
            unsteady=sorted(self.unsteady),
        )


def main() -> None:
    """Read a Job from standard input, print its Outcome; a failed call ends it with its words."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    deliver(Client(job, float(sys.argv[1])).run())


if __name__ == "__main__":
    main()

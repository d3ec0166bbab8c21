"""The Twip mix of Pequod (Kate et al., NSDI 2014) at the level of the store, without HTTP.

1 post : 100 checks : 10 subscribes : 5 logouts, sent in the closed model by one blocking process
for each client, against this project's tables, against PostgreSQL with row triggers, and against
Redis. The processes are the same but for the calls of the store.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

from microblog.bench.generators import process
from microblog.bench.generators.job import Job, Outcome, Sample, merged
from microblog.bench.generators.twip_worker import START_BY

# Samples taken for each that is wanted. A tenth of the calls follow somebody, and few calls are by
# users who never do: the faster the store, the fewer of its samples can be checked.
SPARE = 20


def generate(job: Job) -> Outcome:
    """Run a process for each client, all starting at one moment."""
    clients = job.load.clients
    begin_at = time.clock_gettime(time.CLOCK_MONOTONIC) + START_BY
    one = replace(job.load, clients=1, threads=1)
    parts = [
        replace(job, load=one, seed=job.seed + number, samples=-(-job.samples * SPARE // clients))
        for number in range(clients)
    ]
    with ThreadPoolExecutor(clients) as pool:
        outcome = merged(
            pool.map(lambda part: process.module("twip_worker", part, str(begin_at)), parts)
        )
    return replace(outcome, samples=steady(outcome, job.samples))


def steady(outcome: Outcome, count: int) -> list[Sample]:
    """Return so many samples of users who followed nobody new, of all clients and all the time."""
    moved = set(outcome.unsteady)
    kept = [one for one in outcome.samples if one.user not in moved]
    count = min(count, len(kept))
    return [kept[number * len(kept) // count] for number in range(count)]

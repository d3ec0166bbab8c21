"""The Twip mix of Pequod (Kate et al., NSDI 2014) at the level of the store, without HTTP.

1 post : 100 checks : 10 subscribes : 5 logouts, sent in the closed model by one blocking process
for each client, against this project's tables, against PostgreSQL with row triggers, and against
Redis. The processes are the same but for the calls of the store.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

from microblog.bench.generators import process
from microblog.bench.generators.job import Job, Outcome, merged
from microblog.bench.generators.twip_worker import START_BY


def generate(job: Job) -> Outcome:
    """Run a process for each client, all starting at one moment."""
    clients = job.load.clients
    begin_at = time.clock_gettime(time.CLOCK_MONOTONIC) + START_BY
    one = replace(job.load, clients=1, threads=1)
    parts = [
        replace(job, load=one, seed=job.seed + number, samples=-(-job.samples // clients))
        for number in range(clients)
    ]
    with ThreadPoolExecutor(clients) as pool:
        return merged(
            pool.map(lambda part: process.module("twip_worker", part, str(begin_at)), parts)
        )

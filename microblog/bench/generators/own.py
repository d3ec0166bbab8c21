"""The generator of HTTP mixes in the open and the closed model."""

from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

from microblog.bench.generators import process
from microblog.bench.generators.job import Job, Outcome, merged


def generate(job: Job) -> Outcome:
    """Send the load from ``threads`` processes that share its rate and its clients."""
    parts = shared(job)
    with ThreadPoolExecutor(len(parts)) as pool:
        return merged(pool.map(lambda part: process.module("own_worker", part), parts))


def shared(job: Job) -> list[Job]:
    """Return one job for each process: rate, clients and samples divided, seeds apart."""
    load, count = job.load, job.load.threads
    parts = []
    for number in range(count):
        part = replace(
            load,
            clients=load.clients // count + (number < load.clients % count),
            rate=None if load.rate is None else load.rate / count,
            threads=1,
        )
        samples = -(-job.samples // count)
        parts.append(replace(job, load=part, seed=job.seed + 1000 * number, samples=samples))
    return parts

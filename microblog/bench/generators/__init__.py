"""Load generators behind one interface: a Job goes in, an Outcome comes out.

wrk where the raw rate of one request counts, an own one for mixes and for the open model, vegeta
and k6 for that too where somebody has them, pgbench for SQL, a client of the Twip mix that speaks
to PostgreSQL and to Redis, one that follows posts until their readers see them, and one that pushes
posts into Redis lists. All run as processes of their own, so that what they cost can be told from
what they measure.
"""

from collections.abc import Callable

from microblog.bench.generators import delivery, k6, own, pgbench, redis_push, twip, vegeta, wrk
from microblog.bench.generators.job import Job, Outcome, Sample, Tally

GENERATORS: dict[str, Callable[[Job], Outcome]] = {
    "own": own.generate,
    "wrk": wrk.generate,
    "vegeta": vegeta.generate,
    "k6": k6.generate,
    "pgbench": pgbench.generate,
    "twip": twip.generate,
    "delivery": delivery.generate,
    "redis_push": redis_push.generate,
}


def generate(job: Job) -> Outcome:
    """Send the load and wait for its end; raise StackError where the generator cannot work."""
    return GENERATORS[job.load.sends](job)


__all__ = ["Job", "Outcome", "Sample", "Tally", "generate"]

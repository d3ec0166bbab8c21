"""A post into the Redis lists of all followers: LPUSH and LTRIM, pipelined."""

from microblog.bench.generators import process
from microblog.bench.generators.job import Job, Outcome


def generate(job: Job) -> Outcome:
    """Push one post after the other."""
    return process.module("redis_push_worker", job)

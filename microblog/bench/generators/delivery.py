"""Posts that are followed until their readers see them: see ``Delivery`` in scenario.py."""

from microblog.bench.generators import process
from microblog.bench.generators.job import Job, Outcome


def generate(job: Job) -> Outcome:
    """Post, and look until everybody looked at sees it, one post after the other."""
    return process.module("delivery_worker", job)

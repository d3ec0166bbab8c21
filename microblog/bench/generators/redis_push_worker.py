"""One post after the other into the lists of all followers of the made-up author (kinds.sql).

    python -m microblog.bench.generators.redis_push_worker < job.json > outcome.json

LPUSH and LTRIM to 800 for each follower, pipelined. With ``pushes = "redis"`` by the ordinary
client (redis-py with hiredis), as an application would; with "redis-raw" by bytes that were put
together beforehand, so that nothing but Redis itself is measured: a bound that no application
reaches. Afterwards every list has to be as long as it was, and as many posts longer as were pushed.
"""

import socket
import sys
import time
from collections.abc import Callable
from math import floor

import msgspec
import psycopg
import redis

from microblog.bench import histogram
from microblog.bench.generators.job import Job, Outcome, Tally, deliver
from microblog.errors import StackError

LENGTH = 800  # posts kept in a list
BATCH = 1000  # followers in one pipeline
FOLLOWERS = """
select f.follower_id
from app.follows f
join bench.people p on p.user_id = f.followed_id and p.kind = 'crowd'
order by f.follower_id
"""


def by_client(path: str, followers: list[int]) -> Callable[[int], None]:
    """Return what pushes a post with the ordinary client."""
    client = redis.Redis(unix_socket_path=path)

    def push(post: int) -> None:
        for start in range(0, len(followers), BATCH):
            pipeline = client.pipeline(transaction=False)
            for user in followers[start : start + BATCH]:
                pipeline.lpush(f"l:{user}", post)
                pipeline.ltrim(f"l:{user}", 0, LENGTH - 1)
            pipeline.execute()

    return push


def by_bytes(path: str, followers: list[int]) -> Callable[[int], None]:
    """Return what sends commands made beforehand; every post has the same number."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    batches = [
        (2 * len(some), b"".join(_commands(f"l:{user}") for user in some))
        for start in range(0, len(followers), BATCH)
        if (some := followers[start : start + BATCH])
    ]

    def push(_: int) -> None:
        for answers, commands in batches:
            connection.sendall(commands)
            while answers > 0:
                got = connection.recv(1 << 16)
                if not got or b"-" in got:
                    raise ConnectionError(f"Redis refused: {got[:80]!r}")
                answers -= got.count(b"\n")

    return push


def _commands(key: str) -> bytes:
    parts = [["LPUSH", key, "900000000000000"], ["LTRIM", key, "0", str(LENGTH - 1)]]
    return b"".join(
        b"*%d\r\n" % len(part)
        + b"".join(b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in part)
        for part in parts
    )


def lengths(path: str, followers: list[int]) -> list[int]:
    """Return how long each follower's list is."""
    pipeline = redis.Redis(unix_socket_path=path).pipeline(transaction=False)
    for user in followers:
        pipeline.llen(f"l:{user}")
    return [int(one) for one in pipeline.execute()]


def run(job: Job) -> Outcome:
    """Push until the time is over."""
    with psycopg.connect(job.dsn) as connection:
        followers = [int(row[0]) for row in connection.execute(FOLLOWERS)]
    push = (by_bytes if job.load.pushes == "redis-raw" else by_client)(job.redis, followers)
    push(0)  # the lists are there, as the rows of a table are
    before = lengths(job.redis, followers)
    taken: list[float] = []
    over_time = [0] * floor(job.seconds)
    cpu, start = time.process_time(), time.perf_counter()
    while (begun := time.perf_counter()) < start + job.seconds:
        push(len(taken) + 1)
        ended = time.perf_counter()
        taken.append(ended - begun)
        if ended < start + len(over_time):
            over_time[int(ended - start)] += 1
    ended = time.perf_counter() - start
    cpu = time.process_time() - cpu
    wanted = [min(LENGTH, one + len(taken)) for one in before]
    if lengths(job.redis, followers) != wanted:
        raise StackError("a list of Redis is not as long as what was pushed")
    return Outcome(
        operations={
            "push": Tally(count=len(taken), histogram=histogram.encode(histogram.of(taken)))
        },
        seconds=ended,
        cpu=cpu,
        over_time=over_time,
    )


def main() -> None:
    """Read a Job from standard input, print its Outcome."""
    deliver(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job)))


if __name__ == "__main__":
    main()

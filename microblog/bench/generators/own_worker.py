"""The generator of HTTP mixes: a process of its own that reads a Job and prints an Outcome.

    python -m microblog.bench.generators.own_worker [held] < job.json > outcome.json

With "held" the job is the first line; once it could begin it prints an empty line, and it begins at
the end of its input.

Open model: requests are due at times drawn beforehand. One that is due goes out on a free
connection, or waits for one; its latency counts from when it was due, in any case. What was due and
never found a connection before the end is counted as dropped. Closed model: each connection sends
its next request when the last was answered, and a stall hides all that would have come meanwhile.

Times are of the system's clock: uvloop's own stands still within a turn of the loop, and has whole
milliseconds only.
"""

import asyncio
import os
import sys
import time
from collections import deque
from contextlib import suppress
from math import floor

import httptools
import msgspec
import numpy as np
import uvloop

from microblog.bench import histogram
from microblog.bench.generators import actors
from microblog.bench.generators.job import Job, Outcome, Sample, Tally, deliver
from microblog.bench.generators.process import HELD
from microblog.bench.generators.requests import Request, Requests

SWEEP = 0.1  # seconds between two looks for requests that took too long
RECONNECT_AFTER = 0.05  # seconds
HALF_A_TICK = 0.0005  # seconds: timers round to milliseconds, and nothing may go out early
YIELD_AFTER = 16  # late arrivals sent in a row before answers are read


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, generator: "Generator") -> None:
        self.generator = generator
        self.transport: asyncio.Transport | None = None
        self.parser = httptools.HttpResponseParser(self)
        self.request: Request | None = None
        self.due = self.sent = 0.0
        self.body: list[bytes] | None = None
        self.cursor = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = transport  # type: ignore[assignment]

    def send(self, request: Request, due: float, now: float, keep: bool) -> None:
        """Send a request; ``keep`` its answer's body for checking."""
        self.request, self.due, self.sent = request, due, now
        self.body = [] if keep else None
        self.cursor = ""
        self.transport.write(request.data)  # type: ignore[union-attr]

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.end("not HTTP")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note where the page ended."""
        if name.lower() == b"x-next-cursor":
            self.cursor = value.decode()

    def on_body(self, data: bytes) -> None:
        """Keep the body where it is to be checked."""
        if self.body is not None:
            self.body.append(data)

    def on_message_complete(self) -> None:
        """Report the answer."""
        keeps = self.parser.should_keep_alive()
        self.generator.answered(self, self.parser.get_status_code(), keeps)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what was under way."""
        self.end("connection closed")

    def end(self, reason: str) -> None:
        """Give the connection up; what was under way on it failed for this reason."""
        if self.transport is not None:
            transport, self.transport = self.transport, None
            transport.abort()
            self.generator.lost(self, reason)


class Generator:
    """Sends one load and keeps the score."""

    def __init__(self, job: Job, held: bool = False) -> None:
        self.job, self.load, self.held = job, job.load, held
        self.requests = Requests(job, job.seed)
        self.open = self.load.rate is not None
        self.connections: set[Connection] = set()
        self.idle: deque[Connection] = deque()
        self.waiting: deque[float] = deque()
        self.loop = asyncio.get_running_loop()
        self.start = self.end = 0.0
        self.latencies: dict[str, list[float]] = {call.name: [] for call in self.load.calls}
        self.errors: dict[str, dict[str, int]] = {call.name: {} for call in self.load.calls}
        self.lateness: list[float] = []
        self.over_time = [0] * floor(job.seconds)
        self.samples: list[Sample] = []
        self.wanted = 0
        self.unsteady: set[int] = set()
        self.dropped = 0
        self.stopping = False
        self.tasks: set[asyncio.Task[None]] = set()

    # -- the run ---------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Measure, let what is under way end, and sum up."""
        for _ in range(self.load.clients):
            await self.connect()
        if self.held:  # nothing is under way: nobody waits for this loop
            os.write(sys.stdout.fileno(), b"\n")
            sys.stdin.buffer.read()
        began = time.monotonic() + 0.01
        self.start, self.end = began, began + self.job.seconds
        cpu = time.process_time()
        sweeper = asyncio.create_task(self.sweep())
        if self.open:
            await self.arrive()
        else:
            # Nothing is answered before the measured time, and nothing sent after it (answered): of
            # each connection at most one request is done and not counted.
            await asyncio.sleep(self.start - time.monotonic() + HALF_A_TICK)
            while self.idle:
                self.send(self.idle.popleft(), time.monotonic())
            await asyncio.sleep(self.end - time.monotonic())
        cpu = time.process_time() - cpu
        self.stopping = True
        self.dropped = len(self.waiting)
        self.waiting.clear()
        while any(connection.request for connection in self.connections):  # the sweeper bounds it
            await asyncio.sleep(0.01)
        sweeper.cancel()
        for connection in list(self.connections):
            connection.end("")
        for task in self.tasks:
            task.cancel()
        return self.outcome(cpu)

    async def arrive(self) -> None:
        """Send each request when it is due."""
        times = actors.arrivals(
            float(self.load.rate or 0),
            self.job.seconds,
            self.load.arrivals == "poisson",
            np.random.default_rng(self.job.seed + 1),
        )
        in_a_row = 0
        for due in (self.start + times).tolist():
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay + HALF_A_TICK)
                in_a_row = 0
            elif in_a_row > YIELD_AFTER:
                await asyncio.sleep(0)
                in_a_row = 0
            in_a_row += 1
            if self.idle:
                self.lateness.append(max(time.monotonic() - due, 0.0))
                self.send(self.idle.popleft(), due)
            else:
                self.waiting.append(due)
        await asyncio.sleep(max(self.end - time.monotonic(), 0))

    def send(self, connection: Connection, due: float) -> None:
        """Send the next request of the mix."""
        request, now = self.requests.next(), time.monotonic()
        if request.changes_follows:
            self.unsteady.add(request.user)
        keep = bool(request.call.check) and self.wants_sample(now)
        connection.send(request, due, now, keep)

    def wants_sample(self, now: float) -> bool:
        """Spread the samples evenly over the measured time."""
        share = (now - self.start) / self.job.seconds
        wanted = 0 <= share < 1 and self.wanted < share * self.job.samples
        self.wanted += wanted
        return wanted

    # -- what happens to a connection ------------------------------------------------------------

    def answered(self, connection: Connection, status: int, keeps: bool) -> None:
        """Count an answer, and have the connection send what waits."""
        request, now = connection.request, time.monotonic()
        if request is None:  # an answer nobody asked for
            connection.end("unexpected answer")
            return
        connection.request = None
        right = request.call.right(status)
        if self.counts(connection.due, now):
            if right:
                self.latencies[request.call.name].append(now - connection.due)
                second = int(now - self.start)
                if second < len(self.over_time):
                    self.over_time[second] += 1
            else:
                self.fail(request, f"status {status}")
        if right and connection.body is not None:
            self.samples.append(
                Sample(
                    user=request.user,
                    check=request.call.check,
                    path=request.path,
                    cursor=request.cursor,
                    body=b"".join(connection.body).decode(errors="replace"),
                )
            )
        if "{cursor}" in request.call.path:
            self.requests.walked(request, connection.cursor)
        if not keeps:
            connection.end("")
        elif self.waiting:
            self.send(connection, self.waiting.popleft())
        elif self.open or self.stopping or now >= self.end:
            self.idle.append(connection)
        else:
            self.send(connection, now)

    def counts(self, due: float, now: float) -> bool:
        """Whether an answer is of the measured time: by when it was due, or came (closed)."""
        return self.start <= (due if self.open else now) < self.end

    def fail(self, request: Request, reason: str) -> None:
        """Count an error."""
        errors = self.errors[request.call.name]
        errors[reason] = errors.get(reason, 0) + 1

    def lost(self, connection: Connection, reason: str) -> None:
        """Replace a connection that ended; what was under way on it is an error."""
        self.connections.discard(connection)
        with suppress(ValueError):
            self.idle.remove(connection)
        request, connection.request = connection.request, None
        if request is not None and self.counts(connection.due, time.monotonic()):
            self.fail(request, reason)
        if not self.stopping:
            task = asyncio.create_task(self.replace())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def connect(self) -> Connection:
        """Open a connection, idle at first."""
        _, connection = await self.loop.create_connection(
            lambda: Connection(self), self.job.host, self.job.port
        )
        self.connections.add(connection)
        self.idle.append(connection)
        return connection

    async def replace(self) -> None:
        """Open a connection for one that ended, however often that takes, and use it."""
        while not self.stopping:
            try:
                connection = await self.connect()
            except OSError:
                await asyncio.sleep(RECONNECT_AFTER)
                continue
            if not self.open or self.waiting:
                self.idle.remove(connection)
                due = self.waiting.popleft() if self.waiting else time.monotonic()
                self.send(connection, due)
            return

    async def sweep(self) -> None:
        """End what takes longer than the load's timeout."""
        while True:
            await asyncio.sleep(SWEEP)
            oldest = time.monotonic() - self.load.timeout
            for connection in list(self.connections):
                if connection.request is not None and connection.sent < oldest:
                    connection.end("timeout")

    # -- the score -------------------------------------------------------------------------------

    def outcome(self, cpu: float) -> Outcome:
        """Sum up."""
        operations = {
            name: Tally(
                count=len(latencies),
                errors=self.errors[name],
                histogram=histogram.encode(histogram.of(latencies)),
            )
            for name, latencies in self.latencies.items()
        }
        late = float(np.percentile(self.lateness, 99)) * 1000 if self.lateness else 0.0
        return Outcome(
            operations=operations,
            seconds=self.job.seconds,
            cpu=cpu,
            dropped=self.dropped,
            lateness=late,
            over_time=self.over_time,
            samples=self.samples,
            unsteady=sorted(self.unsteady),
            deepest=self.requests.deepest,
        )


async def _generate(job: Job, held: bool) -> Outcome:
    return await Generator(job, held).run()


def main() -> None:
    """Read a Job from standard input, print its Outcome."""
    held = sys.argv[1:] == [HELD]
    given = sys.stdin.buffer.readline() if held else sys.stdin.buffer.read()
    deliver(uvloop.run(_generate(msgspec.json.decode(given, type=Job), held)))


if __name__ == "__main__":
    main()

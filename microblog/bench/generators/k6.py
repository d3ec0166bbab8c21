"""k6 (https://k6.io): the open and the closed model by somebody else's generator.

Requests are made beforehand, each with its own token, and handed over in a file; bench/k6/send.js
sends one in each iteration. k6 is told to ask nobody but the stack: no usage report, no address of
its own REST API, no configuration and no K6_ variables of the user's.

Open model (constant-arrival-rate): k6 has as many VUs as there are connections, and starts an
iteration every 1 / rate seconds. Where all VUs are busy it does not wait for one: the iteration is
dropped for good. So a stall shows in the latencies of as many requests as there are VUs, and all
others that were due in it are `dropped`, as are those that k6 did not come to before its end. What
k6 starts late, by its own fault, it does not call late. But it starts or drops in the order in
which iterations are due, so the nth thing that it did is what was due n / rate after the first, and
the latencies here count from then, `lateness` with them.

Closed model (constant-vus): each VU sends its next request when the last was answered. Requests
beyond SEQUENCE are the first ones again.

What happened is read from ``--out json``, a dozen lines for each request, of which five are used.
That costs no more than other ways beyond noise: k6's CPU time for a request, in the best of six
rounds of 8,000 on two busy cores, was 0.22 ms where it told nobody, 0.18 with its own summary, 0.19
with a line from the script (``--console-output``), 0.24 as CSV and 0.23 as JSON; reading those
lines takes 0.02. And it alone says when iterations began and were dropped: the summary has no more
than percentiles. Starting takes k6 half a second of CPU time, which is in what a round says the
generator used. It runs for one second at the least. Like any Go program it sends a GET anew whose
kept connection was closed before an answer, and tells of one.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress
from math import floor
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from microblog.bench.generators import process
from microblog.bench.generators.job import Job, Outcome, tallies
from microblog.bench.generators.requests import Request, Requests
from microblog.bench.scenario import BENCH

SEQUENCE = 20_000  # requests made for the closed model, where nobody knows how many it takes
SHORTEST = 1.0  # seconds that k6 runs at the least
GRACE = 5.0  # seconds beyond the timeout until k6 breaks off what is under way
REQUEST, ITERATION, DROPPED = "http_reqs", "iteration_duration", "dropped_iterations"
TAKING = ("http_req_blocked", "http_req_duration")  # until it has a connection, and from then on
WANTED = tuple(
    f'{{"metric":"{name}","type":"Point"' for name in (REQUEST, ITERATION, DROPPED, *TAKING)
)
# Of its error codes, those of statuses 4xx and 5xx begin so.
STATUSES = ("14", "15")
TIMED_OUT, CLOSED = "1050", ("1220", "1221")


class Data(msgspec.Struct):
    """What k6 measured once; ``metadata`` says in which iteration of which VU."""

    time: datetime
    value: float
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}


class Point(msgspec.Struct):
    """A line of ``--out json`` that is no description of a metric. Times it took are in ms."""

    metric: str
    data: Data


@dataclass(slots=True)
class Seen:
    """One iteration and its request: times in seconds."""

    begun: float = 0.0
    answered: float = 0.0
    took: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> float:
        """When the request went out, or began to wait for its connection."""
        return self.answered - self.took


def binary() -> str | None:
    """Where k6 is: on the PATH, or beside this Python, where its package puts it."""
    return shutil.which("k6") or shutil.which("k6", path=str(Path(sys.executable).parent))


def absent() -> str:
    """Say why k6 cannot run here; empty where it can."""
    return "" if binary() else "k6 is not installed"


def version() -> str:
    """Return what ``k6 version`` says, "k6 v1.1.0 (commit/…)"."""
    program = binary()
    if program is None:
        return "not installed"
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return words[1].removeprefix("v") if len(words) > 1 else "unknown"


def generate(job: Job, begin: Callable[[], None] = lambda: None) -> Outcome:
    """Have k6 send the load for its seconds, and read what it saw.

    ``begin`` is called right before.
    """
    job = replace(job, seconds=max(job.seconds, SHORTEST))
    load = job.load
    # One more is due at the very end, where it counts no longer.
    count = SEQUENCE if load.rate is None else round(load.rate * job.seconds) + 1
    requests = Requests(job, job.seed)
    made = [requests.next() for _ in range(count)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = {
            "load": {
                "options": options(job),
                "base": f"http://{job.host}:{job.port}",
                "timeout": round(load.timeout * 1000),
            },
            "requests": [described(job, one) for one in made],
            "config": {},
        }
        for what, value in given.items():
            (folder / what).touch(mode=0o600)
            (folder / what).write_text(json.dumps(value))
        begin()
        used = process.children_cpu()
        process.run(
            [
                *(binary() or "k6", "run", "--quiet", "--no-color", f"--config={folder}/config"),
                *("--no-usage-report", "--address=", "--no-summary", "--no-thresholds"),
                *(f"--env=LOAD={folder}/load", f"--env=REQUESTS={folder}/requests"),
                *(f"--out=json={folder}/results", str(BENCH / "k6" / "send.js")),
            ],
            job.seconds + load.timeout,
            env=environment(),
        )
        cpu = process.children_cpu() - used
        with (folder / "results").open() as lines:
            return replace(parse(job, made, lines), cpu=cpu)


def environment() -> dict[str, str]:
    """Return this process's environment without what could have k6 speak to somebody else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("K6_") and not name.lower().endswith("_proxy")
    }
    return kept | {"K6_AUTO_EXTENSION_RESOLUTION": "false"}


def options(job: Job) -> dict[str, object]:
    """Return k6's options for a load."""
    load = job.load
    how: dict[str, object] = {"executor": "constant-vus", "vus": load.clients}
    if load.rate is not None:
        how = {
            "executor": "constant-arrival-rate",
            "rate": round(load.rate),
            "timeUnit": "1s",
            "preAllocatedVUs": load.clients,
            "maxVUs": load.clients,
        }
    lasts = {
        "duration": f"{round(job.seconds * 1000)}ms",
        "gracefulStop": f"{round((load.timeout + GRACE) * 1000)}ms",
    }
    return {
        "scenarios": {"load": how | lasts},
        "systemTags": ["name", "status", "error", "error_code", "vu", "iter"],
        "discardResponseBodies": True,
        "maxRedirects": 0,
    }


def described(job: Job, request: Request) -> list[object]:
    """Return a request as bench/k6/send.js takes it."""
    head, _, body = request.data.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    method, path, _ = line.split(" ")
    headers = dict(field.split(": ", 1) for field in fields)
    for name in ("Host", "Content-Length"):  # k6's own business
        headers.pop(name, None)
    operation = job.load.calls.index(request.call)
    return [str(operation), method, path, headers, body.decode() or None]


def parse(job: Job, made: list[Request], lines: Iterable[str]) -> Outcome:
    """Sum up k6's JSON; of what was made it took as many as it sent, from the first on."""
    load = job.load
    seen, refused = _read(lines)
    sent = np.array([one.sent for one in seen])
    if load.rate is None:
        expected, due, start = len(seen), sent, sent.min(initial=np.inf)
        counts = [start <= one.answered < start + job.seconds for one in seen]
    else:
        expected = round(load.rate * job.seconds)
        number = _numbers([one.begun for one in seen], refused)
        start = (sent - number / load.rate).min(initial=np.inf)  # of the most punctual one
        due = start + number / load.rate
        counts = (number < expected).tolist()
    taken: dict[str, list[float]] = {call.name: [] for call in load.calls}
    errors: dict[str, Counter[str]] = {call.name: Counter() for call in load.calls}
    over_time, late = [0] * floor(job.seconds), []
    for one, when in compress(zip(seen, due.tolist(), strict=True), counts):
        call = load.calls[int(one.tags["name"])]
        status = int(one.tags.get("status", "0"))
        if reason := _reason(one.tags):
            errors[call.name][reason] += 1
        elif not call.right(status):
            errors[call.name][f"status {status}"] += 1
        else:
            taken[call.name].append(one.answered - when)
            late.append(one.sent - when)
            second = int(one.answered - start)
            if second < len(over_time):
                over_time[second] += 1
    return Outcome(
        operations=tallies(taken, errors),
        seconds=job.seconds,
        dropped=0 if load.rate is None else max(expected - sum(counts), 0),
        lateness=float(np.percentile(late, 99)) * 1000 if late else 0.0,
        over_time=over_time,
        unsteady=sorted({one.user for one in made[: len(seen)] if one.changes_follows}),
    )


def _read(lines: Iterable[str]) -> tuple[list[Seen], list[float]]:
    """Return the requests that were sent, and when iterations were dropped."""
    seen: dict[tuple[str, str], Seen] = {}
    refused = []
    for line in lines:
        if not line.startswith(WANTED):
            continue
        point = msgspec.json.decode(line, type=Point)
        data, at = point.data, point.data.time.timestamp()
        if point.metric == DROPPED:
            refused.append(at)
            continue
        one = seen.setdefault((data.metadata["vu"], data.metadata["iter"]), Seen())
        if point.metric == REQUEST:
            one.tags, one.answered = data.tags, at
        elif point.metric == ITERATION:
            one.begun = at - data.value / 1000
        else:
            one.took += data.value / 1000
    return [one for one in seen.values() if one.tags], refused


def _numbers(begun: list[float], refused: list[float]) -> np.ndarray:
    """Return which of the things that k6 did, in their order, each beginning was."""
    order = np.argsort(np.array(begun + refused), kind="stable")
    numbers = np.empty(len(order), int)
    numbers[order] = np.arange(len(order))
    return numbers[: len(begun)]


def _reason(tags: dict[str, str]) -> str:
    """Say why there was no answer, or not all of it; empty where there was, of whatever status."""
    code = tags.get("error_code", "")
    if not code or code[:2] in STATUSES:
        return ""
    if code == TIMED_OUT:
        return "timeout"
    error = tags["error"]
    return "connection closed" if code in CLOSED or "EOF" in error else error.rpartition(": ")[2]

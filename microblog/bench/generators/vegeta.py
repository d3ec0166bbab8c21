"""vegeta (https://github.com/tsenart/vegeta): the open model by somebody else's generator.

Requests are made beforehand, each with its own token, and handed over as JSON targets. Every answer
comes back as a line of CSV (``vegeta encode -to csv``) with when it was sent and how long it took.
vegeta sends evenly: hit n of rate r is due n / r after the first. Where all connections wait it is
late, and does not say so; the latencies here count from when a hit was due.
"""

import base64
import csv
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from math import floor
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from microblog.bench.generators import process
from microblog.bench.generators.job import Job, Outcome, tallies
from microblog.bench.generators.requests import Request, Requests

TIMESTAMP, CODE, LATENCY, ERROR, SEQUENCE, METHOD, URL = 0, 1, 2, 5, 8, 9, 10  # columns
NANO = 1e9


def absent() -> str:
    """Say why vegeta cannot run here; empty where it can."""
    return "" if shutil.which("vegeta") else "vegeta is not installed"


def version() -> str:
    """Return what ``vegeta -version`` says in its first line, "Version: 12.12.0"."""
    if absent():
        return "not installed"
    done = subprocess.run(["vegeta", "-version"], capture_output=True, text=True, check=False)
    first, _, _ = done.stdout.partition("\n")
    return first.partition(":")[2].strip() or "unknown"


def generate(job: Job, begin: Callable[[], None] = lambda: None) -> Outcome:
    """Have vegeta send the load for its seconds, and read what it saw.

    ``begin`` is called right before.
    """
    load = job.load
    due = round(float(load.rate or 0) * job.seconds)
    requests = Requests(job, job.seed)
    made = [requests.next() for _ in range(due + load.clients)]
    with tempfile.TemporaryDirectory() as name:
        targets, results = Path(name) / "targets", Path(name) / "results"
        targets.touch(mode=0o600)
        targets.write_text("".join(f"{target(job, one)}\n" for one in made))
        begin()
        used = process.children_cpu()
        process.run(
            [
                *("vegeta", "attack", "-format=json", f"-targets={targets}", f"-output={results}"),
                *(f"-rate={load.rate:.0f}/1s", f"-duration={job.seconds}s", "-max-body=0"),
                *(f"-workers={load.clients}", f"-max-workers={load.clients}"),
                *(f"-connections={load.clients}", f"-max-connections={load.clients}"),
                *(f"-timeout={load.timeout}s", "-redirects=-1"),
            ],
            job.seconds + load.timeout,
        )
        cpu = process.children_cpu() - used
        lines = process.run(["vegeta", "encode", "-to=csv", str(results)], job.seconds)
    unsteady = {one.user for one in made if one.changes_follows}
    return replace(parse(job, made, lines.decode().splitlines(), unsteady), cpu=cpu)


def target(job: Job, request: Request) -> str:
    """Return a request as a target in vegeta's JSON format."""
    head, _, body = request.data.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    method, path, _ = line.split(" ")
    headers = dict(field.split(": ", 1) for field in fields)
    headers.pop("Content-Length", None)  # vegeta's own business
    described = {
        "method": method,
        "url": f"http://{job.host}:{job.port}{path}",
        "header": {name: [value] for name, value in headers.items()},
    }
    if body:
        described["body"] = base64.b64encode(body).decode()
    return json.dumps(described)


def parse(
    job: Job, made: Iterable[Request], lines: Iterable[str], unsteady: Iterable[int] = ()
) -> Outcome:
    """Sum up vegeta's CSV."""
    load = job.load
    rate = round(float(load.rate or 0))
    calls = {_address(job, one): one.call for one in made}
    rows = list(csv.reader(lines))
    sent = np.array([[int(row[TIMESTAMP]), int(row[SEQUENCE])] for row in rows] or [[0, 0]])
    interval = round(NANO / rate)
    start = int((sent[:, 0] - sent[:, 1] * interval).min())  # of the most punctual one
    taken: dict[str, list[float]] = {call.name: [] for call in load.calls}
    errors: dict[str, Counter[str]] = {call.name: Counter() for call in load.calls}
    over_time, late = [0] * floor(job.seconds), []
    for row in rows:
        call = calls[row[METHOD], row[URL]]
        due = start + int(row[SEQUENCE]) * interval
        late.append((int(row[TIMESTAMP]) - due) / NANO)
        answered = (int(row[TIMESTAMP]) + int(row[LATENCY]) - due) / NANO
        code = int(row[CODE])
        if not code:
            errors[call.name][_reason(row[ERROR])] += 1
        elif not call.right(code):
            errors[call.name][f"status {code}"] += 1
        else:
            taken[call.name].append(answered)
            second = int((due - start) / NANO + answered)
            if second < len(over_time):
                over_time[second] += 1
    return Outcome(
        operations=tallies(taken, errors),
        seconds=job.seconds,
        dropped=max(round(rate * job.seconds) - len(rows), 0),
        lateness=float(np.percentile(late, 99)) * 1000 if late else 0.0,
        over_time=over_time,
        unsteady=sorted(set(unsteady)),
    )


def _address(job: Job, request: Request) -> tuple[str, str]:
    method, path, _ = request.data.split(b" ", 2)
    return method.decode(), f"http://{job.host}:{job.port}{path.decode()}"


def _reason(error: str) -> str:
    if "Client.Timeout" in error or "deadline exceeded" in error:
        return "timeout"
    return "connection closed" if error.endswith("EOF") else error.rpartition(": ")[2]

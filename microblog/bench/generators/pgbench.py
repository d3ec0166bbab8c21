"""pgbench: scripts of SQL by weight, closed or open (its rate limit counts from the schedule)."""

import re
import tempfile
from math import floor
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from microblog.bench import histogram
from microblog.bench.generators import process
from microblog.bench.generators.job import Job, Outcome, Tally
from microblog.bench.scenario import BENCH

SKIPPED = "skipped"
FAILED = "failed"


def generate(job: Job) -> Outcome:
    """Run pgbench with a log of every transaction, for whole seconds."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        extra = ["--log", f"--log-prefix={log}"]
        used = process.children_cpu()
        output = process.run(_argv(job, job.seconds, extra), job.seconds).decode()
        cpu = process.children_cpu() - used
        lines = [
            line
            for file in sorted(Path(folder).glob("log*"))
            for line in file.read_text().splitlines()
        ]
    names = [script.name for script in job.load.scripts]
    outcome = parse(names, lines, job.seconds, output, closed=job.load.rate is None)
    return replace(outcome, cpu=cpu)


def _argv(job: Job, seconds: float, extra: list[str]) -> list[str]:
    load = job.load
    rate = [] if load.rate is None else [f"--rate={load.rate}", f"--latency-limit={_limit(job)}"]
    scripts = [f"--file={BENCH / script.file}@{script.weight}" for script in load.scripts]
    return [
        job.pgbench,
        *("--no-vacuum", "--protocol=prepared", f"--random-seed={job.seed}"),
        *(f"--client={load.clients}", f"--jobs={load.threads}", f"--time={round(seconds) or 1}"),
        f"--define=users={job.user_count}",
        *(f"--define={kind}={count}" for kind, count in job.people.items()),
        *(f"--define={name}={value}" for name, value in load.variables.items()),
        *("--max-tries=1", "--failures-detailed"),
        *rate,
        *scripts,
        *extra,
        job.dsn,
    ]


def _limit(job: Job) -> int:
    """Milliseconds after which a transaction that is due is not sent any more, but dropped."""
    return round(job.load.timeout * 1000)


def parse(
    names: list[str], lines: list[str], seconds: float, output: str = "", closed: bool = False
) -> Outcome:
    """Read pgbench's log: client, number, µs or a word, script, epoch, µs of the epoch, ….

    ``closed``: transactions under way at the end are finished and count, so the time is the one
    from the first's beginning to the last's end; otherwise few and long ones make a wrong rate.
    """
    rows = [line.split() for line in lines]
    took = [row for row in rows if row[2].isdigit()]
    dropped = sum(row[2] == SKIPPED for row in rows)
    scripts = np.array([int(row[3]) for row in took], dtype=np.int64)
    micros = np.array([int(row[2]) for row in took], dtype=np.int64)
    errors: dict[int, dict[str, int]] = {}
    for row in rows:
        if not row[2].isdigit() and row[2] != SKIPPED:
            kinds = errors.setdefault(int(row[3]), {})
            kinds[row[2]] = kinds.get(row[2], 0) + 1
    operations = {
        name: Tally(
            count=int((scripts == number).sum()),
            errors=errors.get(number, {}),
            histogram=histogram.encode(histogram.of(micros[scripts == number] / 1e6)),
        )
        for number, name in enumerate(names)
    }
    aborted = re.search(r"(\d+) client\(s\) aborted", output)  # an error that ends a client's run
    if aborted or "aborted in command" in output:
        operations[names[0]].errors["client aborted"] = int(aborted.group(1)) if aborted else 1
    return Outcome(
        operations=operations,
        seconds=_lasted(took) if closed and took else float(round(seconds) or 1),
        dropped=dropped,
        over_time=_over_time(took, floor(seconds)),
    )


def _ends(rows: list[list[str]]) -> tuple[NDArray[np.float64], float]:
    """Return when each transaction ended, and when the first began, in seconds of the epoch."""
    ends: NDArray[np.float64] = np.array([int(row[4]) + int(row[5]) / 1e6 for row in rows])
    return ends, float((ends - np.array([int(row[2]) for row in rows]) / 1e6).min())


def _lasted(rows: list[list[str]]) -> float:
    ends, first = _ends(rows)
    return float(ends.max()) - first


def _over_time(rows: list[list[str]], seconds: int) -> list[int]:
    if not rows:
        return [0] * seconds
    ends, first = _ends(rows)
    counts, _ = np.histogram(ends - first, bins=np.arange(seconds + 1))
    return [int(count) for count in counts]

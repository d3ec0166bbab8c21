"""Keeps runs: on what they were made, and one new file for each under ``bench/results``."""

import csv
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from microblog.bench import histogram, result
from microblog.bench.generators import k6, vegeta, wrk
from microblog.bench.redis_peer import binary as redis_binary
from microblog.bench.report import figures
from microblog.bench.result import Machine, Round, Run, Side
from microblog.bench.scenario import BENCH
from microblog.errors import StackError
from microblog.settings import ROOT, Settings
from microblog.stack import binaries

RESULTS = BENCH / "results"
MOUNTS, DEVICES = Path("/proc/self/mountinfo"), Path("/sys/dev/block")


# Where a run itself leaves files, which are no code: new ones say nothing against the commit.
OWN = ("?? bench/results/", "?? var/")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def commit(root: Path = ROOT) -> tuple[str, bool]:
    """Return the short commit ("unknown" outside a repository), and whether files differ.

    A file that is not in the commit counts: a new scenario or module is measured all the same.
    """
    differ = _git(root, "status", "--porcelain", "--untracked-files=all").splitlines()
    changed = not all(line.startswith(OWN) for line in differ)
    return _git(root, "rev-parse", "--short", "HEAD") or "unknown", changed


def machine() -> Machine:
    """Describe what runs the benchmark."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
        system=platform.platform(),
        load=round(os.getloadavg()[0], 2),
        disk=disk(ROOT / "var"),
    )


def disk(folder: Path, mounts: Path = MOUNTS, devices: Path = DEVICES) -> str:
    """Return the file system that a folder is on, and the kind of its device where that is known.

    Whether a virtual disk rotates nobody knows, whatever the kernel says of it.
    """
    found: list[tuple[int, str, str]] = []
    for line in mounts.read_text().splitlines() if mounts.exists() else ():
        # "36 35 254:0 / /var rw,noatime - ext4 /dev/vda1 rw", see proc(5)
        fields, _, kind = line.partition(" - ")
        _, _, device, _, at, *_ = fields.split()
        if folder.resolve().is_relative_to(at):
            found.append((len(at), kind.split()[0], device))
    if not found:
        return ""
    _, kind, device = max(found, key=lambda one: one[0])
    if (devices / device).resolve().name.startswith(("vd", "xvd")):
        return f"{kind}, a virtual disk"
    for queue in (devices / device / "queue", devices / device / ".." / "queue"):  # of a partition
        if (queue / "rotational").exists():
            turns = (queue / "rotational").read_text().strip() == "1"
            return f"{kind}, {'rotating' if turns else 'not rotating'}"
    return kind


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def versions(settings: Settings, postgresql: str) -> dict[str, str]:
    """Return the version of each program that takes part, where it is installed."""
    found = {"postgresql": postgresql, "python": platform.python_version()}
    programs = {
        "postgrest": (settings.postgrest, "--version"),
        "haproxy": (settings.haproxy, "-v"),
        "pgbench": (settings.pg_bin / "pgbench", "--version"),
        "pgbouncer": (settings.pgbouncer, "--version"),
    }
    if redis := redis_binary():
        programs["redis"] = (Path(redis), "--version")
    for name, (program, option) in programs.items():
        found[name] = ".".join(map(str, binaries.version_of(program, option)))
    try:
        words = subprocess.run([wrk.binary(), "-v"], capture_output=True, text=True, check=False)
        found["wrk"] = words.stdout.split()[1]
    except (StackError, IndexError):
        found["wrk"] = "not installed"
    found["vegeta"] = vegeta.version()
    found["k6"] = k6.version()
    return found


def described(settings: Settings) -> dict[str, str]:
    """Return the settings that a figure depends on; no paths and no ports.

    What ``most_instances`` makes of PostgreSQL is among the server's own settings.
    """
    left_out = ("root", "stack", "host", "database", "most_instances")
    return {
        name: str(value)
        for name, value in asdict(settings).items()
        if name not in left_out and not name.endswith(("port", "ports"))
    }


def save(run: Run, folder: Path = RESULTS) -> Path:
    """Write a run to a new file named by its time (UTC) and commit, and its rounds as CSV."""
    at = datetime.fromisoformat(run.at).astimezone(UTC)
    file = folder / f"{at:%Y%m%dT%H%M%SZ}-{run.commit}.json"
    result.write(run, file)
    table([run], file.with_suffix(".csv"))
    return file


PROCESSES = (*figures.PROCESSES, *figures.OUTSIDE)
WHERE = (
    "users scenario side role model round measure value seconds count rate offered dropped errors"
)
COLUMNS = [
    *WHERE.split(),
    *(f"{name}_ms" for name in result.PERCENTILES),
    *("max_ms", "late_ms", "settle_seconds", "checked", "wrong", "cpu_ms_each"),
    *(f"{name}_cpu_seconds" for name in PROCESSES),
    *("idle_cpu_seconds", "wal_bytes", "buffers_hit", "buffers_read"),
    *("memory_bytes", "memory_rest_bytes", "memory_peak_bytes"),
]


def table(runs: Iterable[Run], file: Path) -> None:
    """Write a line for each round: where it belongs, its rate, latencies, errors and costs.

    Empty is a percentile that the round's answers are too few for. Memory is that of the processes
    that the side uses, CPU that of all.
    """
    with file.open("x", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for run in runs:
            for scenario in run.scenarios:
                for side in scenario.sides:
                    for number, one in enumerate(side.rounds, 1):
                        where = [run.data.users, scenario.name, side.name, side.role, side.model]
                        writer.writerow([*where, number, scenario.measure, *_cells(side, one)])


def _cells(side: Side, one: Round) -> list[Any]:
    latency, cost = msgspec.to_builtins(one.latency), one.cost
    answers = sum(each.count for each in one.operations.values()) or one.count
    return [
        *(round(one.value, 3), round(one.seconds, 3), one.count, round(one.rate, 2)),
        *("" if one.offered is None else one.offered, one.dropped, sum(one.errors.values())),
        *(
            round(latency[name], 3) if histogram.tells(name, answers) else ""
            for name in result.PERCENTILES
        ),
        *(round(one.latency.max, 3), one.lateness, one.settle, one.checked, len(one.wrong)),
        round(figures.served_cpu(one), 5),
        *(cost.cpu.get(name, 0.0) for name in PROCESSES),
        *(cost.cpu_idle, cost.wal_bytes, cost.buffers_hit, cost.buffers_read),
        figures.memory(side, cost.memory),
        figures.memory(side, cost.memory_rest),
        figures.memory(side, cost.memory_peak),
    ]

"""What a round's costs are taken with, tried on processes that say themselves what they used."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from microblog.bench.cost import Meter, Peak, _private, buffers_read
from tests.support import database as database_of_tests

MEGABYTE = 1_000_000
HELD = 100 * MEGABYTE
# It holds its memory from the first line it reads, burns until half a second of CPU is gone, tells
# what the kernel says it used, and lives on until its input ends, as processes of a stack do.
CHILD = f"""
import resource, sys
def used():
    one = resource.getrusage(resource.RUSAGE_SELF)
    return one.ru_utime + one.ru_stime
print("ready", flush=True)
sys.stdin.readline()
begun = used()
held = bytearray(b"x") * {HELD}
while used() - begun < 0.5:
    sum(range(1000))
print(used() - begun, flush=True)
sys.stdin.readline()
del held
print("freed", flush=True)
sys.stdin.read()
"""


class Child:
    """A process that does as it is told, a step for each line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.pid = process, process.pid

    def step(self) -> str:
        """Have it take its next step; return what it says at the end of it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def child(*wrapper: str) -> Iterator[Child]:
    with subprocess.Popen(
        [*wrapper, sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout and process.stdin
        assert process.stdout.readline() == "ready\n"
        yield Child(process)
        process.stdin.close()


class Database:
    """Answers what a meter asks a server: where the log is, and what statements took."""

    def __init__(self) -> None:
        self.wal = 1000

    def execute(self, query: str) -> Any:
        if "wal_lsn" in query:
            self.wal += 500
            return type("Rows", (), {"fetchone": lambda _: (self.wal,)})()
        return [] if "reset" in query else [("select  1", 2, 3.0, 4, 5, 6, 7)]


def test_what_a_process_burnt_and_held_is_what_a_meter_says_of_it() -> None:
    with child() as one, child() as idle:
        with Meter(Database(), {"busy": [one.pid], "idle": [idle.pid]}) as meter:  # type: ignore[arg-type]
            said = float(one.step())
        cost = meter.cost
    assert said >= 0.5
    assert cost.cpu["busy"] == pytest.approx(said, abs=0.1), "the kernel counts in hundredths"
    assert cost.cpu["idle"] < 0.1
    assert cost.memory_peak["busy"] - cost.memory_rest["busy"] == pytest.approx(HELD, rel=0.2)
    assert cost.memory["busy"] > HELD
    assert cost.memory_peak["idle"] - cost.memory_rest["idle"] < 0.1 * HELD
    assert (cost.wal_bytes, cost.buffers_hit, cost.buffers_read) == (500, 5, 6)
    assert [one.query for one in cost.statements] == ["select 1"]


def test_a_meter_counts_the_children_of_a_process_with_it() -> None:
    """The shell waits for its child: what is measured is what its family uses."""
    with (
        child("/bin/sh", "-c", '"$@"; exit', "sh") as one,
        Meter(Database(), {"family": [one.pid]}) as meter,  # type: ignore[arg-type]
    ):
        said = float(one.step())
    assert meter.cost.cpu["family"] == pytest.approx(said, abs=0.1)
    assert meter.cost.memory_peak["family"] > HELD


def test_what_a_generator_says_it_used_is_not_the_harness_s() -> None:
    with Meter(Database(), {}) as meter, child() as one:  # type: ignore[arg-type]
        meter.generator = float(one.step())
    assert meter.cost.cpu["generator"] == pytest.approx(meter.generator, abs=0.001)
    assert meter.cost.cpu["harness"] > 0, "starting Python is nothing that the load costs"
    with Meter(Database(), {}) as silent, child() as one:  # type: ignore[arg-type]
        said = float(one.step())
    assert silent.cost.cpu["generator"] >= said - 0.1
    assert silent.cost.cpu["harness"] == 0


def test_what_is_read_from_disk_is_told_and_what_is_kept_is_not(
    database: database_of_tests.Database,
) -> None:
    """What a table is rewritten to is not in the server's memory before somebody reads it."""
    with database.superuser() as connection:
        connection.execute("create table big as select generate_series(1, 20000) as number")
        connection.execute("vacuum full big")
        blocks = connection.execute("select pg_relation_size('big') / 8192").fetchone()
        sums = [buffers_read(connection)]
        for _ in range(2):
            connection.execute("select count(*) from big")
            sums.append(buffers_read(connection))
    assert blocks is not None
    first, second = sums[1] - sums[0], sums[2] - sums[1]
    assert first >= blocks[0] > 50
    assert second < first / 2


def test_the_peak_is_what_was_held_though_it_is_freed_at_the_end() -> None:
    """It is looked at by hand here: between the steps, whenever a machine comes to them."""
    with child() as one:
        peak = Peak({"one": [one.pid], "none": []}, of=_private)
        rest = peak.look()["one"]
        one.step()
        held = peak.look()["one"]
        one.step()
        freed = peak.look()["one"]
    assert held - rest == pytest.approx(HELD, rel=0.2)
    assert freed - rest < 0.2 * HELD
    assert peak.most == {"one": held, "none": 0}
    assert peak.together == held


def test_a_peak_is_looked_for_at_the_end_however_far_apart_its_looks_are() -> None:
    with child() as one:
        with Peak({"one": [one.pid]}, every=3600.0) as peak:
            one.step()
        assert peak.most["one"] > HELD
    assert Peak({"gone": [one.pid]}).look() == {"gone": 0}

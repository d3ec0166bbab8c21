"""SIGTERM ends a run as Ctrl-C does: what was measured is kept, and the stack is stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from microblog.bench import result
from microblog.bench.run import BROKEN
from microblog.settings import ROOT, Settings
from microblog.stack import Stack

TAKES = 240  # seconds of the second scenario, unless somebody ends it
# `microblog bench run` and `full` themselves, but for what they measure, on how little, and where
# results go. A document that is filled all the same ends the program before it is touched.
PROGRAM = f"""
import signal
import sys
from pathlib import Path
from msgspec.structs import replace
from microblog.bench import record
from microblog.bench.run import Turner
from microblog.cli import main
from microblog.commands import bench_full, bench_run
from tests.bench.measured import SCENARIOS, SHAPE

def turn(turner, *given, do=Turner.turn):
    print(turner.scenario.name, "has its turn")
    if part == "full" and turner.scenario.name == "long":  # SIGTERM comes in a statement's midst
        turner.bed.connection.pgconn.send_query(b"select pg_sleep({TAKES})")
        try:
            signal.pause()
        finally:  # what clears up fails in that midst, and its error must not hide the signal
            turner.bed.connection.execute("select 1")
    return do(turner, *given)

Turner.turn = turn
mix = next(one for one in SCENARIOS if one.name == "mix")
run = bench_run.run_scenarios
for module in (bench_run, bench_full):
    module.read_all = lambda *_: [mix, replace(mix, name="long", seconds={TAKES}.0)]
    module.run_scenarios = lambda *given, **more: run(
        *given, **more | {{"preset": SHAPE, "floor": False, "progress": False}}
    )
stack, part, *more = sys.argv[2:]
bench_full.STACK = stack.removesuffix("-small")
bench_full.plans.keep = bench_full.documents.write = bench_full.tables.page = lambda *_: sys.exit(3)
record.RESULTS = Path(sys.argv[1])
main("bench", part, "mix", "long", "--rounds", "1", "--seconds", "1", *more)
"""


@pytest.fixture
def settings() -> Iterator[Settings]:
    made = Settings.create(f"t{os.getpid()}-broken-small", fsync=False, memory_mb=512)
    made.save()
    try:
        yield made
    finally:
        Stack(made).down(wipe=True)


@pytest.mark.parametrize("part", ["run", "full"])
def test_sigterm_keeps_what_was_measured_and_stops_the_stack(
    settings: Settings, tmp_path: Path, part: str
) -> None:
    options = {
        "run": ["--stack", settings.stack],
        "full": ["--preset", "small", "--no-curves"],  # its stack is PROGRAM's
    }[part]
    told = []
    with subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, str(tmp_path), settings.stack, part, *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as program:  # fmt: skip
        assert program.stdout
        for line in program.stdout:
            told.append(line)
            if line == "long has its turn\n":
                assert Stack(settings).supervisor.running()
                for _ in range(2):  # as `timeout` does: to the process, and to its group
                    program.send_signal(signal.SIGTERM)
        code = program.wait(TAKES / 2)
    assert "broken off; what was measured is kept" in "".join(told)
    begun = [line.split(" (")[0].strip() for line in told if line.startswith("full: ")]
    assert begun == (["full: scenarios on the network small"] if part == "full" else [])
    assert code == 1, "".join(told)[-2000:]
    files = list(tmp_path.glob("*.json"))
    assert len(files) == 1, "".join(told)[-2000:]
    run = result.read(files[0])
    assert [one.name for one in run.scenarios] == ["mix"]
    assert run.failures == {"long": BROKEN}
    if part == "full":
        assert files[0].name in told[-2]
        assert "bench full --keep" in told[-1]
    assert not Stack(settings).supervisor.running()

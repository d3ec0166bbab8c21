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
# `microblog bench run` itself, but for what it measures, on how little, and where results go.
PROGRAM = f"""
import sys
from pathlib import Path
from msgspec.structs import replace
from microblog.bench import record
from microblog.cli import main
from microblog.commands import bench_run
from tests.bench.measured import SCENARIOS, SHAPE

mix = next(one for one in SCENARIOS if one.name == "mix")
run = bench_run.run_scenarios
bench_run.read_all = lambda *_: [mix, replace(mix, name="long", seconds={TAKES}.0)]
bench_run.run_scenarios = lambda *given, **more: run(
    *given, **more | {{"preset": SHAPE, "floor": False, "progress": False}}
)
record.RESULTS = Path(sys.argv[2])
main("bench", "run", "mix", "long", "--stack", sys.argv[1], "--rounds", "1", "--seconds", "1")
"""


@pytest.fixture
def settings() -> Iterator[Settings]:
    made = Settings.create(f"t{os.getpid()}-broken", fsync=False, memory_mb=512)
    made.save()
    try:
        yield made
    finally:
        Stack(made).down(wipe=True)


def test_sigterm_keeps_what_was_measured_and_stops_the_stack(
    settings: Settings, tmp_path: Path
) -> None:
    told = []
    with subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, settings.stack, str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as program:  # fmt: skip
        assert program.stdout
        for line in program.stdout:
            told.append(line)
            if "2 of 2, long" in line:
                assert Stack(settings).supervisor.running()
                for _ in range(2):  # as `timeout` does: to the process, and to its group
                    program.send_signal(signal.SIGTERM)
        code = program.wait(TAKES / 2)
    assert "broken off; what was measured is kept" in "".join(told)
    assert code == 1, "".join(told)[-2000:]
    (file,) = tmp_path.glob("*.json")
    run = result.read(file)
    assert [one.name for one in run.scenarios] == ["mix"]
    assert run.failures == {"long": BROKEN}
    assert not Stack(settings).supervisor.running()

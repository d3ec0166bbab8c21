"""Two runs compared: what differs is marked, what is noise is not."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from microblog.bench import compare, result
from microblog.bench.result import Run
from microblog.commands.bench_compare import command
from tests.bench.made_up import run


@pytest.fixture(scope="module")
def before() -> Run:
    return run(samples=0, seed=1)


def marks(before: Run, after: Run) -> dict[tuple[str, str, str], str]:
    return {
        (line.scenario, line.side, line.against): line.mark
        for line in compare.compare(before, after)
    }


def scaled(source: Run, factor: float) -> Run:
    """The same run on a machine that is so much faster."""
    copy = msgspec.convert(msgspec.to_builtins(source), Run)
    for scenario in copy.scenarios:
        for side in scenario.sides:
            for one in side.rounds:
                one.value *= factor if scenario.better == "higher" else 1 / factor
    return copy


def test_a_subject_that_became_faster_is_marked_and_nothing_else(before: Run) -> None:
    found = marks(before, run(samples=0, seed=2, factor=1.3))
    changed = {key for key, mark in found.items() if mark != "noise"}
    assert changed == {("timeline", "timeline", ""), ("timeline", "timeline", "no pre-request")}
    assert {found[key] for key in changed} == {"better"}


def test_a_subject_that_became_slower_is_worse(before: Run) -> None:
    found = marks(before, run(samples=0, seed=3, factor=0.7))
    assert found["timeline", "timeline", "no pre-request"] == "worse"


def test_two_runs_of_the_same_differ_by_noise_only() -> None:
    runs = [run(samples=0, seed=seed, noise=0.05) for seed in range(4, 8)]
    found = [
        mark
        for number, first in enumerate(runs)
        for second in runs[number + 1 :]
        for mark in marks(first, second).values()
    ]
    assert len(found) > 80
    assert sum(mark != "noise" for mark in found) <= 0.04 * len(found)


def test_another_machine_changes_values_but_no_ratio(before: Run) -> None:
    found = marks(before, scaled(before, 2.0))
    assert {mark for (*_, against), mark in found.items() if not against} == {"better"}
    assert {mark for (*_, against), mark in found.items() if against} == {"noise"}


def test_a_single_round_is_too_little_to_tell() -> None:
    found = marks(run(samples=0, seed=1, rounds=1), run(samples=0, seed=2, rounds=1, factor=5.0))
    assert set(found.values()) == {"too few rounds"}


def test_what_the_runs_do_not_share_is_said(before: Run) -> None:
    after = scaled(before, 1.0)
    after.versions["postgresql"] = "16.1"
    after.machine.cores = 4
    after.scenarios.pop()
    told = compare.differences(before, after)
    assert told == [
        "cores: 2 before, 4 after",
        "version of postgresql: 15.18 before, 16.1 after",
        "scenario twip: before only",
    ]
    assert not any(line.scenario == "twip" for line in compare.compare(before, after))


def test_the_command_fails_on_a_worse_ratio_only_when_told_to(tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, made in zip(
        files, (run(samples=0, seed=1), run(samples=0, seed=2, factor=0.6)), strict=True
    ):
        result.write(made, file)
    names = [str(file) for file in files]
    assert CliRunner().invoke(command, names).exit_code == 0
    assert CliRunner().invoke(command, ["--strict", *names]).exit_code == 1
    assert CliRunner().invoke(command, ["--strict", *reversed(names)]).exit_code == 0

"""Two runs compared: what differs is marked, what is noise is not."""

import random
from collections import Counter
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from microblog.bench import compare, result
from microblog.bench.result import Cost, Run
from microblog.bench.scale_result import Curve, Point, Scaling
from microblog.commands.bench_compare import command
from tests.bench.made_up import run


@pytest.fixture(scope="module")
def before() -> Run:
    return run(samples=0, seed=1)


def marks(before: Run, after: Run) -> dict[tuple[str, str, str], str]:
    return {
        (line.scenario, line.side, line.against): line.mark
        for line in compare.compare(before, after)
        if not line.cost
    }


def copied(source: Run) -> Run:
    """The same run, to be changed."""
    return msgspec.convert(msgspec.to_builtins(source), Run)


def strict(before: Run, after: Run, folder: Path) -> tuple[int, str]:
    """Return the exit code of `compare --strict`, and what it says went wrong."""
    names = []
    for number, made in enumerate((before, after)):
        file = folder / f"{number}.json"
        file.unlink(missing_ok=True)
        result.write(made, file)
        names.append(str(file))
    done = CliRunner().invoke(command, ["--strict", *names])
    return done.exit_code, str(done.exception)


def scaled(source: Run, factor: float) -> Run:
    """The same run on a machine that is so much faster."""
    copy = copied(source)
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


@pytest.mark.parametrize(
    ("costs", "change"),
    [
        ({"CPU ms": 1, "CPU": 2}, lambda cost: cost.cpu.update(postgres=cost.cpu["postgres"] * 2)),
        ({"WAL B": 1}, lambda cost: setattr(cost, "wal_bytes", cost.wal_bytes * 2)),
        ({"buffers": 1}, lambda cost: setattr(cost, "buffers_hit", cost.buffers_hit * 2)),
    ],
)
def test_a_subject_that_costs_more_is_worse_though_as_fast(
    before: Run, tmp_path: Path, costs: dict[str, int], change: Callable[[Cost], None]
) -> None:
    after = copied(before)
    assert strict(before, after, tmp_path)[0] == 0
    for one in after.scenarios[0].subject.rounds:
        change(one.cost)
    worse = [line for line in compare.compare(before, after) if line.mark == "worse"]
    assert {(line.scenario, line.side) for line in worse} == {("seeds", "timeline")}
    assert Counter(line.cost for line in worse) == costs, "CPU beside that of each other side"
    assert strict(before, after, tmp_path)[0] == 1
    for scenario in (*before.scenarios[:1], *after.scenarios[:1]):
        scenario.sides.reverse()  # what a rival costs stops nobody
    assert strict(before, after, tmp_path)[0] == 0
    before.scenarios[0].sides.reverse()


def test_a_slow_day_is_nobodys_fault(before: Run, tmp_path: Path) -> None:
    """Every answer of every side takes half as much CPU again: the machine's mood."""
    after = copied(before)
    for scenario in after.scenarios:
        for side in scenario.sides:
            for one in side.rounds:
                one.cost.cpu = {name: 1.5 * used for name, used in one.cost.cpu.items()}
    lines = [line for line in compare.compare(before, after) if line.cost.startswith("CPU")]
    assert {line.mark for line in lines if not line.against} == {"worse"}
    beside = [line for line in lines if line.against]
    assert {line.mark for line in beside} == {"noise"}
    assert {(line.scenario, line.side, line.against) for line in beside} >= {
        ("seeds", "timeline", "constant answer"), ("seeds", "timeline", "pull query"),
    }  # fmt: skip
    assert strict(before, after, tmp_path)[0] == 0


def test_what_two_rounds_cannot_tell_is_not_marked() -> None:
    """Three and ten times as slow is slower, but two rounds so far apart know not by how much."""
    old, new = run(samples=0, rounds=2), run(samples=0, rounds=2)
    new.scenarios = old.scenarios = [old.scenarios[0]]
    new = copied(new)
    for one, factor in zip(new.scenarios[0].subject.rounds, (3, 10), strict=True):
        one.value /= factor
    (line,) = (
        line for line in compare.compare(old, new)
        if (line.side, line.against, line.cost) == ("timeline", "", "")
    )  # fmt: skip
    assert (line.mark, line.change) == ("too few rounds", None)
    (line, *_) = (line for line in compare.compare(old, new) if line.side == "constant answer")
    assert line.mark == "noise" and line.change is not None


def test_more_memory_is_shown_and_stops_nobody(before: Run, tmp_path: Path) -> None:
    after = copied(before)
    for one in after.scenarios[0].subject.rounds:
        one.cost.memory["postgres"] *= 3
    worse = [line.cost for line in compare.compare(before, after) if line.mark == "worse"]
    assert worse == ["memory MB"]
    assert strict(before, after, tmp_path)[0] == 0


def test_memory_of_what_a_side_does_not_use_is_not_compared(before: Run) -> None:
    after = copied(before)
    for one in after.scenarios[0].subject.rounds:
        one.cost.memory["redis"] = 10**10
    lines = compare.compare(before, after)
    assert [line for line in lines if line.cost == "memory MB"]
    assert not [line for line in lines if line.mark == "worse"]


def many(seed: int) -> Run:
    """A run of many scenarios, whose figures and costs are noise alone; nothing is lost."""
    rng = random.Random(f"many {seed}")
    made = [run(samples=0, noise=0.1, seed=100 * seed + number) for number in range(12)]
    for number, one in enumerate(made):
        for scenario in one.scenarios:
            scenario.name += f" {number}"
            scenario.targets = []
            for ratio in scenario.ratios:
                ratio.target = None
            for each in (each for side in scenario.sides for each in side.rounds):
                each.dropped = 0
                each.cost.wal_bytes = round(each.cost.wal_bytes * rng.lognormvariate(0, 0.1))
                each.cost.buffers_hit = round(each.cost.buffers_hit * rng.lognormvariate(0, 0.1))
    made[0].scenarios = [scenario for one in made for scenario in one.scenarios]
    return made[0]


def test_strict_takes_no_chance_for_worse_among_many_lines() -> None:
    by_chance, failed = 0, 0
    for seed in range(20):
        pair = many(2 * seed), many(2 * seed + 1)
        lines = compare.stopping(compare.compare(*pair), pair[1])
        assert len(lines) > 100
        by_chance += any(line.mark == "worse" for line in lines)
        failed += bool(compare.surely_worse(lines) + compare.losses(*pair))
    assert by_chance >= 5, "without a correction it would have failed"
    assert failed <= 1


def test_one_real_change_among_many_lines_is_seen(tmp_path: Path) -> None:
    before, after = many(0), many(1)
    changed = after.scenarios[7].subject
    for one in changed.rounds:
        one.cost.wal_bytes *= 3
    code, told = strict(before, after, tmp_path)
    assert code == 1
    assert "1 got worse" in told
    assert f"{after.scenarios[7].name}, {changed.name}, WAL B: " in told


def test_holms_thresholds_rise_step_by_step_and_end_at_the_first_that_is_missed() -> None:
    def line(p: float | None, mark: compare.Mark = "worse") -> compare.Line:
        return compare.Line("s", "s", "other", 1, 1, None, mark, p=p)

    def sure(*ps: float | None) -> list[float | None]:
        return [one.p for one in compare.surely_worse([line(p) for p in ps])]

    assert sure(0.009, 0.002, 0.004, None) == [0.009, 0.002, 0.004]  # 0.01 / 3, / 2, / 1
    assert sure(0.009, 0.002, 0.006) == [0.002]
    assert sure(0.009, 0.004, 0.004) == []
    assert sure() == []
    assert compare.surely_worse([line(0.0, "better"), line(0.0, "noise")]) == []


def test_the_terminal_says_how_many_lines_chance_had(before: Run) -> None:
    shown = Console(record=True, width=200, file=StringIO())
    compare.show(before, before, shown)
    lines = len(compare.compare(before, before))
    assert f"{lines} lines were compared, each at 99 %" in shown.export_text()


def lose_a_scenario(run: Run) -> None:
    run.scenarios.pop()


def fail_a_scenario(run: Run) -> None:
    run.failures[run.scenarios.pop().name] = "no disk"


def leave_one_out(run: Run) -> None:
    run.left_out.append(run.scenarios.pop().name)


def lose_a_side(run: Run) -> None:
    run.scenarios[0].sides[1].rounds.clear()
    run.scenarios[0].ratios.pop(0)


def err(run: Run) -> None:
    run.scenarios[1].subject.rounds[0].errors["500"] = 1


def lie(run: Run) -> None:
    run.scenarios[1].subject.rounds[0].wrong.append("one missing")


def miss(run: Run) -> None:
    for one in run.scenarios[0].subject.rounds:
        one.rate = 10.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lose_a_scenario, "twip is missing"),
        (fail_a_scenario, "twip failed: no disk"),
        (leave_one_out, "twip was left out"),
        (lose_a_side, "side constant answer was not measured"),
        (err, "timeline, timeline: 1 errors or dropped"),
        (lie, "wrong answer: timeline: one missing"),
        (miss, "rate at least 1,000: 10 "),
    ],
)
def test_what_is_lost_wrong_or_missed_is_told_and_fails_a_pipeline(
    before: Run, tmp_path: Path, change: Callable[[Run], None], message: str
) -> None:
    before = copied(before)
    for side in before.scenarios[1].sides:  # nothing is dropped
        for one in side.rounds:
            one.dropped = 0
    after = copied(before)
    change(after)
    assert compare.losses(before, before) == []
    assert any(message in text for text in compare.losses(before, after))
    code, told = strict(before, after, tmp_path)
    assert code == 1
    assert message in told


def drawn(exponent: float, sizes: tuple[float, ...] = (10, 100, 1000)) -> Scaling:
    made = run(samples=0, rounds=1)
    points = [Point(x=x, values=[x**exponent * f for f in (0.99, 1.0, 1.01)]) for x in sizes]
    curve = Curve(
        name="users", title="", about="", axis="users", unit="CPU ms", points=points, at_most=0.1
    )
    return Scaling(
        at=made.at, commit="x", uncommitted_changes=False, versions={}, machine=made.machine,
        settings={}, rounds=3, seconds=1, curves=[curve],
    )  # fmt: skip


def test_curves_are_compared_size_by_size_and_by_their_exponents(tmp_path: Path) -> None:
    flat, steep, short = drawn(0.0), drawn(0.5), drawn(0.0, (10, 100))
    assert {line.mark for line in compare.compare_curves(flat, flat)} == {"noise"}
    assert compare.curve_losses(flat, flat) == []
    found = {line.side: line.mark for line in compare.compare_curves(flat, steep)}
    assert found["1,000 users"] == "worse"
    missed, steeper = compare.curve_losses(flat, steep)
    assert missed.startswith("curve users: exponent at most 0.1: +0.50")
    assert steeper.startswith("curve users: exponent +0.50")
    assert compare.curve_losses(flat, short) == ["curve users is missing at 1,000"]
    files = {}
    for name, made in (("flat", flat), ("steep", steep), ("run", run(samples=0, rounds=1))):
        files[name] = str(tmp_path / f"{name}.json")
        result.write(made, Path(files[name]))
    for names, code in ((("flat", "steep"), 1), (("steep", "flat"), 0), (("flat", "flat"), 0)):
        arguments = ["--strict", *(files[name] for name in names)]
        assert CliRunner().invoke(command, arguments).exit_code == code
    mixed = CliRunner().invoke(command, [files["flat"], files["run"]])
    assert "cannot be compared" in str(mixed.exception)

"""Two runs side by side: what changed by more than the rounds of either differ among themselves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from microblog.bench import fit
from microblog.bench.report import figures, words
from microblog.bench.report.judged import exponent, judged
from microblog.bench.result import Round, Run, ScenarioResult, Side
from microblog.bench.scale_result import Curve, Scaling

LEAST = 0.03  # a change smaller than this is not worth a mark, however sure
LEAST_COST = 0.10  # the same of a cost
WIDEST = 2.0  # times the change, the end of an interval beyond which nothing is told
STRICT = 0.01  # chance that, of two runs alike, any of the lines that stop a pipeline does so
MORE_LOST = 2.0  # times the share of lost answers before, above which more are lost

Mark = Literal["better", "worse", "noise", "too few rounds"]

CPU = "CPU"  # in multiples of another side's
# Of an answer; memory of the processes that the side uses.
COSTS: dict[str, Callable[[Side, Round], float]] = {
    "CPU ms": lambda _, one: figures.served_cpu(one),
    "WAL B": lambda _, one: one.cost.wal_bytes / max(one.answers, 1),
    "buffers": lambda _, one: (one.cost.buffers_hit + one.cost.buffers_read) / max(one.answers, 1),
    "memory MB": lambda side, one: (
        figures.memory(side, one.cost.memory_peak or one.cost.memory) / 1e6
    ),
}


@dataclass(frozen=True)
class Line:
    """One measure in both runs; ``change`` is after / before with its interval of 99 %.

    ``against`` is the side that both subjects were divided by, round by round, or empty for the
    value itself; ``change`` is None where the rounds are too few to tell one. ``cost`` names a
    cost, and is empty for what the scenario measures. ``p`` is how likely such a change is by
    chance, also where ``change`` is too uncertain to be shown; None with a single round.
    """

    scenario: str
    side: str
    against: str
    before: float
    after: float
    change: fit.Change | None
    mark: Mark
    cost: str = ""
    p: float | None = None


def _mark(change: fit.Change | None, better: str, least: float) -> Mark:
    if change is None:
        return "too few rounds"
    if not change.beyond(least):
        return "noise"
    return "better" if (change.factor > 1) == (better == "higher") else "worse"


def _line(
    names: tuple[str, str, str],
    before: list[float],
    after: list[float],
    better: str,
    cost: str = "",
) -> Line | None:
    if not before or not after or min(*before, *after) <= 0:
        return None
    change = fit.change(before, after) if min(len(before), len(after)) > 1 else None
    p = None if change is None else change.p
    if change is not None and change.high > WIDEST * change.factor:
        change = None
    middle = [fit.middle(values) for values in (before, after)]
    judged = _mark(change, better, LEAST_COST if cost else LEAST)
    return Line(*names, middle[0], middle[1], change, judged, cost, p)


def _sides(before: ScenarioResult, after: ScenarioResult) -> Iterator[tuple[Side, Side]]:
    """Yield the sides that both have rounds of."""
    for side in after.sides:
        same = next((one for one in before.sides if one.name == side.name), None)
        if same is not None and same.rounds and side.rounds:
            yield same, side


def _of_scenario(before: ScenarioResult, after: ScenarioResult) -> list[Line]:
    found = []
    for old, new in _sides(before, after):
        values = [[one.value for one in side.rounds] for side in (old, new)]
        found.append(_line((after.name, new.name, ""), values[0], values[1], after.better))
    for ratio in after.ratios:
        same = next((one for one in before.ratios if one.to == ratio.to), None)
        if same is not None:
            names = (after.name, after.subject.name, ratio.to)
            found.append(_line(names, same.values, ratio.values, after.better))
    if after.measure != "figure":  # asking for a figure is no cost of what it is about
        for old, new in _sides(before, after):
            for name, cost in COSTS.items():
                values = [[cost(side, one) for one in side.rounds] for side in (old, new)]
                names = (after.name, new.name, "")
                found.append(_line(names, values[0], values[1], "lower", name))
        found += _cpu_beside(before, after)
    return [line for line in found if line is not None]


def _cpu_beside(before: ScenarioResult, after: ScenarioResult) -> list[Line | None]:
    """Compare the subject's CPU in multiples of each other side's, as ratios are."""
    subject = after.subject.name
    if before.subject.name != subject:
        return []
    found = []
    for old, new in _sides(before, after):
        if new is not after.subject:
            values = [_quotients(before.subject, old), _quotients(after.subject, new)]
            found.append(_line((after.name, subject, new.name), values[0], values[1], "lower", CPU))
    return found


def _quotients(side: Side, other: Side) -> list[float]:
    """Return a side's CPU of an answer by another's, of the rounds of the same number."""
    pairs = zip(side.rounds, other.rounds, strict=False)
    return [
        figures.served_cpu(ours) / theirs
        for ours, one in pairs
        if (theirs := figures.served_cpu(one))
    ]


def compare(before: Run, after: Run) -> list[Line]:
    """Return what both runs measured alike by scenario: values, then ratios, then costs."""
    return [
        line
        for scenario in after.scenarios
        if (same := before.scenario(scenario.name)) is not None and same.measure == scenario.measure
        for line in _of_scenario(same, scenario)
    ]


def losses(before: Run, after: Run) -> list[str]:
    """Return what got worse without being a figure, in sentences.

    Scenarios and sides that are missing or failed, answers that were wrong, errors and dropped
    requests where there were none or half as many, and targets that were reached before.
    """
    told = [f"{name} failed: {why}" for name, why in after.failures.items()]
    told += [f"{name} was left out for want of time" for name in after.left_out]
    known = {one.name for one in after.scenarios} | {*after.failures, *after.left_out}
    told += [f"{one.name} is missing" for one in before.scenarios if one.name not in known]
    for new in after.scenarios:
        told += [f"{new.name}: wrong answer: {text}" for text in figures.wrong(new)]
        old = before.scenario(new.name)
        told += _lost_answers(old, new)
        if old is not None:
            told += _missing_sides(old, new)
            told += _missed(figures.verdicts(old), figures.verdicts(new), new.name)
    return told


def _share(side: Side | None) -> float:
    if side is None or not side.rounds:
        return 0.0
    lost = figures.lost(side)
    return lost / max(lost + sum(one.count for one in side.rounds), 1)


def _lost_answers(before: ScenarioResult | None, after: ScenarioResult) -> list[str]:
    old = {one.name: one for one in before.sides} if before else {}
    return [
        f"{after.name}, {side.name}: {figures.lost(side):,} errors or dropped, {now:.2%} of all; "
        f"before {then:.2%}"
        for side in after.sides
        if (now := _share(side)) > MORE_LOST * (then := _share(old.get(side.name)))
    ]


def _missing_sides(before: ScenarioResult, after: ScenarioResult) -> list[str]:
    there = {side.name: side for side in after.sides}
    return [
        f"{after.name}: side {side.name} "
        + (f"was not measured: {there[side.name].absent}" if side.name in there else "is missing")
        for side in before.sides
        if side.rounds and (side.name not in there or not there[side.name].rounds)
    ]


def _missed(before: list[figures.Verdict], after: list[figures.Verdict], where: str) -> list[str]:
    old = {one.asked: one for one in before}
    return [
        f"{where}: {one.asked}: {one.found}, missed; before {old[one.asked].found}"
        for one in after
        if one.mark == "missed" and one.asked in old and old[one.asked].mark == "reached"
    ]


def stopping(lines: list[Line], after: Run) -> list[Line]:
    """Return the lines that a pipeline should look at: ratios, and what the subjects cost.

    Values alone change with the machine's mood, and CPU that no neighbour's is beside; so does
    memory, with all that ran before.
    """
    subjects = {(one.name, one.subject.name) for one in after.scenarios}
    return [
        line
        for line in lines
        if (line.against or line.cost in ("WAL B", "buffers"))
        and (line.scenario, line.side) in subjects
    ]


def surely_worse(lines: list[Line]) -> list[Line]:
    """Return those that got worse, and would not be by chance though they are so many.

    By Holm's step-down: of runs alike any line at all is returned once in a hundred times at most,
    however the lines hang together.
    """
    tested = sorted((line.p, number) for number, line in enumerate(lines) if line.p is not None)
    sure = set()
    for taken, (p, number) in enumerate(tested):
        if p > STRICT / (len(tested) - taken):
            break
        sure.add(number)
    return [line for number, line in enumerate(lines) if number in sure and line.mark == "worse"]


# -- curves -----------------------------------------------------------------------------------


def compare_curves(before: Scaling, after: Scaling) -> list[Line]:
    """Return the sizes that both measured of each curve; more is better of rates only."""
    found = []
    old = {one.name: one for one in before.curves}
    for curve in after.curves:
        same = old.get(curve.name)
        if same is None or same.unit != curve.unit:
            continue
        points = {point.x: point for point in same.points}
        better = "higher" if curve.unit == "per second" else "lower"
        for point in curve.points:
            if point.x in points:
                names = (curve.name, f"{words.number(point.x)} {curve.axis}", "")
                found.append(_line(names, points[point.x].values, point.values, better))
    return [line for line in found if line is not None]


def curve_losses(before: Scaling, after: Scaling) -> list[str]:
    """Return what got worse of curves, in sentences: what is missing, wrong, steeper or missed."""
    told = [f"{name} failed: {why}" for name, why in after.failures.items()]
    told += [
        f"{one.name}: wrong answer: {text}"
        for run in after.runs
        for one in run.scenarios
        for text in figures.wrong(one)
    ]
    there = {one.name: one for one in after.curves}
    for old in before.curves:
        new = there.get(old.name)
        if new is None:
            told.append(f"curve {old.name} is missing")
            continue
        sizes = {point.x for point in new.points}
        lost = [words.number(point.x) for point in old.points if point.x not in sizes]
        if lost:
            told.append(f"curve {old.name} is missing at {', '.join(lost)}")
        told += _missed(judged(old), judged(new), f"curve {old.name}")
        told += _steeper(old, new)
    return told


def _steeper(before: Curve, after: Curve) -> list[str]:
    a, b = before.fit(), after.fit()
    if a is None or b is None or after.unit == "per second" or b.low <= a.high:
        return []
    return [f"curve {after.name}: exponent {exponent(b)}; before {exponent(a)}"]


# -- for people ---------------------------------------------------------------------------------


def differences(before: Run, after: Run) -> list[str]:
    """Return in what the two runs were not made alike, in sentences; ratios suffer least."""
    told = []
    for name, a, b in (
        ("machine", before.machine.cpu, after.machine.cpu),
        ("cores", before.machine.cores, after.machine.cores),
        ("preset", before.data.preset, after.data.preset),
        ("seconds a round", before.seconds, after.seconds),
    ):
        if a != b:
            told.append(f"{name}: {a} before, {b} after")
    told += _settings(before, after)
    for one in (scenario.name for scenario in before.scenarios):
        if after.scenario(one) is None:
            told.append(f"scenario {one}: before only")
    for one in (scenario.name for scenario in after.scenarios):
        if before.scenario(one) is None:
            told.append(f"scenario {one}: after only")
    return told


def _settings(before: Run | Scaling, after: Run | Scaling) -> list[str]:
    return [
        f"{kind} {key}: {a.get(key, '–')} before, {b.get(key, '–')} after"
        for kind, a, b in (
            ("version of", before.versions, after.versions),
            ("setting", before.settings, after.settings),
        )
        for key in sorted(a.keys() | b.keys())
        if a.get(key) != b.get(key)
    ]


def show(before: Run, after: Run, console: Console) -> list[str]:
    """Print the comparison and return what got worse, in sentences."""
    lines, lost = compare(before, after), losses(before, after)
    _print(before, after, differences(before, after), lines, lost, console)
    return lost + [
        f"{line.scenario}, {_name(line)}: {_change(line)}"
        for line in surely_worse(stopping(lines, after))
    ]


def show_curves(before: Scaling, after: Scaling, console: Console) -> list[str]:
    """Print the comparison of curves and return what got worse, in sentences."""
    lost = curve_losses(before, after)
    told = _settings(before, after)
    _print(before, after, told, compare_curves(before, after), lost, console)
    return lost


def _print(
    before: Run | Scaling,
    after: Run | Scaling,
    told: list[str],
    lines: list[Line],
    lost: list[str],
    console: Console,
) -> None:
    for text in told:
        console.print(f"[yellow]{escape(text)}[/yellow]")
    shown = Table(title=f"{before.commit} → {after.commit}", title_justify="left")
    shown.add_column("what", overflow="fold")
    for name in ("before", "after", "change", "99 % interval", ""):
        shown.add_column(name, justify="right", no_wrap=True)
    scenario = ""
    for line in lines:
        if line.scenario != scenario:
            scenario = line.scenario
            shown.add_section()
            shown.add_row(f"[bold]{scenario}[/bold]")
        shown.add_row(*_cells(line))
    console.print(shown)
    for text in lost:
        console.print(f"[bold red]{escape(text)}[/bold red]")
    console.print(
        f"Marked: a change of {LEAST:.0%} or more, of costs {LEAST_COST:.0%}, whose interval, from "
        "the spread of the rounds of both runs, excludes none and is not wider than a factor of "
        f"{WIDEST:.0f} to either side. A value may change with the machine's mood; a ratio of "
        "sides that took turns does not: believe the ratio."
    )
    console.print(
        f"{len(lines)} lines were compared, each at 99 % by itself: of two runs alike, about one "
        "in a hundred is marked by chance. --strict corrects for how many it judges."
    )


def _name(line: Line) -> str:
    return (
        line.side
        + (f" / {line.against}" if line.against else "")
        + (f", {line.cost}" if line.cost else "")
    )


def _change(line: Line) -> str:
    return f"{line.change.factor - 1:+.1%}" if line.change is not None else ""


def _cells(line: Line) -> list[str]:
    colour = {"better": "green", "worse": "bold red"}.get(line.mark, "dim")
    write = words.times if line.against else words.number
    interval = ""
    if line.change is not None:
        interval = f"{line.change.low - 1:+.1%} to {line.change.high - 1:+.1%}"
    return [f"  {escape(_name(line))}", write(line.before), write(line.after), _change(line),
            interval, f"[{colour}]{line.mark}[/]"]  # fmt: skip

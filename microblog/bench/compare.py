"""Two runs side by side: what changed by more than the rounds of either differ among themselves."""

from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from microblog.bench import fit
from microblog.bench.report import words
from microblog.bench.result import Run, ScenarioResult

LEAST = 0.03  # a change smaller than this is not worth a mark, however sure

Mark = Literal["better", "worse", "noise", "too few rounds"]


@dataclass(frozen=True)
class Line:
    """One measure in both runs; ``change`` is after / before with its interval of 99 %.

    ``against`` is the side that both subjects were divided by, or empty for the value itself.
    """

    scenario: str
    side: str
    against: str
    before: float
    after: float
    change: fit.Change | None
    mark: Mark


def _mark(change: fit.Change | None, better: str) -> Mark:
    if change is None:
        return "too few rounds"
    if not change.beyond(LEAST):
        return "noise"
    return "better" if (change.factor > 1) == (better == "higher") else "worse"


def _line(
    names: tuple[str, str, str], before: list[float], after: list[float], better: str
) -> Line | None:
    if not before or not after or min(*before, *after) <= 0:
        return None
    change = fit.change(before, after) if min(len(before), len(after)) > 1 else None
    middle = [fit.middle(values) for values in (before, after)]
    return Line(*names, middle[0], middle[1], change, _mark(change, better))


def _of_scenario(before: ScenarioResult, after: ScenarioResult) -> list[Line]:
    found = []
    for side in after.sides:
        same = next((one for one in before.sides if one.name == side.name), None)
        if same is not None:
            found.append(
                _line(
                    (after.name, side.name, ""),
                    [one.value for one in same.rounds],
                    [one.value for one in side.rounds],
                    after.better,
                )
            )
    for ratio in after.ratios:
        old = next((one for one in before.ratios if one.to == ratio.to), None)
        if old is not None:
            names = (after.name, after.subject.name, ratio.to)
            found.append(_line(names, old.values, ratio.values, after.better))
    return [line for line in found if line is not None]


def compare(before: Run, after: Run) -> list[Line]:
    """Return what both runs measured alike, scenario by scenario, values before ratios."""
    return [
        line
        for scenario in after.scenarios
        if (same := before.scenario(scenario.name)) is not None and same.measure == scenario.measure
        for line in _of_scenario(same, scenario)
    ]


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
    for kind, a, b in (
        ("version of", before.versions, after.versions),
        ("setting", before.settings, after.settings),
    ):
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                told.append(f"{kind} {key}: {a.get(key, '–')} before, {b.get(key, '–')} after")
    for one in (scenario.name for scenario in before.scenarios):
        if after.scenario(one) is None:
            told.append(f"scenario {one}: before only")
    for one in (scenario.name for scenario in after.scenarios):
        if before.scenario(one) is None:
            told.append(f"scenario {one}: after only")
    return told


def show(before: Run, after: Run, console: Console) -> list[Line]:
    """Print the comparison and return its lines."""
    for text in differences(before, after):
        console.print(f"[yellow]{escape(text)}[/yellow]")
    lines = compare(before, after)
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
    console.print(
        f"Marked: a change of {LEAST:.0%} or more whose interval, from the spread of the rounds of "
        "both runs, excludes none. A value may change with the machine's mood; a ratio of sides "
        "that took turns does not: believe the ratio."
    )
    return lines


def _cells(line: Line) -> list[str]:
    colour = {"better": "green", "worse": "bold red"}.get(line.mark, "dim")
    name = escape(f"  {line.side}" + (f" / {line.against}" if line.against else ""))
    write = words.times if line.against else words.number
    told, interval = "", ""
    if line.change is not None:
        told = f"{line.change.factor - 1:+.1%}"
        interval = f"{line.change.low - 1:+.1%} to {line.change.high - 1:+.1%}"
    return [name, write(line.before), write(line.after), told, interval,
            f"[{colour}]{line.mark}[/]"]  # fmt: skip

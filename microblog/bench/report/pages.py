"""The parts of the project's documents that are written from result files, never by hand."""

from msgspec.structs import replace

from microblog.bench.report import figures, words
from microblog.bench.report.facts import warnings
from microblog.bench.report.judged import judged, told
from microblog.bench.result import Run, ScenarioResult
from microblog.bench.scale_result import Curve, Scaling
from microblog.errors import StackError

NOTHING = "Nothing is measured yet."


def filled(page: str, name: str, text: str) -> str:
    """Return a page with what is between its marks ``name: begin`` and ``name: end`` replaced.

    Raises StackError where it has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise StackError(f"the page lacks the marks {begin} and {end}")
    return page[: page.index(begin) + len(begin)] + f"\n{text}\n" + page[page.index(end) :]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, its first column to the left, the others to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


Source = tuple[Run, str]  # a run, and the name of its file


def latest(runs: list[Source]) -> list[Source]:
    """Leave of each run the scenarios that no later one has; runs without any are left out."""
    kept: list[Source] = []
    seen: set[str] = set()
    for run, name in reversed(runs):
        scenarios = [one for one in run.scenarios if one.name not in seen]
        seen |= {one.name for one in run.scenarios}
        if scenarios:
            kept.insert(0, (replace(run, scenarios=scenarios), name))
    return kept


def measured(run: Run) -> str:
    """Say when, of what and on what a run was made."""
    machine = run.machine
    rounds = f"{run.rounds} rounds" if run.rounds > 1 else "one round"
    return (
        f"Measured {run.at[:10]} at commit {run.commit}, {words.number(run.data.users)} users and "
        f"{words.number(run.data.follows)} follows, on {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory_mib / 1024:.0f} GiB; medians of {rounds}"
    )


def markdown(runs: list[Source], curves: tuple[Scaling, str] | None = None) -> str:
    """Return runs, and curves with the name of their file, as Markdown tables."""
    parts = []
    for run, name in runs:
        parts.append(f"{measured(run)}, from `{name}`.")
        told_first = [f"- {text}" for text in warnings(run)]
        told_first += [f"- {one}: not measured: {why}" for one, why in run.failures.items()]
        if told_first:
            parts.append("\n".join(told_first))
        for scenario in run.scenarios:
            parts += _scenario(scenario)
    if curves:
        scaling, name = curves
        parts.append(
            f"Curves, measured {scaling.at[:10]} at commit {scaling.commit}, from `{name}`."
        )
        for curve in scaling.curves:
            parts += _curve(curve)
    return "\n\n".join(parts) or NOTHING


def _scenario(scenario: ScenarioResult) -> list[str]:
    rows = []
    for side in scenario.sides:
        if not side.rounds:
            rows.append([side.name, f"not measured: {side.absent}", "", "", "", ""])
            continue
        ratio = next((one for one in scenario.ratios if one.to == side.name), None)
        latency = figures.latency(side)
        lost = sum(sum(one.errors.values()) + one.dropped for one in side.rounds)
        rows.append(
            [
                f"**{side.name}**" if side.role == "subject" else side.name,
                f"{words.number(side.value)} {scenario.unit}",
                words.spread(ratio) if ratio else "",
                words.number(latency.p99) if latency.max else "–",
                words.number(figures.spent(side).stack_cpu) if latency.max else "–",
                words.number(lost),
            ]
        )
    head = [f"`{scenario.name}`", words.measure(scenario), "ratio", "p99 ms", "CPU ms", "lost"]
    parts = [f"**{scenario.title}**", table(head, rows)]
    marks = [
        f"{'✓' if one.met else '✗'} {one.asked}: {one.found}"
        + (f" ({one.reason.rstrip('.')})" if one.reason else "")
        for one in figures.verdicts(scenario)
    ]
    return [*parts, "; ".join(marks)] if marks else parts


def _curve(curve: Curve) -> list[str]:
    rows = [
        [
            words.number(value)
            for value in (point.x, point.middle, min(point.values), max(point.values))
        ]
        for point in curve.points
    ]
    verdict = judged(curve)
    mark = "" if verdict is None else f"{'✓' if verdict.met else '✗'} {verdict.asked}; "
    return [
        f"**{curve.title}**",
        table([curve.axis, curve.unit, "least", "most"], rows),
        mark + told(curve),
    ]

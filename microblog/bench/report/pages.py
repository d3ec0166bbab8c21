"""The parts of the project's documents that are written from result files, never by hand."""

from microblog.bench.report import figures, words
from microblog.bench.report.facts import warnings
from microblog.bench.report.judged import judged, told
from microblog.bench.result import Run
from microblog.bench.scale_result import Scaling
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


def markdown(run: Run, sources: list[str], scaling: Scaling | None = None) -> str:
    """Return a run as Markdown tables; ``sources`` name the files the figures come from."""
    machine = run.machine
    files = " and ".join(f"`{name}`" for name in sources)
    parts = [
        f"Measured {run.at[:10]} at commit {run.commit}, {words.number(run.data.users)} users and "
        f"{words.number(run.data.follows)} follows, on {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory_mib / 1024:.0f} GiB; medians of {run.rounds} rounds, "
        f"from {files}.",
    ]
    told_first = [f"- {text}" for text in warnings(run)]
    if told_first:
        parts.append("\n".join(told_first))
    for scenario in run.scenarios:
        rows = []
        for side in scenario.sides:
            if not side.rounds:
                rows.append([side.name, f"not measured: {side.absent}", "", "", "", ""])
                continue
            ratio = next((one for one in scenario.ratios if one.to == side.name), None)
            latency = figures.latency(side)
            rows.append(
                [
                    f"**{side.name}**" if side.role == "subject" else side.name,
                    f"{words.number(side.value)} {scenario.unit}",
                    words.spread(ratio) if ratio else "",
                    words.number(latency.p99) if latency.max else "–",
                    words.number(figures.spent(side).stack_cpu),
                    words.number(
                        sum(sum(one.errors.values()) + one.dropped for one in side.rounds)
                    ),
                ]
            )
        head = [f"`{scenario.name}`", words.measure(scenario), "ratio", "p99 ms", "CPU ms", "lost"]
        parts += [f"**{scenario.title}**", table(head, rows)]
        marks = [f"{'✓' if one.met else '✗'} {one.asked}: {one.found}" for one in
                 figures.verdicts(scenario)]  # fmt: skip
        if marks:
            parts.append("; ".join(marks))
    for curve in scaling.curves if scaling else []:
        rows = [
            [words.number(point.x), words.number(point.middle), words.number(min(point.values)),
             words.number(max(point.values))]
            for point in curve.points
        ]  # fmt: skip
        parts += [f"**{curve.title}**", table([curve.axis, curve.unit, "least", "most"], rows)]
        verdict = judged(curve)
        mark = "" if verdict is None else f"{'✓' if verdict.met else '✗'} {verdict.asked}; "
        parts.append(mark + told(curve))
    return "\n\n".join(parts)

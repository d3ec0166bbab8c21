"""The parts of the project's documents that are written from result files, never by hand."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from msgspec.structs import replace

from microblog.bench.report import figures, words
from microblog.bench.report.facts import programs, warnings
from microblog.bench.report.judged import judged, told
from microblog.bench.report.questions import by_question
from microblog.bench.result import Machine, Run, ScenarioResult
from microblog.bench.scale_result import Curve, Scaling
from microblog.errors import StackError

NOTHING = "Nothing is measured yet."
GROWTH, RUNS = "Growth", "The runs"  # headings that are no question
LEAST_WAL = 30  # bytes an answer: below it is what a cluster writes by itself meanwhile


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
Curves = tuple[Scaling, str]  # curves that were measured together, and the name of their file


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


def latest_curves(files: list[Curves]) -> list[Curves]:
    """Leave of each file the curves that no later one has, and of its runs what belongs to them.

    A curve of which no size was measured takes the place of none. Files of which no curve and no
    failure is left are left out.
    """
    kept: list[Curves] = []
    seen: set[str] = set()
    for scaling, name in reversed(files):
        there = {one.name for one in scaling.curves if one.points} - seen

        def left(failures: dict[str, str], old: frozenset[str] = frozenset(seen)) -> dict[str, str]:
            """Leave the failures of curves, "users" or "users at 10", that no later file has."""
            return {one: why for one, why in failures.items() if one.split(" at ")[0] not in old}

        runs = [
            replace(
                run,
                scenarios=[one for one in run.scenarios if one.name in there],
                failures=left(run.failures),
            )
            for run in scaling.runs
        ]
        part = replace(
            scaling,
            curves=[one for one in scaling.curves if one.name in there],
            runs=[run for run in runs if run.scenarios or run.failures],
            failures=left(scaling.failures),
        )
        if part.curves or part.failures:
            kept.insert(0, (part, name))
        seen |= there
    return kept


def machine(one: Machine) -> str:
    """Name a machine: its processor, how many, and how much memory."""
    return f"{one.cpu}, {one.cores} cores, {one.memory_mib / 1024:.0f} GiB"


def measured(run: Run) -> str:
    """Say when, of what and on what a run was made."""
    counts = {len(side.rounds) for one in run.scenarios for side in one.sides if side.rounds}
    least, most = min(counts, default=0), max(counts, default=0)
    rounds = f"{least} to {most} rounds" if least < most else f"{most} rounds"
    if most == 1:
        rounds = "one round"
    return (
        f"Measured {run.at[:10]} at commit {run.commit}, {words.number(run.data.users)} users and "
        f"{words.number(run.data.follows)} follows, on {machine(run.machine)}; medians of {rounds}"
    )


def measured_curves(scaling: Scaling) -> str:
    """Say when, on what and how long curves were measured."""
    return (
        f"measured {scaling.at[:10]} at commit {scaling.commit}, on {machine(scaling.machine)}; at "
        f"most {scaling.rounds} rounds of {words.number(scaling.seconds)} s"
    )


def markdown(runs: list[Source], curves: Sequence[Curves] = ()) -> str:
    """Return scenarios by question, then curves, as Markdown tables; at last what they are from."""
    parts = []
    for question, shown in by_question(runs).items():
        parts.append(f"### {question}")
        for scenario, run, name in shown:
            parts += _scenario(scenario, run, name)
    if any(scaling.curves for scaling, _ in curves):
        parts.append(f"### {GROWTH}")
    for _, name, curve in by_name(curves):
        parts += _curve(curve, name)
    if parts:
        parts.append(f"### {RUNS}")
    for run, name in runs:
        parts.append(f"{measured(run)}, from `{name}`{_took(run.took)}.")
        parts += _lines([*filter(None, [programs(run)]), *first(run), *_wrong(run)])
    for scaling, name in curves:
        parts.append(f"Curves, {measured_curves(scaling)}, from `{name}`{_took(scaling.took)}.")
        parts += _lines(
            [
                *filter(None, [programs(scaling)]),
                *first_of_curves(scaling),
                *(text for run in scaling.runs for text in _wrong(run)),
            ]
        )
    return "\n\n".join(parts) or NOTHING


def contents(runs: list[Source], curves: Sequence[Curves] = ()) -> str:
    """Return links to the headings of ``markdown``."""
    heads = list(by_question(runs))
    heads += [GROWTH] if any(scaling.curves for scaling, _ in curves) else []
    return " · ".join(f"[{head}](#{anchor(head)})" for head in [*heads, RUNS] if heads)


def anchor(head: str) -> str:
    """Return what a heading is called in links, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")


def by_name(curves: Iterable[Curves]) -> list[tuple[Scaling, str, Curve]]:
    """Return the curves of all files by their names, each with its file."""
    found = [(scaling, name, one) for scaling, name in curves for one in scaling.curves]
    return sorted(found, key=lambda each: each[2].name)


def _took(seconds: float) -> str:
    return f", in {words.number(seconds / 60)} minutes" if seconds else ""


def _lines(texts: list[str]) -> list[str]:
    return ["\n".join(f"- {text}" for text in texts)] if texts else []


def first(run: Run) -> list[str]:
    """Return what is to be known before any figure of a run, in sentences; wrong answers aside."""
    found = warnings(run)
    found += [f"{one}: not measured: {why}" for one, why in run.failures.items()]
    if run.left_out:
        found.append(f"No time was left for {', '.join(run.left_out)}.")
    return found


def first_of_curves(scaling: Scaling) -> list[str]:
    """Return what is to be known before any figure of curves, each once; wrong answers aside."""
    found = []
    if scaling.uncommitted_changes:  # files from before their runs were kept say it only here
        found.append(f"The tree had changes that are not in commit {scaling.commit}.")
    found += [text for run in scaling.runs for text in first(run)]
    found += [f"{one}: not measured: {why}" for one, why in scaling.failures.items()]
    return list(dict.fromkeys(found))


def _wrong(run: Run) -> list[str]:
    return [
        f"{one.name}: WRONG ANSWER: {text}" for one in run.scenarios for text in figures.wrong(one)
    ]


def _scenario(scenario: ScenarioResult, run: Run, name: str) -> list[str]:
    head = [f"`{scenario.name}`", words.measure(scenario), "ratio"]
    of = f" of {scenario.of}" if scenario.of else ""
    # The percentile that is measured stands there already, as the median of the rounds.
    tails = [one for one in ("p50", "p99") if one != scenario.measure]
    head += [*(f"{one} ms{of}" for one in tails), "lost", "CPU ms", "WAL"]
    rows = []
    for side in scenario.sides:
        if not side.rounds:
            rows.append([side.name, f"not measured: {side.absent}"] + [""] * (len(head) - 2))
            continue
        spent, lost = figures.spent(side), figures.lost(side)
        costed = figures.costed(scenario, side)
        rows.append(
            [
                f"**{side.name}**" if side.role == "subject" else side.name,
                figures.value(scenario, side, scenario.unit),
                figures.compared(scenario, side),
                *figures.percentiles(scenario, side, *tails),
                words.number(lost) if lost else "",
                words.number(spent.stack_cpu) if costed else "",
                words.size(spent.wal_bytes) if costed and spent.wal_bytes >= LEAST_WAL else "–",
            ]
        )
    told = [index for index in range(len(head)) if index < 2 or _tells(rows, index)]
    return [
        f'<a id="{scenario.name}"></a>**{scenario.title}.** {scenario.about}'.rstrip(),
        table([head[n] for n in told], [[row[n] or _none(head[n]) for n in told] for row in rows]),
        "\\\n".join(
            filter(None, [_marks(scenario), published(scenario), _notes(scenario, run, name)])
        ),
    ]


def _tells(rows: list[list[str]], column: int) -> bool:
    return any(row[column] not in ("", "–") for row in rows)


def _none(head: str) -> str:
    return "0" if head == "lost" else ""


def costs(scenario: ScenarioResult) -> tuple[list[str], dict[str, list[str]]]:
    """Return what an answer costs on each side that ran, by its name, and the names of the columns.

    CPU of all of the stack, the generator's share of the machine and what was idle, then CPU by
    process; what was not kept in a run has no column.
    """
    spent = {side.name: figures.spent(side) for side in scenario.sides if side.rounds}
    names = [name for name in figures.processes(scenario) if name != "generator"]
    peaks = any(one.peak for one in spent.values())
    head = ["CPU ms", "generator", "idle", *names, "WAL", "buffers", "memory"]
    head += ["peak", "in flight"] if peaks else []
    rows = {}
    for name, one in spent.items():
        rows[name] = [
            words.number(one.stack_cpu),
            f"{one.generator_share:.0%}",
            f"{one.idle:.0%}",
            *(words.number(one.cpu.get(process, 0.0)) for process in names),
            words.size(one.wal_bytes),
            words.number(one.buffers_hit + one.buffers_read),
            words.size(sum(one.memory.values())),
        ]
        if peaks:
            rows[name] += [words.size(one.peak), words.size(one.in_flight)]
    return head, rows


def _marks(scenario: ScenarioResult) -> str:
    return "; ".join(
        f"{one.sign} {one.asked}: {one.found}"
        + (f" ({one.reason.rstrip('.')})" if one.reason else "")
        for one in figures.verdicts(scenario)
    )


def published(scenario: ScenarioResult) -> str:
    """Return what others say of theirs, with ours beside it, in a sentence for each of them."""
    if not scenario.published or not scenario.subject.rounds:
        return ""
    told = []
    for one in scenario.published:
        pairs = [
            f"{name} {words.measured(theirs)}"
            + (f" (here {ours})" if (ours := figures.ours(scenario.subject, name)) != "–" else "")
            for name, theirs in one.figures.items()
        ]
        told.append(f"{one.name}: {', '.join(pairs)}.")
    latency, answers = figures.latency(scenario.subject), figures.answers(scenario.subject)
    p50, p99, mean = words.percentiles(latency, answers, "p50", "p99", "mean")
    told.append(f"Here, {scenario.subject.name}: p50 {p50} ms, p99 {p99} ms, mean {mean} ms.")
    return " ".join(told)


def loaded(scenario: ScenarioResult) -> list[str]:
    """Return how a scenario was loaded, what that left of the CPU, and how long the queue took.

    The shares are the subject's.
    """
    used = ""
    if scenario.measure != "figure" and scenario.subject.rounds:
        spent = figures.spent(scenario.subject)
        used = f"generator {spent.generator_share:.0%} of the CPU, idle {spent.idle:.0%}"
    return [text for text in (words.loads(scenario), used, words.settled(scenario)) if text]


def _notes(scenario: ScenarioResult, run: Run, name: str) -> str:
    """Return how often and how long was measured, what was checked, and what limits the figures."""
    of = f" ({scenario.of})" if scenario.of else ""
    drawn = figures.answers(scenario.subject, scenario.of)
    subject = f"{words.number(drawn)} answers of the subject{of}"
    said = [words.rounds(scenario), *([subject] if drawn and scenario.measure != "figure" else [])]
    told = "; ".join([*said, *filter(None, [words.checked(scenario)]), *loaded(scenario)])
    where = f"{words.number(run.data.users)} users; from {PurePath(name).stem}."
    doubts = warnings(replace(run, scenarios=[scenario]))
    return " ".join([f"{told[0].upper()}{told[1:]}; {where}", *scenario.limitations, *doubts])


def _curve(curve: Curve, name: str) -> list[str]:
    rows = [
        [
            words.number(value)
            for value in (point.x, point.middle, min(point.values), max(point.values))
        ]
        + [str(len(point.values)), point.note]
        for point in curve.points
    ]
    marks = [f"{one.sign} {one.asked}: {one.found}" for one in judged(curve)]
    source = f"From {PurePath(name).stem}."
    below = ["; ".join([*marks, told(curve)]) + ".", " ".join([source, *curve.limitations])]
    return [
        f"**{curve.title}.** {curve.about}".rstrip(),
        table([curve.axis, curve.unit, "least", "most", "rounds", ""], rows),
        "\\\n".join(filter(None, below)),
    ]

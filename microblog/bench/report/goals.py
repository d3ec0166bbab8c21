"""What was to be reached, and whether it was: the tables of the README and of the figures."""

from collections.abc import Sequence

from microblog.bench.report import figures, today, words
from microblog.bench.report.figures import Verdict
from microblog.bench.report.judged import judged
from microblog.bench.report.pages import NOTHING, Curves, Source, by_name, table
from microblog.bench.result import Run, ScenarioResult

GOALS = (  # in this order
    *("reference-run", "timeline-floors", "timeline-degrees", "page-50", "timeline-unkept"),
    *("posting-storm", "largest-author", "fan-out-chunk", "fan-out-all"),
    *("queue-full", "queue-full-job", "follow-storm", "write-cost"),
    *("storage", "profile", "profile-sql", "seeding", "seeding-memory"),
    *("limits", "login-flood", "celebrity-post", "deep-paging", "twip"),
    *("conditional-timeline", "tag-cost", "page-cache", "page-cache-latency"),
)
SUMMARY = (  # what matters most: a scenario, and a part of what is asked of it
    ("reference-run", "rate at least"),
    ("reference-run", "p95 latency"),
    ("timeline-floors", "pull query"),
    ("timeline-degrees", "readers of 50 authors"),
    ("largest-author", "100 followers"),
    ("fan-out-all", "INSERT"),
    ("limits", "no limits"),
    ("login-flood", "quiet"),
    ("page-cache", "made by the database"),
    ("storage", "reference system"),
    ("twip", "Redis"),
)


def summary(runs: list[Source]) -> str:
    """Return what matters most in some lines: what, its figure, what was to be reached, a mark."""
    there = {one.name: one for run, _ in runs for one in run.scenarios}
    rows: list[list[str]] = []
    named: set[str] = set()
    for name, part in SUMMARY:
        for one in figures.verdicts(there[name]) if name in there else []:
            if part in one.asked:
                rows.append(
                    [*_figure(there[name], again=name in named), one.asked, one.found, one.sign]
                )
                named.add(name)
    return table(["what", "figure", "to reach", "found", ""], rows) if rows else NOTHING


def _figure(scenario: ScenarioResult, again: bool) -> list[str]:
    if again:
        return ["", ""]
    subject = scenario.subject
    what = "" if scenario.measure in ("rate", "figure") else f"{words.measure(scenario)} "
    found = figures.value(scenario, subject, scenario.unit)
    return [f"[{scenario.title}](#{scenario.name}): {subject.name}", what + found]


def markdown(runs: list[Source], curves: Sequence[Curves] = ()) -> str:
    """Return a line for each bound, with the reason where one was missed; words where none is."""
    there = {one.name: (one, run) for run, _ in runs for one in run.scenarios}
    named = [there[name] for name in GOALS if name in there]
    most = max((run.data.users for run, _ in runs), default=0)
    found = [(figures.verdicts(one), _head(one, run, most)) for one, run in named]
    found += [
        (judged(one), (f"{one.title} (curve)", scaling.commit))
        for scaling, _, one in by_name(curves)
    ]
    rows = [row for verdicts, head in found for row in _rows(verdicts, *head)]
    if not rows:
        return NOTHING
    marks = figures.counted(one for verdicts, _ in found for one in verdicts)
    parts = [
        f"Of {len(rows)}: {marks['reached']} reached, {marks['undecided']} undecided (?: the "
        f"rounds are too few, or too far apart, to tell), {marks['missed']} missed.",
        table(["what", "to reach", "found", "rounds, commit", ""], rows),
        *(f"{one.title}: {text}" for one, _ in named for text in today.said(one)),
    ]
    return "\n\n".join(parts)


def _head(scenario: ScenarioResult, run: Run, most: int) -> tuple[str, str]:
    """Return what a scenario is of, and how it was measured; its users where others had more."""
    users = f", {words.number(run.data.users)} users" if run.data.users < most else ""
    return (
        f"{scenario.title}: {scenario.subject.name}",
        f"{words.rounds(scenario)}, {run.commit}{users}",
    )


def _rows(verdicts: list[Verdict], what: str, source: str) -> list[list[str]]:
    return [
        [
            what if number == 0 else "",
            one.asked,
            one.found + (f". {one.reason}" if one.reason else ""),
            source if number == 0 else "",
            one.sign,
        ]
        for number, one in enumerate(verdicts)
    ]

"""What was to be reached, and whether it was: the table of the README."""

from microblog.bench.report import figures, today, words
from microblog.bench.report.pages import NOTHING, table
from microblog.bench.result import Run, ScenarioResult

GOALS = (  # in this order
    *("timeline-floors", "timeline-degrees", "page-50", "timeline-unkept"),
    *("largest-author", "fan-out-all", "queue-full", "queue-full-job"),
    *("storage", "profile", "profile-sql"),
    *("follow-storm", "reference-run", "seeding", "seeding-memory"),
    *("limits", "login-flood", "celebrity-post", "deep-paging", "twip"),
    *("conditional-timeline", "page-cache", "page-cache-latency"),
)


def markdown(run: Run) -> str:
    """Return a line for each bound, with the reason where one was missed; words where none is."""
    there = {one.name: one for one in run.scenarios}
    shown = [there[name] for name in GOALS if name in there]
    rows = [row for one in shown for row in _rows(one)]
    if not rows:
        return NOTHING
    marks = figures.counted(each for one in shown for each in figures.verdicts(one))
    parts = [
        f"Of {len(rows)}: {marks['reached']} reached, {marks['undecided']} undecided (?: the "
        f"rounds are too few, or too far apart, to tell), {marks['missed']} missed.",
        table(["what", "to reach", "found", "rounds", ""], rows),
        *(f"{one.title}: {text}" for one in shown for text in today.said(one)),
    ]
    return "\n\n".join(parts)


def _rows(scenario: ScenarioResult) -> list[list[str]]:
    return [
        [
            f"{scenario.title}: {scenario.subject.name}" if number == 0 else "",
            one.asked,
            one.found + (f". {one.reason}" if one.reason else ""),
            words.rounds(scenario) if number == 0 else "",
            one.sign,
        ]
        for number, one in enumerate(figures.verdicts(scenario))
    ]

"""What was to be reached, and whether it was: the table of the README."""

from microblog.bench.report import figures, words
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
    rows = [row for name in GOALS if name in there for row in _rows(there[name])]
    if not rows:
        return NOTHING
    judged = [figures.verdicts(there[name]) for name in GOALS if name in there]
    marks = figures.counted(one for some in judged for one in some)
    return (
        f"Of {len(rows)}: {marks['reached']} reached, {marks['undecided']} undecided (?: what was "
        "to be reached lies among what the rounds found, or there was one round only), "
        f"{marks['missed']} missed.\n\n" + table(["what", "to reach", "found", "rounds", ""], rows)
    )


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

"""In what order scenarios are shown: by the question that they answer, whatever run they are of."""

from collections.abc import Iterable

from microblog.bench.result import Run, ScenarioResult

QUESTIONS = {  # a test holds them against the scenarios there are
    "The reference system's own test": ("reference-run",),
    "Reading": (
        *("timeline-floors", "read-heavy-100", "read-heavy-10", "timeline-sql"),
        *(
            "timeline-degrees",
            "timeline-everybody",
            "page-50",
            "deep-paging",
            "timeline-unkept",
            "kept-pages",
        ),
        *("profile", "profile-sql", "stacks", "benchbase-twitter"),
    ),
    "Writing and delivering": (
        *("posting-storm", "largest-author", "celebrity-post", "fan-out-chunk", "fan-out-all"),
        *("queue-full", "queue-full-job", "follow-storm", "counters-waiting", "write-cost"),
    ),
    "Limits and logins": ("limits", "login-flood"),
    "Shared and unchanged pages": (
        *("page-cache", "page-cache-latency"),
        *("conditional-timeline", "conditional-miss", "tag-cost"),
    ),
    "Other ways to do it": ("strategies", "strategies-delivery", "view-refresh", "twip"),
    "Storage and seeding": ("storage", "seeding", "seeding-memory"),
    "The generators": ("constant-rate",),
}
OTHERS = "Others"

Shown = tuple[ScenarioResult, Run, str]  # a scenario, the run it is of, and the name of its file


def by_question(runs: Iterable[tuple[Run, str]]) -> dict[str, list[Shown]]:
    """Return the scenarios of all runs under their questions; what no question names comes last.

    Questions of which nothing was measured are left out.
    """
    there = [(one, run, name) for run, name in runs for one in run.scenarios]
    found: dict[str, list[Shown]] = {question: [] for question in (*QUESTIONS, OTHERS)}
    for question, names in QUESTIONS.items():
        for wanted in names:
            found[question] += [each for each in there if each[0].name == wanted]
    known = {name for names in QUESTIONS.values() for name in names}
    found[OTHERS] = [each for each in there if each[0].name not in known]
    return {question: some for question, some in found.items() if some}

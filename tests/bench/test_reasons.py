"""Where a kept result misses what a scenario asks for, somebody has found out why."""

import re

from microblog.bench import record
from microblog.bench.report import figures, reasons
from microblog.bench.result import ScenarioResult
from microblog.bench.scenario import files
from microblog.commands.bench_files import read_runs


def newest() -> dict[tuple[str, str], ScenarioResult]:
    """Return of each scenario and network the last result that is kept."""
    runs = read_runs(sorted(record.RESULTS.glob("*.json")))
    return {(one.name, run.data.preset): one for run, _ in runs for one in run.scenarios}


def test_each_target_that_is_missed_has_a_reason() -> None:
    kept = newest()
    judged = [
        (name, verdict.asked, verdict.reason)
        for (name, _), scenario in kept.items()
        for verdict in figures.verdicts(scenario)
        if verdict.mark == "missed"
    ]
    assert judged, "nothing that is kept misses anything: is it read?"
    assert [(name, asked) for name, asked, reason in judged if not reason] == []


def test_a_reason_has_no_figures_which_would_stand_beside_those_of_later_runs() -> None:
    said = [reason for found in reasons.known().values() for reason in found.values()]
    assert [reason for reason in said if re.search(r"\d", reason)] == []


def test_reasons_are_of_scenarios_that_there_are() -> None:
    assert set(reasons.known()) <= set(files())

"""Runs from before a target was changed, judged by the targets of today."""

from msgspec.structs import replace

from microblog.bench import scenario
from microblog.bench.report import words
from microblog.bench.result import Ratio, Run, ScenarioResult, Target

NEW = "A target of today, not of when this was measured: "
GONE = "No target any more: "


def of_run(run: Run) -> Run:
    """Give a run the targets that its scenarios have today; what differs is said in a sentence."""
    there = scenario.files()
    return replace(
        run,
        scenarios=[
            _judged_by(one, scenario.read(there[one.name])) if one.name in there else one
            for one in run.scenarios
        ],
    )


def said(kept: ScenarioResult) -> list[str]:
    """Return the sentences that ``of_run`` added to what limits a scenario's figures."""
    return [text for text in kept.limitations if text.startswith((NEW, GONE))]


def _judged_by(kept: ScenarioResult, today: scenario.Scenario) -> ScenarioResult:
    """Exchange the targets of the sides and operations that are still there."""
    same = (today.sides[0].name, today.measure, today.of) == (
        kept.subject.name, kept.measure, kept.of,
    )  # fmt: skip
    if not same:  # whatever is multiplied or bounded there is something else
        return kept
    loads = {load.name: load for load in today.sides}
    targets = [one for one in kept.targets if one.side and one.side not in loads]
    targets += [one for one in today.targets if _is_measured(one, kept)]
    ratios = [
        replace(one, target=loads[one.to].target, aim=loads[one.to].aim) if one.to in loads else one
        for one in kept.ratios
    ]
    then, now = _asked(kept, kept.targets, kept.ratios), _asked(kept, targets, ratios)
    told = [
        f"{label}{'; '.join(one for one in some if one not in others)}."
        for label, some, others in ((NEW, now, then), (GONE, then, now))
        if set(some) - set(others)
    ]
    limitations = [*kept.limitations, *told]
    return replace(kept, targets=targets, ratios=ratios, limitations=limitations)


def _is_measured(target: Target, kept: ScenarioResult) -> bool:
    """Whether a run has what a target is for: its sides, and of a percentile the operation."""
    sides = {side.name: side for side in kept.sides}
    side = sides.get(target.side) if target.side else kept.subject
    if side is None or (target.to and target.to not in sides):
        return False
    return (
        not target.of
        or target.what == "cpu"
        or any(target.of in one.operations for one in side.rounds)
    )


def _asked(kept: ScenarioResult, targets: list[Target], ratios: list[Ratio]) -> list[str]:
    bounds = [
        f"{one.side}: {words.bound(one, kept.unit)}" if one.side else words.bound(one, kept.unit)
        for one in targets
    ]
    least = "at least" if kept.better == "higher" else "at most"
    return bounds + [
        f"{least} {words.times(one.target)} {one.to}" for one in ratios if one.target is not None
    ]

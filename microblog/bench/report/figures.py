"""The figures of a report, drawn from a run: merged histograms, costs per request, verdicts."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from hdrh.histogram import HdrHistogram

from microblog.bench import histogram
from microblog.bench.report import reasons, words
from microblog.bench.result import Latency, Ratio, Round, ScenarioResult, Side, Target

OUTSIDE = ("others", "harness")  # strangers, and this program itself: no part of a cost


@dataclass(frozen=True)
class Verdict:
    """Whether one target was reached: what it asks for, what was found, and why it was missed."""

    asked: str
    found: str
    met: bool
    source: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Spent:
    """What one request cost on one side, medians of the rounds.

    ``cpu`` is milliseconds by process, the generator's among them; ``generator_share`` its part of
    the machine's cores while the round lasted. ``others`` is the same of strangers' processes.
    """

    cpu: dict[str, float]
    wal_bytes: float
    buffers_hit: float
    buffers_read: float
    memory: dict[str, int]
    generator_share: float
    others: float

    @property
    def stack_cpu(self) -> float:
        """Milliseconds of everything but the generator."""
        return sum(ms for name, ms in self.cpu.items() if name != "generator")


def merged(side: Side, operation: str = "") -> HdrHistogram:
    """Add up the histograms of a side's rounds, of one operation or (empty) of all."""
    return histogram.added(
        one.operations[operation].histogram if operation else one.histogram
        for one in side.rounds
        if not operation or operation in one.operations
    )


def latency(side: Side, operation: str = "") -> Latency:
    """Return the percentiles of all rounds of a side together, in ms."""
    return histogram.latency(merged(side, operation))


def operations(side: Side) -> dict[str, tuple[int, dict[str, int], Latency]]:
    """Return by kind of call: how many were answered, the errors, and the percentiles."""
    names = dict.fromkeys(name for one in side.rounds for name in one.operations)
    found = {}
    for name in names:
        parts = [one.operations[name] for one in side.rounds if name in one.operations]
        kinds: dict[str, int] = {}
        for part in parts:
            for kind, count in part.errors.items():
                kinds[kind] = kinds.get(kind, 0) + count
        found[name] = (sum(part.count for part in parts), kinds, latency(side, name))
    return found


def _middle(values: Iterable[float]) -> float:
    found = list(values)
    return median(found) if found else 0.0


def spent(side: Side) -> Spent:
    """Return what a request cost; all 0 where nothing was answered."""
    rounds = [one for one in side.rounds if one.count]
    names = dict.fromkeys(name for one in rounds for name in one.cost.cpu if name not in OUTSIDE)

    def per_request(value: str) -> float:
        return _middle(getattr(one.cost, value) / one.count for one in rounds)

    def share(name: str) -> float:
        return _middle(one.cost.cpu.get(name, 0.0) / _core_seconds(one) for one in rounds)

    return Spent(
        cpu={
            name: _middle(1000 * one.cost.cpu.get(name, 0.0) / one.count for one in rounds)
            for name in names
        },
        wal_bytes=per_request("wal_bytes"),
        buffers_hit=per_request("buffers_hit"),
        buffers_read=per_request("buffers_read"),
        memory=rounds[-1].cost.memory if rounds else {},
        generator_share=share("generator"),
        others=share("others"),
    )


def _core_seconds(one: Round) -> float:
    return (sum(one.cost.cpu.values()) + one.cost.cpu_idle) or one.seconds or 1.0


def of_side(side: Side, what: str, of: str = "") -> float:
    """Return what a target speaks of: rate, figure, errors, dropped, or a percentile in ms.

    Rates, figures and percentiles, those of the operation ``of``, are the median of the rounds;
    errors and dropped are of all rounds.
    """
    if what == "figure":
        return side.value
    if what == "rate":
        return _middle(one.rate for one in side.rounds)
    if what == "errors":
        return sum(sum(one.errors.values()) for one in side.rounds)
    if what == "timeouts":
        return sum(one.errors.get("timeout", 0) for one in side.rounds)
    if what == "dropped":
        return sum(one.dropped for one in side.rounds)
    parts = [
        one.operations[of] if of else one for one in side.rounds if not of or of in one.operations
    ]
    return _middle(getattr(part.latency, what) for part in parts)


def verdict(side: Side, target: Target, scenario: ScenarioResult | None = None) -> Verdict:
    """Judge one bound."""
    found = of_side(side, target.what, target.of)
    met = found >= target.value if target.bound == "at least" else found <= target.value
    asked = words.bound(target, scenario.unit if scenario else "")
    if target.side:
        asked = f"{target.side}: {asked}"
    reason = "" if met or scenario is None else reasons.why(scenario.name, asked)
    return Verdict(asked, words.number(found), met, target.source, reason)


def reached(ratio: Ratio, scenario: ScenarioResult) -> bool | None:
    """Whether a ratio is what its target asks for; None where it has none, or nothing ran."""
    if ratio.target is None or not ratio.values:
        return None
    return _within(ratio.median, ratio.target, scenario)


def _within(value: float, bound: float, scenario: ScenarioResult) -> bool:
    return value >= bound if scenario.better == "higher" else value <= bound


def verdicts(scenario: ScenarioResult) -> list[Verdict]:
    """Judge all that a scenario asks for: its bounds, and its ratios with a target."""
    sides = {side.name: side for side in scenario.sides}
    judged = [
        verdict(side, target, scenario)
        for target in scenario.targets
        if (side := sides.get(target.side, scenario.subject)).rounds
    ]
    for ratio in scenario.ratios:
        met = reached(ratio, scenario)
        if met is not None:
            bound = "at least" if scenario.better == "higher" else "at most"
            asked = f"{bound} {words.times(ratio.target or 0)} {ratio.to}"
            found = words.spread(ratio)
            if ratio.aim is not None:
                hit = "reached" if _within(ratio.median, ratio.aim, scenario) else "missed"
                found += f", the aim of {words.times(ratio.aim)} {hit}"
            reason = "" if met else reasons.why(scenario.name, asked)
            judged.append(Verdict(asked, found, met, "", reason))
    return judged


def wrong(scenario: ScenarioResult) -> list[str]:
    """Return what was found wrong in answers, on any side."""
    return [f"{side.name}: {text}" for side in scenario.sides for one in side.rounds
            for text in one.wrong]  # fmt: skip

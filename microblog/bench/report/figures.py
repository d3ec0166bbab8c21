"""The figures of a report, drawn from a run: merged histograms, costs per request, verdicts."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from hdrh.histogram import HdrHistogram
from msgspec.structs import replace

from microblog.bench import fit, histogram
from microblog.bench.report import reasons, words
from microblog.bench.result import (
    PERCENTILES,
    Latency,
    Ratio,
    Round,
    ScenarioResult,
    Side,
    Target,
)

PROCESSES = ("postgres", "postgrest", "haproxy", "pgbouncer", "worker", "redis", "generator")
DATABASE = ("postgres", "worker")
WITHOUT_REDIS = tuple(name for name in PROCESSES if name != "redis")
# What sides use in files from before they said so, by what sent to them.
USED = {
    **dict.fromkeys(("own", "wrk", "vegeta"), WITHOUT_REDIS),  # by which door is not in the file
    **dict.fromkeys(("pgbench", "twip", "delivery", "figure"), DATABASE),
    "redis_push": ("redis",),
}
Mark = Literal["reached", "undecided", "missed"]
SIGNS: dict[Mark, str] = {"reached": "✓", "undecided": "?", "missed": "✗"}
BY_CHANCE = 0.01  # how likely a count of answers is at the bound, below which it tells
TELLING = 10.0  # times as wide, an interval tells nothing
OUTSIDE = ("others", "harness")  # strangers, and this program itself: no part of a cost


@dataclass(frozen=True)
class Verdict:
    """Whether one target was reached: what it asks for, what was found, and why it was not.

    Undecided is what the rounds are too few, or too far apart, to tell: the next run may say
    otherwise.
    """

    asked: str
    found: str
    mark: Mark
    source: str = ""
    reason: str = ""

    @property
    def sign(self) -> str:
        """The mark as one character."""
        return SIGNS[self.mark]


def mark(rounds: Sequence[float], bound: float, *, least: bool, once: bool = False) -> Mark:
    """Judge what a figure was in each round by a bound, the ``least`` or the most it may be.

    It is decided where the whole interval of the rounds' mean lies on one side of the bound: of
    two rounds that is wide, and one alone has none, unless the figure is one that is asked for
    ``once``.
    """
    low, high = fit.interval(rounds)
    if once and len(rounds) == 1:
        low = high = rounds[0]
    if low >= bound if least else high <= bound:
        return "reached"
    return "missed" if (high < bound if least else low > bound) else "undecided"


@dataclass(frozen=True)
class Tail:
    """The answers of several rounds that took longer than a bound on a percentile allows few to.

    ``share`` of the ``answers`` did. ``rounds`` has the same of each round.
    """

    share: float
    answers: int
    rounds: list[tuple[float, int]]

    def mark(self, name: str) -> Mark:
        """Judge by counting: so many or so few beyond the percentile must be more than chance.

        And rounds with answers enough must agree: the answers of one have its mood in common.
        """
        allowed = 1 - PERCENTILES[name] / 100
        telling = [share for share, answers in self.rounds if histogram.tells(name, answers)]
        is_disputed = bool(telling) and min(telling) <= allowed < max(telling)
        slower = round(self.share * self.answers)
        by_chance = histogram.chance(slower, self.answers, allowed) >= BY_CHANCE
        if len(self.rounds) < 2 or is_disputed or by_chance:
            return "undecided"
        return "reached" if self.share <= allowed else "missed"


def tail(side: Side, operation: str, milliseconds: float) -> Tail:
    """Count a side's answers above a bound.

    By the histograms' shares: wrk's have more in them than there were answers.
    """
    rounds = []
    for one in side.rounds:
        part = replace(side, rounds=[one])
        found = merged(part, operation)
        if found.get_total_count():
            rounds.append((histogram.above(found, milliseconds), answers(part, operation)))
    share = histogram.above(merged(side, operation), milliseconds)
    return Tail(share, sum(count for _, count in rounds), rounds)


@dataclass(frozen=True)
class Spent:
    """What one request cost on one side, medians of the rounds.

    ``cpu`` is milliseconds by process, the generator's among them; ``generator_share`` its part of
    the machine's cores while the load lasted. ``others`` is that of strangers' processes, of all
    the time from the first to the last look at the costs, as is ``idle``, what nobody used.
    ``memory`` is proportional set sizes after the last round, of the processes that the side uses.
    ``peak`` is the most that these had to themselves in any round, bytes; ``in_flight`` how much
    more than at rest that was for each request under way. Both are 0 in runs from before they were
    kept.
    """

    cpu: dict[str, float]
    wal_bytes: float
    buffers_hit: float
    buffers_read: float
    memory: dict[str, int]
    peak: int
    in_flight: float
    generator_share: float
    others: float
    idle: float

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


def answers(side: Side, operation: str = "") -> int:
    """Return how many answers the percentiles of a side are drawn from.

    Not the total of a histogram: wrk adds to its own what it reckons was hidden by waiting.
    """
    if operation:
        parts = [one.operations.get(operation) for one in side.rounds]
        return sum(part.count for part in parts if part is not None)
    return sum(
        sum(part.count for part in one.operations.values()) or one.count for one in side.rounds
    )


def tells(scenario: ScenarioResult, *names: str) -> bool:
    """Whether the sides of these names have answers enough for what the scenario measures."""
    return all(
        histogram.tells(scenario.measure, answers(one, scenario.of))
        for one in scenario.sides
        if one.name in names
    )


def value(scenario: ScenarioResult, side: Side, unit: str = "") -> str:
    """Write what a side has of what the scenario measures, a dash where it is too few answers'."""
    return f"{words.rounded(side.value)} {unit}".rstrip() if tells(scenario, side.name) else "–"


def percentiles(scenario: ScenarioResult, side: Side, *names: str) -> list[str]:
    """Write percentiles of the operation that the scenario measures, of all where it names none."""
    of = scenario.of if any(scenario.of in one.operations for one in side.rounds) else ""
    return words.percentiles(latency(side, of), answers(side, of), *names)


def costed(scenario: ScenarioResult, side: Side) -> bool:
    """Whether what a side spent is the cost of its answers.

    A figure has none. Who delivers reads the followers' pages after each post, which is the harness
    looking and no part of a post.
    """
    return scenario.measure != "figure" and side.generator != "delivery"


def compared(scenario: ScenarioResult, side: Side) -> str:
    """Write the subject's ratio to a side; empty of the subject, a dash of too few answers."""
    ratio = next((one for one in scenario.ratios if one.to == side.name), None)
    if ratio is None:
        return ""
    return words.ratio(ratio) if tells(scenario, scenario.subject.name, ratio.to) else "–"


def _middle(values: Iterable[float]) -> float:
    found = list(values)
    return median(found) if found else 0.0


def spent(side: Side) -> Spent:
    """Return what a request cost; all 0 where nothing was answered."""
    rounds = [one for one in side.rounds if one.count]
    names = dict.fromkeys(name for one in rounds for name in one.cost.cpu if name not in OUTSIDE)

    def per_request(value: str) -> float:
        return _middle(getattr(one.cost, value) / one.answers for one in rounds)

    def share(name: str, of: Callable[[Round], float]) -> float:
        return _middle(one.cost.cpu.get(name, 0.0) / of(one) for one in rounds)

    return Spent(
        cpu={
            name: _middle(1000 * one.cost.cpu.get(name, 0.0) / one.answers for one in rounds)
            for name in names
        },
        wal_bytes=per_request("wal_bytes"),
        buffers_hit=per_request("buffers_hit"),
        buffers_read=per_request("buffers_read"),
        memory=_of_used(side, rounds[-1].cost.memory) if rounds else {},
        peak=max((memory(side, one.cost.memory_peak) for one in rounds), default=0),
        in_flight=_middle(_grown(side, one) / _under_way(side, one) for one in rounds),
        generator_share=share("generator", _load_seconds),
        others=share("others", _core_seconds),
        idle=_middle(one.cost.cpu_idle / _core_seconds(one) for one in rounds),
    )


def uses(side: Side) -> Collection[str]:
    """Return the processes whose memory is a side's: as its declaration had it (``scenario.uses``).

    In files from before that was kept it follows from the generator, and of the Twip mix from the
    side's name; of a generator that is not known here, everything is.
    """
    if side.uses:
        return side.uses
    if side.generator == "twip" and side.name.startswith("Redis"):
        return ("redis",)
    return USED.get(side.generator, PROCESSES)


def _of_used(side: Side, sizes: Mapping[str, int]) -> dict[str, int]:
    used = uses(side)
    return {name: size for name, size in sizes.items() if name in used}


def memory(side: Side, sizes: Mapping[str, int]) -> int:
    """Add up what the processes that a side uses have, of a round's sizes by process."""
    return sum(_of_used(side, sizes).values())


def _grown(side: Side, one: Round) -> int:
    """Return by how many bytes the processes that a side uses grew during a round."""
    return memory(side, one.cost.memory_peak) - memory(side, one.cost.memory_rest)


def _under_way(side: Side, one: Round) -> float:
    """Return how many requests were under way at once; in the open model by Little's law."""
    if side.model == "closed":
        return max(side.clients, 1)
    return max(one.rate * one.latency.mean / 1000, 1.0)


def served_cpu(one: Round, process: str = "") -> float:
    """Return the CPU ms of an answer: of one process, or (empty) of all of the stack."""
    used = one.cost.cpu
    seconds = (
        used.get(process, 0.0)
        if process
        else sum(s for name, s in used.items() if name not in (*OUTSIDE, "generator"))
    )
    return 1000 * seconds / max(one.answers, 1)


def _load_seconds(one: Round) -> float:
    """Return the seconds of all cores during the load; of all the round where cores are unknown."""
    return one.seconds * one.cost.cores or _core_seconds(one)


def idle_under_load(side: Side) -> float:
    """Return which share of the cores was idle during the load at the least, median of the rounds.

    Idle time is kept for all of a round. What lies around the load may all have been idle, but for
    what the harness used. 0 where cores are unknown: there more than that lies around it.
    """
    found = []
    for one in (each for each in side.rounds if each.cost.cores):
        load = one.seconds * one.cost.cores
        around = max(_core_seconds(one) - load - one.cost.cpu.get("harness", 0.0), 0.0)
        found.append(max(one.cost.cpu_idle - around, 0.0) / load)
    return _middle(found)


def _core_seconds(one: Round) -> float:
    return (sum(one.cost.cpu.values()) + one.cost.cpu_idle) or one.seconds or 1.0


def of_side(side: Side, what: str, of: str = "") -> float:
    """Return what a target speaks of: rate, figure, errors, dropped, or a percentile in ms.

    Rates, figures and CPU are the median of the rounds; percentiles, those of the operation ``of``,
    are of all answers, as are errors and dropped.
    """
    if what == "errors":
        return sum(sum(one.errors.values()) for one in side.rounds)
    if what == "timeouts":
        return sum(one.errors.get("timeout", 0) for one in side.rounds)
    if what == "dropped":
        return sum(one.dropped for one in side.rounds)
    if what in ("rate", "figure", "cpu"):
        return _middle(_of_rounds(side, what, of))
    found: float = getattr(latency(side, of), what)
    return found


def _of_rounds(side: Side, what: str, of: str = "") -> list[float]:
    """Return what a target speaks of in each round; empty of what only all rounds have together."""
    if what in ("errors", "timeouts", "dropped"):
        return []
    if what == "figure":
        return [one.value for one in side.rounds]
    if what == "rate":
        return [one.rate for one in side.rounds]
    if what == "cpu":
        return [served_cpu(one, of) for one in side.rounds]
    parts = [
        one.operations[of] if of else one for one in side.rounds if not of or of in one.operations
    ]
    return [getattr(part.latency, what) for part in parts]


def verdict(side: Side, target: Target, scenario: ScenarioResult | None = None) -> Verdict:
    """Judge one bound."""
    asked = words.bound(target, scenario.unit if scenario else "")
    if target.side:
        asked = f"{target.side}: {asked}"
    judge = _by_count if target.what in PERCENTILES else _by_rounds
    judged, told = judge(side, target, scenario)
    reason = reasons.why(scenario.name, asked) if scenario and judged == "missed" else ""
    return Verdict(asked, told, judged, target.source, reason)


def _by_rounds(side: Side, target: Target, scenario: ScenarioResult | None) -> tuple[Mark, str]:
    """Judge a bound by what was found in each round, or in all; also tell it."""
    rounds = _of_rounds(side, target.what, target.of)
    found = of_side(side, target.what, target.of)
    if target.to and scenario is not None:
        other = next(one for one in scenario.sides if one.name == target.to)
        pairs = zip(rounds, _of_rounds(other, target.what, target.of), strict=False)
        rounds = [a / b for a, b in pairs if b]
        found = _middle(rounds)
    is_count = target.what in ("errors", "timeouts", "dropped")
    least, once = target.bound == "at least", is_count or target.what == "figure"
    shown = words.times if target.to else words.number
    return _judged(found, [found] if is_count else rounds, target.value, target.aim,
                   least=least, once=once, shown=shown)  # fmt: skip


def _judged(
    middle: float,
    rounds: Sequence[float],
    bound: float,
    aim: float | None,
    *,
    least: bool,
    once: bool,
    shown: Callable[[float], str],
) -> tuple[Mark, str]:
    """Judge a figure by its bound, and tell it with its spread and what the aim is."""
    judged = mark(rounds, bound, least=least, once=once)
    told = words.spread(middle, rounds, shown)
    if len(rounds) == 1 and not once:
        told += f" ({words.ONE_ROUND})"
    elif judged == "undecided" and rounds:
        low, high = fit.interval(rounds)
        is_wide = low <= 0 or high > TELLING * low
        told += f", {words.TOO_FAR if is_wide else f'95 %: {shown(low)} to {shown(high)}'}"
    if aim is not None:
        told += f", the aim of {shown(aim)} {mark(rounds, aim, least=least, once=once)}"
    return judged, told


def _by_count(side: Side, target: Target, _: ScenarioResult | None) -> tuple[Mark, str]:
    """Judge a bound on a percentile by the answers above it; also tell it."""
    counted = tail(side, target.of, target.value)
    judged = counted.mark(target.what)
    has_told = histogram.tells(target.what, counted.answers)
    rounds = _of_rounds(side, target.what, target.of)
    parts = []
    if has_told:
        parts.append(words.spread(of_side(side, target.what, target.of), rounds, words.number))
    if judged == "undecided" or not has_told:
        parts.append(
            f"{words.number(100 * counted.share)} % of {words.number(counted.answers)} answers "
            f"above {words.number(target.value)} ms"
        )
    told = ", ".join(parts)
    if len(rounds) == 1:
        told += f" ({words.ONE_ROUND})"
    if target.aim is not None:
        aimed = tail(side, target.of, target.aim).mark(target.what)
        told += f", the aim of {words.number(target.aim)} {aimed}"
    return judged, told


def reached(ratio: Ratio, scenario: ScenarioResult) -> Mark | None:
    """Whether a ratio is what its target asks for; None where it has none, or nothing ran."""
    if ratio.target is None or not ratio.values:
        return None
    return _of_ratio(ratio, ratio.target, scenario)[0]


def _of_ratio(ratio: Ratio, bound: float, scenario: ScenarioResult) -> tuple[Mark, str]:
    """Judge a ratio round by round; also tell it."""
    if not tells(scenario, scenario.subject.name, ratio.to):
        return "undecided", words.TOO_FEW
    return _judged(ratio.median, ratio.values, bound, ratio.aim,
                   least=scenario.better == "higher", once=scenario.measure == "figure",
                   shown=words.times)  # fmt: skip


def verdicts(scenario: ScenarioResult) -> list[Verdict]:
    """Judge all that a scenario asks for: its bounds, and its ratios with a target."""
    sides = {side.name: side for side in scenario.sides}
    judged = [
        verdict(side, target, scenario)
        for target in scenario.targets
        if (side := sides.get(target.side, scenario.subject)).rounds
        and (not target.to or sides[target.to].rounds)
    ]
    for ratio in scenario.ratios:
        if ratio.target is not None and ratio.values:
            bound = "at least" if scenario.better == "higher" else "at most"
            asked = f"{bound} {words.times(ratio.target)} {ratio.to}"
            found, told = _of_ratio(ratio, ratio.target, scenario)
            reason = reasons.why(scenario.name, asked) if found == "missed" else ""
            judged.append(Verdict(asked, told, found, "", reason))
    return judged


def wrong(scenario: ScenarioResult) -> list[str]:
    """Return what was found wrong in answers, on any side."""
    return [f"{side.name}: {text}" for side in scenario.sides for one in side.rounds
            for text in one.wrong]  # fmt: skip


def counted(judged: Iterable[Verdict]) -> dict[Mark, int]:
    """Count verdicts by their mark, all three of them."""
    found = [one.mark for one in judged]
    return {kind: found.count(kind) for kind in SIGNS}


def worst(judged: Iterable[Verdict]) -> str:
    """Return one sign for several verdicts: that of the worst, a dot for none."""
    marks = {one.mark for one in judged}
    for kind in reversed(SIGNS):
        if kind in marks:
            return SIGNS[kind]
    return "·"


def ours(side: Side, name: str) -> str:
    """Return what a side has of a figure that somebody else published, by the name given there."""
    what = words.PUBLISHED.get(name, name)
    if what not in words.MEASURES:
        return "–"
    if not histogram.tells(what, answers(side)):
        return "–"
    unit = "" if what in ("rate", "errors", "dropped", "timeouts") else " ms"
    return words.number(of_side(side, what)) + unit


def lost(side: Side) -> int:
    """Return how many answers were errors or due and never sent."""
    return sum(sum(one.errors.values()) + one.dropped for one in side.rounds)


def processes(scenario: ScenarioResult) -> list[str]:
    """Return the processes that used CPU on any side, the generator last."""
    used = {
        name
        for side in scenario.sides
        if costed(scenario, side)
        for name, ms in spent(side).cpu.items()
        if round(ms, 4)
    }
    return sorted(used, key=process_order)


def process_order(name: str) -> int:
    """Return the place of a process among all."""
    return PROCESSES.index(name) if name in PROCESSES else len(PROCESSES) - 1

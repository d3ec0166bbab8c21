"""Figures as people read them."""

from collections.abc import Callable, Sequence
from statistics import median

from microblog.bench import histogram
from microblog.bench.result import PERCENTILES, Latency, Ratio, Round, ScenarioResult, Side, Target

TOO_FEW = "–, too few answers beyond it"  # of a percentile
TOO_FAR = "too few rounds, too far apart"
ONE_ROUND = "one round, which decides nothing"
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
MEASURES = {
    "rate": "rate",
    "figure": "figure",
    "p50": "median latency",
    "p90": "p90 latency",
    "p95": "p95 latency",
    "p99": "p99 latency",
    "p99_9": "p99.9 latency",
    "max": "largest latency",
    "mean": "mean latency",
    "errors": "errors",
    "dropped": "dropped requests",
    "timeouts": "timeouts",
    "cpu": "CPU",
}
GENERATORS = {
    "own": "the own generator",
    "twip": "Twip's own client",
    "delivery": "the harness",
    "redis_push": "a Redis client",
}
HTTP = ("own", "wrk", "vegeta", "k6")
ONE_BY_ONE = ("delivery", "redis_push")
A_LOOK = 0.05  # seconds; in less than that an empty queue was looked at
PUBLISHED = {  # what other people's reports call what is measured here
    "average latency": "mean",
    "largest latency": "max",
}


def number(value: float) -> str:
    """Write three significant digits, all digits of large numbers: 0.0123, 4.56, 78.9, 12,345."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3g}"


def rounded(value: float) -> str:
    """Write three significant digits of large numbers, too: 102,619 is 103,000."""
    return number(float(f"{value:.3g}") if abs(value) >= 100 else value)


def size(value: float) -> str:
    """Write bytes with a unit of 1,000s."""
    for unit in UNITS:
        if abs(value) < 1000 or unit == UNITS[-1]:
            return f"{number(value)} {unit}"
        value /= 1000
    raise AssertionError


def times(value: float) -> str:
    """Write a ratio: 0.51×, 4.2×, 31×."""
    return f"{value:.2f}×" if value < 10 else f"{value:,.0f}×" if value >= 100 else f"{value:.1f}×"


def spread(middle: float, rounds: Sequence[float], shown: Callable[[float], str]) -> str:
    """Write a figure with what it was in the least and in the largest round."""
    if len(rounds) < 2:
        return shown(middle)
    return f"{shown(middle)} ({shown(min(rounds))} to {shown(max(rounds))})"


def ratio(one: Ratio) -> str:
    """Write a ratio with its spread; a dash where nothing is a multiple of anything."""
    return spread(one.median, one.values, times) if one.values else "–"


def percentiles(latency: Latency, answers: int, *names: str) -> list[str]:
    """Write percentiles, a dash for one that so many ``answers`` do not tell."""
    return [
        number(value) if (value := getattr(latency, name)) and histogram.tells(name, answers)
        else "–"
        for name in names
    ]  # fmt: skip


def measured(value: float | str) -> str:
    """Write a figure that may be words already."""
    return value if isinstance(value, str) else number(value)


def measure(scenario: ScenarioResult) -> str:
    """Name what a scenario's values are."""
    if scenario.measure == "figure":
        return scenario.unit
    name = MEASURES.get(scenario.measure, scenario.measure)
    return f"{name} of {scenario.of}" if scenario.of else name


def load(side: Side) -> str:
    """Say how a side was loaded, and by what: "closed, 250 connections, wrk"."""
    name = GENERATORS.get(side.generator, side.generator)
    if side.generator in ONE_BY_ONE:
        return f"closed, one post after the other, {name}"
    if side.model == "open":
        process = {"poisson": " in a Poisson process", "constant": " evenly"}.get(side.arrivals, "")
        return f"open, {number(side.rate or 0)}/s{process}, {name}"
    kind = "connection" if side.generator in HTTP else "client"
    return f"closed, {side.clients} {kind}{'s' if side.clients != 1 else ''}, {name}"


def loads(scenario: ScenarioResult) -> str:
    """Say how a scenario's subject was loaded, and which others were otherwise; a figure is not."""
    if scenario.measure == "figure" or not scenario.subject.rounds:
        return ""
    own = load(scenario.subject)
    if corrected := _corrected(scenario):
        own += f" ({corrected})"
    others: dict[str, list[str]] = {}
    for side in scenario.sides[1:]:
        if side.rounds and load(side) != load(scenario.subject):
            others.setdefault(load(side), []).append(side.name)
    return "; ".join([own, *(f"{' and '.join(names)}: {said}" for said, names in others.items())])


def _corrected(scenario: ScenarioResult) -> str:
    """Say of wrk that its latencies are corrected, and what those judged were as it saw them."""
    rounds = [one for one in scenario.subject.rounds if one.measured is not None]
    if scenario.subject.generator != "wrk" or not rounds:
        return ""
    asked = [scenario.measure, *(one.what for one in scenario.targets if not one.side), "p99"]
    name = next(one for one in asked if one in PERCENTILES)
    seen = median(getattr(one.measured, name) for one in rounds)
    told = histogram.tells(name, sum(one.count for one in rounds))
    return "latencies corrected for waiting" + (
        f"; as measured {name.replace('_', '.')} {number(seen)} ms" if told else ""
    )


def settled(scenario: ScenarioResult) -> str:
    """Say how long what the subject had queued took at most, where it took any time."""
    longest = max((one.settle for one in scenario.subject.rounds), default=0.0)
    return f"settled after {number(longest)} s" if longest >= A_LOOK else ""


def rounds(scenario: ScenarioResult) -> str:
    """Say how many rounds there were, and how long: "3 rounds of 4 s", "2 to 3 rounds of 30 s"."""
    sides = [side.rounds for side in scenario.sides if side.rounds]
    if not sides:
        return "no round"
    counts = _range([len(some) for some in sides])
    plural = "" if counts == "1" else "s"
    if scenario.measure == "figure":
        return f"{counts} round{plural}"
    return f"{counts} round{plural} of {_range([one.seconds for some in sides for one in some])} s"


def _range(values: Sequence[float]) -> str:
    found = sorted({number(round(one, 1)): one for one in values}.items(), key=lambda item: item[1])
    if len(found) == 1 or found[-1][1] - found[0][1] < 0.05 * found[-1][1]:
        return found[0][0]  # the last answer of a round comes a little after its end
    return f"{found[0][0]} to {found[-1][0]}"


def checked(scenario: ScenarioResult) -> str:
    """Say how many answers were compared with the definition, of all sides."""
    every = [one for side in scenario.sides for one in side.rounds]
    compared = sum(one.checked for one in every)
    if not compared:
        return ""
    return f"{number(compared)} of {number(sum(one.count for one in every))} answers compared"


def errors(rounds: list[Round]) -> dict[str, int]:
    """Add up errors by kind, the most frequent first."""
    total: dict[str, int] = {}
    for one in rounds:
        for kind, count in one.errors.items():
            total[kind] = total.get(kind, 0) + count
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def bound(target: Target, unit: str = "") -> str:
    """Write what a target asks for; ``unit`` is that of a figure."""
    if target.what == "cpu":
        whose = f" of {target.of}" if target.of else ""
        asked = f"{times(target.value)} {target.to}" if target.to else f"{number(target.value)} ms"
        return f"CPU{whose} of an answer {target.bound} {asked}"
    if target.what == "figure":
        return f"{target.bound} {number(target.value)} {unit}".rstrip()
    unit = " ms" if target.what in MEASURES and target.what.startswith(("p", "m")) else ""
    if target.bound == "at most" and target.value == 0:
        return f"no {MEASURES.get(target.what, target.what)}"
    name = MEASURES.get(target.what, target.what) + (f" of {target.of}" if target.of else "")
    return f"{name} {target.bound} {number(target.value)}{unit}"

"""The plots of a report, each an ``<svg>`` element for the page."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from textwrap import wrap

import numpy as np
from hdrh.histogram import HdrHistogram
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from microblog.bench import histogram
from microblog.bench.report import figures, words
from microblog.bench.report.svg import (
    BAD,
    FLOOR,
    GOOD,
    GRID,
    INK,
    MUTED,
    PARTS,
    SERIES,
    Drawing,
    css_variable,
)
from microblog.bench.result import ScenarioResult, Side

TINTS = {"reached": GOOD, "undecided": INK, "missed": BAD}
FEW_SECONDS = 5  # of which a line over time says nothing
LABEL = 0.07  # of a plot's height, from one line's number to the next
NINES = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)


def colour(scenario: ScenarioResult, side: Side) -> str:
    """Return a side's colour: the subject first, floors grey, peers each their own."""
    if side.role == "floor":
        return FLOOR
    others = [one.name for one in scenario.sides if one.role != "floor"]
    return SERIES[others.index(side.name) % len(SERIES)]


def style(scenario: ScenarioResult, side: Side) -> dict[str, object]:
    """Return how a side's lines are drawn; floors are dashed."""
    floors = [one.name for one in scenario.sides if one.role == "floor"]
    dashes = ("--", ":", "-.")
    line = dashes[floors.index(side.name) % 3] if side.role == "floor" else "-"
    return {"color": colour(scenario, side), "linestyle": line}


def number(scenario: ScenarioResult, side: Side) -> int:
    """Return the number that names a side's line in the plots of a scenario."""
    return [one.name for one in scenario.sides].index(side.name) + 1


def _numbered(axes: Axes, ends: Sequence[tuple[int, float, float, object]]) -> None:
    """Write at the end of each line, which is at x and y, its number; they keep their distance.

    For axes whose limits and scales are final.
    """
    if len(ends) < 2:
        return
    low, high = np.log10(axes.get_ylim()) if axes.get_yscale() == "log" else axes.get_ylim()
    places: list[float] = []
    for _, _, y, _ in sorted(ends, key=lambda end: end[2]):
        share = ((np.log10(y) if axes.get_yscale() == "log" else y) - low) / (high - low)
        places.append(max(share, places[-1] + LABEL) if places else share)
    over = max(places[-1] - 1, 0)
    for (which, x, y, tint), place in zip(
        sorted(ends, key=lambda end: end[2]), places, strict=True
    ):
        axes.annotate(
            str(which), (x, y), (1.03, place - over), textcoords="axes fraction", va="center",
            color=tint, fontweight="bold", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GRID, "linewidth": 0.7, "shrinkA": 1,
                        "shrinkB": 1},
        )  # fmt: skip


def css_colour(scenario: ScenarioResult, side: Side) -> str:
    """Return a side's colour as the page's CSS knows it."""
    return css_variable(colour(scenario, side))


def processes(scenario: ScenarioResult) -> list[tuple[str, str]]:
    """Return the processes of a scenario's cost, each with its colour in CSS."""
    return [(name, css_variable(part(name))) for name in figures.processes(scenario)]


def _plain(value: float, _: object = None) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _wrapped(names: Sequence[str], width: int = 24) -> tuple[list[str], float]:
    """Break long names into lines; also return the inches that a row of the most lines wants."""
    broken = ["\n".join(wrap(name, width)) or name for name in names]
    most = max((name.count("\n") for name in broken), default=0)
    return broken, 0.34 + 0.11 * most


def _log_ticks(axis_of: Axes, which: str) -> None:
    """Label a logarithmic axis 1, 2, 5, 10, … as far as they are few, with plain figures."""
    axis = axis_of.xaxis if which == "x" else axis_of.yaxis
    low, high = axis_of.get_xlim() if which == "x" else axis_of.get_ylim()
    wide = np.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if wide < 2.2 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_plain))


def _ran(scenario: ScenarioResult) -> list[Side]:
    return [side for side in scenario.sides if side.rounds]


# -- all scenarios at a glance ----------------------------------------------------------------


def overview(scenarios: Sequence[ScenarioResult]) -> str:
    """Draw every ratio on one axis: to the right of 1 is better than the other side."""
    rows = [
        (scenario, ratio)
        for scenario in scenarios
        for ratio in scenario.ratios
        if ratio.values
        and ratio.low > 0
        and figures.tells(scenario, scenario.subject.name, ratio.to)
    ]
    labels, row = _wrapped([f"{one.name}  vs  {ratio.to}" for one, ratio in rows], 52)
    drawing = Drawing("overview", "Each ratio with its spread", 9.2, 0.75 + row * len(rows) * 0.9)
    axes = drawing.axes
    edge = 1.0
    for place, (scenario, ratio) in enumerate(rows):
        upside = 1 if scenario.better == "higher" else -1  # times better, whichever way better is
        values = [value**upside for value in ratio.values]
        other = next(side for side in scenario.sides if side.name == ratio.to)
        met = figures.reached(ratio, scenario)
        tint = TINTS[met] if met else MUTED
        edge = max(edge, *values, *(1 / value for value in values))
        axes.plot([min(values), max(values)], [place, place], color=tint, linewidth=5, alpha=0.28)
        drawing.note(
            axes.plot(
                median(values),
                place,
                marker="D" if other.role == "floor" else "o",
                markersize=6.5,
                color=tint,
                markerfacecolor="none" if other.role == "floor" else tint,
                markeredgewidth=1.6,
                clip_on=False,
            ),
            f"{scenario.title}: {scenario.subject.name} is {words.ratio(ratio)} {ratio.to}",
        )
        if ratio.target:
            aim = ratio.target**upside
            edge = max(edge, aim, 1 / aim)
            drawing.note(
                axes.plot(aim, place, marker="|", markersize=12, markeredgewidth=2, color=INK),
                f"target: {words.times(ratio.target)}",
            )
        axes.annotate(
            words.times(ratio.median),
            (1, place),
            (6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            color=tint,
            fontweight="bold",
            annotation_clip=False,
        )
    axes.set_xscale("log")
    axes.set_xlim(1 / (edge * 1.3), edge * 1.3)
    _log_ticks(axes, "x")
    axes.axvline(1, color=MUTED, linewidth=1)
    axes.set_yticks(range(len(rows)), labels)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("← worse     times better than the other side (log)     better →")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return drawing.svg()


# -- one scenario -----------------------------------------------------------------------------


def values(scenario: ScenarioResult) -> str:
    """Draw what was measured: the median of each side as a bar, each round as a dot."""
    sides = [side for side in _ran(scenario) if figures.tells(scenario, side.name)]
    known = [
        (one.name, float(figure))
        for one in scenario.published
        if isinstance(figure := one.figures.get(scenario.measure), int | float) and figure > 0
    ]
    count = len(sides) + len(known)
    names, row = _wrapped([side.name for side in sides] + [name for name, _ in known])
    drawing = Drawing(
        f"{scenario.name}-values",
        f"{words.measure(scenario)} of each side",
        height=0.62 + row * count,
    )
    axes = drawing.axes
    for place, side in enumerate(sides):
        tint = colour(scenario, side)
        bar = axes.barh(place, side.value, height=0.62, color=tint, alpha=0.32)
        drawing.note(list(bar), f"{side.name}: median {words.number(side.value)} {scenario.unit}")
        for which, one in enumerate(side.rounds, 1):
            drawing.note(
                axes.plot(one.value, place, "o", markersize=4, color=tint),
                f"{side.name}, round {which}: {words.number(one.value)} {scenario.unit}",
            )
        _label(axes, max(side.value, *(one.value for one in side.rounds)), place, side.value, INK)
    for place, (_, figure) in enumerate(known, len(sides)):
        axes.barh(place, figure, height=0.62, color="none", edgecolor=MUTED, hatch="////",
                  linewidth=0.8)  # fmt: skip
        _label(axes, figure, place, figure, MUTED)
    for target in scenario.targets:
        if target.what == scenario.measure:
            drawing.note(
                [axes.axvline(target.value, color=INK, linewidth=1.2, linestyle=(0, (2, 2)))],
                f"target: {words.bound(target)}",
            )
    axes.set_yticks(range(count), names)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.12)
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"{words.measure(scenario)}, {scenario.unit}, {scenario.better} is better")
    return drawing.svg()


def _label(axes: Axes, x: float, place: int, value: float, tint: str) -> None:
    axes.annotate(words.rounded(value), (x, place), (7, 0), textcoords="offset points", va="center",
                  color=tint, fontweight="bold")  # fmt: skip


def _curve(total: HdrHistogram, answers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 / (1 - quantile) and milliseconds, as far as there are answers to tell."""
    inverse = np.geomspace(1.02, max(answers / histogram.BEYOND, 2), 90)
    return inverse, np.array(
        [total.get_value_at_percentile(100 * (1 - 1 / x)) / 1000 for x in inverse]
    )


def _told(nines: float, answers: int) -> bool:
    return round(answers * (1 - nines), 6) >= histogram.BEYOND


def percentiles(scenario: ScenarioResult) -> str | None:
    """Draw the latency by percentile, the tail stretched out; None where none was recorded."""
    ends: list[tuple[int, float, float, object]] = []
    drawing = Drawing(f"{scenario.name}-percentiles", "Latency by percentile")
    axes = drawing.axes
    most = 0
    for side in _ran(scenario):
        operation = scenario.of if any(scenario.of in one.operations for one in side.rounds) else ""
        total = figures.merged(side, operation)
        if not total.get_total_count():
            continue
        answers = figures.answers(side, operation)
        most = max(most, answers)
        x, y = _curve(total, answers)
        axes.plot(x, y, label=side.name, **style(scenario, side))
        ends.append((number(scenario, side), x[-1], y[-1], colour(scenario, side)))
        latency = figures.latency(side, operation)
        for nines, milliseconds in zip(
            NINES, (latency.p50, latency.p90, latency.p99, latency.p99_9), strict=False
        ):
            if _told(nines, answers):
                drawing.note(
                    axes.plot(1 / (1 - nines), milliseconds, "o", markersize=3.6,
                              color=colour(scenario, side)),
                    f"{side.name}: {100 * nines:g} % within {words.number(milliseconds)} ms",
                )  # fmt: skip
    if not most:
        return None
    axes.set_xscale("log")
    axes.set_yscale("log")
    _room(axes, "y")
    shown = [nines for nines in NINES if _told(nines, most)] or [0.5]
    axes.set_xticks([1 / (1 - nines) for nines in shown], [f"{100 * n:g} %" for n in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    _log_ticks(axes, "y")
    _numbered(axes, ends)
    axes.set_xlabel("of the answers came within …")
    axes.set_ylabel("ms")
    return drawing.svg()


def _room(axes: Axes, which: str) -> None:
    """Give a logarithmic axis at least a factor of four, so that flat curves look flat."""
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    if high / low < 4:
        middle = (low * high) ** 0.5
        (axes.set_ylim if which == "y" else axes.set_xlim)(middle / 2, middle * 2)


def over_time(scenario: ScenarioResult) -> str | None:
    """Draw the answers of each second, a thin line a round, their median a thick one.

    None where the subject's were not kept, or are of a few seconds.
    """
    seconds = max((len(one.over_time) for one in scenario.subject.rounds), default=0)
    if seconds < FEW_SECONDS:
        return None
    drawing = Drawing(f"{scenario.name}-time", "Answers in each second")
    axes = drawing.axes
    longest = 0
    ends: list[tuple[int, float, float, object]] = []
    for side in _ran(scenario):
        curves = [one.over_time for one in side.rounds if len(one.over_time) > 1]
        if not curves:
            continue
        line = style(scenario, side)
        for curve in curves:
            axes.plot(range(1, len(curve) + 1), curve, linewidth=0.7, alpha=0.4,
                      color=line["color"])  # fmt: skip
        common = min(len(curve) for curve in curves)
        longest = max(longest, *(len(curve) for curve in curves))
        middle = [median(curve[second] for curve in curves) for second in range(common)]
        axes.plot(range(1, common + 1), middle, label=side.name, **line)
        ends.append((number(scenario, side), common, middle[-1], line["color"]))
    if not longest:
        return None
    asked = {side.rate for side in scenario.sides if side.rate}
    for rate in asked:
        axes.axhline(rate, color=INK, linewidth=1, linestyle=(0, (2, 2)))
    axes.set_ylim(bottom=0)
    axes.set_xlim(1, max(longest, 2))
    _numbered(axes, ends)
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel("second of the round" + ("; dotted: the rate asked for" if asked else ""))
    axes.set_ylabel("answers in that second")
    return drawing.svg()


def cost(scenario: ScenarioResult) -> str | None:
    """Draw the CPU time of a request by process; None where it was not measured."""
    sides = [side for side in _ran(scenario) if sum(figures.spent(side).cpu.values())]
    if not sides:
        return None
    names, row = _wrapped([side.name for side in sides])
    drawing = Drawing(
        f"{scenario.name}-cost", "CPU time of a request, by process",
        height=0.62 + row * len(sides),
    )  # fmt: skip
    axes = drawing.axes
    for place, side in enumerate(sides):
        left = 0.0
        spent = figures.spent(side)
        for name in sorted(spent.cpu, key=figures.process_order):
            milliseconds = spent.cpu[name]
            bar = axes.barh(
                place, milliseconds, 0.62, left, color=part(name),
                alpha=0.45 if name == "generator" else 0.9,
            )  # fmt: skip
            drawing.note(list(bar), f"{side.name}, {name}: {words.number(milliseconds)} ms")
            left += milliseconds
        axes.annotate(
            f"{words.number(spent.stack_cpu)}", (left, place), (6, 0), textcoords="offset points",
            va="center", fontweight="bold", color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(sides)), names)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(sides) - 0.5, -0.5)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.1)
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("CPU ms a request; the figure is without the generator")
    return drawing.svg()


def part(process: str) -> str:
    """Return a process's colour."""
    return PARTS[figures.process_order(process) % len(PARTS)]


# -- scaling ----------------------------------------------------------------------------------


def curve(
    name: str,
    title: str,
    axis: str,
    unit: str,
    points: Sequence[tuple[float, Sequence[float]]],
    line: Sequence[tuple[float, float]] = (),
    ideal: Sequence[tuple[float, float]] = (),
) -> str:
    """Draw a curve on two logarithmic axes: each round a dot, the fit a line, the ideal dotted."""
    drawing = Drawing(f"scale-{name}", title)
    axes = drawing.axes
    for x, figures_there in points:
        for figure in figures_there:
            drawing.note(
                axes.plot(x, figure, "o", markersize=4.5, color=SERIES[0], alpha=0.75),
                f"{words.number(x)} {axis}: {words.number(figure)} {unit}",
            )
    if line:
        axes.plot(*zip(*line, strict=True), color=SERIES[0])
    else:
        middle = [(x, median(some)) for x, some in points]
        axes.plot(*zip(*middle, strict=True), color=SERIES[0])
    if ideal:
        axes.plot(*zip(*ideal, strict=True), color=MUTED, linestyle=(0, (2, 2)), linewidth=1.2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _room(axes, "y")
    _log_ticks(axes, "y")
    places = sorted({x for x, _ in points})
    crowded = any(b / a < 1.5 for a, b in pairwise(places))
    axes.set_xticks(places[::2] if crowded else places, minor=False)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    axes.set_xlabel(axis)
    axes.set_ylabel(unit)
    axes.grid(color=GRID)
    return drawing.svg()

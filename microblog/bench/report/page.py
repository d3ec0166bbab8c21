"""The report as one HTML page: no script, no font, no address but its own."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from microblog.bench.report import figures, plots, strategies, words
from microblog.bench.report.facts import facts
from microblog.bench.report.pages import (
    Curves,
    Source,
    by_name,
    first,
    first_of_curves,
    latest,
    latest_curves,
    measured_curves,
)
from microblog.bench.report.questions import by_question
from microblog.bench.report.scaling import section as scaling_section
from microblog.bench.result import PERCENTILES, Latency, ScenarioResult, Side
from microblog.bench.scenario import BENCH

SHOWN_STATEMENTS = 8
QUERY_LENGTH = 300
FACTS = (  # that are shown at once; settings and versions are unfolded
    *("measured", "commit", "on", "users", "follows", "posts", "rows in feeds", "database"),
    *("rounds", "took"),
)
# Of what tells runs apart; the rest, settings above all, is a list that is unfolded.
RUN_COLUMNS = ("users", "follows", "posts", "rows in feeds", "database", "rounds", "took", "seed")
COST_COLUMNS = [
    *("WAL", "buffers hit", "read", "memory", "peak", "in flight", "sent late, p99 ms", "checked"),
]


def page(runs: list[Source], curves: Sequence[Curves] = ()) -> str:
    """Return the page of runs and curves: each scenario and each curve from its last file."""
    parts = latest(runs) or runs[-1:]
    scalings = latest_curves(list(curves))
    groups = by_question(parts)
    scenarios = [(one, name) for some in groups.values() for one, _, name in some]
    common, table = _runs(parts)
    environment = Environment(
        loader=FileSystemLoader(BENCH / "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = (BENCH / "page" / "page.css").read_text()
    ratios = any(
        ratio.values and figures.tells(one, one.subject.name, ratio.to)
        for one, _ in scenarios
        for ratio in one.ratios
    )
    when = {name: f"{run.at[:10]} at commit {run.commit}" for run, name in parts}
    return environment.get_template("page.html").render(
        title="pg-microblog, measured",
        css=Markup(css),  # noqa: S704 - this project's own file
        facts=[pair for pair in common if pair[0] in FACTS],
        settings=[pair for pair in common if pair[0] not in FACTS],
        runs=table,
        warnings=[
            (name if len(parts) + len(scalings) > 1 else "", texts)
            for name, texts in [
                *((_label(name), first(run)) for run, name in parts),
                *((_label(name), first_of_curves(one)) for one, name in scalings),
            ]
            if texts
        ],
        tiles=_tiles([one for one, _ in scenarios]),
        overview=_svg(plots.overview([one for one, _ in scenarios])) if ratios else None,
        compared=_compared(parts),
        questions=[
            (question, [_scenario(one) | {"measured": when[name]} for one, _, name in some])
            for question, some in groups.items()
        ],
        scaling=[
            scaling_section(one, f"{measured_curves(scaling)}, from {name}")
            for scaling, name, one in by_name(scalings)
        ],
        sources=[name for _, name in (*parts, *scalings)],
    )


def _label(name: str) -> str:
    return PurePath(name).stem


def _runs(parts: list[Source]) -> tuple[list[tuple[str, str]], dict[str, Any] | None]:
    """Return the facts that all runs share, and a table of what tells them apart.

    One run has no table: all of its facts are shared.
    """
    each = [dict(facts(run)) for run, _ in parts]
    names = list(dict.fromkeys(name for one in each for name in one))
    shared = [name for name in names if len({one.get(name) for one in each}) == 1]
    common = [(name, each[0][name]) for name in shared]
    if len(parts) == 1:
        return common, None
    apart = [name for name in names if name not in (*shared, "measured", "commit")]
    head = [name for name in apart if name in RUN_COLUMNS]
    for one in each:
        one["rounds"] = one["rounds"].split(",")[0]  # the table's own words say the rest
    rows = [
        {
            "name": _label(name),
            "when": f"{one['measured']}, commit {one['commit']}"
            + (f", on {one['on']}:" if "on" in apart else ":"),
            "cells": [one.get(column, "–") for column in head],
            "more": [(key, one[key]) for key in apart if key not in head and key in one],
            "scenarios": [(each.name, each.title) for each in run.scenarios],
        }
        for (run, name), one in zip(parts, each, strict=True)
    ]
    return common, {"head": head, "rows": rows}


def _compared(parts: list[Source]) -> dict[str, Any] | None:
    """Return the strategies beside each other, as the documents have them; None without any."""
    found = strategies.gathered(parts)
    if found is None:
        return None
    run, others = found
    name = next(name for one, name in parts if one.scenario(strategies.READ))
    rest = f" Not of that run: {', '.join(others)}.".replace("`", "") if others else ""
    drawing = strategies.plot(run)
    return {
        "measured": f"Measured {run.at[:10]} at commit {run.commit}, from {name}.{rest}",
        "head": strategies.COLUMNS,
        "rows": strategies.rows(run),
        "notes": strategies.notes(run).replace("`", ""),
        "plot": _svg(drawing.svg()) if drawing else None,
    }


def _svg(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - drawn here; labels were escaped when drawn


def _tiles(scenarios: list[ScenarioResult]) -> list[dict[str, str]]:
    judged = [each for one in scenarios for each in figures.verdicts(one)]
    counts = figures.counted(judged)
    wrong = sum(len(figures.wrong(one)) for one in scenarios)
    rounds = [each for one in scenarios for side in one.sides for each in side.rounds]
    checked = sum(each.checked for each in rounds)
    failed = sum(sum(each.errors.values()) for each in rounds)
    return [
        {
            "name": "targets reached",
            "figure": f"{counts['reached']} of {len(judged)}",
            "kind": "bad" if counts["missed"] else "" if counts["undecided"] else "good",
            "about": f"{counts['undecided']} undecided, {counts['missed']} missed, in "
            f"{len(scenarios)} scenarios",
        },
        {
            "name": "answers",
            "figure": words.number(sum(each.count for each in rounds)),
            "kind": "",
            "about": f"in {len(rounds)} rounds",
        },
        {
            "name": "wrong answers",
            "figure": words.number(wrong),
            "kind": "bad" if wrong else "good",
            "about": f"of {words.number(checked)} compared with the definition",
        },
        {
            "name": "errors",
            "figure": words.number(failed),
            "kind": "bad" if failed else "good",
            "about": "refused, failed or timed out, peers and floors included",
        },
    ]


def _published(scenario: ScenarioResult) -> dict[str, Any] | None:
    if not scenario.published:
        return None
    names = list(dict.fromkeys(key for one in scenario.published for key in one.figures))
    latency, answers = figures.latency(scenario.subject), figures.answers(scenario.subject)
    p50, p99 = words.percentiles(latency, answers, "p50", "p99")
    return {
        "about": f"Here, {scenario.subject.name}, {words.load(scenario.subject)}: "
        f"p50 {p50} ms, p99 {p99} ms.",
        "names": [one.name for one in scenario.published],
        "rows": [
            {
                "name": words.MEASURES.get(key, key),
                "theirs": [words.measured(one.figures.get(key, "–")) for one in scenario.published],
                "ours": figures.ours(scenario.subject, key),
            }
            for key in names
        ],
    }


TAILS = (*PERCENTILES, "max")


def _latency(latency: Latency, answers: int) -> list[str]:
    return words.percentiles(latency, answers, *TAILS)


def _errors(kinds: dict[str, int]) -> str:
    if not kinds:
        return "0"
    return ", ".join(f"{words.number(count)} {kind}" for kind, count in kinds.items())


def _side(scenario: ScenarioResult, side: Side) -> dict[str, Any]:
    if not side.rounds:
        return {"name": side.name, "role": side.role, "absent": side.absent or "no round"}
    spent = figures.spent(side)
    style = plots.style(scenario, side)
    return {
        "name": side.name,
        "role": side.role,
        "absent": "",
        "number": plots.number(scenario, side),
        "load": "" if scenario.measure == "figure" else words.load(side),
        "colour": plots.css_colour(scenario, side),
        "line": {"--": "dashed", ":": "dotted", "-.": "dashed"}.get(
            str(style["linestyle"]), "solid"
        ),
        "value": figures.value(scenario, side),
        "ratio": figures.compared(scenario, side),
        "count": words.number(sum(one.count for one in side.rounds)),
        "errors": _errors(words.errors(side.rounds)),
        "dropped": words.number(sum(one.dropped for one in side.rounds)),
        "settle": words.number(max(one.settle for one in side.rounds)),
        "latency": figures.percentiles(scenario, side, *TAILS),
        "cpu": [
            words.number(spent.stack_cpu),
            *(words.number(spent.cpu.get(name, 0.0)) for name in _served(scenario)),
            f"{spent.generator_share:.0%}",
            f"{spent.others:.0%}",
            f"{spent.idle:.0%}",
        ],
        "cost": [
            words.size(spent.wal_bytes),
            words.number(spent.buffers_hit),
            words.number(spent.buffers_read),
            words.size(sum(spent.memory.values())),
            words.size(spent.peak) if spent.peak else "–",
            words.size(spent.in_flight) if spent.peak else "–",
            words.number(max(one.lateness for one in side.rounds)),
            words.number(sum(one.checked for one in side.rounds)),
        ],
    }


def _served(scenario: ScenarioResult) -> list[str]:
    return [name for name in figures.processes(scenario) if name != "generator"]


def _statements(side: Side) -> list[dict[str, Any]]:
    last = side.rounds[-1].cost.statements if side.rounds else []
    longest = sorted(last, key=lambda one: -one.milliseconds)[:SHOWN_STATEMENTS]
    return [
        {
            "query": " ".join(one.query.split())[:QUERY_LENGTH],
            "figures": [
                words.number(one.calls),
                words.number(one.milliseconds / max(one.calls, 1)),
                words.number(one.milliseconds),
                words.number(one.rows),
                words.number((one.buffers_hit + one.buffers_read) / max(one.calls, 1)),
                words.size(one.wal_bytes / max(one.calls, 1)),
            ],
        }
        for one in longest
    ]


def _scenario(scenario: ScenarioResult) -> dict[str, Any]:
    judged = figures.verdicts(scenario)
    wrong = figures.wrong(scenario)
    drawable = scenario.subject.rounds and figures.tells(scenario, scenario.subject.name)
    costed = any(side.rounds and figures.costed(scenario, side) for side in scenario.sides)
    drawn = [
        (words.measure(scenario), plots.values(scenario) if drawable else None),
        ("CPU of a request", plots.cost(scenario) if costed else None),
        ("latency by percentile", plots.percentiles(scenario)),
        ("answers over time", plots.over_time(scenario)),
    ]
    mixes = [
        (f"{side.name}: {name}" if len(scenario.sides) > 1 else name, found)
        for side in scenario.sides
        for name, found in figures.operations(side).items()
        if len(figures.operations(side)) > 1
    ]
    return {
        "name": scenario.name,
        "title": scenario.title,
        "about": scenario.about,
        "unit": scenario.unit,
        "rounds": words.rounds(scenario),
        "mark": "✗" if wrong else figures.worst(judged),
        "verdicts": judged,
        "wrong": wrong,
        "plots": [(name, _svg(plot)) for name, plot in drawn if plot],
        "processes": plots.processes(scenario) if costed else [],
        "costed": costed,
        "timed": scenario.measure != "figure",
        "of": scenario.of,
        "published": _published(scenario),
        "cpu_columns": ["all", *_served(scenario), "generator's share", "others' share", "idle"],
        "cost_columns": COST_COLUMNS,
        "sides": [_side(scenario, side) for side in scenario.sides],
        "operations": [
            {
                "name": name,
                "figures": [words.number(count), _errors(kinds), *_latency(latency, count)],
            }
            for name, (count, kinds, latency) in mixes
        ],
        "statements": _statements(scenario.subject),
        "limitations": scenario.limitations,
    }

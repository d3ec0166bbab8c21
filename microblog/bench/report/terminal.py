"""A run in the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from microblog.bench.report import figures, words
from microblog.bench.report.facts import facts, warnings
from microblog.bench.report.judged import judged, told
from microblog.bench.report.pages import costs, loaded, published
from microblog.bench.result import Run, ScenarioResult, Side
from microblog.bench.scale_result import Scaling

COLOURS = {"reached": "green", "undecided": "yellow", "missed": "bold red"}
FACTS = ("measured", "commit", "on", "users", "follows", "rounds")
WIDE = 120  # columns of a terminal; one that has fewer is not shown all figures
FIGURES = ("p50 ms", "CPU ms", "WAL")  # that a narrow one is not shown
COSTS = 6  # columns of costs that it is shown


def show(run: Run, console: Console) -> None:
    """Print a run: what lessens its worth, a table of all sides, and what missed its target."""
    known = dict(facts(run))
    console.print("  ".join(f"{name} [bold]{known[name]}[/bold]" for name in FACTS))
    for text in warnings(run):
        console.print(f"[yellow]{escape(text)}[/yellow]")
    is_wide = console.width >= WIDE
    console.print(table(run, is_wide))
    for scenario in run.scenarios:
        if any(side.rounds and figures.costed(scenario, side) for side in scenario.sides):
            console.print(_costs(scenario, is_wide))
    if not is_wide:
        console.print(f"[dim]Terminals of {WIDE} columns and more are shown more figures.[/dim]")
    judged = [(one, verdict) for one in run.scenarios for verdict in figures.verdicts(one)]
    for scenario, verdict in judged:
        console.print(f"{_mark(verdict)} {scenario.name}: {escape(verdict.asked)}: {verdict.found}")
    for scenario in run.scenarios:
        notes = [
            words.rounds(scenario),
            *filter(None, [words.checked(scenario)]),
            *loaded(scenario),
        ]
        text = "; ".join(notes) + ". " + " ".join(scenario.limitations)
        console.print(f"[bold]{scenario.name}[/bold]: [dim]{escape(text)}[/dim]")
        if said := published(scenario):
            console.print(f"  {escape(said)}")
    if run.left_out:
        console.print(f"[yellow]No time was left for {', '.join(run.left_out)}.[/yellow]")
    for scenario in run.scenarios:
        for text in figures.wrong(scenario):
            console.print(f"[bold red]wrong answer[/bold red] {scenario.name}: {escape(text)}")


def _mark(verdict: figures.Verdict) -> str:
    return f"[{COLOURS[verdict.mark]}]{verdict.mark:<9}[/]"


def _costs(scenario: ScenarioResult, is_wide: bool) -> Table:
    """Return what an answer costs on each side, by process; see ``pages.costs``."""
    head, rows = costs(scenario)
    if not is_wide:
        head, rows = head[:COSTS], {name: cells[:COSTS] for name, cells in rows.items()}
    shown = Table(title=f"{escape(scenario.title)}: what an answer costs", title_justify="left")
    shown.add_column("side", overflow="fold")
    for name in head:
        shown.add_column(name, justify="right")
    for name, cells in rows.items():
        shown.add_row(escape(name), *cells)
    return shown


def table(run: Run, is_wide: bool) -> Table:
    """Return all sides of all scenarios: medians, ratios with their spread, tails and costs."""
    shown = Table(
        title="Medians of rounds that took turns; ratios are subject / other, least to largest; "
        "percentiles of the operation that is measured, CPU and WAL of a request; lost: errors and "
        "what was due and never sent",
        title_justify="left",
    )
    shown.add_column("what", overflow="fold")
    names = [
        name
        for name in ("measured", "unit", "ratio", "p50 ms", "p99 ms", "CPU ms", "WAL", "lost")
        if is_wide or name not in FIGURES
    ]
    for name in names:
        shown.add_column(name, justify="right", no_wrap=name != "ratio")
    for scenario in run.scenarios:
        shown.add_section()
        shown.add_row(f"[bold]{escape(scenario.title)}[/bold]")
        for side in scenario.sides:
            cells = _row(scenario, side)
            shown.add_row(_name(side), *(cells[name] for name in names))
    return shown


def _name(side: Side) -> str:
    return f"  {escape(side.name)}" + (" (floor)" if side.role == "floor" else "")


def _row(scenario: ScenarioResult, side: Side) -> dict[str, str]:
    if not side.rounds:
        absent = dict.fromkeys(("unit", "p50 ms", "p99 ms", "CPU ms", "WAL", "lost"), "")
        return absent | {"measured": "–", "ratio": side.absent or "not measured"}
    spent = figures.spent(side)
    p50, p99 = figures.percentiles(scenario, side, "p50", "p99")
    costed = figures.costed(scenario, side)
    ratio = next((one for one in scenario.ratios if one.to == side.name), None)
    told = figures.compared(scenario, side)
    if ratio is not None and (met := figures.reached(ratio, scenario)) is not None:
        told = f"[{COLOURS[met]}]{told}[/]"
    failed = figures.lost(side)
    return {
        "measured": figures.value(scenario, side),
        "unit": scenario.unit,
        "ratio": told,
        "p50 ms": p50,
        "p99 ms": p99,
        "CPU ms": words.number(spent.stack_cpu) if costed else "–",
        "WAL": words.size(spent.wal_bytes) if costed else "–",
        "lost": f"[red]{failed:,}[/red]" if failed else "0",
    }


def show_curves(scaling: Scaling, console: Console) -> None:
    """Print each curve's points, its fitted exponent, and whether that is within its bound."""
    for curve in scaling.curves:
        shown = Table(title=escape(curve.title), title_justify="left")
        for name in (curve.axis, curve.unit, "least", "most", ""):
            shown.add_column(name, justify="right")
        for point in curve.points:
            values = (point.middle, min(point.values), max(point.values))
            shown.add_row(words.number(point.x), *map(words.number, values), point.note)
        console.print(shown)
        console.print(escape(told(curve)))
        for verdict in judged(curve):
            console.print(f"{_mark(verdict)} {escape(verdict.asked)}: {verdict.found}")
        for text in filter(None, (curve.about, *curve.limitations)):
            console.print(f"[dim]{escape(text)}[/dim]")
    for name, why in scaling.failures.items():
        console.print(f"[bold red]not measured[/bold red] {name}: {escape(why)}")
    for run in scaling.runs:
        for text in warnings(run):
            console.print(f"[yellow]{escape(text)}[/yellow]")

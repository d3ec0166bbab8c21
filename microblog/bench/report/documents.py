"""Writes the parts of the project's documents that come from result files: the one list of them."""

from collections.abc import Iterator
from pathlib import Path

from microblog.bench.report import figures, goals, strategies
from microblog.bench.report.facts import of_the_run
from microblog.bench.report.pages import (
    NOTHING,
    Curves,
    Source,
    contents,
    filled,
    latest,
    latest_curves,
    markdown,
    measured,
    measured_curves,
)
from microblog.bench.result import Run
from microblog.bench.scenario import BENCH
from microblog.settings import ROOT

README, FIGURES = ROOT / "README.md", ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "strategies.svg"


def written(runs: list[Source], curves: list[Curves]) -> Iterator[tuple[Path, str]]:
    """Yield each file with what it has to say: each scenario and each curve from its last file."""
    parts = latest(runs)
    table, drawing = NOTHING, None
    if found := strategies.gathered(parts):
        compared, others = found
        head = " ".join(
            [_on(compared), *([f"Not of that run: {', '.join(others)}."] if others else [])]
        )
        table = f"{head}\n\n{strategies.markdown(compared)}"
        drawing = strategies.plot(compared)
    scalings = latest_curves(curves)
    reached = goals.markdown(parts, scalings)
    on = [f"- {_on(run)}" for run, _ in parts if _names_a_goal(run)]
    on += [f"- Curves, {measured_curves(one)}." for one, _ in scalings if one.curves]
    text = "\n".join(on) + f"\n\n{reached}" if on else reached
    readme = filled(README.read_text(), "goals", text)
    yield README, filled(readme, "strategies", table)
    page = filled(FIGURES.read_text(), "strategies", table)
    page = filled(page, "figures", markdown(parts, scalings))
    links = contents(parts, scalings)
    short = f"{goals.summary(parts)}\n\nFigures: {links}" if links else NOTHING
    yield FIGURES, filled(page, "summary", short)
    if drawing is not None:
        yield PLOT, drawing.file((BENCH / "page" / "page.css").read_text())


def _names_a_goal(run: Run) -> bool:
    return any(one.name in goals.GOALS and figures.verdicts(one) for one in run.scenarios)


def _on(run: Run) -> str:
    return " ".join([f"{measured(run)}.", *of_the_run(run)])


def write(runs: list[Source], curves: list[Curves]) -> list[Path]:
    """Write the documents; return their files."""
    files = []
    for file, text in written(runs, curves):
        file.write_text(text)
        files.append(file)
    return files

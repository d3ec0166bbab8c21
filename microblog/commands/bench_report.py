"""``microblog bench report``."""

from pathlib import Path

import click

from microblog.bench import scale_result
from microblog.bench.record import RESULTS
from microblog.bench.report.page import page
from microblog.bench.report.pages import filled, markdown
from microblog.bench.report.terminal import show
from microblog.bench.result import read
from microblog.commands.bench_files import newest, run_file
from microblog.commands.common import console, say
from microblog.settings import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


@click.command()
@click.argument("run", required=False)
@click.option(
    "--scale",
    "curves",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Curves to show beside it. Default: the newest of bench/results/scale.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the page goes. Default: beside RUN, with the ending .html.",
)
@click.option("--write", is_flag=True, help="Put the tables into docs/benchmarks.md.")
def command(run: str | None, curves: Path | None, html: Path | None, write: bool) -> None:
    """Show RUN (a file, or how its name begins; default: the newest): tables here, plots in a page.

    The page is one file that loads nothing from elsewhere.
    """
    file = run_file(run)
    measured = read(file)
    show(measured, console)
    curves = curves or newest(RESULTS / "scale")
    scaling = scale_result.read(curves) if curves else None
    source = f"Figures: bench/results/{file.name}" + (
        f"; curves: bench/results/scale/{curves.name}." if curves else "."
    )
    html = html or file.with_suffix(".html")
    html.write_text(page(measured, source, scaling.curves if scaling else ()))
    say(f"report: {html}")
    if write:
        sources = [f"bench/results/{file.name}"]
        if curves:
            sources.append(f"bench/results/scale/{curves.name}")
        PAGE.write_text(filled(PAGE.read_text(), "figures", markdown(measured, sources, scaling)))
        say(f"report: {PAGE.relative_to(ROOT)} filled from {' and '.join(sources)}")

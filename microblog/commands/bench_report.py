"""``microblog bench report``."""

import os
from pathlib import Path

import click

from microblog.bench import scale_result
from microblog.bench.record import RESULTS
from microblog.bench.report import documents
from microblog.bench.report.page import page
from microblog.bench.report.terminal import show
from microblog.bench.result import read
from microblog.commands.bench_files import newest, run_file
from microblog.commands.common import console, say


@click.command()
@click.argument("runs", nargs=-1)
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
    help="Where the page of the last run goes. Default: beside it, with the ending .html.",
)
@click.option("--write", is_flag=True, help="Put tables and plot into README.md and docs.")
def command(runs: tuple[str, ...], curves: Path | None, html: Path | None, write: bool) -> None:
    """Show RUNS (files, or how their names begin; default: the newest).

    Tables here, plots in a page, one file that loads nothing from elsewhere. Of several runs the
    documents get each scenario from the last one that has it.
    """
    files = [run_file(name) for name in runs] or [run_file(None)]
    for file in files:
        show(read(file), console)
    curves = curves or newest(RESULTS / "scale")
    scaling = scale_result.read(curves) if curves else None
    last = files[-1]
    source = f"Figures: bench/results/{last.name}" + (
        f"; curves: bench/results/scale/{curves.name}." if curves else "."
    )
    html = html or last.with_suffix(".html")
    html.write_text(page(read(last), source, scaling.curves if scaling else ()))
    say(f"report: {html}")
    if write:
        written = documents.write(
            [(read(file), f"bench/results/{file.name}") for file in files],
            (scaling, f"bench/results/scale/{curves.name}") if scaling and curves else None,
        )
        for file in written:
            say(f"report: {os.path.relpath(file)} written")

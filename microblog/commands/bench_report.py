"""``microblog bench report``."""

import os
from pathlib import Path

import click

from microblog.bench.report import documents
from microblog.bench.report.page import page
from microblog.bench.report.terminal import show
from microblog.commands.bench_files import read_curves, read_runs, run_file
from microblog.commands.common import console, say


@click.command()
@click.argument("runs", nargs=-1)
@click.option(
    "--scale",
    "curves",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Curves to show beside it; may be repeated. Default: all of bench/results/scale.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the page goes. Default: beside the last run, with the ending .html.",
)
@click.option("--write", is_flag=True, help="Put tables and plot into README.md and docs.")
def command(
    runs: tuple[str, ...], curves: tuple[Path, ...], html: Path | None, write: bool
) -> None:
    """Show RUNS (files, how their names begin, or "newest", which is the default).

    Tables here, plots in a page, one file that loads nothing from elsewhere. Of several runs the
    page and the documents get each scenario from the last one that has it, and of several files of
    curves each curve.
    """
    files = [run_file(name) for name in runs] or [run_file(None)]
    read, scalings = read_runs(files), read_curves(curves)
    for run, _ in read:
        show(run, console)
    html = html or files[-1].with_suffix(".html")
    html.write_text(page(read, scalings))
    say(f"report: {html}")
    if write:
        for file in documents.write(read, scalings):
            say(f"report: {os.path.relpath(file)} written")

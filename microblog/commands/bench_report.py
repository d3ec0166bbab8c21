"""``microblog bench report``."""

from pathlib import Path

import click

from microblog.bench import scale_result
from microblog.bench.record import RESULTS
from microblog.bench.report.page import page
from microblog.bench.report.terminal import show
from microblog.bench.result import read
from microblog.commands.bench_files import newest, run_file
from microblog.commands.common import console, say


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
def command(run: str | None, curves: Path | None, html: Path | None) -> None:
    """Show RUN (a file, or how its name begins; default: the newest): tables here, plots in a page.

    The page is one file that loads nothing from elsewhere.
    """
    file = run_file(run)
    measured = read(file)
    show(measured, console)
    curves = curves or newest(RESULTS / "scale")
    scaling = scale_result.read(curves).curves if curves else []
    source = f"Figures: bench/results/{file.name}" + (
        f"; curves: bench/results/scale/{curves.name}." if curves else "."
    )
    html = html or file.with_suffix(".html")
    html.write_text(page(measured, source, scaling))
    say(f"report: {html}")

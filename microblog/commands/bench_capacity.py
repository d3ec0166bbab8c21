"""``microblog bench capacity``."""

from pathlib import Path

import click

from microblog.bench import capacity, scale_result
from microblog.bench.record import RESULTS
from microblog.bench.report.pages import filled
from microblog.bench.result import read
from microblog.commands.bench_files import newest, run_file
from microblog.commands.common import console, say
from microblog.errors import StackError
from microblog.settings import ROOT

PAGE = ROOT / "docs" / "capacity.md"


def _pair(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for one in given:
        name, _equals, value = one.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise click.BadParameter(f"{one!r} is not NAME=NUMBER") from None
    return found


@click.command()
@click.argument("run", required=False)
@click.option(
    "--users",
    "sizes",
    type=click.FloatRange(min=1),
    multiple=True,
    default=(1e7, 1e8),
    help="How many users; may be repeated. Default: 10 and 100 million.",
)
@click.option(
    "--assume",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_pair,
    help="Assume something else, as pages=50; may be repeated.",
)
@click.option(
    "--scale",
    "curves",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Curves with the growth over users. Default: the newest of bench/results/scale.",
)
@click.option("--write", is_flag=True, help="Put the tables into docs/capacity.md.")
def command(
    run: str | None,
    sizes: tuple[float, ...],
    assume: dict[str, float],
    curves: Path | None,
    write: bool,
) -> None:
    """Derive from RUN what many users would take.

    RUN is a file, or how its name begins. Default: the newest that measured what is needed.
    """
    curves = curves or newest(RESULTS / "scale")
    scaling = scale_result.read(curves) if curves else None
    assumed = capacity.changed(assume)
    file = run_file(run) if run else _suitable()
    sources = [f"bench/results/{file.name}"]
    if curves:
        sources.append(f"bench/results/scale/{curves.name}")
    table = capacity.markdown(read(file), sources, list(sizes), assumed, scaling)
    if not write:
        console.print(table, markup=False)
        return
    PAGE.write_text(filled(PAGE.read_text(), "capacity", table))
    say(f"capacity: {PAGE.relative_to(ROOT)} filled from {' and '.join(sources)}")


def _suitable() -> Path:
    """Return the newest run that has all that a capacity needs."""
    for file in sorted(RESULTS.glob("*.json"), reverse=True):
        try:
            capacity.units(read(file))
        except StackError:
            continue
        return file
    raise StackError(
        "no run has what a capacity is derived from",
        "Measure: microblog bench run timeline-floors posting-storm fan-out-chunk",
    )

"""``microblog bench capacity``."""

from pathlib import Path

import click

from microblog.bench.capacity import measured, tables
from microblog.bench.capacity.assumed import changed
from microblog.bench.record import RESULTS
from microblog.commands.bench_files import read_curves, read_runs, run_file
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
@click.argument("runs", nargs=-1)
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
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Curves with the growth over users; may be repeated. Default: all of bench/results/scale.",
)
@click.option("--write", is_flag=True, help="Put the tables into docs/capacity.md.")
def command(
    runs: tuple[str, ...],
    sizes: tuple[float, ...],
    assume: dict[str, float],
    curves: tuple[Path, ...],
    write: bool,
) -> None:
    """Derive from RUNS what many users would take.

    RUNS are files, or how their names begin; each scenario is taken from the last that has it.
    Default: the newest that measured all that is needed.
    """
    assumed = changed(assume)
    files = [run_file(name) for name in runs] or [_suitable()]
    derived = measured.units(read_runs(files), read_curves(curves))
    if not write:
        console.print(tables.markdown(derived, list(sizes), assumed), markup=False)
        console.print("\n" + tables.ends_markdown(derived, assumed), markup=False)
        return
    PAGE.write_text(tables.page(PAGE.read_text(), derived, list(sizes), assumed))
    say(f"capacity: {PAGE.relative_to(ROOT)} filled from {' and '.join(derived.files())}")


def _suitable() -> Path:
    """Return the newest run that has all that a capacity needs."""
    for file in sorted(RESULTS.glob("*.json"), reverse=True):
        try:
            measured.units(read_runs([file]))
        except StackError:
            continue
        return file
    raise StackError(
        "no run has what a capacity is derived from",
        "Measure: microblog bench run timeline-floors limits posting-storm fan-out-chunk",
    )

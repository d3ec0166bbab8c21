"""``microblog bench scale``."""

import click
from msgspec.structs import replace

from microblog.bench import scale
from microblog.bench.report.terminal import show_curves
from microblog.commands.common import console, say
from microblog.seed import PRESETS
from microblog.settings import ROOT


def with_full(curve: scale.Sizes) -> scale.Sizes:
    """Return a curve over users with the network full among its sizes; others as they are."""
    largest = PRESETS["full"].users
    return replace(curve, sizes=sorted({*curve.sizes, largest})) if curve.vary == "users" else curve


@click.command()
@click.argument("curves", nargs=-1)
@click.option(
    "--stack",
    metavar="NAME",
    default="bench",
    show_default=True,
    help="How its stacks' names begin.",
)
@click.option("--preset", type=click.Choice(list(PRESETS)), default="small", show_default=True)
@click.option("--full", is_flag=True, help="Also a network of the preset full; takes long.")
@click.option("--rounds", type=click.IntRange(2, 100), default=3, show_default=True)
@click.option("--seconds", type=click.IntRange(1, 600), default=3, show_default=True)
def command(
    curves: tuple[str, ...], stack: str, preset: str, full: bool, rounds: int, seconds: int
) -> None:
    """Measure CURVES (default: all of bench/curves): one load at several sizes, with the fit.

    Networks of other sizes than the preset's get stacks of their own, NAME-SIZE, whose
    data stays for the next time.
    """
    found = scale.read_all(curves)
    wanted = [with_full(one) for one in found] if full else found
    measured = scale.run(
        wanted,
        stack=stack,
        preset=preset,
        rounds=rounds,
        seconds=float(seconds),
        say=say,
    )
    show_curves(measured, console)
    file = scale.save(measured)
    say(f"scale: written to {file.relative_to(ROOT)}; the page: microblog bench report")

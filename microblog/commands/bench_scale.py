"""``microblog bench scale``."""

import os

import click

from microblog.bench import scale
from microblog.bench.report.terminal import show_curves
from microblog.commands.common import console, say
from microblog.errors import StackError
from microblog.seed import PRESETS


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
@click.option("--full", is_flag=True, help="On the preset full, up to its sizes; takes long.")
@click.option("--rounds", type=click.IntRange(2, 100), default=3, show_default=True)
@click.option("--seconds", type=click.IntRange(1, 600), default=3, show_default=True)
def command(
    curves: tuple[str, ...], stack: str, preset: str, full: bool, rounds: int, seconds: int
) -> None:
    """Measure CURVES (default: all of bench/curves): one load at several sizes, with the fit.

    Curves over users take a stack for each size, NAME-full-SIZE, and NAME-full for the largest; all
    are up at once, and their data stays for the next time. The other curves are measured on
    NAME-PRESET. What cannot be measured is told, and the rest is kept. Exit code 1 where something
    failed or an answer was wrong.
    """
    found = scale.read_all(curves)
    measured = scale.run(
        [one.full() for one in found] if full else found,
        stack=stack,
        preset="full" if full else preset,
        rounds=rounds,
        seconds=float(seconds),
        say=say,
    )
    show_curves(measured, console)
    file = scale.save(measured, scale.FOLDER)
    say(f"scale: written to {os.path.relpath(file)}; the page: microblog bench report")
    wrong = scale.problems(measured)
    if wrong:
        shown = "\n".join(wrong[:10])
        raise StackError(f"{len(wrong)} answers or curves went wrong:\n{shown}")

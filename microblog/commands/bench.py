"""``microblog bench``."""

import click

from microblog.bench import bench
from microblog.commands.common import say
from microblog.settings import Settings


@click.command()
@click.argument("scenarios", nargs=-1)
@click.option(
    "--stack", metavar="NAME", default="bench", help="Which stack to load. Default: bench."
)
@click.option("--rounds", type=click.IntRange(1, 100), default=3, help="Turns of each side.")
@click.option("--seconds", type=click.IntRange(1, 600), default=4, help="Length of a turn.")
def command(scenarios: tuple[str, ...], stack: str, rounds: int, seconds: int) -> None:
    """Measure SCENARIOS (default: all under bench/scenarios), each beside its baseline."""
    bench(Settings.load(stack), scenarios, rounds=rounds, seconds=seconds, say=say)

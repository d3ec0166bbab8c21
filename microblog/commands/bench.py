"""``microblog bench``."""

import click

from microblog.bench import bench
from microblog.commands.common import stack_option
from microblog.settings import Settings


@click.command()
@stack_option
def command(settings: Settings) -> None:
    """Measure this machine: feed pages and writes over HTTP, floors beside them."""
    bench(settings)

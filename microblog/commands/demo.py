"""``microblog demo``."""

import click

from microblog.commands.common import stack_option
from microblog.demo import demo
from microblog.settings import Settings


@click.command()
@stack_option
def command(settings: Settings) -> None:
    """Tour the running API: each request as a curl line with its answer."""
    demo(settings)

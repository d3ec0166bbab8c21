"""``microblog down``."""

import click

from microblog.commands.common import say, stack_option
from microblog.settings import Settings
from microblog.stack import Stack


@click.command()
@stack_option
@click.option("--wipe", is_flag=True, help="Remove the stack's folder with all its data, too.")
def command(settings: Settings, wipe: bool) -> None:
    """Stop the stack; requests in flight are answered first."""
    Stack(settings, say).down(wipe)
    say("down: nothing of the stack runs")

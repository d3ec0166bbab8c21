"""``microblog secrets``."""

import click

from microblog.commands.common import console, require_made, say, stack_option
from microblog.settings import Settings
from microblog.stack import Stack
from microblog.stack.rotation import rotate


@click.group()
def command() -> None:
    """Change the stack's passwords and keys, which nothing ever prints."""


@command.command(name="rotate")
@stack_option
@click.option("--at-once", is_flag=True, help="Forget the old key too: everybody logs in again.")
def rotate_command(settings: Settings, at_once: bool) -> None:
    """Replace every secret of the running stack by a new one; no request is refused.

    Tokens of the old key are honoured until they expire; then the key is forgotten by itself.
    """
    require_made(settings)
    rotate(Stack(settings, say), at_once)
    console.print("[bold green]done[/]")

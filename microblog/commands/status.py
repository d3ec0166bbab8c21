"""``microblog status``."""

import sys
from datetime import timedelta

import click
from rich.table import Table

from microblog.commands.common import console, require_made, stack_option
from microblog.settings import Settings
from microblog.stack import Stack

COLOURS = {"RUNNING": "green", "STARTING": "yellow", "STOPPED": "dim"}


@click.command()
@stack_option
def command(settings: Settings) -> None:
    """Show each process; exit code 1 where one does not run."""
    require_made(settings)
    table = Table(title=f"stack {settings.stack}", title_justify="left")
    for column in ("process", "state", "pid", "uptime", "address"):
        table.add_column(column, justify="right" if column in ("pid", "uptime") else "left")
    rows = Stack(settings).status()
    for row in rows:
        colour = COLOURS.get(row.state, "red")
        table.add_row(
            row.name,
            f"[{colour}]{row.state.lower()}[/]",
            str(row.pid or ""),
            "" if row.uptime is None else str(timedelta(seconds=int(row.uptime))),
            row.address,
        )
    console.print(table)
    if any(row.state != "RUNNING" for row in rows):
        sys.exit(1)

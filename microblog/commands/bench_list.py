"""``microblog bench list``."""

import click
from rich.table import Table

from microblog.bench.scenario import read_all
from microblog.commands.common import console


@click.command()
def command() -> None:
    """List the scenarios under bench/scenarios."""
    table = Table("scenario", "what", "sides, the subject first", "quick")
    for scenario in read_all():
        sides = "\n".join(
            f"{side.name}" + (f"  [dim]{side.role}[/dim]" if side.role != "subject" else "")
            for side in scenario.sides
        )
        mark = "yes" if scenario.quick else ""
        table.add_row(f"[bold]{scenario.name}[/bold]", scenario.title, sides, mark)
        table.add_section()
    console.print(table)

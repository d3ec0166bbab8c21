"""``microblog import``."""

from pathlib import Path

import click

from microblog.commands.common import stack_option
from microblog.importer import import_graph
from microblog.settings import Settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@stack_option
@click.option("--members", type=FILE, required=True, help="The accounts, one a line.")
@click.option("--edges", type=FILE, required=True, help="Who follows whom, one pair a line.")
def command(settings: Settings, members: Path, edges: Path) -> None:
    """Load accounts and follows from files, all or nothing."""
    import_graph(settings, members, edges)

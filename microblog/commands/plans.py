"""``microblog plans``."""

from pathlib import Path

import click

from microblog.commands.common import console, require_made, stack_option
from microblog.plans import keep
from microblog.settings import ROOT, Settings


@click.command()
@stack_option
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "docs" / "plans",
    show_default="docs/plans",
    help="Folder of the files; those there are replaced.",
)
def command(settings: Settings, into: Path) -> None:
    """Write the plans of the feed queries, as the stack's database executes them, to files."""
    require_made(settings)
    for file in keep(settings, into):
        console.print(f"plans: {file}")

"""``microblog migrate``."""

import click

from microblog import migrate
from microblog.commands.common import console, say, stack_option
from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import Stack, postgres


@click.command()
@stack_option
@click.option("--to", metavar="CHANGE", help="Deploy up to this change or tag only.")
@click.option("--revert-all", is_flag=True, help="Take the whole schema down, with all its data.")
@click.option("--revert-to", metavar="CHANGE", help="Revert what was deployed after this change.")
@click.option("--yes", is_flag=True, help="Do not ask before a revert.")
def command(
    settings: Settings, to: str | None, revert_all: bool, revert_to: str | None, yes: bool
) -> None:
    """Deploy the schema's changes that are missing, each verified; or revert."""
    if sum(map(bool, (to, revert_all, revert_to))) > 1:
        raise click.UsageError("choose one of --to, --revert-all and --revert-to")
    if not postgres.ready(settings):
        raise StackError("PostgreSQL does not run", "Start the stack: microblog up")
    if revert_all or revert_to:
        what = "the whole schema" if revert_all else f"everything after {revert_to}"
        if not yes:
            console.print(f"This drops {what} of database {settings.database}, data included.")
            click.confirm("Go on?", abort=True)
        migrate.revert(settings, to=revert_to, say=say)
    else:
        migrate.deploy(settings, to=to, say=say)
    Stack(settings).reload_schema_cache()
    console.print("[bold green]done[/]")

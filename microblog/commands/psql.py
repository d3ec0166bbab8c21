"""``microblog psql``."""

import os

import click

from microblog.commands.common import require_made, stack_option
from microblog.settings import Settings


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@stack_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Open psql as the superuser of the stack's database; ARGUMENTS go to psql."""
    require_made(settings)
    psql = str(settings.psql)
    os.execv(psql, [psql, "--dbname", settings.socket_dsn(), *arguments])  # noqa: S606

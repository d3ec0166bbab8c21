"""The ``microblog`` command: names its parts; each lives in a module of ``microblog.commands``."""

import importlib
import os
import sys
from typing import Any

import click
from rich.console import Console

from microblog.errors import StackError

COMMANDS = {
    "up": "microblog.commands.up",
    "down": "microblog.commands.down",
    "status": "microblog.commands.status",
    "logs": "microblog.commands.logs",
    "doctor": "microblog.commands.doctor",
    "migrate": "microblog.commands.migrate",
    "import": "microblog.commands.import_",
    "seed": "microblog.commands.seed",
    "worker": "microblog.commands.worker",
    "secrets": "microblog.commands.secrets",
    "psql": "microblog.commands.psql",
    "demo": "microblog.commands.demo",
    "bench": "microblog.commands.bench",
    "bench-login": "microblog.commands.bench_login",
    "plans": "microblog.commands.plans",
}
# Set for other databases; a stack's own connections say where they go.
LIBPQ_DEFAULTS = (
    *("PGSERVICE", "PGSERVICEFILE", "PGHOST", "PGHOSTADDR", "PGPORT"),
    *("PGUSER", "PGDATABASE", "PGOPTIONS"),
)


class Commands(click.Group):
    """Loads a command's module when it is asked for, so that each starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; its module calls it ``command``."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pg-microblog", prog_name="microblog")
def group() -> None:
    """A microblog backend whose every rule lives in PostgreSQL."""


def main(*arguments: Any) -> None:
    """Run the command line; errors that a person can mend end it with their message and 1."""
    for name in LIBPQ_DEFAULTS:
        os.environ.pop(name, None)
    try:
        group(list(arguments) or None)
    except StackError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print("error:", style="bold red", end=" ")
        console.print(error.message, markup=False)
        if error.hint:
            console.print(error.hint, markup=False)
        sys.exit(1)

"""``microblog doctor``."""

import sys

import click
from rich.text import Text

from microblog.commands.common import console, stack_option
from microblog.settings import Settings
from microblog.stack.doctor import examine


@click.command()
@stack_option
def command(settings: Settings) -> None:
    """Check this machine; exit code 1 where something required is missing."""
    lacking = 0
    for finding in examine(settings):
        if finding.ok:
            mark, colour = "ok", "green"
        elif finding.required:
            mark, colour = "missing", "bold red"
            lacking += 1
        else:
            mark, colour = "optional", "yellow"
        line = Text.assemble((f"{mark:8} ", colour), (f"{finding.name}: ", "bold"), finding.found)
        console.print(line)
        if not finding.ok:
            console.print(Text(f"         why:  {finding.why}"))
            console.print(Text(f"         mend: {finding.mend}"))
    if lacking:
        console.print(Text(f"{lacking} required missing; `bin/setup` installs most"))
        sys.exit(1)

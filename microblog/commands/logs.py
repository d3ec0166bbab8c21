"""``microblog logs``."""

import os

import click

from microblog.commands.common import require_made, stack_option
from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import binaries


@click.command()
@stack_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added.")
@click.option("-n", "--lines", default=50, show_default=True, help="How many lines of each.")
@click.argument("process", required=False)
def command(settings: Settings, follow: bool, lines: int, process: str | None) -> None:
    """Show the end of the logs: of every process, or of PROCESS (a name of `status`)."""
    require_made(settings)
    files = sorted(settings.log_dir.glob(f"{process or '*'}.log"))
    if not files:
        names = ", ".join(sorted(path.stem for path in settings.log_dir.glob("*.log")))
        raise StackError(
            f"there is no log of {process}" if process else "there are no logs yet",
            f"There are: {names}" if names else "Start the stack: microblog up",
        )
    tail = str(binaries.program("tail"))
    arguments = ["-n", str(lines), *(["-F"] if follow else []), *map(str, files)]
    os.execv(tail, [tail, *arguments])  # noqa: S606

"""``microblog bench list``."""

import shutil
import sys

import click

from microblog.bench.scenario import read_all, summary


@click.command()
def command() -> None:
    """List the scenarios under bench/scenarios: name, load, stacks, whether quick, and what.

    One line for each. The load is that of the subject: closed with so many clients, or open with so
    many requests a second.
    """
    lines = [("scenario", "load", "stack", "quick", "what"), *map(summary, read_all())]
    wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        text = "  ".join(map(str.ljust, line, wide)).rstrip()
        click.echo(text if room is None or len(text) <= room else f"{text[: room - 1]}…")

"""``microblog bench compare``."""

import sys

import click

from microblog.bench.compare import show
from microblog.bench.result import read
from microblog.commands.bench_files import run_file
from microblog.commands.common import console


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--strict", is_flag=True, help="End with 1 where a ratio got worse beyond noise.")
def command(before: str, after: str, strict: bool) -> None:
    """Compare two runs, BEFORE and AFTER (files, or how their names begin).

    What changed by more than the rounds differ among themselves is marked.
    """
    lines = show(read(run_file(before)), read(run_file(after)), console)
    if strict and any(line.mark == "worse" and line.against for line in lines):
        sys.exit(1)

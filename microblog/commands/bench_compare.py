"""``microblog bench compare``."""

import click

from microblog.bench import scale_result
from microblog.bench.compare import show, show_curves
from microblog.commands.bench_files import is_curves, read_runs, run_file
from microblog.commands.common import console
from microblog.errors import StackError


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--strict", is_flag=True, help="End with 1 where something got worse.")
def command(before: str, after: str, strict: bool) -> None:
    """Compare two runs, BEFORE and AFTER (files, or how their names begin), or two files of curves.

    What changed by more than the rounds differ among themselves is marked. With --strict it ends
    with 1 where a ratio or what the subject of a scenario costs (CPU beside that of the other
    sides, WAL, buffers) got worse, where a scenario, a side or a size is missing or failed, answers
    were wrong, errors are new or more than doubled, or a target was reached before and is missed
    now.
    """
    files = [run_file(before), run_file(after)]
    kinds = [is_curves(file) for file in files]
    if kinds[0] != kinds[1]:
        raise StackError("a run and curves cannot be compared", "Name two of the same kind.")
    if kinds[0]:
        worse = show_curves(*map(scale_result.read, files), console)
    else:
        worse = show(*(run for run, _ in read_runs(files)), console)
    if strict and worse:
        shown = "\n".join(worse[:20])
        raise StackError(f"{len(worse)} got worse:\n{shown}")

"""Weaken every protection in turn: ``python -m tests.security [-k PATTERN] [--document]``.

Ends with 1 where a mutation survives. A run of all of them is told of in docs/security.md.
"""

import re
import sys
import time

import click

from tests.security import document
from tests.security.mutants import MutationError, laboratory, load
from tests.support.cluster import running_cluster


@click.command()
@click.option("-k", "pattern", default="", help="Only those in whose group or name this is found.")
@click.option("--document", "write", is_flag=True, help="Only write their table into docs.")
def main(pattern: str, write: bool) -> None:
    """Take each protection away and tell which tests notice."""
    mutations = load()
    if write:
        document.write(mutations)
        return
    chosen = [m for m in mutations if re.search(pattern, f"{m.group} {m.name}")]
    if not chosen:
        raise click.UsageError(f"no mutation is found by {pattern!r}")
    survivors, where = [], document.where()
    with running_cluster() as cluster, laboratory(cluster) as lab:
        started = time.monotonic()
        lab.baseline(sorted({test for mutation in chosen for test in mutation.tests}))
        click.echo(f"{len(chosen)} mutations; their tests pass ({_seconds(started)})")
        for mutation in chosen:
            began = time.monotonic()
            try:
                verdict = lab.try_out(mutation)
                fate = "noticed" if verdict.is_killed else f"SURVIVES {verdict.survived}"
                is_killed = verdict.is_killed
            except MutationError as error:
                fate, is_killed = f"SAYS NOTHING: {error}", False
            click.echo(f"{mutation.group:<14} {mutation.name:<44} {_seconds(began):>7}  {fate}")
            if not is_killed:
                survivors.append(mutation.name)
        click.echo(f"{len(chosen)} mutations, {len(survivors)} survivors ({_seconds(started)})")
    if len(chosen) == len(mutations):
        document.write(mutations, document.outcome(where, len(chosen), survivors))
    for name in survivors:
        click.echo(f"  {name}")
    sys.exit(1 if survivors else 0)


def _seconds(since: float) -> str:
    return f"{time.monotonic() - since:.1f} s"


if __name__ == "__main__":
    main()

"""``microblog bench-login``."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from microblog.bench.login_timing import measure
from microblog.commands.common import console, require_made
from microblog.errors import StackError
from microblog.settings import DEFAULT_STACK, Settings
from microblog.stack import postgres


@click.command()
@click.option("--stack", metavar="NAME", default="bench", help="Which stack. Default: bench.")
@click.option("--samples", type=click.IntRange(20, 100_000), default=500, help="Logins of a kind.")
@click.option("--seed", type=int, default=0, help="Of the order of turns and of the interval.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the figures there.")
def command(stack: str, samples: int, seed: int, file: Path | None) -> None:
    """Measure whether the time of a refused login tells if there is such a user."""
    if stack == DEFAULT_STACK:
        raise StackError(
            "the stack main serves people; benchmarks want one of their own",
            "Leave --stack out, or name another: --stack bench.",
        )
    settings = Settings.load(stack)
    require_made(settings)
    with postgres.connect(settings) as connection:
        connection.execute(
            "insert into app.rate_limit_exemptions (address, note)"
            " values ('127.0.0.1', 'benchmarks') on conflict do nothing"
        )
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("pairs of logins", total=samples)
        timing = measure(
            settings.url, samples, seed, lambda done: progress.update(bar, completed=done)
        )
    console.print(
        f"{timing.samples} refused logins of each kind, medians: known {timing.known:.2f} ms, "
        f"unknown {timing.unknown:.2f} ms\n"
        f"difference {timing.difference:+.3f} ms, {timing.confidence:.0%} interval "
        f"{timing.low:+.3f} to {timing.high:+.3f} ms: "
        + ("within noise" if timing.within_noise else "[bold red]more than noise[/]")
        + f"\none login of each, told apart rightly: {timing.told_apart:.1%} (by chance: 50%)"
    )
    if file is not None:
        file.write_text(json.dumps(timing.as_dict(), indent=1) + "\n")

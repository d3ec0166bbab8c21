"""``microblog bench run``."""

import os

import click

from microblog.bench import record
from microblog.bench.report.goals import GOALS
from microblog.bench.report.terminal import show
from microblog.bench.run import problems, run_scenarios
from microblog.bench.scenario import read_all
from microblog.commands.common import console, say
from microblog.errors import StackError
from microblog.seed import PRESETS
from microblog.settings import Settings

QUICK_SECONDS = 2.0
QUICK_ROUNDS = 2
QUICK_WITHIN = 270.0  # seconds, seeding included: `make bench` is over within five minutes


@click.command()
@click.argument("scenarios", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All scenarios; takes more than an hour.")
@click.option("--stack", metavar="NAME", help="Which stack to load. Default: bench-<preset>.")
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), default="small", help="Data. Default: small."
)
@click.option(
    "--rounds", type=click.IntRange(1, 100), help="Turns of each side. Default: 3; quick: 2."
)
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), help="Length of a turn. Default: 10; quick: 2."
)
@click.option("--quick", is_flag=True, help="Only the scenarios of the quick pass, short turns.")
@click.option("--seed", type=int, default=1, help="The same number draws the same load.")
@click.option("--fresh", is_flag=True, help="Empty the stack and seed it anew first.")
def command(
    scenarios: tuple[str, ...],
    everything: bool,
    stack: str | None,
    preset: str,
    rounds: int | None,
    seconds: float | None,
    quick: bool,
    seed: int,
    fresh: bool,
) -> None:
    """Measure SCENARIOS, or --all, each beside its floors and rivals.

    Starts a stack of its own and stops it afterwards; its data stays for the next run. A quick
    pass is over within five minutes, begins with what the goals of the README ask for, and says
    which scenarios no time was left for. The result is a new file under bench/results. What would
    fill rival stores with every follow of the preset full is left out there, unless named. Exit
    code 1 where an answer was wrong or a scenario failed. Ctrl-C and SIGTERM end it with what was
    measured.
    """
    if bool(scenarios) == everything and not quick:
        raise click.UsageError(
            "name scenarios, or say --all: not both."
            if everything
            else "name scenarios (microblog bench list shows them), or say --all or --quick."
        )
    chosen = read_all(scenarios, quick)
    if preset == "full" and not scenarios:
        chosen = [one for one in chosen if not one.small_only]
    if quick:
        chosen.sort(key=lambda one: GOALS.index(one.name) if one.name in GOALS else len(GOALS))
    run = run_scenarios(
        Settings.load(stack or f"bench-{preset}"),
        chosen,
        rounds=rounds or (QUICK_ROUNDS if quick else 3),
        seconds=seconds or (QUICK_SECONDS if quick else 10.0),
        quick=quick,
        preset=preset,
        seed=seed,
        fresh=fresh,
        floor=not quick,
        deadline=QUICK_WITHIN if quick else None,
        say=say,
    )
    file = record.save(run, record.RESULTS)
    show(run, console)
    say(f"bench: written to {os.path.relpath(file)}")
    wrong = problems(run)
    if wrong:
        shown = "\n".join(wrong[:10])
        raise StackError(f"{len(wrong)} answers or scenarios went wrong:\n{shown}")

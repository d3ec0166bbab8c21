"""``microblog bench full``."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from microblog import plans
from microblog.bench import record, scale
from microblog.bench.capacity import measured, tables
from microblog.bench.capacity.assumed import Assumptions
from microblog.bench.report import documents
from microblog.bench.report.pages import Curves
from microblog.bench.report.terminal import show, show_curves
from microblog.bench.run import BROKEN, broken_off, problems, run_scenarios
from microblog.bench.scenario import read_all
from microblog.commands.bench_capacity import PAGE
from microblog.commands.bench_files import read_curves, read_runs
from microblog.commands.common import console, say
from microblog.errors import StackError
from microblog.settings import ROOT, Settings
from microblog.stack import Stack

STACK = "bench"


class Steps:
    """Does one thing after the other, whatever becomes of those before, and tells the time."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.failed: list[str] = []

    def do(self, what: str, step: Callable[[], None]) -> None:
        """Do one thing; what goes wrong is told and kept."""
        say(f"full: {what} ({(time.monotonic() - self.start) / 60:.0f} min)")
        try:
            step()
        except Exception as error:  # the other steps are worth having
            if broken_off(error):
                raise KeyboardInterrupt from error
            self.failed.append(f"{what}: {error}")
            say(f"full: {what} failed: {error}")


def _broken_off(files: list[Path]) -> StackError:
    """Say what is kept of a run that somebody broke off, and how to go on."""
    if not files:
        return StackError(
            "broken off before anything was measured", "Begin anew: microblog bench full"
        )
    kept = ", ".join(os.path.relpath(file) for file in files)
    return StackError(
        f"broken off; what was measured is kept in {kept}, and nothing more was begun",
        "All again on the data that is there: microblog bench full --keep. Or what is missing: "
        "microblog bench run NAME --preset full, then microblog bench report FILES --write.",
    )


@click.command()
@click.argument("scenarios", nargs=-1)
@click.option("--keep", is_flag=True, help="Measure on the data that is there; seed nothing.")
@click.option("--rounds", type=click.IntRange(1, 100), default=4, show_default=True)
@click.option("--seconds", type=click.FloatRange(1, 600), default=4.0, show_default=True)
@click.option("--preset", type=click.Choice(["small", "full"]), default="full", show_default=True)
@click.option("--curves/--no-curves", "wants_curves", default=True, help="Measure the curves too.")
def command(
    scenarios: tuple[str, ...],
    keep: bool,
    rounds: int,
    seconds: float,
    preset: str,
    wants_curves: bool,
) -> None:
    """Measure SCENARIOS (default: all) at full scale, and fill the documents: about two hours.

    Seeds the full network beside a bare COPY of the same rows and audits it; runs all scenarios on
    it, those that fill rival stores with every follow on a small one; measures the curves; writes
    README.md, docs/benchmarks.md, docs/capacity.md and docs/plans. A step or a scenario that fails
    is told, and the others go on. Measure one again with: bench run NAME --preset full, then bench
    report with the files of both and --write. Exit code 1 where something failed or an answer was
    wrong. Ctrl-C and SIGTERM keep what was measured; then nothing more is begun or written.
    """
    steps = Steps()
    files: list[Path] = []
    curves: list[Path] = []
    everything = read_all(scenarios)

    def measure(small: bool) -> None:
        name = "small" if small else preset
        chosen = [one for one in everything if one.small_only == small]
        if not chosen:
            return
        run = run_scenarios(
            Settings.load(f"{STACK}-{name}"),
            chosen,
            rounds=rounds,
            seconds=seconds,
            preset=name,
            fresh=not keep and not (small and preset == "small"),
            floor=not small,
            audit=True,
            say=say,
        )
        files.append(record.save(run, record.RESULTS))
        show(run, console)
        steps.failed += problems(run)
        if BROKEN in run.failures.values():
            raise KeyboardInterrupt  # which the run caught, to keep what it had

    def scaled() -> None:
        try:
            found = scale.run(
                [one.full() if preset == "full" else one for one in scale.read_all()],
                stack=STACK,
                preset=preset,
                rounds=4,
                seconds=2.0,
                say=say,
            )
        except StackError as error:
            if BROKEN in error.message:  # before there was anything to keep
                raise KeyboardInterrupt from error
            raise
        curves.append(scale.save(found, scale.FOLDER))
        show_curves(found, console)
        steps.failed += scale.problems(found)
        if BROKEN in found.failures.values():
            raise KeyboardInterrupt

    def scalings() -> list[Curves]:
        return read_curves(curves) if curves else []

    def report() -> None:
        for file in documents.write(read_runs(files), scalings()):
            say(f"full: {file.relative_to(ROOT)} written")

    def capacities() -> None:
        if not files:
            raise StackError("nothing was measured")
        derived = measured.units(read_runs(files), scalings())
        text = tables.page(PAGE.read_text(), derived, [1e7, 1e8], Assumptions())
        PAGE.write_text(text)
        say(f"full: {PAGE.relative_to(ROOT)} written")

    def planned() -> None:
        settings = Settings.load(f"{STACK}-{preset}")
        stack = Stack(settings, say)
        stack.up()
        try:
            for file in plans.keep(settings, ROOT / "docs" / "plans"):
                say(f"full: {file.relative_to(ROOT)} written")
        finally:
            stack.down()

    try:
        steps.do(f"scenarios on the network {preset}", lambda: measure(False))
        steps.do("plans of the feed queries", planned)
        steps.do("scenarios on the network small", lambda: measure(True))
        if wants_curves:
            steps.do("curves", scaled)
        steps.do("documents", report)
        steps.do("capacity", capacities)
    except KeyboardInterrupt:
        raise _broken_off([*files, *curves]) from None
    say(f"full: over after {(time.monotonic() - steps.start) / 60:.0f} min")
    if steps.failed:
        shown = "\n".join(steps.failed[:20])
        raise StackError(f"{len(steps.failed)} steps, scenarios or answers went wrong:\n{shown}")

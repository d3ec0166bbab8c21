"""``microblog bench``: names its parts; each lives in a module of its own."""

import importlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

PARTS = {
    "list": "microblog.commands.bench_list",
    "run": "microblog.commands.bench_run",
    "full": "microblog.commands.bench_full",
    "report": "microblog.commands.bench_report",
    "compare": "microblog.commands.bench_compare",
    "scale": "microblog.commands.bench_scale",
    "capacity": "microblog.commands.bench_capacity",
}


class Parts(click.Group):
    """Loads a part when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the parts in the order a person meets them."""
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one part; its module calls it ``command``."""
        if cmd_name not in PARTS:
            return None
        try:
            command: click.Command = importlib.import_module(PARTS[cmd_name]).command
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("microblog"):
                raise
            raise click.ClickException(
                f"{error.name} is not installed; the benchmarks need what bin/setup installs"
            ) from error
        return command


def _break_off(number: int, _: FrameType | None) -> None:
    """Do as Ctrl-C does, once: whoever sends the signal again must not break the clearing up."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def broken_off_by_sigterm() -> Iterator[None]:
    """SIGTERM is treated like Ctrl-C: what was measured is kept, and the stack is stopped."""
    before = signal.signal(signal.SIGTERM, _break_off)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command(cls=Parts)
@click.pass_context
def command(context: click.Context) -> None:
    """Measure, with floors and rivals in the same run; compare; show."""
    context.with_resource(broken_off_by_sigterm())

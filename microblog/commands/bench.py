"""``microblog bench``: names its parts; each lives in a module of its own."""

import importlib

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


@click.command(cls=Parts)
def command() -> None:
    """Measure, with floors and rivals in the same run; compare; show."""

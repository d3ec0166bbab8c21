"""``microblog up``."""

import click

from microblog.commands.common import console, say, stack_option
from microblog.settings import MOST, Settings
from microblog.stack import Stack


@click.command()
@stack_option
@click.option("--pooled/--direct", default=None, help="Through PgBouncer, or straight.")
@click.option("--instances", type=click.IntRange(1, MOST), help="How many PostgREST run.")
@click.option("--workers", type=click.IntRange(0, MOST), help="How many workers run.")
@click.option("--host", help="Address to listen on for HTTP (127.0.0.1; 0.0.0.0 for all).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port for HTTP (8080).")
@click.option("--pg-port", type=click.IntRange(1, 65535), help="PostgreSQL's port (5442).")
@click.option("--pooler-port", type=click.IntRange(1, 65535), help="PgBouncer's port (6442).")
@click.option(
    "--rest-port",
    type=click.IntRange(1, 65000),
    help="First of PostgREST's ports (8110); the admin ports lie 100 above.",
)
def command(settings: Settings, rest_port: int | None, **overrides: object) -> None:
    """Start the stack, deploy the schema, and wait until it answers.

    The options are remembered. On a running stack, only what they change is restarted.
    """
    if rest_port is not None:
        overrides |= _rest_ports(settings, rest_port, overrides)
    settings = settings.changed(**overrides)
    Stack(settings, say).up()
    console.print(f"[bold green]up[/]: [bold]{settings.url}[/]")


def _rest_ports(settings: Settings, first: int, overrides: dict[str, object]) -> dict[str, object]:
    count = int(str(overrides.get("instances") or settings.instances))
    ports = list(range(first, first + count))
    return {"rest_ports": ports, "rest_admin_ports": [port + 100 for port in ports]}

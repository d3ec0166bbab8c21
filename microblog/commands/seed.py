"""``microblog seed``."""

from datetime import UTC, datetime

import click

from microblog.commands.common import console, stack_option
from microblog.seed import PRESETS, seed
from microblog.settings import Settings


@click.command()
@stack_option
@click.option("--preset", type=click.Choice(list(PRESETS)), default="demo", show_default=True)
@click.option("--users", type=int, help="How many users.")
@click.option("--follows", type=int, help="How many follows.")
@click.option("--posts", type=int, help="How many posts, replies among them.")
@click.option("--largest", type=int, help="Followers of the author with the most.")
@click.option("--active-share", type=float, help="Of users, whose timelines are kept: 0 to 1.")
@click.option("--seed", "number", type=int, help="The same number makes the same network.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Posts are of the 60 days before this one. Default: today (UTC).",
)
@click.option("--floor", is_flag=True, help="Also measure a bare COPY of the same rows.")
@click.option("--audit-all", is_flag=True, help="Audit every user, not a sample of many.")
def command(
    settings: Settings,
    preset: str,
    number: int | None,
    until: datetime | None,
    floor: bool,
    audit_all: bool,
    **parameters: int | float | None,
) -> None:
    """Fill an empty database with a made-up network, all or nothing.

    The options replace figures of the preset. demo: 300 users; small: 20,000 users, a million
    follows; full: 1,091,000 users, 50,368,293 follows, one author with 1,026,999 followers.
    """
    shape = PRESETS[preset].changed(seed=number, **parameters)
    until = until.replace(tzinfo=UTC) if until else None
    seed(settings, shape, console=console, until=until, floor=floor, audit_all=audit_all)

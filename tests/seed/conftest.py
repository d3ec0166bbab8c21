"""A seeded database, shared by the tests that only look."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from rich.console import Console

from microblog.seed import PRESETS, Seeded, Shape, seed
from tests.support.cluster import Cluster
from tests.support.database import Database

UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
DEMO = PRESETS["demo"]
# Some readers inactive; reserved readers of exactly 50.
MIXED = DEMO.changed(active_share=0.4)

Fill = Callable[..., tuple[Seeded, str]]


def fill(
    database: Database, shape: Shape = MIXED, until: datetime | None = UNTIL, floor: bool = False
) -> tuple[Seeded, str]:
    """Seed a database; gives the result and what was printed."""
    printed = io.StringIO()
    console = Console(file=printed, width=160)
    return seed(database.settings, shape, database.name, console, until, floor), printed.getvalue()


@pytest.fixture(scope="module")
def seeded(cluster: Cluster) -> Iterator[Database]:
    """A database with the shape MIXED, in which authors of more than 100 followers are pulled."""
    with cluster.clone() as database:
        database.set(fan_out_pull_limit=100, fan_out_push_limit=80)
        database.run("update app.view_refreshes set refreshed_at = now() + interval '1 hour'")
        fill(database)
        yield database

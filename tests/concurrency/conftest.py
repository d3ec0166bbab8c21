"""Fixtures of the interleavings."""

from collections.abc import Iterator

import pytest

from tests.support.actors import Stage, stage
from tests.support.database import Database


@pytest.fixture
def database(database: Database) -> Database:
    """A database of this test's own, where no recurring job comes in between."""
    database.pause_schedules()
    return database


@pytest.fixture
def actors(database: Database) -> Iterator[Stage]:
    """Sessions in threads before this test's database."""
    with stage(database) as made:
        yield made

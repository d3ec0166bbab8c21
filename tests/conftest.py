"""Fixtures of the whole suite. What is shared by a module must bear being shared: each test there
signs up users of its own and looks at nobody else's.
"""

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster, running_cluster
from tests.support.database import Database
from tests.support.servers import Served, serve_api, serve_rest


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running PostgreSQL with the schema deployed in a template database."""
    with running_cluster() as running:
        yield running


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A database of this test's own, schema deployed, nobody in it."""
    with cluster.clone() as clone:
        yield clone


@pytest.fixture(scope="module")
def module_database(cluster: Cluster) -> Iterator[Database]:
    """A database that the tests of a module share."""
    with cluster.clone() as clone:
        yield clone


@pytest.fixture
def rest(database: Database) -> Iterator[Served]:
    """PostgREST before this test's own database."""
    with serve_rest(database) as served:
        yield served


@pytest.fixture(scope="module")
def module_rest(module_database: Database) -> Iterator[Served]:
    """PostgREST before the module's database."""
    with serve_rest(module_database) as served:
        yield served


@pytest.fixture(scope="module")
def api(module_database: Database) -> Iterator[Served]:
    """The public contract, HAProxy before PostgREST, for the module's database."""
    with serve_api(module_database) as served:
        yield served


@pytest.fixture
def own_api(database: Database) -> Iterator[Served]:
    """The public contract for a database of this test's own."""
    with serve_api(database) as served:
        yield served

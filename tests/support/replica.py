"""A streaming replica of the test cluster, and PostgREST before it."""

from collections.abc import Iterator
from contextlib import contextmanager

from microblog.settings import Settings
from microblog.stack import replica
from tests.support.database import Database
from tests.support.servers import Served

replica_of = replica.replica_of


def wait_for_replay(primary: Database, settings: Settings) -> None:
    """Wait until the replica has everything that the primary has committed so far."""
    with primary.superuser() as connection:
        replica.wait_for_replay(connection, settings, primary.name)


@contextmanager
def serve_replica(database: Database, settings: Settings) -> Iterator[Served]:
    """Serve a database of the replica by PostgREST alone; it cannot LISTEN there."""
    with replica.postgrest(database.settings, settings, database.name) as (process, port, _):
        served = Served(f"http://127.0.0.1:{port}", False, database, process)
        try:
            yield served
        finally:
            served.close()

"""A streaming replica of the test cluster, and PostgREST before it."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from microblog.settings import Settings
from microblog.stack import postgres, rest, secret_files
from microblog.stack.ports import free_ports
from microblog.stack.privileges import service_user
from microblog.stack.process import Process, wait_for
from tests.support.database import Database
from tests.support.servers import Served


@contextmanager
def replica_of(primary: Settings) -> Iterator[Settings]:
    """Copy the running cluster and follow it; gives the replica's settings. Removed at the end."""
    settings = replace(primary, stack=f"{primary.stack}-r", pg_port=free_ports(1)[0])
    user = service_user(settings.root)
    process = Process(
        "replica",
        postgres.argv(settings),
        primary.log_dir / "replica.log",
        env=postgres.environment(settings),
        prefix=user.prefix,
        stop_signal=signal.SIGINT,
    )
    try:
        postgres.configure(settings)
        for folder in (settings.socket_dir, settings.data_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            user.own(folder)
        user.run(
            [
                settings.pg_bin / "pg_basebackup",
                *("-h", primary.socket_dir, "-p", str(primary.pg_port), "-U", "postgres"),
                *("-D", settings.data_dir, "--write-recovery-conf", "--checkpoint=fast"),
                "--no-sync",
            ],
            cwd=settings.socket_dir,
            env=postgres.environment(settings),
        )
        process.start().wait_ready(lambda: postgres.ready(settings))
        yield settings
    finally:
        process.stop(timeout=60)
        shutil.rmtree(settings.state, ignore_errors=True)


def wait_for_replay(primary: Database, settings: Settings) -> None:
    """Wait until the replica has everything that the primary has committed so far."""
    target = primary.value("select pg_current_wal_insert_lsn()::text")
    with postgres.connect(settings, primary.name) as connection:

        def caught_up() -> bool:
            row = connection.execute(
                "select pg_last_wal_replay_lsn() >= %s::pg_lsn", [target]
            ).fetchone()
            return row == (True,)

        wait_for(caught_up, 30, "the replica to catch up")


@contextmanager
def serve_replica(database: Database, settings: Settings) -> Iterator[Served]:
    """Serve a database of the replica by PostgREST alone; it cannot LISTEN there."""
    port, admin_port = free_ports(2)
    uri = secret_files.rest_uri(database.settings, database.name, settings.pg_port)
    process = Process(
        "postgrest",
        rest.argv(settings),
        database.settings.log_dir / f"postgrest-replica-{port}.log",
        env=rest.environment(database.settings, port, admin_port, uri)
        | {"PGRST_DB_CHANNEL_ENABLED": "false"},
    )
    with process:
        process.wait_ready(lambda: rest.ready(admin_port))
        served = Served(f"http://127.0.0.1:{port}", False, database, process)
        try:
            yield served
        finally:
            served.close()

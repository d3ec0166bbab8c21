"""A streaming replica of a cluster on the same machine, and a PostgREST before it.

For tests and benchmarks: a replica that serves people is another machine's.
"""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from microblog.settings import Settings
from microblog.stack import postgres, rest, secret_files
from microblog.stack.ports import free_ports
from microblog.stack.privileges import service_user
from microblog.stack.process import Process, wait_for

REPLAYED_WITHIN = 60.0  # seconds


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
        shutil.rmtree(settings.state, ignore_errors=True)  # of one that was killed
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


def wait_for_replay(primary: psycopg.Connection[Any], replica: Settings, database: str) -> None:
    """Wait until the replica has everything that the primary has committed so far."""
    target = primary.execute("select pg_current_wal_insert_lsn()::text").fetchone()
    with postgres.connect(replica, database) as connection:

        def caught_up() -> bool:
            row = connection.execute(
                "select pg_last_wal_replay_lsn() >= %s::pg_lsn", target
            ).fetchone()
            return row == (True,)

        wait_for(caught_up, REPLAYED_WITHIN, "the replica to catch up")


@contextmanager
def postgrest(
    primary: Settings, replica: Settings, database: str
) -> Iterator[tuple[Process, int, int]]:
    """Run a PostgREST that reads there; gives the process, its port and its admin port.

    It cannot LISTEN there.
    """
    port, admin_port = free_ports(2)
    uri = secret_files.rest_uri(primary, database, replica.pg_port)
    process = Process(
        "postgrest",
        rest.argv(primary),
        primary.log_dir / f"postgrest-replica-{port}.log",
        env=rest.environment(primary, port, admin_port, uri)
        | {"PGRST_DB_CHANNEL_ENABLED": "false"},
        prefix=service_user(primary.root).prefix,
    )
    with process:
        process.wait_ready(lambda: rest.ready(admin_port))
        yield process, port, admin_port

"""Real worker processes, killed in the middle of a chunk."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from microblog.stack.process import Process
from tests.support.actors import Actor, Stage
from tests.support.database import Database


class Workers:
    """Starts worker processes for one database and ends them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.running: list[Process] = []

    def start(self, name: str) -> Process:
        """Start a worker; its backend is known by the name of its application."""
        dsn = self.database.settings.socket_dsn("worker", self.database.name)
        command = [sys.executable, "-m", "microblog", "worker", "--dsn", dsn, "--name", name]
        process = Process(name, command, self.folder / f"{name}.log")
        self.running.append(process)
        return process.start()

    def backend(self, name: str) -> int:
        """Wait for the worker's connection and return its backend's process id."""
        return self.database.wait_for(
            "select pid from pg_stat_activity where application_name = %s and datname = %s",
            [f"microblog {name}", self.database.name],
        )

    def wait_until_done(self) -> None:
        """Wait until no job is left."""
        self.database.wait_for("select not exists (select from app.jobs)", timeout=60)


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Iterator[Workers]:
    """Real workers before this test's database."""
    made = Workers(database, tmp_path)
    yield made
    for process in made.running:
        process.kill()


@pytest.fixture
def blocker(actors: Stage) -> Actor:
    """Somebody who can stop a worker in the middle of a chunk."""
    return actors.superuser()


def chunk_stopped_half_way(
    database: Database, blocker: Actor, workers: Workers, name: str
) -> tuple[int, list[int], int]:
    """Start a fan-out to seven followers by twos; stop its second chunk between its two rows.

    The blocker holds the primary key of the chunk's second row in a transaction of its own, so the
    insert waits there with its first row written. Returns the post, the followers in the order
    they are served and the worker's backend.
    """
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=2)
    author, *fans = database.users(8)
    database.follow(fans, author)
    post = database.post(author)
    blocker.begin()
    blocker.do("insert into app.feed_entries values (%s, %s)", fans[3], post)
    workers.start(name)
    backend = workers.backend(name)
    database.wait_blocked(backend, by=blocker.pid)
    assert database.run("select progress, chunks from app.jobs") == [(fans[1], 1)]
    assert database.value("select count(*) from app.feed_entries") == 2
    return post, fans, backend


def test_a_worker_killed_in_a_chunk_whose_transaction_ends_with_it(
    database: Database, blocker: Actor, workers: Workers
) -> None:
    """SIGKILL, and the server notices: the half chunk is undone, another worker does it again."""
    post, fans, backend = chunk_stopped_half_way(database, blocker, workers, "first")
    assert workers.running[0].kill() == -signal.SIGKILL
    database.run("select pg_terminate_backend(%s)", [backend])
    database.wait_for("select not exists (select from pg_stat_activity where pid = %s)", [backend])
    assert database.run("select progress, chunks, attempts from app.jobs") == [(fans[1], 1, 0)]
    blocker.rollback()
    workers.start("second")
    workers.wait_until_done()
    assert database.run(
        "select user_id, count(*) from app.feed_entries where post_id = %s group by 1 order by 1",
        [post],
    ) == [(fan, 1) for fan in fans]
    database.assert_sound()


def test_a_worker_killed_in_a_chunk_that_its_server_process_finishes(
    database: Database, blocker: Actor, workers: Workers
) -> None:
    """SIGKILL, and the server process, which waits for a lock, does not notice. Meanwhile another
    worker comes: the job is still in the dead one's hands. Then the chunk ends and commits, and
    the other goes on behind it.
    """
    post, fans, _ = chunk_stopped_half_way(database, blocker, workers, "first")
    workers.running[0].kill()
    workers.start("second")
    workers.backend("second")
    database.wait_for("select exists (select from app.workers where name = 'second')")
    assert database.run("select progress, chunks from app.jobs") == [(fans[1], 1)]
    blocker.rollback()
    workers.wait_until_done()
    assert [database.entries(fan) for fan in fans] == [[post]] * 7
    database.assert_sound()


def test_workers_killed_one_after_the_other_lose_nothing(
    database: Database, actors: Stage, workers: Workers
) -> None:
    """Three of four are killed at whatever they are doing; the queue ends empty and the feeds
    equal the definition.
    """
    database.set(
        fan_out_sync_limit=0, fan_out_chunk_size=3, backfill_sync_limit=1, backfill_chunk_size=2
    )
    users = database.users(12)
    database.follow(users, users[:6])
    for user in users[:6]:
        database.posts(user, 4)
    database.follow(users[:6], users[6:])
    jobs = len(database.jobs())
    for name in ("w1", "w2", "w3"):
        before = len(database.jobs())
        process = workers.start(name)
        database.wait_for(
            "select count(*) < %s or not exists (select from app.jobs) from app.jobs", [before]
        )
        process.kill()
    workers.start("w4")
    workers.wait_until_done()
    assert jobs > 20
    database.assert_sound()

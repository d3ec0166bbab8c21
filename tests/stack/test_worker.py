"""The worker process: wakes up, survives its database, stops when told."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from microblog import worker
from microblog.stack import postgres
from microblog.stack.process import Process, wait_for
from microblog.worker import Pace, run_worker
from tests.support.database import Database

JOB = "counters_fold"


@contextmanager
def working(database: Database, name: str) -> Iterator[threading.Event]:
    """Run a worker in a thread; yield what stops it."""
    stop = threading.Event()
    dsn = database.settings.socket_dsn("worker", database.name)
    thread = threading.Thread(target=run_worker, args=(dsn, name, stop), kwargs={"poll": 3600.0})
    thread.start()
    try:
        wait_for(lambda: is_known(database, name), what="its first heartbeat")
        yield stop
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def worker_process(database: Database, tmp_path: Path) -> Iterator[Process]:
    """Run the command's worker on this test's database, with nothing to do but what is asked."""
    database.run("delete from app.job_schedules")
    database.run("delete from app.jobs")
    process = Process(
        "worker",
        [sys.executable, "-m", "microblog", "worker", "--name", "w"],
        tmp_path / "worker.log",
        env={
            **os.environ,
            "MICROBLOG_WORKER_DSN": database.settings.socket_dsn("worker", database.name),
        },
    )
    with process:
        process.wait_ready(lambda: is_known(database, "w"))
        yield process


def is_known(database: Database, name: str) -> bool:
    return bool(database.value("select count(*) from app.workers where name = %s", [name]))


def queued(database: Database, job: int) -> bool:
    query = "select count(*) from app.jobs where id = %s and state = 'queued'"
    return bool(database.value(query, [job]))


def backend(database: Database, name: str) -> int | None:
    query = "select pid from pg_stat_activity where application_name = %s and datname = %s"
    pid: int | None = database.value(query, [f"microblog {name}", database.name])
    return pid


def test_a_waiting_worker_is_woken_by_a_new_job(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look for itself in an hour only, and no heartbeat interrupts its wait."""
    monkeypatch.setattr(worker, "HEARTBEAT", 3600.0)
    database.run("delete from app.job_schedules")
    with working(database, "sleeper"):
        for _ in range(20):
            job = database.value("select app.job_add(%s)", [JOB])
            wait_for(lambda job=job: not queued(database, job), what="the job's end")


def test_it_looks_for_itself_where_no_notification_comes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT", 0.2)
    database.run("alter table app.jobs disable trigger user")
    with working(database, "looker"):
        job = database.value("select app.job_add(%s)", [JOB])
        wait_for(lambda: not queued(database, job), what="the job's end")


def test_it_says_good_bye_when_stopped(database: Database, worker_process: Process) -> None:
    assert worker_process.stop(signal.SIGTERM) == 0
    assert not is_known(database, "w")
    assert worker_process.log_contains("stopped")


def test_told_to_stop_it_finishes_the_chunk_in_hand(
    database: Database, worker_process: Process
) -> None:
    """The job waits for a lock when the signal comes; released, it is done, and then the end."""
    with postgres.connect(database.settings, database.name, autocommit=False) as blocker:
        blocker.execute("lock table app.user_counters in access exclusive mode")
        job = database.value("select app.job_add(%s)", [JOB])
        waits = "select count(*) from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
        wait_for(lambda: database.value(waits, [backend(database, "w")]), what="the lock's wait")
        worker_process.send(signal.SIGTERM)
        assert worker_process.running
        blocker.rollback()
    assert worker_process.wait() == 0
    assert not queued(database, job)
    assert not is_known(database, "w")


def test_it_comes_back_after_its_connection_was_cut(
    database: Database, worker_process: Process
) -> None:
    first = wait_for(lambda: backend(database, "w"))
    database.run("select pg_terminate_backend(%s)", [first])
    wait_for(lambda: backend(database, "w") not in (None, first), what="a new connection")
    assert worker_process.log_contains("again in")
    job = database.value("select app.job_add(%s)", [JOB])
    wait_for(lambda: not queued(database, job), what="the job's end")
    assert worker_process.running


def test_without_a_database_it_tries_until_told_to_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    dsn = f"host={tmp_path} dbname=nowhere user=worker"
    thread = threading.Thread(target=run_worker, args=(dsn, "lost", stop))
    thread.start()
    assert not stop.wait(0.5)
    assert thread.is_alive()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def test_pauses_between_attempts_double_with_jitter_up_to_a_bound() -> None:
    pace = Pace(0.1, 5.0)
    pauses = [pace.next() for _ in range(40)]
    for number, pause in enumerate(pauses):
        bound = min(5.0, 0.1 * 2**number)
        assert bound / 2 <= pause <= bound
    pace.reset()
    assert pace.next() <= 0.1

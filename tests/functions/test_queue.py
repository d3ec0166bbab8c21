"""The job queue: chunks, turns, failures, schedules. Below the worker, by its four functions."""

import json
import statistics

import psycopg
import pytest
from psycopg import errors

from tests.support.database import Database


def add(queue: Database, kind: str, **args: object) -> int:
    return queue.value("select app.job_add(%s, %s)", [kind, json.dumps(args)])


def done(queue: Database) -> list[str]:
    return queue.values("select label from public.done order by n")


def job(queue: Database, job_id: int, columns: str) -> tuple[object, ...]:
    (row,) = queue.run(f"select {columns} from app.jobs where id = %s", [job_id])
    return row


def due_now(queue: Database) -> None:
    """Let the time of every retry come."""
    queue.run("update app.jobs set run_at = now()")


# -- chunks --------------------------------------------------------------------------------------


def test_an_empty_queue_gives_nothing_to_do(queue: Database) -> None:
    assert queue.work() is None


def test_a_job_runs_chunk_by_chunk_and_is_deleted_at_its_end(queue: Database) -> None:
    number = add(queue, "counting", to=3, label="a")
    assert queue.work() == "counting"
    assert job(queue, number, "progress, chunks, state, attempts") == (1, 1, "queued", 0)
    assert queue.work() == "counting"
    assert job(queue, number, "progress, chunks, state, attempts") == (2, 2, "queued", 0)
    assert queue.work() == "counting"
    assert queue.jobs() == []
    assert queue.work() is None
    assert done(queue) == ["a", "a", "a"]


def test_a_chunk_waits_for_no_disk_and_what_comes_after_it_does(queue: Database) -> None:
    add(queue, "counting", to=2)
    with queue.as_worker() as connection:
        connection.execute("set synchronous_commit = on")
        with connection.transaction():
            assert connection.execute("select app.job_work('w')").fetchone() == ("counting",)
            assert connection.execute("show synchronous_commit").fetchone() == ("off",)
        assert connection.execute("show synchronous_commit").fetchone() == ("on",)


def test_a_job_is_there_once_its_transaction_commits(queue: Database) -> None:
    with queue.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("select app.job_add('counting', '{\"to\": 1}')")
        assert queue.work() is None
    assert queue.work() is None


def test_jobs_run_in_the_order_of_their_arrival(queue: Database) -> None:
    for label in "abc":
        add(queue, "counting", to=1, label=label)
    queue.drain(fold=False)
    assert done(queue) == ["a", "b", "c"]


def test_a_new_job_wakes_who_listens(queue: Database) -> None:
    with queue.as_worker() as connection:
        connection.execute("listen microblog_jobs")
        add(queue, "counting", to=1)
        heard = list(connection.notifies(timeout=30, stop_after=1))
    assert [notice.channel for notice in heard] == ["microblog_jobs"]


def test_a_worker_that_finds_nothing_wakes_nobody_itself_included(queue: Database) -> None:
    with queue.as_worker() as connection:
        connection.execute("listen microblog_jobs")
        look = "select app.job_work('w')"
        while connection.execute(look).fetchone() != (None,):
            continue
        list(connection.notifies(timeout=0))
        assert connection.execute(look).fetchone() == (None,)
        assert list(connection.notifies(timeout=0)) == []


# -- turns ---------------------------------------------------------------------------------------


def test_a_short_job_overtakes_a_long_one_at_its_next_chunk(queue: Database) -> None:
    add(queue, "counting", to=100, label="long")
    queue.work()
    add(queue, "counting", to=1, label="short")
    queue.work()
    assert done(queue) == ["long", "short"]


def test_a_short_job_overtakes_a_long_one_that_waited_an_hour_before_its_first_chunk(
    queue: Database,
) -> None:
    """The workers were down, or busy. Once the long one has had a chunk it is behind who is there,
    however long ago it came itself.
    """
    add(queue, "counting", to=100, label="long")
    queue.run("update app.jobs set turn_at = now() - interval '1 hour'")
    queue.work()
    add(queue, "counting", to=1, label="short")
    queue.work()
    assert done(queue) == ["long", "short"]


def test_a_short_job_overtakes_a_long_one_whose_chunks_take_long(queue: Database) -> None:
    """Ten chunks that took a minute each, more than the penalty of a turn makes up for."""
    number = add(queue, "counting", to=100, label="long")
    for _ in range(10):
        queue.work()
        queue.run("update app.jobs set turn_at = turn_at - interval '1 minute'")
    assert job(queue, number, "turn_at < now()") == (True,)
    queue.work()
    add(queue, "counting", to=1, label="short")
    queue.work()
    assert done(queue)[-1] == "short"


def test_two_long_jobs_take_turns(queue: Database) -> None:
    add(queue, "counting", to=4, label="a")
    add(queue, "counting", to=4, label="b")
    queue.drain(fold=False)
    assert done(queue) == ["a", "b"] * 4


def test_a_long_job_gets_its_turn_though_short_ones_keep_coming(queue: Database) -> None:
    """Its next turn is a second behind its last: a short one that comes later than that waits."""
    add(queue, "counting", to=5, label="long")
    queue.work()
    late = add(queue, "counting", to=1, label="late")
    queue.run("update app.jobs set turn_at = now() + interval '2 seconds' where id = %s", [late])
    queue.work()
    assert done(queue) == ["long", "long"]


def test_a_long_fan_out_does_not_delay_the_fan_out_of_a_smaller_author(queue: Database) -> None:
    """A post with many followers, then one with a few: the few have it after one more chunk."""
    queue.set(fan_out_sync_limit=1, fan_out_chunk_size=10)
    large, small, *fans = queue.users(102)
    queue.follow(fans, large)
    queue.follow(fans[:3], small)
    queue.post(large)
    queue.work()
    of_small = queue.post(small)
    queue.work()
    assert [queue.entries(fan)[-1:] for fan in fans[:3]] == [[of_small]] * 3
    assert len(queue.jobs("fan_out")) == 1, "the long one is still at work"
    queue.assert_sound()


@pytest.mark.parametrize("what", ["deletion of a post", "deletion of an account"])
def test_a_long_clean_up_does_not_delay_the_fan_out_of_a_smaller_author(
    queue: Database, what: str
) -> None:
    queue.set(fan_out_sync_limit=1, fan_out_chunk_size=10, account_purge_sync_limit=0)
    large, small, *fans = queue.users(102)
    queue.follow(fans, large)
    queue.follow(fans[:3], small)
    post = queue.post(large)
    queue.drain()
    if what == "deletion of a post":
        queue.delete_post(post)
    else:
        queue.run("select app.account_close(%s)", [large])
    queue.work()
    of_small = queue.post(small)
    queue.work()
    assert [queue.entries(fan)[-1:] for fan in fans[:3]] == [[of_small]] * 3
    queue.assert_sound()


# -- failures ------------------------------------------------------------------------------------


def test_a_failure_undoes_the_chunk_and_keeps_the_record(queue: Database) -> None:
    number = add(queue, "failing")
    assert queue.work() == "failing"
    assert done(queue) == []
    assert job(queue, number, "state, attempts, progress, chunks, last_error") == (
        "queued", 1, None, 0, "P0001: no luck",
    )  # fmt: skip


def test_a_failed_job_waits_and_others_go_on(queue: Database) -> None:
    add(queue, "failing")
    add(queue, "counting", to=1, label="next")
    assert [queue.work(), queue.work(), queue.work()] == ["failing", "counting", None]
    assert done(queue) == ["next"]


def test_the_wait_doubles_with_each_failure_up_to_ten_minutes_with_jitter(queue: Database) -> None:
    """After the n-th failure between half and one and a half times 2^(n-1) seconds."""
    queue.set(job_max_attempts=1000)
    number = add(queue, "failing")
    for attempt in range(1, 14):
        due_now(queue)
        queue.run("select app.job_work('test')")
        wait = float(job(queue, number, "extract(epoch from run_at - now())")[0])  # type: ignore[arg-type]
        nominal = min(600.0, 2.0 ** (attempt - 1))
        assert 0.5 * nominal - 1 <= wait <= 1.5 * nominal, attempt


def test_the_jitter_spreads_jobs_that_fail_together(queue: Database) -> None:
    queue.set(job_retry_base=100_000)
    for _ in range(30):
        add(queue, "failing")
    for _ in range(30):
        queue.work()
    waits = [
        float(wait)
        for wait in queue.values("select extract(epoch from run_at - now()) from app.jobs")
    ]
    assert statistics.pstdev(waits) > 5
    assert min(waits) >= 45 and max(waits) <= 150


def test_a_job_is_dead_after_its_last_attempt_and_stays_for_who_looks(queue: Database) -> None:
    queue.set(job_max_attempts=3)
    number = add(queue, "failing")
    for _ in range(3):
        due_now(queue)
        assert queue.work() == "failing"
    due_now(queue)
    assert queue.work() is None
    assert job(queue, number, "state, attempts, last_error") == ("dead", 3, "P0001: no luck")
    assert queue.run("select kind, queued, dead, an_error from dba.queue") == [
        ("failing", 0, 1, "P0001: no luck")
    ]


def test_one_call_requeues_a_dead_job_from_where_it_stopped(queue: Database) -> None:
    queue.set(job_max_attempts=1)
    number = add(queue, "counting", to=3, label="a")
    queue.work()
    queue.run("alter table public.done rename to gone")
    queue.work()
    assert job(queue, number, "state, progress") == ("dead", 1)
    queue.run("alter table public.gone rename to done")
    assert queue.value("select dba.job_requeue(%s)", [number]) == 1
    assert job(queue, number, "state, attempts, progress") == ("queued", 0, 1)
    queue.drain(fold=False)
    assert done(queue) == ["a"] * 3


def test_requeue_without_an_id_takes_all_dead_ones_and_no_others(queue: Database) -> None:
    queue.set(job_max_attempts=1)
    for _ in range(3):
        add(queue, "failing")
        queue.work()
    waiting = add(queue, "counting", to=2)
    queue.run("update app.jobs set attempts = 7 where id = %s", [waiting])
    with queue.as_worker() as connection:
        connection.execute("listen microblog_jobs")
        assert queue.value("select dba.job_requeue()") == 3
        assert list(connection.notifies(timeout=30, stop_after=1)), "workers are woken"
    assert queue.values("select state from app.jobs") == ["queued"] * 4
    assert job(queue, waiting, "attempts") == (7,)
    assert queue.value("select dba.job_requeue()") == 0
    assert queue.value("select dba.job_requeue(%s)", [waiting]) == 0, "it is not dead"


def test_a_chunk_that_succeeds_forgives_the_failures_before_it(queue: Database) -> None:
    number = add(queue, "counting", to=3)
    queue.run("update app.jobs set attempts = 9 where id = %s", [number])
    queue.work()
    assert job(queue, number, "attempts") == (0,)


def test_a_chunk_that_runs_into_the_statement_timeout_counts_as_a_failure(queue: Database) -> None:
    """It is cancelled, which "when others" does not catch; the record is kept all the same."""
    number = add(queue, "counting", to=1)
    with queue.superuser() as blocker, blocker.transaction():
        blocker.execute("lock table public.done in access exclusive mode")
        with queue.as_worker() as connection:
            connection.execute("set statement_timeout = '200ms'")
            assert connection.execute("select app.job_work('test')").fetchone() == ("counting",)
    state, attempts, error = job(queue, number, "state, attempts, last_error")
    assert (state, attempts) == ("queued", 1)
    assert str(error).startswith("57014: ")
    due_now(queue)
    queue.drain(fold=False)


def test_a_deadlock_is_a_failure_like_any_other(queue: Database) -> None:
    number = add(queue, "failing", **{"with": "40P01"})
    queue.work()
    assert job(queue, number, "state, last_error") == ("queued", "40P01: no luck")


def test_a_kind_without_a_handler_fails_and_harms_nothing(queue: Database) -> None:
    number = add(queue, "unheard_of")
    add(queue, "counting", to=1, label="next")
    queue.work()
    queue.work()
    assert str(job(queue, number, "last_error")[0]).startswith("42883: ")
    assert done(queue) == ["next"]


def test_a_kind_is_a_plain_name_whatever_its_text(queue: Database) -> None:
    with pytest.raises(errors.CheckViolation):
        add(queue, 'x"(null, 0); drop table app.jobs; --')


def test_a_worker_that_dies_in_a_chunk_leaves_the_job_as_it_was(queue: Database) -> None:
    number = add(queue, "counting", to=3)
    queue.work()
    before = job(queue, number, "progress, chunks, attempts, turn_at, run_at")
    with queue.as_worker() as connection:
        connection.execute("begin")
        connection.execute("select app.job_work('doomed')")
        queue.run("select pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            connection.execute("commit")
    queue.wait_for("select count(*) = 0 from pg_locks where relation = 'app.jobs'::regclass")
    assert job(queue, number, "progress, chunks, attempts, turn_at, run_at") == before


# -- several workers -----------------------------------------------------------------------------


def test_several_workers_take_different_jobs_and_never_wait(queue: Database) -> None:
    """Three transactions are open at once, each with a job of its own; the fourth finds none."""
    for label in "abc":
        add(queue, "counting", to=1, label=label)
    with queue.as_worker() as one, queue.as_worker() as two, queue.as_worker() as three:
        for connection in (one, two, three):
            connection.execute("begin")
            connection.execute("set local lock_timeout = '1ms'")
            assert connection.execute("select app.job_work('w')").fetchone() == ("counting",)
        assert queue.work() is None
        for connection in (three, one, two):
            connection.execute("commit")
    assert sorted(done(queue)) == ["a", "b", "c"]


# -- schedules -----------------------------------------------------------------------------------


def test_a_schedule_that_is_due_becomes_a_job_and_moves_on(queue: Database) -> None:
    queue.run("insert into app.job_schedules values ('counting', '1 hour', now(), 'test')")
    assert queue.work() == "counting"
    assert queue.value(
        "select next_run_at between now() + interval '59 minutes' and now() + interval '1 hour'"
        " from app.job_schedules where kind = 'counting'"
    )


def test_a_run_that_is_late_is_not_piled_onto(queue: Database) -> None:
    """The last run is still queued when the next is due: there is one in the queue, not two."""
    queue.run("insert into app.job_schedules values ('counting', '1 second', now(), 'test')")
    add(queue, "counting", to=100)
    for _ in range(3):
        queue.run("update app.job_schedules set next_run_at = now() where kind = 'counting'")
        queue.work()
    assert len(queue.jobs("counting")) == 1


def test_two_workers_at_the_schedule_at_once_queue_it_once(queue: Database) -> None:
    queue.run("insert into app.job_schedules values ('counting', '1 hour', now(), 'test')")
    with queue.as_worker() as one:
        one.execute("begin")
        assert one.execute("select app.job_work('one')").fetchone() == ("counting",)
        assert queue.work("two") is None
        one.execute("commit")
    assert queue.work() == "counting", "of its endless counting, the second chunk"
    assert len(queue.jobs("counting")) == 1


def test_the_recurring_jobs_of_the_house_all_run(database: Database) -> None:
    """Right after the deployment each is due; each ends well, and has a next time."""
    kinds = database.values("select kind from app.job_schedules order by kind")
    assert {"counters_fold", "prune", "feed_partitions"} <= set(kinds)
    database.run("update app.job_schedules set next_run_at = now()")
    assert sorted(set(database.drain(fold=False))) == kinds
    assert database.value("select min(next_run_at) > now() from app.job_schedules")


def test_prune_removes_what_has_expired_and_nothing_else(queue: Database) -> None:
    a = queue.user()
    queue.run(
        "insert into app.sessions (jti, user_id, expires_at) values"
        " ('old', %(a)s, now() - interval '1 second'), ('new', %(a)s, now() + interval '1 hour')",
        {"a": a},
    )
    queue.run(
        "insert into app.idempotency_keys (user_id, key, fingerprint, created_at) values"
        " (%(a)s, 'old', '', now() - interval '25 hours'),"
        " (%(a)s, 'new', '', now() - interval '23 hours')",
        {"a": a},
    )
    queue.run(
        "insert into app.workers (name, seen_at) values"
        " ('old', now() - interval '25 hours'), ('new', now())"
    )
    add(queue, "prune")
    queue.drain(fold=False)
    assert queue.values("select jti from app.sessions") == ["new"]
    assert queue.values("select key from app.idempotency_keys") == ["new"]
    assert queue.values("select name from app.workers") == ["new"]


# -- what the worker asks ------------------------------------------------------------------------


def next_due(queue: Database) -> float | None:
    with queue.as_worker() as connection:
        row = connection.execute("select app.job_next_due()").fetchone()
        assert row is not None
        return row[0]


def test_the_next_due_time_is_that_of_the_earliest_job_or_schedule(queue: Database) -> None:
    queue.run("delete from app.job_schedules")
    assert next_due(queue) is None
    number = add(queue, "counting", to=1)
    assert next_due(queue) == 0
    queue.run("update app.jobs set run_at = now() + interval '100 seconds'")
    due = next_due(queue)
    assert due is not None and 90 < due <= 100
    queue.run("insert into app.job_schedules values ('prune', '1 hour', now() + '50 s', 'x')")
    due = next_due(queue)
    assert due is not None and 40 < due <= 50
    queue.run("update app.jobs set state = 'dead', run_at = now() where id = %s", [number])
    due = next_due(queue)
    assert due is not None and 40 < due <= 50, "a dead job is not due"


def test_a_heartbeat_is_seen_and_a_good_bye_forgotten(queue: Database) -> None:
    with queue.as_worker() as connection:
        for _ in range(2):
            connection.execute("select app.worker_heartbeat('w1')")
            connection.execute("select app.worker_heartbeat('w2')")
        names = queue.run("select name, heartbeat_age < '1 minute' from dba.workers order by 1")
        assert names == [("w1", True), ("w2", True)]
        connection.execute("select app.worker_bye('w1')")
    assert queue.values("select name from dba.workers") == ["w2"]


def test_health_tells_of_workers_queue_and_dead_jobs(queue: Database) -> None:
    def health() -> dict[str, dict[str, object]]:
        with queue.as_anon() as connection:
            row = connection.execute("select api.health()").fetchone()
            assert row is not None
            return row[0]

    assert health()["status"] == "degraded"
    queue.run("insert into app.workers (name) values ('w')")
    add(queue, "counting", to=1)
    queue.run("update app.jobs set created_at = now() - interval '10 seconds'")
    told = health()
    assert told["status"] == "ok"
    assert told["worker"]["alive"] == 1
    assert told["queue"]["depth"] == 1
    assert float(told["queue"]["oldest_age_seconds"]) >= 10  # type: ignore[arg-type]
    queue.run("update app.jobs set state = 'dead'")
    assert health()["status"] == "degraded" and health()["queue"]["dead"] == 1
    queue.run("delete from app.jobs")
    queue.run("update app.workers set seen_at = now() - interval '1 minute'")
    assert health()["status"] == "degraded"

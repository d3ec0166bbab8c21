"""Rate limits when several ask at once: through several PostgREST, and in a forced order."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import sql

from tests.support.actors import Actor, Stage
from tests.support.client import Member
from tests.support.database import Database
from tests.support.servers import Served, serve_rest

AT = 1_800_000_000.0


@pytest.mark.parametrize(
    ("method", "path", "options", "quota"),
    [
        ("POST", "/posts", {"json": {"content": "again"}}, 10),
        ("GET", "/rpc/feed_timeline", {}, 100),
    ],
)
def test_many_clients_of_several_servers_get_the_quota_and_not_one_call_more(
    database: Database, method: str, path: str, options: dict, quota: int
) -> None:
    """Twelve threads, two PostgREST with five connections each, one user, one burst."""
    with serve_rest(database) as one, serve_rest(database) as other:
        member = one.signup()
        elsewhere = Member(other, member.id, member.username, member.password, member.token)
        database.run("delete from app.rate_limit_exemptions")

        def call(n: int) -> int:
            asked = (member, elsewhere)[n % 2]
            headers = {"X-Forwarded-For": f"203.0.113.{n % 250}"}
            return asked.api.request(
                method, path, asked.token, headers=headers, **options
            ).status_code

        with ThreadPoolExecutor(12) as threads:
            statuses = Counter(threads.map(call, range(quota + 60)))
    allowed = 201 if method == "POST" else 200
    assert statuses == {allowed: quota, 429: 60}


class Counting:
    """An actor that counts in transactions of the test's own, at a time of the test's own."""

    def __init__(self, database: Database, actor: Actor) -> None:
        self.actor = actor
        actor.do(
            "prepare take (smallint[], integer[], integer[], text[], integer, double precision)"
            " as " + database.value("select app.rate_limit_take()")
        )

    @staticmethod
    def call(quota: int, *keys: str) -> str:
        """The statement that counts a call for rules 1, 2, … with these keys."""
        numbers = list(range(1, len(keys) + 1))
        return (
            sql.SQL("execute take ({}, {}, {}, {}, 1, {})")
            .format(numbers, [60] * len(keys), [quota] * len(keys), list(keys), AT)
            .as_string()
        )


@pytest.fixture
def counting(database: Database, actors: Stage) -> list[Counting]:
    """Two sessions that count."""
    return [Counting(database, actors.superuser()) for _ in range(2)]


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_the_last_place_goes_to_one(counting: list[Counting], ending: str) -> None:
    """B asks while A has taken the last place and not committed: B waits, and then gets it only
    where A gives it back.
    """
    a, b = counting
    assert a.actor.do(a.call(2, "key"))
    a.actor.begin()
    assert a.actor.do(a.call(2, "key"))
    waiting = b.actor.start_blocked(b.call(2, "key"), by=a.actor)
    a.actor.do(ending)
    assert bool(waiting.result(60)) == (ending == "rollback")


def test_the_first_call_of_a_key_at_once_from_two_counts_both(counting: list[Counting]) -> None:
    """Both find no bucket; the one that comes second adds to the other's."""
    a, b = counting
    a.actor.begin()
    ((_, left, _),) = a.actor.do(a.call(5, "new"))
    assert left == 4
    waiting = b.actor.start_blocked(b.call(5, "new"), by=a.actor)
    a.actor.commit()
    ((_, left, _),) = waiting.result(60)
    assert left == 3


def test_two_users_of_one_address_do_not_lock_each_other_out(counting: list[Counting]) -> None:
    """Rules are counted in one order, so that whoever waits holds nothing the other needs."""
    a, b = counting
    a.actor.begin()
    a.actor.do(a.call(5, "user 1", "10.0.0.1"))
    waiting = b.actor.start_blocked(b.call(5, "user 2", "10.0.0.1"), by=a.actor)
    a.actor.commit()
    assert sorted(waiting.result(60))[1][1] == 3


JOB = "select app.job_rate_limits('{}', null)"


def test_the_job_removes_no_bucket_that_comes_back_to_life(
    database: Database, actors: Stage, counting: list[Counting]
) -> None:
    """A has counted in an old bucket and not committed when the job comes to remove it."""
    a, _ = counting
    a.actor.do(
        "insert into app.rate_limit_buckets values"
        " (1, 60, 'sleeper', 5, 9, 1, array_fill(0, '{21}'))"
    )
    a.actor.begin()
    soon = database.value("select date_part('epoch', now() + interval '1 minute')")
    a.actor.do(a.call(9, "sleeper").replace(str(AT), str(soon)))
    actors.superuser().do(JOB)
    a.actor.commit()
    assert database.values("select hit_count - past_counts[21] from app.rate_limit_buckets") == [1]
    actors.superuser().do(JOB)
    assert database.values("select hit_count - past_counts[21] from app.rate_limit_buckets") == [1]


def refuse(*keys: str) -> str:
    """The statement that records a refusal by rules 1, 2, … with these keys."""
    number = len(keys)
    return (
        sql.SQL("select app.rate_limit_refuse({}, {}, {}, {}, {}, {}, 0, 0, {})")
        .format(
            list(range(1, number + 1)),
            [60] * number,
            [5] * number,
            list(keys),
            [1] * number,
            [True] * number,
            AT,
        )
        .as_string()
    )


def test_the_job_waits_for_nobody_and_nobody_for_its_turn(
    database: Database, actors: Stage, counting: list[Counting]
) -> None:
    """A bucket that A holds keeps its refusals for the next run; others get theirs, once."""
    a, b = counting
    for keys in (("held", "free"), ("free",)):
        b.actor.do(b.call(5, *keys))
        b.actor.do(refuse(*keys).replace("::smallint", ""))
    refusals = "select key, refusals from dba.rate_limit_keys order by key, window_seconds"
    database.run("update app.rate_limits set window_seconds = 60 where id <= 2")
    before = database.run(refusals)
    a.actor.begin()
    a.actor.do("select from app.rate_limit_buckets where key = 'held' for update")
    actors.superuser().do(JOB)
    assert database.run(refusals) == before
    a.actor.commit()
    assert database.values("select key from app.rate_limit_refusals") == ["held"]
    actors.superuser().do(JOB)
    assert database.values("select key from app.rate_limit_refusals") == []
    assert sum(count for _, count in database.run(
        "select rule, refusals from dba.rate_limits where refusals > 0"
    )) == sum(count for _, count in before)  # fmt: skip


def test_a_refusal_waits_for_no_look_at_the_refusals(
    database: Database, actors: Stage, counting: list[Counting]
) -> None:
    """An operator's query is long; the job comes meanwhile, and then somebody is refused."""
    _, b = counting
    operator = actors.superuser()
    operator.begin()
    operator.do("select count(*) from dba.rate_limits, dba.rate_limit_keys")
    worker = actors.superuser()
    worker.begin()
    worker.do("set local lock_timeout = '100ms'")
    worker.do(JOB)
    b.actor.do("set lock_timeout = '100ms'")
    b.actor.do(refuse("somebody"))
    worker.commit()
    operator.commit()
    assert database.value("select count(*) from app.rate_limit_refusals") == 1


def test_the_job_and_a_call_that_meet_buckets_in_other_orders(
    database: Database, actors: Stage, counting: list[Counting]
) -> None:
    """The call has the first bucket; the job takes the second, and leaves the first alone."""
    a, _ = counting
    a.actor.do(a.call(5, "one", "two"))
    a.actor.do(refuse("one", "two"))
    a.actor.begin()
    a.actor.do(a.call(5, "one"))
    worker = actors.superuser()
    worker.begin()
    worker.do(JOB)
    waiting = a.actor.start(a.call(5, "one", "two"))
    worker.commit()
    assert len(waiting.result(60)) == 2
    a.actor.commit()
    assert database.values(
        "select hit_count - past_counts[21] from app.rate_limit_buckets order by key"
    ) == [3, 2]


def test_readers_of_one_server_do_not_wait_for_each_other(rest: Served) -> None:
    """Two users at once, one's bucket held: the other is served."""
    one, other = rest.signups(2)
    rest.database.run("delete from app.rate_limit_exemptions")
    for member, address in ((one, "203.0.113.1"), (other, "203.0.113.2")):
        member.get("/rpc/feed_mine", headers={"X-Forwarded-For": address}).raise_for_status()
    with rest.database.superuser() as holder, holder.transaction():
        holder.execute(
            "select from app.rate_limit_buckets where key = %s for update", [f"user {one.id}"]
        )
        answer = other.get("/rpc/feed_mine", headers={"X-Forwarded-For": "203.0.113.2"})
        assert answer.status_code == 200
        answer = one.get("/rpc/feed_mine", headers={"X-Forwarded-For": "203.0.113.1"})
        assert answer.status_code == 503

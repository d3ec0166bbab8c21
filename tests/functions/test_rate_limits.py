"""The counting of the rate limits, with a clock that the test sets."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microblog.stack.process import wait_for
from tests.support.cluster import Cluster
from tests.support.database import Database
from tests.support.limiter import Limiter

SLOTS = 20  # to a window
START = 1_800_000_000.0  # seconds since 1970


@pytest.fixture(scope="module")
def limiter(cluster: Cluster) -> Iterator[Limiter]:
    with cluster.clone() as database, database.superuser() as connection:
        connection.execute("set synchronous_commit = off")
        yield Limiter(connection)


@dataclass
class Model:
    """What a sliding window in slots means: every admitted hit by its slot."""

    quota: int
    window: int
    hits: list[tuple[int, int]] = field(default_factory=list)  # slot, cost
    newest: int = 0

    def slot(self, at: float) -> int:
        return max(self.newest, floor(at * SLOTS / self.window))

    def used(self, slot: int) -> int:
        return sum(cost for hit, cost in self.hits if hit >= slot - SLOTS)

    def take(self, at: float, cost: int) -> int | None:
        """Calls left, None where refused."""
        slot = self.slot(at)
        if self.used(slot) + cost > self.quota:
            return None
        self.newest = slot
        self.hits.append((slot, cost))
        return self.quota - self.used(slot)

    def opens(self, at: float, cost: int) -> float:
        """When a call refused at this time gets through, if nobody else comes."""
        slot = self.slot(at)
        while self.used(slot) + cost > self.quota:
            slot += 1
        return slot * self.window / SLOTS


windows = st.sampled_from([1, 7, 60, 300, 3600])
calls = st.lists(st.tuples(st.floats(0, 1.3), st.integers(1, 3)), min_size=1, max_size=60)
_numbers = iter(range(1, 10_000_000))


@given(windows, st.integers(3, 12), calls)
@settings(max_examples=60, deadline=None, database=None)
def test_every_answer_equals_the_model(
    limiter: Limiter, window: int, quota: int, sequence: list[tuple[float, int]]
) -> None:
    """Times pass as fractions of a window; a refused call is told the exact second."""
    rule = (1, window, quota, f"key {next(_numbers)}")
    model = Model(quota, window)
    at = START
    for step, cost in sequence:
        at += step * window / 4
        expected = model.take(at, cost)
        answer = limiter.take(at, rule, cost=cost)
        if expected is None:
            assert answer == {}
            reset, retry_after = limiter.refuse(at, rule, cost)
            assert retry_after == max(1, ceil(round(model.opens(at, cost) - at, 6)))
            assert reset >= at
        else:
            assert answer[1][0] == expected
    for _, (start, _) in enumerate(model.hits):
        stretch = [cost for slot, cost in model.hits if start <= slot <= start + SLOTS]
        assert sum(stretch) <= quota


@given(windows, st.integers(2, 20), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None, database=None)
def test_the_wait_it_is_told_is_true(
    limiter: Limiter, window: int, quota: int, offset: int
) -> None:
    """A refused client that waits so long gets through; one second earlier it does not."""
    rule = (1, window, quota, f"key {next(_numbers)}")
    at = START + offset / 1000
    for n in range(quota):
        assert limiter.take(at + n * window / quota / 40, rule)
    at += window / 40
    assert limiter.take(at, rule) == {}
    _, retry_after = limiter.refuse(at, rule)
    if retry_after > 1:
        assert limiter.take(at + retry_after - 1, rule) == {}
    assert limiter.take(at + retry_after, rule)


@pytest.mark.parametrize("quota", [1, 2, 3, 5, 10, 25, 50, 60, 100, 300])
def test_steady_use_at_nine_tenths_is_never_refused(limiter: Limiter, quota: int) -> None:
    """Four windows long, from a cold start, one call at a time."""
    window = 60
    rule = (1, window, quota, f"steady {quota}")
    pause = window / (0.9 * quota)
    for n in range(min(1100, ceil(4 * 0.9 * quota) + 1)):
        assert limiter.take(START + n * pause, rule), f"call {n} of {quota}/{window}s"


def test_no_window_wherever_it_begins_holds_more(limiter: Limiter) -> None:
    """At the edge of a window in fixed steps, twice the quota would get through."""
    rule = (1, 60, 10, "edge")
    edge = START - START % 60 + 60
    assert sum(bool(limiter.take(edge - 0.01, rule)) for _ in range(15)) == 10
    assert sum(bool(limiter.take(edge + 0.01, rule)) for _ in range(15)) == 0
    assert sum(bool(limiter.take(edge + 59.9, rule)) for _ in range(15)) == 0
    assert sum(bool(limiter.take(edge + 63, rule)) for _ in range(15)) == 10


def test_a_refused_call_counts_for_the_other_rules(limiter: Limiter) -> None:
    small, large = (1, 60, 1, "user 1"), (2, 300, 5, "10.0.0.1")
    assert set(limiter.take(START, small, large)) == {1, 2}
    for left in (3, 2, 1, 0):
        assert limiter.take(START, small, large) == {2: (left, pytest.approx(START + 310, abs=10))}
    assert limiter.take(START, small, large) == {}


def test_a_refused_call_does_not_put_off_the_end_of_the_wait(limiter: Limiter) -> None:
    rule = (1, 60, 2, "patient")
    for _ in range(2):
        limiter.take(START, rule)
    waits = {limiter.refuse(START + n, rule)[1] + n for n in range(30)}
    assert len(waits) == 1


def test_a_clock_that_goes_back_gives_nothing_away(limiter: Limiter) -> None:
    rule = (1, 60, 3, "clock")
    assert limiter.take(START, rule)
    assert [bool(limiter.take(START - 600 + n, rule)) for n in range(3)] == [True, True, False]


def test_a_call_beyond_the_quota_is_never_taken(limiter: Limiter) -> None:
    rule = (1, 60, 3, "bulk")
    assert limiter.take(START, rule, cost=4) == {}
    assert limiter.refuse(START, rule, cost=4)[1] >= 1
    assert limiter.take(START, rule, cost=3)[1][0] == 0


def test_a_rule_with_another_window_starts_afresh(limiter: Limiter) -> None:
    assert limiter.take(START, (1, 60, 1, "changed"))
    assert limiter.take(START, (1, 60, 1, "changed")) == {}
    assert limiter.take(START, (1, 120, 1, "changed"))


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "unknown"),
        ("nonsense", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_key_of_an_address(module_database: Database, address: str | None, key: str) -> None:
    assert module_database.value("select app.rate_limit_address(%s)", [address]) == key


def test_the_job_folds_refusals_and_removes_what_is_over(database: Database) -> None:
    with database.superuser() as connection:
        limiter = Limiter(connection)
        now = database.value("select date_part('epoch', now())")
        old, new = (1, 60, 1, "old"), (1, 60, 1, "new")
        limiter.take(now - 1000, old)
        limiter.take(now, new)
        for rule in (old, new, new):
            limiter.refuse(now, rule)
        limiter.refuse(now, (1, 60, 1, "never allowed"))
    shown = "select rule, keys, hits, refusals, busiest_key from dba.rate_limits where hits > 0"
    assert database.run(shown) == [("address", 3, 2, 4, "new")], "in a window that was changed"
    database.value("select app.job_rate_limits('{}', null)")
    assert database.run(shown) == [("address", 1, 2, 4, "new")]
    assert database.values("select key from app.rate_limit_buckets") == ["new"]
    assert database.value("select count(*) from app.rate_limit_refusals") == 0
    assert database.run("select key, hits, refusals from dba.rate_limit_keys") == [("new", 1, 2)]
    assert database.value("select dba.rate_limit_forget('new')") == 1
    assert database.values("select key from app.rate_limit_buckets") == []
    assert database.run("select hits, refusals from dba.rate_limits where rule = 'address'") == [
        (2, 4)
    ]


def test_a_key_that_was_refused_and_never_allowed_is_shown(database: Database) -> None:
    with database.superuser() as connection:
        limiter = Limiter(connection)
        now = database.value("select date_part('epoch', now())")
        limiter.take(now, (1, 300, 2, "allowed"))
        for rule in ((1, 300, 2, "refused"), (1, 300, 2, "refused"), (3, 60, 1, "refused")):
            limiter.refuse(now, rule, cost=3)
    assert database.run(
        "select rule, window_seconds, key, quota, hits_in_window, hits, refusals,"
        " last_hit_at is null from dba.rate_limit_keys order by rule, key"
    ) == [
        ("address", 300, "allowed", 2, 1, 1, 0, False),
        ("address", 300, "refused", 300, 0, 0, 2, True),
        ("feeds", 60, "refused", 100, 0, 0, 1, True),
    ]
    assert database.run(
        "select rule, keys, hits, refusals, busiest_key, busiest_hits from dba.rate_limits"
        " where refusals > 0 order by rule"
    ) == [("address", 2, 1, 2, "refused", 2), ("feeds", 1, 0, 1, "refused", 1)]


def test_the_job_takes_chunks_until_nothing_is_left(database: Database) -> None:
    with database.superuser() as connection:
        connection.execute(
            "insert into app.rate_limit_refusals select 1, 300, n % 3"
            " from generate_series(1, 12000) n"
        )
    chunks = [database.value("select app.job_rate_limits('{}', null)") for _ in range(3)]
    assert chunks == [1, 1, None]
    assert database.run("select refusals from dba.rate_limits where rule = 'address'") == [(12000,)]


def test_the_job_keeps_what_still_counts(database: Database) -> None:
    with database.superuser() as connection:
        limiter = Limiter(connection)
        now = database.value("select date_part('epoch', now())")
        for ago in (10, 50, 80):
            limiter.take(now - ago, (1, 60, 1, f"{ago} s ago"))
    database.value("select app.job_rate_limits('{}', null)")
    kept = database.values("select key from app.rate_limit_buckets order by key")
    assert kept == ["10 s ago", "50 s ago"]


def test_the_job_keeps_a_bucket_to_the_last_part_of_a_second(database: Database) -> None:
    """A window that no 20 divides ends between two seconds; its bucket must not go before."""

    def kept_and_due() -> bool:
        with database.superuser() as connection:
            now = connection.execute("select date_part('epoch', clock_timestamp())").fetchone()[0]
            ends = floor(now) + 0.95
            connection.execute(
                "insert into app.rate_limit_buckets select 1, 1, 'x', %s, 1, 1,"
                " array_fill(0, '{21}') on conflict do nothing",
                [round(ends * 20) - 21],
            )
            connection.execute("select app.job_rate_limits('{}', null)")
            left, after = connection.execute(
                "select count(*), date_part('epoch', clock_timestamp()) from app.rate_limit_buckets"
            ).fetchone()
        assert left == 1 or after > ends
        return after < ends

    wait_for(kept_and_due, 30, "a whole look within one second")


def test_the_job_comes_by_itself(database: Database) -> None:
    with database.superuser() as connection:
        Limiter(connection).take(START - 1e8, (1, 60, 1, "old"))
    database.run("update app.job_schedules set next_run_at = now()")
    assert "rate_limits" in database.drain()
    assert database.values("select key from app.rate_limit_buckets") == []

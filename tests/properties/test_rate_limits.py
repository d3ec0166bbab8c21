"""The bound of the rate limits: no window, wherever it begins, holds more than the quota.

First with a clock that the test sets, through several sessions, call after call: exact to the slot.
Then with many clients at once through two PostgREST and sessions of their own, by time stamps of
the server: a call was counted between the two that enclose it, so that what is found to lie in one
window does, however slow the machine is.
"""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from microblog.stack.process import wait_for
from tests.support.client import Member, expect
from tests.support.cluster import Cluster
from tests.support.database import Database
from tests.support.limiter import Limiter
from tests.support.servers import Served, serve_rest

START = 1_800_000_000.0  # seconds since 1970; every slot begins here
SESSIONS = 3
_numbers = count(1)
# To find a smaller example of a failure would take minutes, where each takes seconds.
PHASES = (Phase.explicit, Phase.generate)


@pytest.fixture(scope="module")
def limiters(cluster: Cluster) -> Iterator[list[Limiter]]:
    with cluster.clone() as database, ExitStack() as stack:
        connections = [stack.enter_context(database.superuser()) for _ in range(SESSIONS)]
        for connection in connections:
            connection.execute("set synchronous_commit = off")
        yield [Limiter(connection) for connection in connections]


# Steps of time in slots: within one, and to just before and just after where a window ends.
steps = st.sampled_from([0.0, 0.0, 0.0, 0.02, 0.96, 1.0, 7.5, 18.98, 19.02, 19.98, 20.0, 20.04])
schedules = st.lists(
    st.tuples(steps, st.integers(0, SESSIONS - 1), st.integers(0, 1), st.integers(1, 3)),
    min_size=5,
    max_size=50,
)
EDGE = [(0.98, 0, 0, 2), (0.0, 1, 0, 2), (19.04, 2, 0, 2), (0.0, 0, 0, 2)]


@given(st.sampled_from([1, 2, 3, 60]), st.integers(2, 8), schedules)
@example(2, 4, EDGE)
@settings(max_examples=60, deadline=None, database=None, phases=PHASES)
def test_no_window_holds_more_than_the_quota(
    limiters: list[Limiter], window: int, quota: int, schedule: list[tuple[float, int, int, int]]
) -> None:
    """Two users of one address, each with a limit of their own beside that of the address."""
    example_number = next(_numbers)
    through: dict[str, list[tuple[float, int]]] = defaultdict(list)
    quotas = {1: quota, 2: quota + 2}
    slots = 0.0
    for step, session, user, cost in schedule:
        slots += step
        at = START + slots * window / 20
        keys = {1: f"user {example_number} {user}", 2: f"address {example_number}"}
        rules = [(rule, window, quotas[rule], key) for rule, key in keys.items()]
        for rule in limiters[session].take(at, *rules, cost=cost):
            through[keys[rule]].append((slots, cost))
    for key, calls in through.items():
        allowed = quotas[1 if key.startswith("user") else 2]
        for begin, _ in calls:
            held = sum(cost for slot, cost in calls if begin <= slot < begin + 20 - 1e-6)
            assert held <= allowed, f"{held} of {key} from slot {begin}"


requests = st.lists(
    st.tuples(st.floats(0, 9), st.integers(1, 6), st.floats(0, 0.9)), min_size=4, max_size=25
)


@given(st.sampled_from([1, 3, 60, 300]), st.integers(3, 9), requests)
@settings(max_examples=60, deadline=None, database=None, phases=PHASES)
def test_a_refused_request_of_several_rows_is_told_the_truth_and_takes_nothing(
    limiters: list[Limiter],
    window: int,
    quota: int,
    requests: list[tuple[float, int, float]],
) -> None:
    """Rows are counted one after the other, as a request does; its slot may end between them."""
    limiter = limiters[0]
    rule = (1, window, quota, f"rows {next(_numbers)}")
    through: list[float] = []
    at = START

    def passes(when: float, rows: int) -> bool:
        with limiter.connection.transaction(force_rollback=True):
            return bool(limiter.take(when, rule, cost=rows))

    for step, rows, pause in requests:
        at += step * window / 20
        counted: list[float] = []
        begun_at = at
        while len(counted) < rows and limiter.take(at, rule):
            counted.append(at)
            at += pause * window / 20
        if len(counted) == rows:
            through += counted
            continue
        ((_, _, wait),) = limiter.refuse_all(
            at, (rule, rows, True), counted=len(counted), counted_since=begun_at
        )
        if rows <= quota:
            assert passes(at + wait, rows)
            assert wait == 1 or not passes(at + wait - 1, rows)
    for begin in through:
        assert sum(begin <= row < begin + window - 1e-6 for row in through) <= quota


@given(st.integers(1, 150), st.lists(st.integers(0, SESSIONS - 1), min_size=1, max_size=9))
@settings(max_examples=12, deadline=None, database=None, phases=PHASES)
def test_many_who_use_nine_tenths_together_are_never_refused(
    limiters: list[Limiter], quota: int, turns: list[int]
) -> None:
    """Clients of one address take turns, three windows long, each with a limit of its own."""
    number = next(_numbers)
    address = (2, 60, quota, f"address {number}")
    for n in range(min(400, int(3 * 0.9 * quota) + 2)):
        client = turns[n % len(turns)]
        own = (1, 60, quota, f"user {number} {client}")
        at = START + n * 60 / (0.9 * quota)
        assert set(limiters[client].take(at, own, address)) == {1, 2}, f"call {n} of {quota}"


# -- at once, by the server's clock --------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A call that got through, and the times between which it was counted."""

    key: str
    after: float
    before: float


@dataclass
class Crowd:
    """Two members, who call through two PostgREST and beside them."""

    database: Database
    served: list[Served]
    members: list[Member]

    def set_rule(self, scope: str, quota: int, window: int) -> int:
        """Have one rule and no other, and wait until every connection knows."""
        self.database.run("delete from app.rate_limits")
        rule_id = self.database.value(
            "insert into app.rate_limits (name, path_pattern, scope, quota, window_seconds)"
            " values ('crowd', '^/rpc/clock$', %s, %s, %s) returning id",
            [scope, quota, window],
        )
        self.wait_until(self.now() + 1)
        return rule_id

    def now(self) -> float:
        return self.database.value("select date_part('epoch', clock_timestamp())")

    def wait_until(self, at: float) -> None:
        with self.database.superuser() as connection:

            def over() -> bool:
                row = connection.execute(
                    "select date_part('epoch', clock_timestamp()) >= %s", [at]
                ).fetchone()
                return row == (True,)

            wait_for(over, 60, "the time to pass")

    def ask(self, instance: int, member: int) -> httpx.Response:
        """Ask the clock as one of the members."""
        address = {"X-Forwarded-For": "203.0.113.1"}
        return self.served[instance].get("/rpc/clock", self.members[member].token, headers=address)


@pytest.fixture(scope="module")
def crowd(cluster: Cluster) -> Iterator[Crowd]:
    with cluster.clone() as database:
        database.run(
            "create function api.clock() returns json volatile begin atomic"
            " select json_build_array(date_part('epoch', now()),"
            "   date_part('epoch', clock_timestamp())); end"
        )
        database.run("grant execute on function api.clock() to member")
        with serve_rest(database) as one, serve_rest(database) as other:
            members = one.signups(2)
            database.run("delete from app.rate_limit_exemptions")
            yield Crowd(database, [one, other], members)


# Who a client is: through which of two servers or, 2, in a session of its own; for which member.
clients = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=5, max_size=9)


@given(
    clients, st.sampled_from(["user", "address"]), st.integers(1, 15), st.sampled_from([1, 2, 3])
)
@settings(
    max_examples=4,
    deadline=None,
    database=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
def test_a_crowd_gets_the_quota_of_a_window_and_not_one_call_more(
    crowd: Crowd, clients: list[tuple[int, int]], scope: str, quota: int, window: int
) -> None:
    """All ask as fast as they can, for more than two windows."""
    rule_id = crowd.set_rule(scope, quota, window)
    users = [f"user {member.id}" for member in crowd.members]
    keys = users if scope == "user" else ["203.0.113.1"] * 2
    until = crowd.now() + 2.2 * window

    def through(client: tuple[int, int]) -> tuple[list[Call], int]:
        instance, member = client
        calls, asked, before = [], 0, 0.0
        with crowd.database.superuser() as connection:
            limiter = Limiter(connection)

            def clock() -> float:
                row = connection.execute("select date_part('epoch', clock_timestamp())").fetchone()
                assert row is not None
                return row[0]

            while before < until:
                asked += 1
                if instance == 2:
                    after = clock()
                    is_through = limiter.take(None, (rule_id, window, quota, keys[member]))
                    before = clock()
                else:
                    answer = crowd.ask(instance, member)
                    is_through = answer.status_code == 200
                    if is_through:
                        after, before = answer.json()
                    else:
                        # 503: one waited for the others longer than a request may.
                        assert answer.status_code in (429, 503), answer.text
                        before = clock()
                if is_through:
                    calls.append(Call(keys[member], after, before))
        return calls, asked

    with ThreadPoolExecutor(len(clients)) as threads:
        outcomes = list(threads.map(through, clients))
    got_through = [call for calls, _ in outcomes for call in calls]
    assert all(asked for _, asked in outcomes)
    for key in {keys[member] for _, member in clients}:
        calls = [call for call in got_through if call.key == key]
        assert calls, f"nothing of {key} got through"
        for first in calls:
            end = first.after + window
            surely = [call for call in calls if call.after >= first.after and call.before < end]
            assert len(surely) <= quota


def test_a_crowd_that_uses_nine_tenths_steadily_is_never_refused(crowd: Crowd) -> None:
    """Whoever's turn it is begins once the pause after the end of the call before is over, so that
    calls are counted no closer than that, however long they take.
    """
    window, quota = 2, 10
    crowd.set_rule("address", quota, window)
    for n in range(3 * quota):
        expect(200, crowd.ask(n % 2, n // 2 % 2))
        crowd.wait_until(crowd.now() + window / (0.9 * quota))

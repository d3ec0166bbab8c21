"""Rate limits as a client meets them. Each test comes from addresses of its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from math import ceil
from typing import Any

import httpx
import psycopg
import pytest

from microblog.stack.process import wait_for
from tests.support.client import PASSWORD, Member, expect, refused
from tests.support.database import Database
from tests.support.servers import Served, serve_rest

_addresses = (f"203.0.{n // 250}.{n % 250 + 1}" for n in count(1))


@pytest.fixture(scope="module")
def limited(module_rest: Served) -> Iterator[Served]:
    """PostgREST with the limits as they are shipped, for everybody.

    Without the proxy, so that a test says itself which address a request comes from.
    """
    module_rest.database.run("delete from app.rate_limit_exemptions")
    yield module_rest


class Place:
    """An address, and requests that come from it."""

    def __init__(self, api: Served, address: str | None = None) -> None:
        self.api = api
        self.address = address or next(_addresses)

    def __call__(
        self, method: str, path: str, member: Member | None = None, **options: Any
    ) -> httpx.Response:
        headers = {"X-Forwarded-For": self.address, **options.pop("headers", {})}
        token = member.token if member else None
        return self.api.request(method, path, token, headers=headers, **options)

    def signup(self) -> Member:
        name = f"limited_{next(_names)}"
        body = {"username": name, "password": PASSWORD}
        answer = expect(201, self("POST", "/rpc/signup", json=body)).json()
        return Member(self.api, answer["user"]["id"], name, PASSWORD, answer["token"])


_names = count(1)


@pytest.fixture
def here(limited: Served) -> Place:
    return Place(limited)


@pytest.fixture
def member(limited: Served) -> Member:
    return Place(limited).signup()


def told(answer: httpx.Response) -> tuple[str, int, int, int]:
    """Rule, quota, remaining and reset, once all headers are seen to agree."""
    headers = answer.headers
    name, *parameters = headers["RateLimit-Policy"].split(";")
    policy = dict(p.split("=") for p in parameters)
    state_name, *parameters = headers["RateLimit"].split(";")
    state = dict(p.split("=") for p in parameters)
    quota, remaining = int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])
    assert name == state_name
    assert (int(policy["q"]), int(state["r"])) == (quota, remaining)
    assert 0 <= int(state["t"]) <= int(policy["w"]) * 1.05 + 1
    return name.strip('"'), quota, remaining, int(headers["X-RateLimit-Reset"])


def now(api: Served) -> float:
    return api.database.value("select date_part('epoch', clock_timestamp())")


def add_rule(api: Served, path: str, quota: int, **columns: Any) -> str:
    """Add a rule for one path, by default 60 seconds, of the user."""
    name = f"rule_{next(_names)}"
    row = {
        "name": name, "methods": ["GET"], "path_pattern": f"^{path}$", "scope": "user",
        "quota": quota, "window_seconds": 60,
    } | columns  # fmt: skip
    api.database.run(
        f"insert into app.rate_limits ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
        list(row.values()),
    )
    return name


def test_each_answer_tells_the_rule_that_binds(here: Place, member: Member) -> None:
    first = expect(200, here("GET", "/rpc/feed_timeline", member))
    assert told(first)[:3] == ("feeds", 100, 99)
    assert told(first)[3] == pytest.approx(now(here.api) + 63, abs=5)
    second = expect(200, here("GET", "/rpc/feed_mine", member))
    assert told(second)[:3] == ("feeds", 100, 98)
    written = expect(201, here("POST", "/posts", member, json={"content": "x"}))
    assert told(written)[:3] == ("posts", 10, 9)
    anonymous = expect(200, here("GET", "/rpc/feed_public"))
    assert told(anonymous)[:3] == ("anonymous", 60, 59)


def test_reads_count_and_the_next_is_refused(here: Place, member: Member) -> None:
    for left in reversed(range(100)):
        answer = expect(200, here("GET", "/rpc/feed_timeline", member))
        assert told(answer)[2] == left
    answer = here("GET", "/rpc/feed_timeline", member)
    refused(429, "rate_limited", answer)
    assert told(answer)[:3] == ("feeds", 100, 0)
    assert 1 <= int(answer.headers["Retry-After"]) <= 63
    assert expect(200, here("GET", "/rpc/me", member))


def test_the_shipped_rules_are_the_documented_ones(limited: Served) -> None:
    shipped = limited.database.run(
        "select name, scope, quota, window_seconds from app.rate_limits"
        " where name not like 'rule%' order by id"
    )
    assert shipped == [
        ("address", "address", 300, 300),
        ("anonymous", "anonymous", 60, 60),
        ("feeds", "user", 100, 60),
        ("posts", "user", 10, 60),
        ("follows", "user", 50, 3600),
        ("passwords", "address", 25, 300),
        ("login", "username", 10, 300),
        ("own_password", "user", 10, 300),
        ("signup", "address", 5, 1800),
        ("up", "address", 600, 60),
    ]


def test_failed_logins_count_by_username_wherever_they_come_from(
    limited: Served, member: Member
) -> None:
    body = {"username": member.username, "password": "wrong horse battery"}
    for left in reversed(range(10)):
        answer = Place(limited)("POST", "/rpc/login", json=body)
        refused(401, "invalid_credentials", answer)
        assert told(answer)[:3] == ("login", 10, left)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    right = {"username": member.username.upper(), "password": PASSWORD}
    refused(429, "rate_limited", Place(limited)("POST", "/rpc/login", json=right))


@pytest.mark.parametrize(
    ("letter", "instead"),
    [("l", "\uff4c"), ("l", "\N{SOFT HYPHEN}l"), ("l", "l\N{ZERO WIDTH JOINER}"), ("l", "\u24db")],
    ids=ascii,
)
def test_no_other_spelling_of_a_username_has_tries_of_its_own(
    limited: Served, member: Member, letter: str, instead: str
) -> None:
    """Names that the collation takes for this one: they are nobody's, whatever the password."""
    spelled = member.username.replace(letter, instead, 1)
    is_equal = "select username = %s from app.users where id = %s"
    assert limited.database.value(is_equal, [spelled, member.id])
    right = Place(limited)(
        "POST", "/rpc/login", json={"username": spelled, "password": member.password}
    )
    refused(401, "invalid_credentials", right)
    body = {"username": f"nobody_{next(_names)}", "password": member.password}
    nobody = Place(limited)("POST", "/rpc/login", json=body)
    assert right.json() == nobody.json()


def test_failed_logins_count_by_address(here: Place) -> None:
    for n in range(25):
        body = {"username": f"nobody_{n}", "password": "wrong horse battery"}
        refused(401, "invalid_credentials", here("POST", "/rpc/login", json=body))
    answer = here("POST", "/rpc/login", json={"username": "else", "password": PASSWORD})
    refused(429, "rate_limited", answer)
    assert told(answer)[0] == "passwords"


@pytest.mark.parametrize("call", ["password_change", "account_delete"])
def test_passwords_tried_with_a_token_count(limited: Served, member: Member, call: str) -> None:
    body = {"password_change": {"current_password": "wrong", "new_password": PASSWORD},
            "account_delete": {"password": "wrong"}}[call]  # fmt: skip
    for _ in range(10):
        refused(403, "wrong_password", Place(limited)("POST", f"/rpc/{call}", member, json=body))
    answer = Place(limited)("POST", f"/rpc/{call}", member, json=body)
    refused(429, "rate_limited", answer)
    assert told(answer)[0] == "own_password"


def test_sign_ups_count_even_those_that_fail(here: Place) -> None:
    here.signup()
    for _ in range(4):
        refused(400, "username_invalid", here("POST", "/rpc/signup", json={"username": "a b"}))
    answer = here("POST", "/rpc/signup", json={"username": "fresh", "password": PASSWORD})
    refused(429, "rate_limited", answer)
    assert told(answer)[0] == "signup"


def test_errors_carry_the_headers_too(here: Place, member: Member) -> None:
    answer = here("GET", "/rpc/feed_timeline", member, params={"cursor": "nonsense"})
    refused(400, "cursor_invalid", answer)
    assert told(answer)[:3] == ("feeds", 100, 99)


def test_a_page_keeps_its_link_beside_the_limits(here: Place, member: Member) -> None:
    for n in range(2):
        expect(201, here("POST", "/posts", member, json={"content": f"post {n}"}))
    answer = here("GET", "/rpc/feed_mine", member, headers={"X-Page-Limit": "1"})
    assert told(answer)[0] == "feeds"
    assert 'rel="next"' in answer.headers["Link"]
    assert answer.headers["X-Next-Cursor"]


def test_a_call_that_one_rule_refuses_counts_for_the_others(here: Place, member: Member) -> None:
    for _ in range(10):
        expect(201, here("POST", "/posts", member, json={"content": "x"}))
    for _ in range(3):
        refused(429, "rate_limited", here("POST", "/posts", member, json={"content": "x"}))
    hits = here.api.database.value(
        "select hits from dba.rate_limit_keys where rule = 'address' and key = %s", [here.address]
    )
    assert hits == 13


def test_rows_of_one_request_count_each(here: Place, member: Member) -> None:
    four = [{"content": f"post {n}"} for n in range(4)]
    answer = expect(201, here("POST", "/posts", member, json=four))
    assert told(answer)[:3] == ("posts", 10, 6)
    refused(429, "rate_limited", here("POST", "/posts", member, json=four + four[:3]))
    assert len(expect(200, here("GET", "/rpc/feed_mine", member)).json()) == 4
    answer = expect(201, here("POST", "/posts", member, json=four + four[:2]))
    assert told(answer)[:3] == ("posts", 10, 0)


def test_more_rows_than_the_quota_never_get_through(here: Place, member: Member) -> None:
    """No wait would help, so none is told; and what did not get through did not count."""
    rows = [{"content": f"post {n}"} for n in range(11)]
    answer = here("POST", "/posts", member, json=rows)
    assert "at most 10 in one request" in refused(400, "rows_too_many", answer)["hint"]
    assert "Retry-After" not in answer.headers
    assert told(expect(201, here("POST", "/posts", member, json=rows[:10])))[2] == 0
    others = [here.api.database.user() for _ in range(51)]
    here.api.database.follow(member.id, others)
    everybody = {"followed_id": f"in.({','.join(map(str, others))})"}
    answer = here("DELETE", "/follows", member, params=everybody)
    assert "at most 50 in one request" in refused(400, "rows_too_many", answer)["hint"]
    assert expect(200, here("GET", "/rpc/me", member)).json()["following_count"] == 51


class Bucket:
    """What one rule has counted of one member, with a clock that the test sets.

    Time passes by making all counted calls older, for PostgREST counts by the server's clock.
    """

    def __init__(self, api: Served, rule: str, key: str) -> None:
        self.database = api.database
        self.where = [rule, key]

    def used(self) -> int:
        """Calls in the window as of the last one."""
        return self.database.value(
            "select hits_in_window from dba.rate_limit_keys where rule = %s and key = %s",
            self.where,
        )

    def fill(self, hits: int, window: int) -> float:
        """Have so many calls counted now; answers when they leave the window."""
        slot = self.database.value(
            "insert into app.rate_limit_buckets as b"
            " select l.id, l.window_seconds, %s,"
            "   floor(date_part('epoch', clock_timestamp()) * 20 / l.window_seconds), l.quota, %s,"
            "   array_fill(0, '{21}') from app.rate_limits l where l.name = %s"
            " on conflict on constraint rate_limit_buckets_pkey do update"
            " set slot = excluded.slot, hit_count = excluded.hit_count,"
            "   past_counts = excluded.past_counts"
            " returning slot",
            [self.where[1], hits, self.where[0]],
        )
        assert window == self.database.value(
            "select window_seconds from app.rate_limits where name = %s", self.where[:1]
        )
        return (slot + 21) * window / 20


def refused_until(opens_at: float, api: Served, ask: Callable[[], httpx.Response]) -> str:
    """Ask, and be refused with a wait to that time, to the second; the rule that is told."""
    asked_at = now(api)
    answer = ask()
    refused(429, "rate_limited", answer)
    wait = int(answer.headers["Retry-After"])
    assert ceil(opens_at - now(api)) <= wait <= ceil(opens_at - asked_at)
    return told(answer)[0]


@pytest.mark.parametrize("left", [3, 0])
def test_the_wait_of_a_refused_write_is_for_all_its_rows(
    here: Place, member: Member, left: int
) -> None:
    """Five rows where fewer are left: nothing is taken, and the wait is for the five."""
    posts = Bucket(here.api, "posts", f"user {member.id}")
    five = [{"content": f"post {n}"} for n in range(5)]
    opens_at = posts.fill(10 - left, 60)
    rule = refused_until(opens_at, here.api, lambda: here("POST", "/posts", member, json=five))
    assert rule == "posts"
    assert posts.used() == 10 - left
    assert expect(200, here("GET", "/rpc/feed_mine", member)).json() == []
    posts.fill(5, 60)
    assert told(expect(201, here("POST", "/posts", member, json=five)))[:3] == ("posts", 10, 0)


@pytest.mark.parametrize("left", [3, 0])
def test_the_wait_of_a_refused_deletion_is_for_all_its_rows(
    here: Place, member: Member, left: int
) -> None:
    follows = Bucket(here.api, "follows", f"user {member.id}")
    others = [here.api.database.user() for _ in range(5)]
    here.api.database.follow(member.id, others)
    params = {"followed_id": f"in.({','.join(map(str, others))})"}
    opens_at = follows.fill(50 - left, 3600)
    refused_until(opens_at, here.api, lambda: here("DELETE", "/follows", member, params=params))
    assert follows.used() == 50 - left
    assert expect(200, here("GET", "/rpc/me", member)).json()["following_count"] == 5
    follows.fill(45, 3600)
    answer = expect(204, here("DELETE", "/follows", member, params=params))
    assert told(answer)[:2] == ("follows", 50)
    assert follows.used() == 50


def test_the_wait_is_the_longest_of_all_rules(here: Place, member: Member) -> None:
    """The rule that took the last place of its own is full when the one that refused is not."""
    posts = Bucket(here.api, "posts", f"user {member.id}")
    address = Bucket(here.api, "address", here.address)
    posts.fill(10, 60)
    opens_at = address.fill(299, 300)
    one = {"content": "x"}
    rule = refused_until(opens_at, here.api, lambda: here("POST", "/posts", member, json=one))
    assert rule == "address"
    address.fill(200, 300)
    login = Bucket(here.api, "login", f"name {member.username}")
    passwords = Bucket(here.api, "passwords", here.address)
    login.fill(10, 300)
    passwords.fill(24, 300)
    here.api.database.run(
        "update app.rate_limit_buckets set slot = slot - 10 where key = %s", [login.where[1]]
    )
    body = {"username": member.username, "password": PASSWORD}
    answer = here("POST", "/rpc/login", json=body)
    refused(429, "rate_limited", answer)
    assert told(answer)[0] == "passwords"


def test_a_refused_write_of_a_wrong_kind_writes_nothing(here: Place, member: Member) -> None:
    """The refusal that waits for the rows ends every statement, also one that meets none."""
    Bucket(here.api, "posts", f"user {member.id}").fill(10, 60)
    Bucket(here.api, "follows", f"user {member.id}").fill(50, 3600)
    for body in ({"content": "x"}, [{"content": "x"}], [], {}, {"content": "x" * 201}):
        refused(429, "rate_limited", here("POST", "/posts", member, json=body))
    answer = here("DELETE", "/follows", member, params={"followed_id": "eq.1"})
    refused(429, "rate_limited", answer)
    answer = here("POST", "/follows", member, json={"followed_id": member.id})
    refused(429, "rate_limited", answer)


def test_unfollows_of_one_request_count_each(here: Place, member: Member) -> None:
    others = [here.api.database.user() for _ in range(30)]
    rows = [{"followed_id": other} for other in others]
    answer = expect(201, here("POST", "/follows", member, json=rows))
    assert told(answer)[:3] == ("follows", 50, 20)
    everybody = {"followed_id": f"in.({','.join(map(str, others))})"}
    answer = here("DELETE", "/follows", member, params=everybody)
    refused(429, "rate_limited", answer)
    assert expect(200, here("GET", "/rpc/me", member)).json()["following_count"] == 30
    some = {"followed_id": f"in.({','.join(map(str, others[:15]))})"}
    answer = expect(204, here("DELETE", "/follows", member, params=some))
    assert Bucket(here.api, "follows", f"user {member.id}").used() == 45
    assert told(answer)[:2] == ("follows", 50)


def test_addresses_of_one_ipv6_network_share_a_count(limited: Served) -> None:
    lefts = [
        told(expect(200, Place(limited, f"2001:db8:7:9::{n}")("GET", "/rpc/feed_public")))[2]
        for n in range(1, 4)
    ]
    assert lefts == [59, 58, 57]
    other = Place(limited, "2001:db8:7:a::1")("GET", "/rpc/feed_public")
    assert told(other)[2] == 59


def test_health_checks_do_not_use_up_the_anonymous_calls(here: Place) -> None:
    assert told(expect(200, here("GET", "/rpc/up")))[:3] == ("up", 600, 599)
    assert told(expect(200, here("GET", "/rpc/health")))[:3] == ("address", 300, 299)
    assert told(expect(200, here("GET", "/rpc/feed_public")))[:3] == ("anonymous", 60, 59)


def test_checks_whether_the_database_answers_are_refused_at_last(here: Place) -> None:
    """They have a limit of their own, which leaves the others as they are."""
    expect(200, here("GET", "/rpc/up"))
    Bucket(here.api, "up", here.address).fill(600, 60)
    answer = here("GET", "/rpc/up")
    refused(429, "rate_limited", answer)
    assert told(answer)[:3] == ("up", 600, 0)
    assert told(expect(200, here("GET", "/rpc/health")))[:3] == ("address", 300, 299)


def test_a_token_that_has_ended_counts_as_nobody(here: Place, member: Member) -> None:
    expect(204, here("POST", "/rpc/logout", member))
    answer = here("GET", "/rpc/feed_timeline", member)
    refused(401, "session_ended", answer)
    assert told(answer)[:3] == ("anonymous", 60, 59)


def test_a_dry_run_counts_and_refuses_nothing(here: Place, member: Member) -> None:
    rule = add_rule(here.api, "/follows", 1, is_dry_run=True)
    answers = [expect(200, here("GET", "/follows", member)) for _ in range(3)]
    assert {told(answer)[0] for answer in answers} == {"address"}
    assert here.api.database.run(
        "select keys, hits, refusals, busiest_key, busiest_hits from dba.rate_limits"
        " where rule = %s",
        [rule],
    ) == [(1, 1, 2, f"user {member.id}", 3)]


def test_a_changed_rule_holds_within_a_second(here: Place, member: Member) -> None:
    """By the server's clock: what begins a second after the commit obeys, on every connection.

    Six clients ask until after the commit, so that each connection knows the rule as it was.
    """
    rule = add_rule(here.api, "/users", 280, scope="address")
    addresses = [next(_addresses) for _ in range(300)]
    clients = 6

    def quota(client: int, round_: int) -> tuple[str, int]:
        anywhere = Place(here.api, addresses[(round_ * clients + client) % len(addresses)])
        answer = anywhere("GET", "/users", member, params={"limit": 1})
        return told(expect(200, answer))[:2]

    with ThreadPoolExecutor(clients) as threads:

        def ask(round_: int) -> set[tuple[str, int]]:
            return set(threads.map(lambda client: quota(client, round_), range(clients)))

        for round_, change in enumerate(("quota = 260", "quota = 270", "is_enabled = false")):
            as_it_was = ask(4 * round_)
            assert len(as_it_was) == 1
            here.api.database.run(f"update app.rate_limits set {change} where name = %s", [rule])
            committed_at = now(here.api)
            ask(4 * round_ + 1)
            wait_for(lambda at=committed_at: now(here.api) > at + 1, 30, "the second to pass")
            for later in (2, 3):
                expected = ("address", 300) if "false" in change else (rule, int(change[-3:]))
                assert ask(4 * round_ + later) == {expected}


@pytest.mark.parametrize(
    ("address", "exempt", "neighbour"),
    [
        ("198.51.100.7", "198.51.100.7", "198.51.100.8"),
        ("198.51.100.17", "198.51.100.16/28", "198.51.100.32"),
        ("::ffff:198.51.100.50", "198.51.100.50", "::ffff:198.51.100.51"),
        ("2001:db8:9::1", "2001:db8:9::1", "2001:db8:9::2"),
        ("2001:db8:a::1", "2001:db8:a::1/128", "2001:db8:a::2"),
        ("2001:db8:b::15", "2001:db8:b::10/124", "2001:db8:b::20"),
        ("2001:db8:c:1::1", "2001:db8:c:1::/64", "2001:db8:c:2::1"),
        ("2001:db8:d:1::1", "2001:db8:d::/48", "2001:db8:e:1::1"),
        (None, None, None),
    ],
)
def test_the_exempt_are_not_counted_and_their_neighbours_are(
    limited: Served, member: Member, address: str | None, exempt: str | None, neighbour: str | None
) -> None:
    """By address, by network, and by user, wherever that one calls from."""
    add_rule(limited, "/rpc/thread", 1, scope="address")
    post = limited.database.post(member.id)
    other = Place(limited).signup()
    limited.database.run(
        "insert into app.rate_limit_exemptions (address, user_id) values (%s, %s)",
        [exempt, None if exempt else member.id],
    )
    asked = {"params": {"post_id": post}}
    try:
        wait_for(lambda: tells_nothing(limited, address, member, asked), 10, "the exemption")
        for _ in range(3):
            assert tells_nothing(limited, address, member, asked)
        assert told(expect(200, Place(limited, neighbour)("GET", "/rpc/thread", other, **asked)))
    finally:
        limited.database.run("delete from app.rate_limit_exemptions")
        limited.database.run("update app.rate_limits set is_enabled = false where name ~ '^rule_'")


def tells_nothing(api: Served, address: str | None, member: Member, asked: dict) -> bool:
    """Whether a request from an address, by default a new one, is not counted."""
    answer = Place(api, address)("GET", "/rpc/thread", member, **asked)
    return answer.status_code == 200 and "RateLimit" not in answer.headers


def test_the_session_that_counts_may_die_between_the_count_and_the_refusal(
    here: Place, member: Member
) -> None:
    """The bucket is held so that the refusal waits; its session is ended; another one tells."""
    Bucket(here.api, "posts", f"user {member.id}").fill(10, 60)
    database = here.api.database
    # The refusal alone writes here.
    with database.superuser() as holder, ThreadPoolExecutor(1) as thread:
        with holder.transaction():
            holder.execute("lock table app.rate_limit_refusals in share mode")
            answer = thread.submit(here, "POST", "/posts", member, json={"content": "x"})
            pid = database.wait_for(
                "select pid from pg_stat_activity where usename = 'limiter'"
                " and datname = current_database() and wait_event_type = 'Lock'"
            )
            assert database.value("select pg_terminate_backend(%s, 10000)", [pid])
        refused(429, "rate_limited", answer.result(60))
        assert int(answer.result().headers["Retry-After"]) > 50


def test_the_session_that_counts_may_die(here: Place, member: Member) -> None:
    assert told(expect(200, here("GET", "/rpc/feed_timeline", member)))[2] == 99
    ended = here.api.database.values(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where usename = 'limiter' and datname = current_database()"
    )
    assert ended
    assert all(ended)
    assert told(expect(200, here("GET", "/rpc/feed_timeline", member)))[2] == 98


def test_a_request_that_cannot_be_counted_is_not_carried_out(here: Place, member: Member) -> None:
    """Another session holds the bucket: the wait has an end, and the answer says what to do."""
    expect(201, here("POST", "/posts", member, json={"content": "first"}))
    with here.api.database.superuser() as holder, holder.transaction():
        holder.execute(
            "select from app.rate_limit_buckets where key = %s for update", [f"user {member.id}"]
        )
        answer = here("POST", "/posts", member, json={"content": "second"})
        refused(503, "busy", answer)
    (only,) = expect(200, here("GET", "/rpc/feed_mine", member)).json()
    assert only["content"] == "first"


def test_the_proxy_says_who_it_is(own_api: Served) -> None:
    """A forwarded address of the client's own making is discarded; browsers may read the limits."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    for n in range(3):
        answer = own_api.get("/rpc/feed_public", headers={"X-Forwarded-For": f"192.0.2.{n}"})
        assert told(expect(200, answer))[2] == 59 - n
    assert own_api.database.values("select distinct key from app.rate_limit_buckets") == [
        "127.0.0.1"
    ]


def test_a_busy_answer_says_when_to_come_back(own_api: Served) -> None:
    """PostgREST would say: at once."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    expect(200, own_api.get("/rpc/feed_public"))
    with own_api.database.superuser() as holder, holder.transaction():
        holder.execute("select from app.rate_limit_buckets for update")
        answer = own_api.get("/rpc/feed_public")
        refused(503, "busy", answer)
        assert answer.headers["Retry-After"] == "1"


def test_what_cannot_be_counted_is_refused_until_it_can(database: Database) -> None:
    """The session that counts cannot be had: nothing passes uncounted, and nothing stays broken."""
    database.run("delete from app.rate_limit_exemptions")
    database.run("alter role limiter nologin")
    try:
        with serve_rest(database) as api:
            refused(503, "rate_limits_unavailable", api.get("/rpc/feed_public"))
            database.run("alter role limiter login")
            wait_for(
                lambda: api.get("/rpc/feed_public").status_code == 200, 10, "requests to count"
            )
    finally:
        database.run("alter role limiter login")


def test_a_backend_that_cannot_connect_tries_once_a_second_and_says_why(
    database: Database,
) -> None:
    """Every attempt may take as long as its timeout."""
    log = database.settings.log_dir / "postgres.log"
    said = "requests cannot be counted"
    refused = f"limiter@{database.name} FATAL:"
    before, refused_before = log.read_text().count(said), log.read_text().count(refused)
    database.run("alter role limiter nologin")
    try:
        with database.superuser() as backend:
            started_at = database.value("select date_part('epoch', clock_timestamp())")
            for _ in range(30):
                with pytest.raises(psycopg.Error):
                    backend.execute("select app.rate_limit_reconnect()")
            seconds = database.value("select date_part('epoch', clock_timestamp())") - started_at
            assert 1 <= log.read_text().count(said) - before <= 1 + seconds
            assert "not permitted to log in" in log.read_text()
            assert 1 <= log.read_text().count(refused) - refused_before <= 1 + seconds
            database.run("alter role limiter login")

            def connects() -> bool:
                try:
                    backend.execute("select app.rate_limit_reconnect()")
                except psycopg.Error:
                    return False
                return True

            wait_for(connects, 10, "a connection")
    finally:
        database.run("alter role limiter login")

"""Rate limits as a client meets them. Each test comes from addresses of its own."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
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
    eleven = [{"content": f"post {n}"} for n in range(11)]
    refused(429, "rate_limited", here("POST", "/posts", member, json=eleven))
    assert len(expect(200, here("GET", "/rpc/feed_mine", member)).json()) == 4


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
    assert "RateLimit" not in expect(200, here("GET", "/rpc/up")).headers
    assert told(expect(200, here("GET", "/rpc/health")))[0] == "address"


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
    """Asked again and again by one client, whose connection has seen the rule as it was."""
    rule = add_rule(here.api, "/users", 280, scope="address")

    def quota() -> int:
        anywhere = Place(here.api)
        return told(expect(200, anywhere("GET", "/users", member, params={"limit": 1})))[1]

    assert quota() == 280
    for new in (260, 270):
        changed_at = here.api.database.value(
            "update app.rate_limits set quota = %s where name = %s"
            " returning date_part('epoch', clock_timestamp())",
            [new, rule],
        )
        seen: list[int] = []
        while not seen or seen[-1] != new:
            seen.append(quota())
            assert now(here.api) < changed_at + 10, "the change never took effect"
    here.api.database.run("update app.rate_limits set is_enabled = false where name = %s", [rule])
    wait_for(lambda: quota() == 300, 10, "the end of the rule")


@pytest.mark.parametrize("whom", ["user", "address", "network"])
def test_the_exempt_are_not_counted(limited: Served, member: Member, whom: str) -> None:
    place = Place(limited, f"198.51.100.{next(_names)}")
    add_rule(limited, "/rpc/thread", 1)
    columns = {
        "user": ("user_id", member.id),
        "address": ("address", place.address),
        "network": ("address", "198.51.100.0/24"),
    }
    column, value = columns[whom]
    limited.database.run(f"insert into app.rate_limit_exemptions ({column}) values (%s)", [value])
    post = limited.database.post(member.id)
    try:
        for _ in range(3):
            answer = place("GET", "/rpc/thread", member, params={"post_id": post})
            assert "RateLimit" not in expect(200, answer).headers
        other, elsewhere = Place(limited).signup(), Place(limited)
        params = {"post_id": post}
        expect(200, elsewhere("GET", "/rpc/thread", other, params=params))
        refused(429, "rate_limited", elsewhere("GET", "/rpc/thread", other, params=params))
    finally:
        limited.database.run("delete from app.rate_limit_exemptions")


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
            expect(200, api.get("/rpc/feed_public"))
    finally:
        database.run("alter role limiter login")

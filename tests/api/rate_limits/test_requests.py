"""Rate limits of requests of any kind: what is told, what counts, and for whom."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from microblog.stack.process import wait_for
from tests.api.rate_limits.asking import Bucket, Place, new_addresses, now, numbers, told
from tests.support.client import Member, expect, refused
from tests.support.servers import Served


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


def add_rule(api: Served, path: str, quota: int, **columns: Any) -> str:
    """Add a rule for one path, by default 60 seconds, of the user."""
    name = f"rule_{next(numbers)}"
    row = {
        "name": name, "methods": ["GET"], "path_pattern": f"^{path}$", "scope": "user",
        "quota": quota, "window_seconds": 60,
    } | columns  # fmt: skip
    api.database.run(
        f"insert into app.rate_limits ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
        list(row.values()),
    )
    return name


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
    addresses = [next(new_addresses) for _ in range(300)]
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


def test_the_proxy_says_who_it_is(own_api: Served) -> None:
    """A forwarded address of the client's own making is discarded; browsers may read the limits."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    for n in range(3):
        answer = own_api.get("/rpc/feed_public", headers={"X-Forwarded-For": f"192.0.2.{n}"})
        assert told(expect(200, answer))[2] == 59 - n
    assert own_api.database.values("select distinct key from app.rate_limit_buckets") == [
        "127.0.0.1"
    ]

"""Rate limits of writes, whose rows count each, and how long a refused one has to wait."""

from collections.abc import Callable
from math import ceil

import httpx
import pytest

from tests.api.rate_limits.asking import Bucket, Place, now, told
from tests.support.client import PASSWORD, Member, expect, refused
from tests.support.servers import Served


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

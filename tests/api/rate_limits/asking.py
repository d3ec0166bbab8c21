"""Who asks in these tests, each from addresses of their own, and what is counted of them."""

from itertools import count
from typing import Any

import httpx

from tests.support.client import PASSWORD, Member, expect
from tests.support.servers import Served

new_addresses = (f"203.0.{n // 250}.{n % 250 + 1}" for n in count(1))
numbers = count(1)


class Place:
    """An address, and requests that come from it."""

    def __init__(self, api: Served, address: str | None = None) -> None:
        self.api = api
        self.address = address or next(new_addresses)

    def __call__(
        self, method: str, path: str, member: Member | None = None, **options: Any
    ) -> httpx.Response:
        headers = {"X-Forwarded-For": self.address, **options.pop("headers", {})}
        token = member.token if member else None
        return self.api.request(method, path, token, headers=headers, **options)

    def signup(self) -> Member:
        name = f"limited_{next(numbers)}"
        body = {"username": name, "password": PASSWORD}
        answer = expect(201, self("POST", "/rpc/signup", json=body)).json()
        return Member(self.api, answer["user"]["id"], name, PASSWORD, answer["token"])


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

"""Clients of the proxy, each from an address of its own."""

from itertools import count
from typing import Any

import httpx

from microblog.stack.process import wait_for
from tests.support.client import Api, Member
from tests.support.database import Database
from tests.support.servers import Served

_addresses = (f"127.9.{n // 250}.{n % 250 + 1}" for n in count(1))


class Place(Api):
    """The API as it is met from one address, by default one that nobody has used."""

    def __init__(self, served: Served, address: str | None = None) -> None:
        self.address = address or next(_addresses)
        self.database = served.database
        super().__init__(served.url, served.proxied, self.address)

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def member_of(self, other: Member) -> Member:
        """The same member, who calls from here."""
        return Member(self, other.id, other.username, other.password, other.token)


def now(database: Database) -> float:
    """The database's clock, seconds since 1970."""
    return database.value("select date_part('epoch', clock_timestamp())")


def wait_until(database: Database, at: float) -> None:
    """Wait until it is that late by the database's clock."""
    wait_for(lambda: now(database) >= at, 60, "the time to pass")


def limits_told(answer: httpx.Response) -> dict[str, Any]:
    """What the headers of an answer tell: name, quota and remaining; empty where none does."""
    headers = answer.headers
    if not [name for name in headers if "ratelimit" in name.lower()]:
        return {}
    return {
        "name": headers["RateLimit-Policy"].partition(";")[0].strip('"'),
        "quota": int(headers["X-RateLimit-Limit"]),
        "remaining": int(headers["X-RateLimit-Remaining"]),
    }

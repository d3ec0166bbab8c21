"""Requests of any kind beyond the limits: refused with all that a client needs, and not broken."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import grammar
from tests.fuzz.conftest import GOODBYES, Callers
from tests.fuzz.wire import Request
from tests.properties.profiles import chosen
from tests.support.cluster import Cluster
from tests.support.servers import serve_api

LIMITS = {
    *("ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining"),
    *("x-ratelimit-reset",),
}
# Made for everybody, so that it tells nobody's limits.
TELL_NONE = {"/rpc/feed_public_cached", "/rpc/user_cached", "/rpc/users_popular"}
COUNTED = set(grammar.TABLES + grammar.CALLS) - TELL_NONE
QUOTA = 3
# Each has its own quota, so that requests get through until the end.
ADDRESSES = [f"127.0.1.{n}" for n in range(1, 31)]


@pytest.fixture(scope="module")
def limited(cluster: Cluster) -> Iterator[Callers]:
    """Callers whom every rule counts, each with a small quota."""
    with cluster.clone() as database:
        database.run("delete from app.rate_limit_exemptions")
        database.run("update app.rate_limits set quota = %s, window_seconds = 86400", [QUOTA])
        with serve_api(database) as api:
            yield Callers(api)


def test_whatever_is_asked_too_often_is_refused_with_all_limit_headers(limited: Callers) -> None:
    """Below the quota an answer tells it, too; the rules of every answer hold for both."""

    @settings(chosen(), max_examples=5 * chosen().max_examples)
    @given(grammar.requests(), st.booleans(), st.sampled_from(ADDRESSES))
    def whatever(request: Request, as_member: bool, source: str) -> None:
        answer = limited.ask(request, as_member and request.path not in GOODBYES, source)
        if answer.status == 429:
            assert request.method == "HEAD" or answer.json()["code"] == "rate_limited"
            assert answer.headers.keys() >= LIMITS | {"retry-after"}, request
            assert int(answer.headers["retry-after"]) > 0
        elif answer.status < 300 and request.path in COUNTED and request.method != "OPTIONS":
            assert answer.headers.keys() >= LIMITS, request

    whatever()
    assert {200, 400, 429} <= set(limited.statuses), limited.statuses

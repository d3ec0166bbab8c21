"""Headers: what a function sets stands beside the limits, and browsers may read all of them."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.client import expect, refused
from tests.support.cluster import Cluster
from tests.support.servers import Served, serve_api

ORIGIN = {"Origin": "http://localhost:3000"}
LIMITS = {
    "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit",
    "ratelimit-policy",
}  # fmt: skip

# What scripts may read without being told (Fetch, "CORS-safelisted response-header name"), and what
# says how the answer was brought rather than what it is.
SAFELISTED = {
    "cache-control", "content-language", "content-length", "content-type", "expires",
    "last-modified", "pragma",
}  # fmt: skip
OF_THE_WAY = {"connection", "date", "keep-alive", "server", "transfer-encoding", "vary"}

# A page of the test's own, which sets what pages set and one thing more; its quota is the header's.
TAGGED = """
create function api.tagged() returns json language plpgsql stable as $$
begin
  perform app.response_header('Link', '</rpc/tagged?cursor=7>; rel="next"');
  perform app.response_header('X-Next-Cursor', '7');
  perform app.response_header('ETag', '"of the test"');
  perform app.response_header('Age', '3');
  if current_setting('request.headers')::json ->> 'if-none-match' = '"of the test"' then
    perform set_config('response.status', '304', true);
  end if;
  return '{"a": 1}';
end
$$;
grant execute on function api.tagged() to anon, member;
"""


@pytest.fixture(scope="module")
def limited(cluster: Cluster) -> Iterator[Served]:
    """The public contract with nobody exempt from the limits, and one page more."""
    with cluster.clone() as database:
        database.run(TAGGED)
        with serve_api(database) as api:
            database.run("delete from app.rate_limit_exemptions")
            yield api


def exposed(answer: httpx.Response) -> set[str]:
    """Return the headers that a page of an allowed origin may read."""
    names = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert len(names) == len(set(names))
    return set(names) | SAFELISTED


def readable(answer: httpx.Response) -> set[str]:
    """Return the answer's headers, once the origin is seen to be allowed to read them all."""
    assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    sent = {name for name in answer.headers if not name.startswith("access-control-")}
    hidden = sent - exposed(answer) - OF_THE_WAY
    assert hidden == set()
    return sent


def test_what_a_function_sets_stands_beside_the_limits(limited: Served) -> None:
    answer = expect(200, limited.get("/rpc/tagged", headers=ORIGIN))
    assert answer.json() == {"a": 1}
    assert answer.links["next"]["url"] == "/rpc/tagged?cursor=7"
    assert answer.headers["X-Next-Cursor"] == "7"
    assert answer.headers["ETag"] == '"of the test"'
    assert answer.headers["Age"] == "3"
    assert {"link", "x-next-cursor", "etag", "age", "x-request-id"} | LIMITS <= readable(answer)
    assert answer.headers["X-RateLimit-Limit"] == "60"
    left = int(answer.headers["X-RateLimit-Remaining"])
    again = expect(200, limited.get("/rpc/tagged"))
    assert int(again.headers["X-RateLimit-Remaining"]) == left - 1


def test_an_answer_without_a_body_has_them_too(limited: Served) -> None:
    asked = ORIGIN | {"If-None-Match": '"of the test"'}
    answer = limited.get("/rpc/tagged", headers=asked)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == '"of the test"'
    assert {"etag"} | LIMITS <= readable(answer)


def test_no_header_is_set_twice(limited: Served) -> None:
    names = [name.lower() for name, _ in limited.get("/rpc/tagged", headers=ORIGIN).headers.raw]
    assert len(names) == len(set(names))


def test_scripts_of_an_allowed_origin_may_read_every_header_there_is(limited: Served) -> None:
    """Of pages, rows, a new row, errors, and the refusal of the limits."""
    member = limited.signup()
    for n in range(2):
        member.write(f"post {n}")
    page = expect(200, member.get("/rpc/feed_mine?limit=1", headers=ORIGIN))
    assert {"link", "x-next-cursor"} | LIMITS <= readable(page)
    rows = member.get("/posts?limit=1", headers=ORIGIN | {"Prefer": "count=planned"})
    assert {"content-range"} | LIMITS <= readable(rows)
    prefer = {"Prefer": "return=headers-only"}
    written = member.post("/posts", json={"content": "x"}, headers=ORIGIN | prefer)
    assert {"location"} | LIMITS <= readable(expect(201, written))
    refused(400, "cursor_invalid", bad := member.get("/rpc/feed_mine?cursor=x", headers=ORIGIN))
    assert readable(bad) >= LIMITS
    unknown = limited.get("/rpc/me", "no token", headers=ORIGIN)
    assert "www-authenticate" in readable(expect(401, unknown))

    limited.database.run("update app.rate_limits set quota = 10 where name = 'posts'")
    answers = [member.post("/posts", json={"content": "x"}, headers=ORIGIN) for _ in range(11)]
    refused(429, "rate_limited", answers[-1])
    assert {"retry-after", "x-request-id"} | LIMITS <= readable(answers[-1])

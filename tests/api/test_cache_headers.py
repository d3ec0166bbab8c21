"""What every read says to caches, ours apart: whose it is, and that it is to be asked for again."""

import re

import httpx
import pytest

from tests.support.client import Member, expect
from tests.support.servers import Served
from tests.support.views import refresh

SHARED = ("/rpc/feed_public_cached", "/rpc/user_cached?user_id={id}", "/rpc/users_popular")
# Whether it has a tag with GET, and with HEAD.
READS = {
    "/rpc/feed_timeline": (True, True),
    "/rpc/feed_following?limit=1": (True, True),
    "/rpc/feed_mine": (True, True),
    "/rpc/feed_public": (True, True),
    "/rpc/replies?post_id={post}": (True, True),
    "/rpc/thread?post_id={post}": (
        True,
        False,
    ),  # PostgREST calls no function of one value for a HEAD
    "/rpc/me": (True, False),
    "/rpc/followers?user_id={id}": (True, False),
    "/rpc/following?user_id={id}": (True, False),
    "/users?id=eq.{id}": (True, False),
    "/posts?id=eq.{post}": (True, False),
    "/posts?author_id=eq.{id}&limit=100": (False, False),  # beyond what the proxy holds at once
    "/follows?followed_id=eq.{id}": (True, False),
    "/": (False, False),
    "/up": (False, False),
    "/health": (False, False),
    **dict.fromkeys(SHARED, (False, False)),
}
ERRORS = {
    "/rpc/feed_timeline?limit=0": 400,
    "/rpc/feed_mine?cursor=x": 400,
    "/rpc/replies?post_id=1": 404,
    "/rpc/thread?post_id=1": 404,
    "/rpc/followers?user_id=9999999": 404,
    "/rpc/user_cached?user_id=9999999": 404,
    "/rpc/feed_public_cached?limit=0": 400,
    "/users?id=eq.x": 400,
    "/posts?content=eq.x": 400,
    "/nosuch": 404,
    "/rpc/nosuch": 404,
}


@pytest.fixture(scope="module")
def author(api: Served) -> Member:
    """Somebody with posts enough for a page that fills the proxy's buffer."""
    author = api.signup()
    api.database.run(
        "insert into app.posts (author_id, content)"
        " select %s, repeat('x', 200) from generate_series(1, 99)",
        [author.id],
    )
    refresh(api.database)
    return author


@pytest.fixture(scope="module")
def post(author: Member) -> int:
    return author.write("hello")["id"]


def varies(answer: httpx.Response) -> set[str]:
    return set(re.split(", *", answer.headers["Vary"]))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accepts", [1, 2])
@pytest.mark.parametrize("path", READS)
def test_a_read_is_for_its_caller_and_to_be_asked_for_again(
    api: Served, author: Member, post: int, path: str, method: str, accepts: int
) -> None:
    """Also where it has no tag to ask with; two Accept are a form that no tag knows."""
    address = path.format(id=author.id, post=post)
    headers = [("Accept", "application/json"), ("Authorization", f"Bearer {author.token}")]
    headers += [("Accept", "*/*")] * (accepts - 1)
    answer = expect(200, api.http.request(method, address, headers=headers))
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Accept", "Origin"} <= varies(answer)
    by_get, by_head = READS[path]
    has_tag = by_get if method == "GET" else by_head
    is_digested = by_get and not by_head and "thread" not in path
    assert ("ETag" in answer.headers) == (has_tag and (accepts == 1 or is_digested))


@pytest.mark.parametrize("path", SHARED)
def test_a_shared_answer_may_be_kept_and_varies_alike(
    api: Served, author: Member, path: str
) -> None:
    for shared in ("miss", "hit"):
        answer = expect(200, api.get(path.format(id=author.id)))
        assert answer.headers["X-Cache"] == shared
        assert answer.headers["Cache-Control"] == "no-cache"
        assert {"Authorization", "Accept", "Origin"} <= varies(answer)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("with_token", [True, False])
@pytest.mark.parametrize("path", ERRORS)
def test_an_error_is_for_once(
    api: Served, author: Member, path: str, method: str, with_token: bool
) -> None:
    answer = api.request(method, path, author.token if with_token else None)
    if method == "HEAD" and "thread" in path:
        return  # PostgREST calls no function of one value for a HEAD
    private = "feed_timeline" in path or "feed_mine" in path
    expect(ERRORS[path] if with_token or not private else 401, answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"Authorization", "Accept", "Origin"} <= varies(answer)
    assert "ETag" not in answer.headers

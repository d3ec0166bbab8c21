"""The shared page cache: what is shared, with whom, and what never is."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from microblog.page_cache import Proxy
from microblog.stack.process import wait_for
from tests.support.client import expect, refused
from tests.support.database import Database
from tests.support.servers import Served, serve_api
from tests.support.views import refresh

CALLS = ("feed_public_cached", "user_cached", "users_popular")
FEED, USER, POPULAR = (f"/rpc/{call}" for call in CALLS)
ALLOWED, OTHER = "http://localhost:3000", "https://app.example"
# What differs from answer to answer, whoever asks; and how a body is sent, which a HEAD has not.
EACH_ITS_OWN = {"date", "x-request-id", "etag", "x-cache", "age", "transfer-encoding"}


@dataclass(frozen=True)
class Asking:
    """A way to ask. ``shares``: it may be answered from the cache, and fill it."""

    name: str
    path: str
    shares: bool = True
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict, hash=False)
    content: bytes | None = None


@pytest.fixture(scope="module")
def filled(api: Served) -> Served:
    """Three people with posts; one follows another, so that there is a most followed."""
    people = api.signups(3)
    for person in (*people, *people):
        person.write("hello")
    people[0].follow(people[1])
    database = api.database
    database.pause_schedules()
    # So that no copy's time is over during a test.
    database.set(public_page_lifetime=3600, popular_users_lifetime=3600)
    refresh(database)
    return api


@pytest.fixture
def empty(filled: Served) -> Served:
    """The same with an empty cache."""
    forget(filled)
    return filled


def forget(served: Served) -> None:
    """Make everything that is cached unreachable."""
    Proxy(served.admin).invalidate(["all"])


def path_of(call: str) -> str:
    """Return an address of the call that answers 200."""
    return f"/rpc/{call}?user_id=1" if call == "user_cached" else f"/rpc/{call}"


def cached(answer: httpx.Response) -> str:
    """Return whether it was a hit, a miss or a bypass."""
    return answer.headers["x-cache"]


def ask(served: Served, asking: Asking) -> httpx.Response:
    """Send it."""
    options: dict[str, Any] = {"content": asking.content} if asking.content is not None else {}
    return served.http.request(
        asking.method, asking.path, headers={"Accept": "*/*", **asking.headers}, **options
    )


def told(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return all of an answer that depends on the question alone, not on when it is asked."""
    headers = {k: v for k, v in answer.headers.items() if k not in EACH_ITS_OWN}
    headers["cache-control"] = re.sub(r"\d+", "n", headers.get("cache-control", ""))
    return answer.status_code, answer.content, headers


def askings(served: Served) -> list[Asking]:
    """List ways to ask for the same things, by several people and in several forms."""
    ann, bob = served.signup(), served.signup()
    expect(204, bob.post("/rpc/logout"))
    tokens = {"ann": ann.token, "ended": bob.token, "forged": ann.token[:-3] + "AAA"}
    feed, user = f"{FEED}?limit=2", f"{USER}?user_id=1"
    by_header = {
        "plain": {},
        "with cookie": {"Cookie": "session=ann", "User-Agent": "x", "X-Page-Limit": "1"},
        "at another host": {"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
        "preferring": {"Prefer": "count=exact", "Range": "0-0", "Accept-Encoding": "gzip"},
        "from a page": {"Origin": ALLOWED},
        "from another page": {"Origin": OTHER},
        "accepting json": {"Accept": "application/json, text/plain, */*"},
    }
    apart = {
        **{f"as {who}": {"Authorization": f"Bearer {token}"} for who, token in tokens.items()},
        "as ann from a page": {"Authorization": f"Bearer {ann.token}", "Origin": ALLOWED},
        "with a password": {"Authorization": "Basic YW5uOmFubg=="},
        "for an object": {"Accept": "application/vnd.pgrst.object+json"},
        "for csv": {"Accept": "text/csv"},
        "for csv rather": {"Accept": "application/json;q=0.1, text/csv"},
        "for text": {"Accept": "text/plain"},
        "of another profile": {"Accept-Profile": "app"},
    }
    return [
        *(Asking(f"{w} feed", feed, headers=h) for w, h in by_header.items()),
        *(Asking(f"{w} user", user, headers=h) for w, h in by_header.items()),
        *(Asking(f"{w} feed", feed, False, headers=h) for w, h in apart.items()),
        *(Asking(f"{w} user", user, False, headers=h) for w, h in apart.items()),
        Asking("head", feed, method="HEAD"),
        Asking("post", FEED, False, "POST", {"Content-Type": "application/json"}, b'{"limit": 2}'),
        Asking("get with a body", feed, False, content=b"{}"),
        Asking("default limit", FEED),
        Asking("limit 3", f"{FEED}?limit=3"),
        Asking("limit twice", f"{FEED}?limit=2&limit=3"),
        Asking("limit encoded", f"{FEED}?limit=%32"),
        Asking("limit wrong", f"{FEED}?limit=0"),
        Asking("select", f"{FEED}?limit=2&select=id"),
        Asking("renamed", f"{FEED}?limit=2&select=name:id"),
        Asking("cursor", f"{FEED}?limit=2&cursor=9007199254740991"),
        Asking("cursor twice", f"{FEED}?limit=2&cursor=9007199254740991&cursor=1"),
        Asking("cursor wrong", f"{FEED}?cursor=x"),
        Asking("user with limit", f"{user}&limit=1", False),
        Asking("user selected", f"{user}&select=id,username"),
        Asking("another user", f"{USER}?user_id=2"),
        Asking("user with zeros", f"{USER}?user_id=0001"),
        Asking("user encoded", f"{USER}?user_id=%31", False),
        Asking("no user", USER, False),
        Asking("user unknown", f"{USER}?user_id=999999"),
        Asking("popular", POPULAR),
        Asking("popular, second page", f"{POPULAR}?cursor=1"),
    ]


def test_nobody_gets_what_was_made_for_somebody_else(filled: Served) -> None:
    """Whoever filled the cache, everybody gets the answer they get from an empty one.

    For each pair of ways to ask: status, body and headers are those of the second way, and the
    answer is a hit only where both share and ask for the same.
    """
    ways = askings(filled)
    alone = {}
    for way in ways:
        forget(filled)
        answer = ask(filled, way)
        assert cached(answer) == ("miss" if way.shares else "bypass"), way
        alone[way.name] = told(answer)
    hits = 0
    for first in ways:
        forget(filled)
        ask(filled, first)
        for second in ways:
            if second.shares and second is not first and cached_by(first, second) is False:
                continue  # would fill the cache with an answer of its own
            answer = ask(filled, second)
            assert told(answer) == alone[second.name], f"{second.name} after {first.name}"
            expected = "hit" if cached_by(first, second) else "miss"
            assert cached(answer) == (expected if second.shares else "bypass"), (first, second)
            hits += cached(answer) == "hit"
    assert hits > 100, "pairs that share were among them"


def cached_by(first: Asking, second: Asking) -> bool:
    """Whether the first's answer is the second's: both share, one address, and a body is there."""
    fills = first.shares and first.method == "GET" and "wrong" not in first.name
    return fills and first.path == second.path and "unknown" not in first.name and second.shares


def test_different_addresses_never_share_an_answer(filled: Served) -> None:
    """As above for ways that fill the cache themselves, all of them into one cache."""
    ways = [way for way in askings(filled) if way.shares and way.method == "GET"]
    forget(filled)
    alone = {way.name: told(ask(filled, way)) for way in ways}
    for _ in range(2):
        for way in ways:
            assert told(ask(filled, way)) == alone[way.name], way.name
    bodies = {way.path: alone[way.name][1] for way in ways}
    for one, other in itertools.combinations([f"{FEED}?limit=3", f"{FEED}?limit=2"], 2):
        assert bodies[one] != bodies[other]


@pytest.mark.parametrize("call", CALLS)
def test_the_second_answer_is_the_first_one(empty: Served, call: str) -> None:
    first, second = (expect(200, empty.get(path_of(call))) for _ in range(2))
    assert (cached(first), cached(second)) == ("miss", "hit")
    assert told(first) == told(second)
    assert first.headers["etag"] == second.headers["etag"]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["cache-control"] == second.headers["cache-control"] == "no-cache"


def test_a_copy_tells_nobody_the_limits_of_whoever_it_was_made_for(own_api: Served) -> None:
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run("update app.rate_limits set quota = 100000")
    assert "x-ratelimit-limit" in expect(200, own_api.get("/rpc/feed_public")).headers
    for told_as in ("miss", "hit"):
        answer = expect(200, own_api.get(FEED))
        assert cached(answer) == told_as
        assert not [name for name in answer.headers if "ratelimit" in name]


def test_an_answer_to_somebody_with_a_token_is_theirs_alone(empty: Served) -> None:
    ann = empty.signup()
    for _ in range(2):
        answer = expect(200, ann.get(FEED))
        assert cached(answer) == "bypass"
        assert answer.headers["cache-control"] == "private, no-cache"
    assert cached(expect(200, empty.get(FEED))) == "miss"
    new = ann.write("just now")["id"]
    assert empty.get(FEED).json()[0]["id"] != new
    assert ann.get(FEED).json()[0]["id"] == new


def test_of_two_people_each_is_told_their_own(own_api: Served) -> None:
    """While nobody's answer is being shared: headers of each call, not bodies, which are alike."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run("update app.rate_limits set is_enabled = scope = 'user', quota = 90")
    own_api.database.run(
        "insert into app.rate_limits (name, methods, path_pattern, scope, quota, window_seconds,"
        " counts_rows, description) values"
        " ('cached', '{GET}', '^/rpc/.*_(cached|popular)', 'user', 50, 600, false, 'of the test')"
    )
    people = own_api.signups(2)
    people[0].write("here")
    for number, call in enumerate(CALLS):
        for turn in range(3):
            for ahead, person in enumerate(people):
                for _ in range(1 + ahead):  # so that their counts differ
                    answer = expect(200, person.get(path_of(call)))
                assert cached(answer) == "bypass"
                assert answer.headers["cache-control"] == "private, no-cache"
                told = (1 + ahead) * (3 * number + turn + 1)
                assert answer.headers["x-ratelimit-remaining"] == str(50 - told)
                shared = expect(200, own_api.get(path_of(call)))
                assert cached(shared) in ("hit", "miss")
                assert not [name for name in shared.headers if "ratelimit" in name]


def test_age_grows_while_an_answer_is_shared(empty: Served) -> None:
    for path in (FEED, f"{FEED}?cursor=1", f"{USER}?user_id=1"):
        first = expect(200, empty.get(path))
        age = int(first.headers["age"])
        assert cached(first) == "miss"
        assert (age > 0) == (path == FEED), "a view's, or made now"
        assert grown(empty, path, age) == "hit"


def grown(served: Served, path: str, age: int) -> str:
    """Ask until an answer is older than this many seconds; returns whether it was a hit."""
    answers: list[httpx.Response] = []

    def older() -> bool:
        answers.append(served.get(path))
        return int(answers[-1].headers["age"]) > age

    wait_for(older, what="a greater age")
    return cached(answers[-1])


@pytest.mark.parametrize(("call", "view"), [(FEED, "public_page"), (POPULAR, "popular_users")])
def test_an_answer_from_an_old_view_is_shared_for_what_is_left_of_its_time(
    empty: Served, call: str, view: str
) -> None:
    """Older than it may still get: HAProxy by itself would keep no such answer."""
    aged = (
        "update app.view_refreshes set refreshed_at = now() - %s::interval"
        " where view_name = 'app.' || %s"
    )
    empty.database.run(aged, ["50 minutes", view])
    try:
        first, second = (expect(200, empty.http.get(call)) for _ in range(2))
    finally:
        empty.database.run(aged, ["0", view])
    assert (cached(first), cached(second)) == ("miss", "hit")
    assert 3000 <= int(first.headers["age"]) <= int(second.headers["age"]) < 3600


def test_a_page_of_the_web_may_read_hit_and_miss(empty: Served) -> None:
    for _ in range(2):
        answer = empty.get(FEED, headers={"Origin": ALLOWED})
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        assert {"X-Cache", "ETag"} <= set(
            answer.headers["access-control-expose-headers"].split(", ")
        )
        assert set(re.split(", *", answer.headers["vary"])) >= {"Origin", "Authorization", "Accept"}
    assert "access-control-allow-origin" not in empty.get(FEED).headers


@pytest.mark.parametrize("tags", ["{}", '"x", {}', '{} , W/"y"'])
def test_whoever_has_the_very_copy_gets_no_body(empty: Served, tags: str) -> None:
    tag = empty.get(FEED).headers["etag"]
    for method in ("GET", "HEAD"):
        answer = empty.request(method, FEED, headers={"If-None-Match": tags.format(tag)})
        assert (answer.status_code, answer.content, cached(answer)) == (304, b"", "hit")
        assert answer.headers["etag"] == tag
    assert expect(200, empty.get(FEED)).json(), "the connection is good for the next answer"


def test_whoever_has_another_copy_gets_the_present_one(empty: Served) -> None:
    old = empty.get(FEED).headers["etag"]
    forget(empty)
    conditions = {"If-None-Match": f'{old}, "x"'}
    first, second = (expect(200, empty.get(FEED, headers=conditions)) for _ in range(2))
    assert (cached(first), cached(second)) == ("miss", "hit")
    assert first.content == second.content != b""
    assert first.headers["etag"] == second.headers["etag"] != old


def test_a_time_is_no_condition(empty: Served) -> None:
    """Two copies of one second could not be told apart."""
    sent = {"If-Modified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"}
    assert [empty.get(FEED, headers=sent).status_code for _ in range(2)] == [200, 200]


def test_a_fresh_answer_can_be_asked_for_and_is_shared_then(empty: Served) -> None:
    ann = empty.signup()
    empty.get(FEED)
    new = ann.write("new")["id"]
    refresh(empty.database)
    assert empty.get(FEED).json()[0]["id"] != new
    fresh = empty.get(FEED, headers={"Cache-Control": "no-cache"})
    assert (fresh.json()[0]["id"], cached(fresh)) == (new, "miss")
    assert told(empty.get(FEED)) == told(fresh)


def test_an_error_is_not_kept(empty: Served) -> None:
    unknown = empty.signup().id + 1
    for _ in range(2):
        answer = empty.get(f"{USER}?user_id={unknown}")
        refused(404, "user_not_found", answer)
        assert cached(answer) == "miss"
        assert cached(empty.get(f"{FEED}?limit=0")) == "miss"
    assert empty.signup().id == unknown
    assert expect(200, empty.get(f"{USER}?user_id={unknown}")).json()["id"] == unknown


def test_where_the_api_is_down_hits_are_still_answered(own_api: Served) -> None:
    page, _ = expect(200, own_api.get(FEED)), own_api.signup()
    rest, _ = own_api.processes
    rest.stop()
    wait_for(lambda: own_api.get("/up").status_code == 503, what="the proxy's finding out")
    assert told(own_api.get(FEED)) == told(page)
    assert cached(own_api.get(FEED)) == "hit"
    for _ in range(2):
        missed = own_api.get(f"{FEED}?limit=1")
        assert (missed.status_code, cached(missed)) == (503, "miss")


def test_a_hit_counts_against_no_limit_and_a_refusal_is_not_kept(own_api: Served) -> None:
    database = own_api.database
    database.run("delete from app.rate_limit_exemptions")
    database.run("update app.rate_limits set is_enabled = name = 'address', quota = 3")
    for number in range(10):
        answer = expect(200, own_api.get(FEED))
        assert cached(answer) == ("hit" if number else "miss")
        assert not [name for name in answer.headers if "ratelimit" in name]
    missed = [own_api.get(f"{FEED}?limit={n}") for n in (1, 2, 3)]
    assert [answer.status_code for answer in missed] == [200, 200, 429]
    assert int(missed[-1].headers["retry-after"]) > 0
    assert missed[-1].headers["x-ratelimit-limit"] == "3"
    assert cached(own_api.get(f"{FEED}?limit=3")) == "miss"
    assert cached(own_api.get(FEED)) == "hit"


@pytest.fixture
def small(database: Database) -> Iterator[Served]:
    """The API with a cache of one megabyte."""
    with serve_api(database, MICROBLOG_CACHE_MB="1") as served:
        yield served


def test_the_cache_is_bounded(small: Served) -> None:
    """Pages of 100 kB, three times as many as there is room for: the oldest make place."""
    database = small.database
    author = database.user()
    database.run(
        "insert into app.posts (author_id, content)"
        " select %s, repeat('\U0001f642', 200) from generate_series(1, 100)",
        [author],
    )
    top = 9_007_199_254_740_991
    paths = [f"{FEED}?limit=100&cursor={top - n}" for n in range(30)]
    page = expect(200, small.get(f"{FEED}?limit=100")).content
    assert len(page) > 90_000
    for path in paths:
        answers = [small.get(path) for _ in range(2)]
        assert [answer.content for answer in answers] == [page, page]
        assert [cached(answer) for answer in answers] == ["miss", "hit"]
        figures = Proxy(small.admin).figures()
        assert figures.bytes <= figures.max_bytes == 1024 * 1024
    assert figures.entries >= 5
    assert cached(small.get(paths[0])) == "miss"
    assert cached(small.get(paths[-1])) == "hit"

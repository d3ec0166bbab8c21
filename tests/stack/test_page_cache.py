"""The keeper of the shared page cache, and the cache in a whole stack."""

from collections.abc import Callable

import httpx
import psycopg
import pytest

from microblog.page_cache import MAP, Keeper, listed
from microblog.stack import Stack, proxy
from microblog.stack.process import wait_for
from tests.support.client import Api, Member, expect
from tests.support.keeping import keeper_pid, keeping
from tests.support.servers import Served
from tests.support.views import refresh

FEED, USER, POPULAR = "/rpc/feed_public_cached", "/rpc/user_cached", "/rpc/users_popular"
LISTED = """0x7f584edc003a: pages (shctx:0x7f584edc0000, available blocks:1000)
0x7f584edc04f8 hash:1721601875 vary:0x0000000000000000 size:2100 (3 blocks), refcount:0, expire:5
0x7f584edc08f8 hash:1721601876 vary:0x0000000000000000 size:388 (1 blocks), refcount:0, expire:0
0x7f584edc0cf8 hash:1721601877 vary:0x0000000000000000 size:23000 (24 blocks), refcount:2, expire:9
"""


def cached(answer: httpx.Response) -> str:
    """Return whether it was a hit, a miss or a bypass."""
    return expect(200, answer).headers["x-cache"]


def test_of_a_listing_what_can_still_be_served_counts() -> None:
    assert listed(LISTED) == (2, 25_100, 1024 * 1024)


def test_only_names_of_parts_become_commands() -> None:
    keeper = Keeper("", [])
    for part in ("all", FEED, f"{USER}/63"):
        keeper.note(part)
    for other in ("", "all 1; show info", f"{FEED} x", f"{FEED}\nshow info", "/rpc/x;y", "ALL"):
        keeper.note(other)
    assert keeper.invalidated == {"all": 1, FEED: 1, USER: 1}


def closed(api: Served, member: Member) -> None:
    """Delete a large account: it is hidden at once, a job does the rest."""
    api.database.set(account_purge_sync_limit=0)
    expect(204, member.post("/rpc/account_delete", json={"password": member.password}))


CHANGES: dict[str, Callable[[Served, Member, int], object]] = {
    "deletes a post": lambda _, m, post: m.erase(post),
    "takes another name": lambda _, m, __: m.patch(
        f"/users?id=eq.{m.id}", json={"username": f"new_{m.id}"}
    ),
    "deletes a small account": lambda _, m, __: m.post(
        "/rpc/account_delete", json={"password": m.password}
    ),
    "deletes a large account": lambda api, m, _: closed(api, m),
    "has the operator invalidate": lambda api, m, _: (
        m.write("new"),
        api.database.run("select dba.cache_invalidate()"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_must_not_be_shown_is_gone_from_the_cache(own_api: Served, change: str) -> None:
    """With lifetimes of an hour, so that nothing but the invalidation can have done it."""
    own_api.database.set(public_page_lifetime=3600)
    member, other = own_api.signups(2)
    post = member.write("here")["id"]
    with keeping(own_api):
        before = own_api.get(FEED).json()
        assert cached(own_api.get(FEED)) == "hit"
        CHANGES[change](own_api, member, post)
        wait_for(lambda: own_api.get(FEED).json() != before, what="the page without it")
        assert own_api.get(FEED).json() == expect(200, own_api.get("/rpc/feed_public")).json()
        other.write("one more")
        again = own_api.get(FEED)
        assert cached(again) == "hit", "a new post empties nothing"


def test_a_profile_shows_its_new_description_and_goes_with_the_account(own_api: Served) -> None:
    member, other = own_api.signups(2)
    mine, theirs = f"{USER}?user_id={member.id}", f"{USER}?user_id={other.id}"
    with keeping(own_api):
        for path in (mine, theirs):
            assert [cached(own_api.get(path)) for _ in range(2)] == ["miss", "hit"]
        member.patch(f"/users?id=eq.{member.id}", json={"description": "new"})
        wait_for(lambda: own_api.get(mine).json()["description"] == "new")
        assert cached(own_api.get(theirs)) == "hit", "another's stays"
        other.follow(member)
        assert own_api.get(mine).json()["followers_count"] == 0, "counts wait"
        member.post("/rpc/account_delete", json={"password": member.password})
        wait_for(lambda: own_api.get(mine).status_code == 404)
        assert cached(own_api.get(theirs)) == "hit"


LIFETIMES = {
    FEED: "public_page_lifetime",
    USER: "profile_lifetime",
    POPULAR: "popular_users_lifetime",
}


@pytest.mark.parametrize("call", LIFETIMES)
def test_a_lifetime_is_a_row(own_api: Served, call: str) -> None:
    """Changed, it holds at once; over, the answer is made anew; 0 shares nothing."""
    database = own_api.database
    author = own_api.signup()
    path = f"{USER}?user_id={author.id}" if call == USER else call

    def news() -> None:
        """Something that shows in an answer, and invalidates none."""
        if call == FEED:
            author.write("new")
        else:
            own_api.signup().follow(author)
            refresh(database)

    def shown() -> object:
        return own_api.get(path).json()

    news()
    with keeping(own_api):
        database.set(**{LIFETIMES[call]: 3600})
        wait_for(lambda: cached(own_api.get(path)) == "hit")
        before = shown()
        news()
        assert shown() == before
        database.set(**{LIFETIMES[call]: 2})
        wait_for(lambda: shown() != before, what="the shorter lifetime")
        now = shown()
        news()
        wait_for(lambda: shown() != now, what="the end of a lifetime")
        database.set(**{LIFETIMES[call]: 0})
        wait_for(lambda: {cached(own_api.get(path)) for _ in range(3)} == {"miss"})


def test_a_keeper_that_lost_its_connection_invalidates_everything(own_api: Served) -> None:
    """What was told meanwhile, nobody heard."""
    member = own_api.signup()
    own_api.database.set(public_page_lifetime=3600)
    post = member.write("here")["id"]
    with keeping(own_api):
        wait_for(lambda: cached(own_api.get(FEED)) == "hit")
        lost = keeper_pid(own_api)
        with own_api.database.superuser() as connection, connection.transaction():
            connection.execute("select pg_terminate_backend(%s, 30000)", [lost])
            connection.execute("delete from app.posts where id = %s", [post])
        wait_for(lambda: own_api.get(FEED).json() == [], what="the page without it")
        wait_for(lambda: keeper_pid(own_api) not in (None, lost), what="another session")


def test_one_keeper_at_a_time_and_the_next_goes_on(own_api: Served) -> None:
    member = own_api.signup()
    own_api.database.set(public_page_lifetime=3600)
    post = member.write("here")["id"]
    with keeping(own_api):
        first = keeper_pid(own_api)
        with keeping(own_api):
            assert keeper_pid(own_api) == first
            own_api.database.run("select pg_terminate_backend(%s, 30000)", [first])
            wait_for(lambda: keeper_pid(own_api) not in (None, first), what="a successor")
            wait_for(lambda: cached(own_api.get(FEED)) == "hit")
            member.erase(post)
            wait_for(lambda: own_api.get(FEED).json() == [], what="the page without it")


def test_a_proxy_that_was_away_is_told_when_it_answers_again(own_api: Served) -> None:
    keeper = Keeper("", [own_api.admin])
    ((told, parts),) = keeper.pending.items()
    versions = told.ask(f"show map {MAP}")
    elsewhere = own_api.admin.with_suffix(".away")
    own_api.admin.rename(elsewhere)
    keeper.note(FEED)
    keeper.pass_on()
    assert parts == {FEED}
    elsewhere.rename(own_api.admin)
    keeper.pass_on()
    assert parts == set()
    changed = set(told.ask(f"show map {MAP}").splitlines()) - set(versions.splitlines())
    assert [line.split()[1] for line in changed] == [FEED]


def ask_again(member: Member) -> None:
    """Ask three times for what one has: once on the short way, and once for another page."""
    for path, status in (("/rpc/feed_mine", 304), ("/rpc/me", 304), ("/rpc/me", 200)):
        tag = expect(200, member.get(path)).headers["ETag"] if status == 304 else '"x"'
        expect(status, member.get(path, headers={"If-None-Match": tag}))


def test_operators_see_how_the_cache_does(own_api: Served) -> None:
    database = own_api.database
    with keeping(own_api):
        wait_for(lambda: database.value("select count(*) from dba.cache") == 1)
        assert own_api.get("/health").json()["cache"]["age_seconds"] is None
        answers = [own_api.get(path) for path in (FEED, FEED, FEED, f"{FEED}?limit=5")]
        assert [cached(answer) for answer in answers] == ["miss", "hit", "hit", "miss"]

        def seen() -> bool:
            with database.superuser() as connection:
                connection.execute("set role monitor")
                return connection.execute(
                    "select hits, misses, hit_ratio::float, entries, bytes between 500 and 5000,"
                    " max_bytes, reported_age < '1 minute' from dba.cache"
                ).fetchall() == [(2, 2, 0.5, 2, True, 64 * 1024 * 1024, True)]

        wait_for(seen, what="a report")
        rows = dict(
            database.run("select call, (lifetime, age < '1 minute')::text from dba.cache_calls")
        )
        assert rows == {FEED: "(00:01:00,t)", USER: "(01:00:00,)", POPULAR: "(00:05:00,)"}
        invalidated = "select invalidations from dba.cache_calls order by call"
        before = database.values(invalidated)
        database.run("select dba.cache_invalidate('/rpc/user_cached/7')")
        database.run("select dba.cache_invalidate()")
        wait_for(
            lambda: (
                database.values(invalidated)
                == [n + i for n, i in zip(before, (1, 2, 1), strict=True)]
            )
        )
        ask_again(own_api.signup())
        wait_for(
            lambda: (
                database.run(
                    "select conditional_short, conditional_full, conditional_fallback,"
                    " conditional_changed, feeds_direct, feeds_fallback from dba.cache"
                )
                == [(1, 1, 0, 1, 1, 0)]
            )
        )
        health = own_api.get("/health").json()["cache"]
        ways = {"short": 1, "full": 1, "fallback": 0, "changed": 1}
        assert health["conditional"] == ways
        assert health["feeds"] == {"direct": 1, "fallback": 0}
        assert (health["hits"], health["misses"]) == (2, 2)
        assert health["invalidations"] == sum(before) + 4
        assert 0 <= health["age_seconds"] < 60
        assert health["bytes"] > 0


def test_in_a_stack_the_worker_keeps_the_cache(stack: Stack) -> None:
    api = Api(stack.url, True)
    try:
        member = api.signup("keeper_of_pages")
        path = f"{USER}?user_id={member.id}"
        wait_for(lambda: cached(api.get(path)) == "hit")
        member.patch(f"/users?id=eq.{member.id}", json={"description": "in a stack"})
        wait_for(lambda: api.get(path).json()["description"] == "in a stack")
        with psycopg.connect(stack.superuser_dsn(), autocommit=True) as connection:
            query = "select proxy from dba.cache"
            wait_for(lambda: connection.execute(query).fetchone() is not None, what="a report")
            assert connection.execute(query).fetchall() == [
                (str(proxy.admin_socket(stack.settings)),)
            ]
        assert (proxy.admin_socket(stack.settings).stat().st_mode & 0o777) == 0o600
        wait_for(lambda: api.get("/health").json()["cache"]["hits"] >= 1, what="a later report")
    finally:
        api.close()


def test_nothing_of_who_asks_reaches_the_api(door: httpx.Client) -> None:
    """But the address that is counted, and the id of the request."""
    sent = {
        "Cookie": "a=b", "User-Agent": "x", "Accept": "application/json", "Prefer": "count=exact",
        "Range": "0-1", "X-Page-Limit": "5", "If-None-Match": '"x"', "Cache-Control": "no-cache",
        "Pragma": "no-cache", "X-Forwarded-Host": "x", "Origin": "http://localhost:3000",
        "Host": "evil.example", "X-Anything": "x", "If-Modified-Since": "x",
    }  # fmt: skip
    for path in (FEED, f"{FEED}?limit=7", f"{USER}?user_id=7", POPULAR):
        seen = door.get(path, headers=sent).json()
        assert seen["path"].rstrip("?") == path.replace("?limit=7", "")
        limit = {"x-page-limit"} if "limit" in path else set()
        assert set(seen["headers"]) - {"connection"} == {
            "host", "x-forwarded-for", "x-request-id", *limit,
        }  # fmt: skip
        assert seen["headers"]["host"] == "microblog"

"""An answer that was under way when its subject was deleted is not shared afterwards."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from microblog.page_cache import MAP, Proxy
from microblog.stack.process import wait_for
from tests.support.actors import DEADLINE
from tests.support.client import Member, expect
from tests.support.keeping import keeping
from tests.support.servers import Served
from tests.support.views import refresh

FEED, USER, POPULAR = "/rpc/feed_public_cached", "/rpc/user_cached", "/rpc/users_popular"

Write = Callable[[Member, int], object]

WRITES: dict[str, tuple[str, str, Write]] = {
    # what is read, the part of the cache it is in, the write
    "a deleted post": (FEED, FEED, lambda author, post: author.erase(post)),
    "a new name": (
        FEED, FEED,
        lambda author, _: expect(
            204, author.patch(f"/users?id=eq.{author.id}", json={"username": "renamed"})
        ),
    ),
    "a new description": (
        f"{USER}?user_id=1", f"{USER}/1",
        lambda author, _: expect(
            204, author.patch(f"/users?id=eq.{author.id}", json={"description": "new"})
        ),
    ),
    "a deleted account": (
        FEED, FEED,
        lambda author, _: expect(
            204, author.post("/rpc/account_delete", json={"password": author.password})
        ),
    ),
    "a new name of somebody popular": (
        POPULAR, POPULAR,
        lambda author, _: expect(
            204, author.patch(f"/users?id=eq.{author.id}", json={"username": "renamed"})
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_what_was_read_before_a_write_is_not_shared_after_it(own_api: Served, name: str) -> None:
    """
    reader   asks; the page is read, and waits for a lock while its headers are made
    author   writes and commits; the proxy learns of it
    reader   gets the old page, which goes into the cache
    others   get the new one
    """
    path, part, write = WRITES[name]
    database = own_api.database
    author = own_api.signup()
    post = author.write("mine")["id"]
    refresh(database)
    proxy = Proxy(own_api.admin)

    def version() -> list[str]:
        return [line for line in proxy.ask(f"show map {MAP}").splitlines() if f" {part} " in line]

    with (
        keeping(own_api),
        ThreadPoolExecutor() as pool,
        database.superuser() as holder,
    ):
        before = version()
        with holder.transaction():
            holder.execute("lock table app.view_refreshes in access exclusive mode")
            reading = pool.submit(own_api.get, path)
            wait_for(lambda: waiting(own_api), DEADLINE, "a reader that waits")
            write(author, post)
            wait_for(lambda: version() != before, DEADLINE, "the proxy's new version")
            assert not reading.done()
        old = expect(200, reading.result(DEADLINE))
        new = expect(200, own_api.get(path))
        assert (old.headers["x-cache"], new.headers["x-cache"]) == ("miss", "miss")
        assert new.json() != old.json(), "the reader's snapshot was from before the write"
        again = expect(200, own_api.get(path))
        assert (again.headers["x-cache"], again.json()) == ("hit", new.json())


def waiting(served: Served) -> bool:
    """Whether a request waits for a lock of a table."""
    return bool(
        served.database.value(
            "select count(*) from pg_locks l join pg_stat_activity a on a.pid = l.pid"
            " where not l.granted and l.locktype = 'relation' and a.datname = current_database()"
            " and a.usename = 'authenticator'"
        )
    )

"""Which writes tell that something cached must not be shown any longer, and which say nothing."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.support.database import Connection, Database

FEED, POPULAR = "/rpc/feed_public_cached", "/rpc/users_popular"


@pytest.fixture
def listener(database: Database) -> Iterator[Connection]:
    """A session that hears of invalidations."""
    with database.connect() as connection:
        connection.execute("listen microblog_cache")
        yield connection


@pytest.fixture
def hears(database: Database, listener: Connection) -> Callable[[], list[str]]:
    """Return what was told since the last time, in order."""

    def told() -> list[str]:
        database.run("select pg_notify('microblog_cache', 'mark')")
        heard = []
        for notified in listener.notifies(timeout=60):
            if notified.payload == "mark":
                break
            heard.append(notified.payload)
        return sorted(heard)

    return told


def profile(user_id: int) -> str:
    """Return the part of the cache that a profile is in."""
    return f"/rpc/user_cached/{user_id % 64}"


def test_the_usual_writes_say_nothing(database: Database, hears: Callable[[], list[str]]) -> None:
    """Each by itself, so that no other covers for it."""
    ann, bob = database.users(2)
    replies: list[int] = []
    writes: dict[str, Callable[[], object]] = {
        "a post": lambda: replies.append(database.post(ann)),
        "a reply": lambda: replies.append(database.post(bob, "a reply", parent=replies[0])),
        "a follow": lambda: database.follow(bob, ann),
        "an unfollow": lambda: database.unfollow(bob, ann),
        "a reply deleted": lambda: database.delete_post(replies[1]),
        "another account": lambda: database.user(),
        "another setting": lambda: database.set(session_lifetime=7200),
        "jobs": database.drain,
    }
    hears()
    for name, write in writes.items():
        write()
        assert hears() == [], name


def test_an_update_that_changes_nothing_says_nothing(
    database: Database, hears: Callable[[], list[str]]
) -> None:
    database.user()
    database.run("update app.users set description = description, username = username")
    assert hears() == []


def test_a_deleted_post_leaves_the_public_page(
    database: Database, hears: Callable[[], list[str]]
) -> None:
    ann = database.user()
    first, second, third = (database.post(ann) for _ in range(3))
    database.delete_post(first)
    assert hears() == [FEED]
    database.run("delete from app.posts where id in (%s, %s)", [second, third])
    assert hears() == [FEED]
    database.run("delete from app.posts where false")
    assert hears() == []


def test_a_new_name_shows_wherever_names_are(
    database: Database, hears: Callable[[], list[str]]
) -> None:
    ann = database.user("ann")
    database.run("update app.users set username = 'ANN' where id = %s", [ann])
    assert hears() == [FEED, profile(ann), POPULAR], "though names ignore case"
    database.run("update app.users set description = 'x' where id = %s", [ann])
    assert hears() == [profile(ann), POPULAR]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_deleted_account_is_gone_everywhere(
    database: Database, hears: Callable[[], list[str]], at_once: bool
) -> None:
    ann = database.user()
    database.post(ann)
    database.set(account_purge_sync_limit=500 if at_once else 0)
    database.run("select app.account_close(%s)", [ann])
    assert hears() == [FEED, profile(ann), POPULAR]


def test_a_refused_or_undone_write_says_nothing(
    database: Database, hears: Callable[[], list[str]]
) -> None:
    post = database.post(database.user())
    with database.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("delete from app.posts where id = %s", [post])
        connection.execute("select dba.cache_invalidate()")
    assert hears() == []


@pytest.mark.parametrize(
    "setting", ["public_page_lifetime", "profile_lifetime", "popular_users_lifetime"]
)
def test_a_changed_lifetime_concerns_everything(
    database: Database, hears: Callable[[], list[str]], setting: str
) -> None:
    database.set(**{setting: 7})
    assert hears() == ["all"]


@pytest.mark.parametrize("part", [None, FEED, POPULAR, "/rpc/user_cached", profile(7), profile(63)])
def test_an_operator_invalidates_all_or_a_part(
    database: Database, hears: Callable[[], list[str]], part: str | None
) -> None:
    database.run("select dba.cache_invalidate(%s)", [part])
    assert hears() == [part or "all"]


@pytest.mark.parametrize("part", ["/rpc/feed_timeline", "/rpc/user_cached/64", "all x", ""])
def test_a_part_that_is_none_is_refused(database: Database, part: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="has no part"):
        database.run("select dba.cache_invalidate(%s)", [part])

"""Reading below the horizon, and across it, against a naive query over random data."""

import random

import pytest

from tests.support.database import Database
from tests.support.horizon import assert_complete, defined, forget, old_post, raise_horizon, read

ALL = 2**53


def below(database: Database, user: int, top: int, rows: int, own: bool) -> list[int]:
    """Return what app.feed_below gives this user, in its order."""
    with database.as_member(user) as connection:
        found = connection.execute(
            "select id from app.feed_below(%s, %s, %s)", [top, rows, own]
        ).fetchall()
    return [row[0] for row in found]


@pytest.fixture
def crowd(module_database: Database) -> list[int]:
    """Eight people, random follows and posts, replies among them, of several months."""
    if known := module_database.values("select id from app.users order by id"):
        return known
    module_database.pause_schedules()
    people = module_database.users(8)
    choose = random.Random(20261121)
    for person in people[:-1]:
        module_database.follow(person, choose.sample(people, choose.randint(1, 7)))
    for _ in range(150):
        author, days = choose.choice(people[1:]), choose.randint(1, 120)
        post = old_post(module_database, author, f"{days} days")
        if choose.random() < 0.3:
            module_database.post(author, "a reply", parent=post)
    return people


@pytest.mark.parametrize("rows", [1, 2, 7, 101])
@pytest.mark.parametrize("own", [True, False])
def test_it_gives_the_newest_of_the_definition_below_any_top(
    module_database: Database, crowd: list[int], rows: int, own: bool
) -> None:
    tops = [0, ALL, *module_database.values("select id from app.posts order by random() limit 8")]
    for person in crowd:
        whole = defined(module_database, person, "timeline" if own else "following")
        for top in tops:
            expected = [post for post in whole if post < top][:rows]
            assert below(module_database, person, top, rows, own) == expected


def test_a_hundred_posts_of_one_author_fill_a_page(database: Database) -> None:
    """More than a page of one author, and then one of somebody else far below."""
    author, other, reader = database.users(3)
    database.follow(reader, [author, other])
    oldest = old_post(database, other, "50 days")
    posts = database.posts(author, 130)
    raise_horizon(database, ALL - 1)
    assert below(database, reader, ALL, 101, True) == posts[:-102:-1]
    assert read(database, reader, "timeline", 100) == [*reversed(posts), oldest]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_pages_run_on_across_the_horizon(database: Database, size: int) -> None:
    """Wherever it lies: before, at, and after each post; one cursor, no gap, no repeat."""
    database.pause_schedules()
    author, other, reader = database.users(3)
    database.follow(reader, [author, other])
    posts = [
        old_post(database, person, f"{days} days")
        for days, person in enumerate([author, other, reader, author, reader, other], start=1)
    ]
    for post in reversed(posts):
        raise_horizon(database, post)
        assert_complete(database, reader, size)
        raise_horizon(database, post + 1)
        assert_complete(database, reader, size)
    assert database.entries(reader) == []
    assert read(database, reader, "timeline", size) == posts


def test_a_page_that_ends_exactly_at_the_horizon_has_a_next_one(database: Database) -> None:
    author, reader = database.users(2)
    database.follow(reader, author)
    posts = database.posts(author, 4)
    raise_horizon(database, posts[2])
    with database.as_member(reader) as connection, connection.transaction():
        rows = connection.execute("select id from api.feed_timeline(null, 2)").fetchall()
        headers = connection.execute("select current_setting('response.headers', true)").fetchone()
    assert [row[0] for row in rows] == [posts[3], posts[2]]
    assert headers is not None
    assert f'"X-Next-Cursor": "{posts[2]}"' in headers[0]
    assert read(database, reader, "timeline", 4) == posts[::-1], "a full last page has none"


@pytest.mark.parametrize("horizon", [0, ALL - 1], ids=["kept", "below the horizon"])
def test_who_follows_nobody_who_posts_reads_an_empty_feed(database: Database, horizon: int) -> None:
    """Also one who is away, and one who has only replied."""
    silent, reader, away = database.users(3)
    database.follow([reader, away], silent)
    top = database.post(database.user())
    database.post(reader, "a reply", parent=top)
    raise_horizon(database, horizon)
    forget(database, away)
    for person in (reader, away):
        assert read(database, person, "timeline") == []
        assert read(database, person, "following") == []


@pytest.mark.parametrize("where", ["pushed", "pulled", "below", "away"])
def test_an_account_being_removed_is_in_no_source(database: Database, where: str) -> None:
    """Hidden at once, also while the job has not begun; a page is filled from what remains."""
    database.pause_schedules()
    database.set(account_purge_sync_limit=0)
    if where == "pulled":
        database.set(fan_out_pull_limit=0, fan_out_push_limit=0)
    ghost, other, reader = database.users(3)
    database.follow(reader, [ghost, other])
    stays = database.posts(other, 2)
    database.posts(ghost, 5)
    stays += database.posts(other, 2)
    if where == "below":
        raise_horizon(database, ALL - 1)
    elif where == "away":
        forget(database, reader)
    database.run("select app.account_close(%s)", [ghost])
    assert database.feed(reader, "timeline", limit=4) == stays[::-1]
    assert_complete(database, reader, sizes=2)
    database.drain()
    assert_complete(database, reader, sizes=2)
    database.assert_sound()

"""Materialised views: what they hold, when they are refreshed, and how old they say they are."""

import json
from email.utils import parsedate_to_datetime

import pytest

from tests.support.database import Database

FEED, PEOPLE = "feed_public_cached", "users_popular"


@pytest.fixture
def town(database: Database) -> Database:
    """Three people, seven top-level posts and a reply; the views have never been refreshed."""
    database.pause_schedules()
    ann, bob, eve = database.users(3)
    database.follow([bob, eve], ann)
    database.follow(ann, bob)
    for author in (ann, bob, eve, ann, bob, eve, ann):
        database.post(author)
    database.post(eve, "a reply", parent=database.value("select max(id) from app.posts"))
    return database


def refresh(database: Database) -> None:
    """Let both views be due, and the job do them."""
    database.run("update app.view_refreshes set refreshed_at = 'epoch'")
    database.run("select app.job_add('views_refresh')")
    assert database.drain(fold=False) == ["views_refresh"] * 3


def page(
    database: Database, call: str, cursor: str | None = None, limit: int = 100
) -> tuple[list[tuple], dict[str, str]]:
    """Return the rows and the headers of a page, without a token."""
    with database.as_anon() as connection, connection.transaction():
        connection.execute("select set_config('request.path', '/rpc/x', true)")
        rows = connection.execute(f"select * from api.{call}(%s, %s)", [cursor, limit]).fetchall()
        (headers,) = connection.execute("select current_setting('response.headers')").fetchone()
    return rows, {name: value for one in json.loads(headers) for name, value in one.items()}


def walk(database: Database, call: str, size: int) -> list[tuple]:
    """Return the rows of all pages."""
    rows, headers = page(database, call, limit=size)
    while "X-Next-Cursor" in headers:
        more, headers = page(database, call, headers["X-Next-Cursor"], size)
        rows += more
    return rows


def public(database: Database) -> list[tuple]:
    """Return what the exact feed shows, row by row."""
    with database.as_anon() as connection:
        return connection.execute("select * from api.feed_public(null, 100)").fetchall()


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("kept", [0, 4, 7])
def test_pages_run_through_the_view_and_on_below_it(town: Database, kept: int, size: int) -> None:
    town.set(public_page_posts=kept)
    refresh(town)
    assert town.value("select count(*) from app.public_page") == min(kept, 7)
    assert walk(town, FEED, size) == public(town)
    assert len(public(town)) == 7


def test_before_the_first_refresh_everything_is_read_from_the_posts(town: Database) -> None:
    assert town.run("select from app.public_page") == []
    assert walk(town, FEED, 2) == public(town)
    assert page(town, PEOPLE)[0] == []


def test_what_changed_since_shows_after_the_next_refresh(town: Database) -> None:
    refresh(town)
    before = public(town)
    author, doomed = town.run("select author_id, max(id) from app.posts where not is_reply"
                              " group by author_id order by max(id) limit 1")[0]  # fmt: skip
    town.delete_post(doomed)
    town.post(author)
    town.post(author, "another reply", parent=before[0][0])
    assert walk(town, FEED, 3) == before
    refresh(town)
    assert walk(town, FEED, 3) == public(town) != before


def test_an_account_that_is_being_deleted_is_not_taken_into_a_view(town: Database) -> None:
    """The owner of the views sees it; whoever reads them must not."""
    town.set(account_purge_sync_limit=0)
    ann, *_ = town.values("select id from app.users order by id")
    town.run("select app.account_close(%s)", [ann])
    town.run("update app.jobs set run_at = now() + '1 hour'")
    town.run("update app.view_refreshes set refreshed_at = 'epoch'")
    town.run("select app.job_views_refresh('{}', null) from generate_series(1, 2)")
    assert walk(town, FEED, 3) == public(town)
    assert [row[-1] for row in public(town)].count(None) == 3
    assert ann not in [row[0] for row in page(town, PEOPLE)[0]]


def test_a_view_is_refreshed_when_its_lifetime_is_over_and_not_before(town: Database) -> None:
    refresh(town)
    town.set(public_page_lifetime=60, popular_users_lifetime=300)

    def age(seconds: int) -> list[str]:
        """Let both be this old, run the job, and tell which it refreshed."""
        town.run("update app.view_refreshes set refreshed_at = now() - %s * interval '1 second'",
                 [seconds])  # fmt: skip
        town.run("select app.job_add('views_refresh')")
        town.drain(fold=False)
        return town.values(
            "select view_name from app.view_refreshes where refreshed_at > now() - interval '30 s'"
            " order by 1"
        )

    assert age(55) == []
    assert age(60) == ["app.public_page"]
    assert age(300) == ["app.popular_users", "app.public_page"]
    town.set(popular_users_lifetime=50)
    assert age(55) == ["app.popular_users"]


def test_a_schedule_runs_the_job(town: Database) -> None:
    town.run("update app.view_refreshes set refreshed_at = 'epoch'")
    town.run("update app.job_schedules set next_run_at = now() where kind = 'views_refresh'")
    assert town.drain(fold=False) == ["views_refresh"] * 3
    assert walk(town, FEED, 3) == public(town)
    assert town.value("select count(*) from app.popular_users") == 3


@pytest.mark.parametrize("call", [FEED, PEOPLE])
def test_a_page_says_how_old_it_is_beside_what_it_said_before(town: Database, call: str) -> None:
    refresh(town)
    town.run("update app.view_refreshes set refreshed_at = now() - interval '90.4 s'")
    rows, headers = page(town, call, limit=1)
    assert len(rows) == 1
    assert set(headers) == {"X-Next-Cursor", "Link", "Age", "Last-Modified"}
    assert 91 <= int(headers["Age"]) <= 151, "rounded up"
    modified = town.value("select max(refreshed_at) from app.view_refreshes")
    assert parsedate_to_datetime(headers["Last-Modified"]) == modified.replace(microsecond=0)


@pytest.mark.parametrize("call", [FEED, PEOPLE])
def test_an_empty_page_says_it_too(database: Database, call: str) -> None:
    rows, headers = page(database, call)
    assert rows == []
    assert set(headers) == {"Age", "Last-Modified"}


@pytest.mark.parametrize("call", [FEED, PEOPLE])
def test_an_unusable_cursor_or_limit_is_refused(town: Database, call: str) -> None:
    refresh(town)
    for cursor, limit, code in (("x", 1, "cursor_invalid"), (None, 101, "limit_invalid")):
        with pytest.raises(Exception, match=code):
            page(town, call, cursor, limit)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_most_followed_come_first(town: Database, size: int) -> None:
    refresh(town)
    ann, bob, eve = town.values("select id from app.users order by id")
    rows = walk(town, PEOPLE, size)
    assert [(row[0], row[3]) for row in rows] == [(ann, 2), (bob, 1), (eve, 0)]
    assert all(name == town.value("select username from app.users where id = %s", [id_])
               for id_, name, *_ in rows)  # fmt: skip


def test_a_new_name_shows_at_once_and_who_left_is_gone_at_once(town: Database) -> None:
    refresh(town)
    ann, bob, eve = town.values("select id from app.users order by id")
    town.run("update app.users set username = 'Anna' where id = %s", [ann])
    town.run("select app.account_close(%s)", [bob])
    assert [row[:2] for row in walk(town, PEOPLE, 1)] == [
        (ann, "Anna"), (eve, town.value("select username from app.users where id = %s", [eve])),
    ]  # fmt: skip


def test_only_so_many_have_a_rank(town: Database) -> None:
    town.set(popular_users_ranks=2)
    refresh(town)
    assert len(walk(town, PEOPLE, 1)) == 2


def test_operators_see_the_age_of_each_view(town: Database) -> None:
    refresh(town)
    with town.superuser() as connection:
        connection.execute("set role monitor")
        rows = connection.execute(
            "select view_name, extract(epoch from lifetime)::integer,"
            " age between '0 s' and '1 minute', took > '0 s', bytes > 8192"
            " from dba.views order by view_name"
        ).fetchall()
    assert rows == [
        ("app.popular_users", 300, True, True, True),
        ("app.public_page", 60, True, True, True),
    ]

"""The materialised view: what it holds, when it is refreshed, and how old pages say they are."""

import json

import pytest

from tests.support.database import Database

PEOPLE = "users_popular"


@pytest.fixture
def town(database: Database) -> Database:
    """Three people who follow each other; the view has never been refreshed."""
    database.pause_schedules()
    ann, bob, eve = database.users(3)
    database.follow([bob, eve], ann)
    database.follow(ann, bob)
    return database


def refresh(database: Database) -> None:
    """Let the view be due, and the job do it."""
    database.run("update app.view_refreshes set refreshed_at = 'epoch'")
    database.run("select app.job_add('views_refresh')")
    assert database.drain(fold=False) == ["views_refresh"] * 2


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


def test_before_the_first_refresh_nobody_is_listed(town: Database) -> None:
    assert page(town, PEOPLE)[0] == []


def test_what_changed_since_shows_after_the_next_refresh(town: Database) -> None:
    refresh(town)
    ann, bob, eve = town.values("select id from app.users order by id")
    before = walk(town, PEOPLE, 2)
    town.follow(eve, bob)
    town.follow(bob, eve)
    assert walk(town, PEOPLE, 2) == before
    refresh(town)
    assert [row[0] for row in walk(town, PEOPLE, 2)] == [ann, bob, eve]
    assert [row[3] for row in walk(town, PEOPLE, 2)] == [2, 2, 1]


def test_an_account_that_is_being_deleted_is_not_taken_into_a_view(town: Database) -> None:
    """The owner of the view sees it; whoever reads it must not."""
    town.set(account_purge_sync_limit=0)
    ann, *_ = town.values("select id from app.users order by id")
    town.run("select app.account_close(%s)", [ann])
    town.run("update app.jobs set run_at = now() + '1 hour'")
    town.run("update app.view_refreshes set refreshed_at = 'epoch'")
    town.run("select app.job_views_refresh('{}', null)")
    assert ann not in town.values("select user_id from app.popular_users")
    assert ann not in [row[0] for row in page(town, PEOPLE)[0]]


def test_a_view_is_refreshed_when_its_lifetime_is_over_and_not_before(town: Database) -> None:
    refresh(town)
    town.set(popular_users_lifetime=300)

    def refreshes(age: int) -> bool:
        """Let it be this many seconds old, run the job, and tell whether it refreshed it."""
        town.run("update app.view_refreshes set refreshed_at = now() - %s * interval '1 second'",
                 [age])  # fmt: skip
        town.run("select app.job_add('views_refresh')")
        town.drain(fold=False)
        return town.value("select refreshed_at > now() - interval '30 s' from app.view_refreshes")

    assert not refreshes(240)
    assert refreshes(300)
    town.set(popular_users_lifetime=50)
    assert refreshes(55)


def test_a_schedule_runs_the_job(town: Database) -> None:
    town.run("update app.view_refreshes set refreshed_at = 'epoch'")
    town.run("update app.job_schedules set next_run_at = now() where kind = 'views_refresh'")
    assert town.drain(fold=False) == ["views_refresh"] * 2
    assert town.value("select count(*) from app.popular_users") == 3


def test_a_page_says_how_old_it_is_beside_what_it_said_before(town: Database) -> None:
    """And may be shared for what is left of the view's lifetime."""
    refresh(town)
    town.run("update app.view_refreshes set refreshed_at = now() - interval '90.4 s'")
    rows, headers = page(town, PEOPLE, limit=1)
    assert len(rows) == 1
    assert set(headers) == {"X-Next-Cursor", "Link", "Age", "Cache-Control"}
    age = int(headers["Age"])
    assert 91 <= age <= 151, "rounded up"
    assert headers["Cache-Control"] == f"s-maxage={300 - age}, public"


def test_an_empty_page_says_it_too(database: Database) -> None:
    rows, headers = page(database, PEOPLE)
    assert rows == []
    assert set(headers) == {"Age", "Cache-Control"}


def test_a_page_of_a_view_whose_lifetime_is_over_is_not_shared(town: Database) -> None:
    refresh(town)
    town.run("update app.view_refreshes set refreshed_at = now() - interval '300 s'")
    assert page(town, PEOPLE)[1]["Cache-Control"] == "no-store"


def test_an_unusable_cursor_or_limit_is_refused(town: Database) -> None:
    refresh(town)
    for cursor, limit, code in (("x", 1, "cursor_invalid"), (None, 101, "limit_invalid")):
        with pytest.raises(Exception, match=code):
            page(town, PEOPLE, cursor, limit)


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
    assert rows == [("app.popular_users", 300, True, True, True)]

"""The materialised views: what of each a page shows, and how to refresh them all."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.database import Database, Row, become_member


@dataclass(frozen=True)
class Kept:
    """A view of ``app``, the call that reads it, and a write that its page shows later.

    ``is_own``: read with a token, by somebody who was away; the others without one. ``write``
    takes an author whom that reader follows, and returns the id that is new on the page.
    """

    view: str
    call: str
    lifetime: int  # seconds, as shipped
    write: Callable[[Database, int], int]
    is_own: bool = False

    def setting(self, database: Database) -> str:
        """Return the name of the row of app.settings that is its lifetime."""
        return database.value(
            "select lifetime_setting from app.view_refreshes where view_name = %s",
            [f"app.{self.view}"],
        )


POPULAR = Kept("popular_users", "users_popular", 300, lambda d, _: d.user())
PUBLIC = Kept("public_page", "feed_public_cached", 60, lambda d, author: d.post(author))
INACTIVE = Kept("inactive_feeds", "feed_timeline_cached", 300, lambda d, a: d.post(a), is_own=True)
VIEWS = (POPULAR, PUBLIC, INACTIVE)


def due(database: Database) -> None:
    """Let all views be due."""
    database.run("update app.view_refreshes set refreshed_at = 'epoch'")


def refresh(database: Database) -> None:
    """Refresh them all, as the job does."""
    due(database)
    for _ in VIEWS:
        assert database.value("select app.job_views_refresh('{}', null)") == 1
    assert database.value("select app.job_views_refresh('{}', null)") is None


def page(
    database: Database,
    call: str,
    cursor: str | None = None,
    limit: int = 100,
    user: int | None = None,
) -> tuple[list[Row], dict[str, str]]:
    """Return the rows and the headers of a page, as this user or without a token."""
    with database.connect() as connection, connection.transaction():
        if user is None:
            connection.execute("set role anon")
        else:
            become_member(connection, user)
        connection.execute("select set_config('request.path', '/rpc/x', true)")
        rows = connection.execute(f"select * from api.{call}(%s, %s)", [cursor, limit]).fetchall()
        (headers,) = connection.execute(
            "select nullif(current_setting('response.headers', true), '')"
        ).fetchone()
    told = json.loads(headers or "[]")
    return rows, {name: value for one in told for name, value in one.items()}


def walk(database: Database, call: str, size: int, user: int | None = None) -> list[Row]:
    """Return the rows of all pages."""
    rows, headers = page(database, call, limit=size, user=user)
    while "X-Next-Cursor" in headers:
        more, headers = page(database, call, headers["X-Next-Cursor"], size, user)
        assert 1 <= len(more) <= size
        rows += more
    return rows


def ids(rows: list[Row]) -> list[int]:
    """Return the first column."""
    return [row[0] for row in rows]

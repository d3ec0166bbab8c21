"""Old posts, past months, people who come back: what a test needs around the feed's horizon."""

from collections.abc import Iterator
from itertools import cycle

from tests.support.database import Database

NEVER = 2**53  # above every post id: "of none" in feed_states, "open" in pull_ranges


def id_at(database: Database, ago: str) -> int:
    """Return the smallest post id of the moment ``ago``, such as ``'2 months'``."""
    return database.value("select app.post_id_at(now() - %s::interval)", [ago])


def old_post(database: Database, author: int, ago: str, content: str = "old") -> int:
    """Write a post as if it had been written ``ago``; returns its id. Triggers run."""
    return database.value(
        "insert into app.posts (id, author_id, content)"
        " values (app.post_id_at(now() - %s::interval) | nextval('app.post_id_seq'), %s, %s)"
        " returning id",
        [ago, author, content],
    )


def old_posts(database: Database, written: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Write posts of ``(author, days ago)`` in one statement; returns their (id, author)."""
    return database.run(
        "insert into app.posts (id, author_id, content)"
        " select app.post_id_at(now() - make_interval(days => w.days))"
        "   | nextval('app.post_id_seq'), w.author, 'old'"
        " from unnest(%s::bigint[], %s::integer[]) w (author, days)"
        " returning id, author_id",
        [[author for author, _ in written], [days for _, days in written]],
    )


def old_months(database: Database, number: int) -> list[str]:
    """Give ``app.feed_entries`` the partitions of the last ``number`` months, as a database has
    that has been running for so long; returns their names, oldest first.
    """
    months = database.run(
        "select 'feed_entries_' || to_char(m at time zone 'UTC', '\"y\"YYYY\"m\"MM'),"
        "   app.post_id_at(m), app.post_id_at(m + interval '1 month')"
        " from generate_series(%s::integer, 1, -1) n,"
        "   lateral (select date_trunc('month', now(), 'UTC') - make_interval(months => n)) t (m)"
        " order by 2",
        [number],
    )
    statements = ["drop table app.feed_entries_past"]
    statements.append(
        "create table app.feed_entries_past partition of app.feed_entries"
        f" for values from (minvalue) to ({months[0][1]})"
    )
    for name, first, end in months:
        statements.append(
            f"create table app.{name} partition of app.feed_entries"
            f" for values from ({first}) to ({end})"
        )
    assert database.run("select from app.feed_entries_past") == []
    _as_owner(database, *statements)
    return [name for name, _, _ in months]


def no_old_months(database: Database) -> None:
    """Undo ``old_months``, whatever of them was dropped since: entries and horizon are gone."""
    ((first, month),) = database.run(
        "select app.post_id_at(date_trunc('month', now(), 'UTC')),"
        " to_char(now() at time zone 'UTC', '\"y\"YYYY\"m\"MM')"
    )
    months = [
        name
        for name in partitions(database)
        if "app.feed_entries_y" < name < f"app.feed_entries_{month}"
    ]
    _as_owner(
        database,
        f"drop table {', '.join([*months, 'app.feed_entries_past'])}",
        "create table app.feed_entries_past partition of app.feed_entries"
        f" for values from (minvalue) to ({first})",
        "update app.feed_horizon set post_id = 0",
    )


def _as_owner(database: Database, *statements: str) -> None:
    database.run(
        "do $$ begin set local role microblog_owner; " + "; ".join(statements) + "; end $$"
    )


def partitions(database: Database) -> list[str]:
    """Return the names of all partitions of ``app.feed_entries``, sorted."""
    return database.values(
        "select inhrelid::regclass::text from pg_inherits"
        " where inhparent = 'app.feed_entries'::regclass order by 1"
    )


def horizon(database: Database) -> int:
    """Return the first post id that retention still keeps entries of."""
    return database.value("select post_id from app.feed_horizon")


def raise_horizon(database: Database, post_id: int) -> None:
    """Move the horizon up to a post in the middle of a month, which retention itself never does."""
    database.run(
        "with moved as (update app.feed_horizon set post_id = %s where post_id < %s)"
        " delete from app.feed_entries where post_id < %s",
        [post_id] * 3,
    )


def forget(database: Database, user: int | list[int]) -> None:
    """Let somebody be away for too long, and have the job drop their timeline."""
    users = [user] if isinstance(user, int) else user
    database.run(
        "update app.feed_states set active_until = now() - interval '1 second'"
        " where user_id = any (%s)",
        [users],
    )
    while database.value("select app.job_feeds_release('{}', null)") is not None:
        pass
    assert all(database.entries(u) == [] for u in users)


def come_back(database: Database, user: int) -> None:
    """Start a session as a login does."""
    database.run("select app.feed_keep(%s, now() + interval '1 hour')", [user])


def read(
    database: Database, user: int, name: str = "timeline", sizes: int | Iterator[int] = 100
) -> list[int]:
    """Read one of the feeds to its end as this user; returns the ids of all pages."""
    sizes = cycle([sizes]) if isinstance(sizes, int) else sizes
    shown: list[int] = []
    cursor = None
    with database.as_member(user) as connection:
        while True:
            size = next(sizes)
            with connection.transaction():
                page = connection.execute(
                    f"select id from api.feed_{name}(%s, %s)", [cursor, size]
                ).fetchall()
                headers = connection.execute(
                    "select current_setting('response.headers', true)"
                ).fetchone()
            shown += [row[0] for row in page]
            if headers is None or not headers[0]:
                return shown
            assert len(page) == size
            cursor = str(shown[-1])


def defined(database: Database, user: int, name: str = "timeline") -> list[int]:
    """Return the ids that a feed is defined to show: no tiers, no entries, no horizon."""
    return database.values(
        "select p.id from app.posts p join app.users u on u.id = p.author_id"
        " where not p.is_reply and u.deleted_at is null and ("
        "   exists (select from app.follows f"
        "     where f.follower_id = %(user)s and f.followed_id = p.author_id)"
        "   or (%(own)s and p.author_id = %(user)s))"
        " order by p.id desc",
        {"user": user, "own": name == "timeline"},
    )


def assert_complete(database: Database, users: int | list[int], sizes: int = 3) -> None:
    """Both feeds of these users, read to the end, are what they are defined to be, now."""
    for user in [users] if isinstance(users, int) else users:
        for name in ("timeline", "following"):
            assert read(database, user, name, sizes) == defined(database, user, name)

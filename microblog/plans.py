"""The plans of the feed queries as text: as they are executed, nested ones included.

What is executed is what PostgREST prepares: a generic plan, with the rights of a request. The
server's auto_explain tells it, because EXPLAIN does not look into functions.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import postgres

Connection = psycopg.Connection[Any]

PAGE = 20
DEEP = 50  # the page, counted from 1, that the cursor of "page 50" leads to
TELL = {
    "log_min_duration": "0",
    "log_level": "notice",
    "log_format": "text",
    "log_analyze": "on",
    "log_buffers": "on",
    "log_timing": "off",
    "log_nested_statements": "on",
}
# Readers, found by what they are; each query gives one id or none.
READERS = {
    "somebody who follows about 50": """
        select c.user_id from app.user_counters c join app.feed_states s using (user_id)
        where s.complete_from < 9007199254740992
        order by abs(c.following_count - 50), c.user_id limit 1""",
    "the active reader who follows the most": """
        select c.user_id from app.user_counters c join app.feed_states s using (user_id)
        where s.complete_from < 9007199254740992
        order by c.following_count desc, c.user_id limit 1""",
    "somebody inactive who follows about 50": """
        select c.user_id from app.user_counters c join app.feed_states s using (user_id)
        where s.complete_from = 9007199254740992
        order by abs(c.following_count - 50), c.user_id limit 1""",
    "who has posted the most": """
        select c.user_id from app.user_counters c order by c.posts_count desc, c.user_id limit 1""",
}
USUAL, GREEDY, ABSENT, WRITER = READERS


@dataclass(frozen=True)
class Query:
    """A page of an api function. ``reader``: a key of READERS, or None without a token."""

    name: str
    call: str
    reader: str | None
    deep: bool = False


QUERIES = (
    Query("timeline", "feed_timeline", USUAL),
    Query("timeline-page-50", "feed_timeline", USUAL, deep=True),
    Query("timeline-follows-many", "feed_timeline", GREEDY),
    Query("timeline-below-horizon", "feed_timeline", ABSENT),
    Query("following", "feed_following", USUAL),
    Query("mine", "feed_mine", WRITER),
    Query("public", "feed_public", None),
    Query("public-page-50", "feed_public", None, deep=True),
    Query("public-cached", "feed_public_cached", None),
    Query("timeline-cached", "feed_timeline_cached", ABSENT),
    Query("users-popular", "users_popular", None),
)


def keep(settings: Settings, folder: Path, dbname: str | None = None) -> list[Path]:
    """Write the plan of each query to a file of ``folder``, replacing what is there.

    Of the stack's database, or ``dbname``. Returns the files. Raises StackError where the database
    lacks the people to read as.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with postgres.connect(settings, dbname) as connection:
        prepare(connection)
        about = _about(connection)
        for query in QUERIES:
            file = folder / f"{query.name}.txt"
            file.write_text(f"{_title(query)}\n{about}\n\n{text(connection, query)}")
            files.append(file)
    return files


def prepare(connection: Connection) -> None:
    """Have a superuser's connection tell its plans, and plan as for any parameters."""
    connection.execute("load 'auto_explain'")
    for name, value in TELL.items():
        connection.execute(
            sql.SQL("set {} = {}").format(sql.Identifier("auto_explain", name), value)
        )
    connection.execute("set plan_cache_mode = force_generic_plan")


def text(connection: Connection, query: Query) -> str:
    """Execute a query and return the plans of all that ran, the statement's own last.

    ``connection``: after ``prepare``.
    """
    reader = _reader(connection, query)
    heard: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        message = notice.message_primary or ""
        plan = plain(message.partition(" plan:\n")[2])
        if " Scan " in plan:  # the rest are expressions that PL/pgSQL evaluates
            heard.append(plan)

    connection.execute(
        "select set_config('microblog.user_id', %s, false),"
        " set_config('request.path', '/rpc/' || %s, false),"
        " set_config('request.headers', '', false)",
        ["" if reader is None else str(reader), query.call],
    )
    connection.execute("set role " + ("anon" if reader is None else "member"))
    connection.add_notice_handler(hear)
    try:
        cursor = _cursor(connection, query) if query.deep else None
        statement = sql.SQL("select * from {}(%s::text, %s::integer)").format(
            sql.Identifier("api", query.call)
        )
        for _ in range(2):  # the first time plans what is inside
            heard.clear()
            connection.execute(statement, [cursor, PAGE], prepare=True)
    finally:
        connection.remove_notice_handler(hear)
        connection.execute("reset role")
    return "\n\n".join(heard) + "\n"


def plain(plan: str) -> str:
    """Return a plan without its costs, which are no part of what it does."""
    lines = [re.sub(r"\(cost=[^)]*\) ?", "", line).rstrip() for line in plan.splitlines()]
    return "\n".join(line for line in lines if line)


def shape(plans: str) -> str:
    """Return what stays the same while data grow: the nodes that ran, their relations, indexes
    and index conditions, without figures.

    Partitions count as one, whatever their month and however many there are.
    """
    kept: list[str] = []
    dropped: int | None = None  # indentation of a node that was not executed
    for line in plans.splitlines():
        indent = len(line) - len(line.lstrip())
        if dropped is not None and indent > dropped:
            continue
        dropped = None
        node = re.fullmatch(r"\s*(->\s+)?(.*\S)\s+\((actual [^)]*|never executed)\)", line)
        if node and node[3] == "never executed":
            dropped = indent
        elif node:
            kept.append(" " * indent + _bare(node[2]))
        elif line.lstrip().startswith(("Index Cond:", "Query Text:")):
            kept.append(" " * indent + _bare(line.strip()))
    return "\n".join(_without_repeats(kept)) + "\n"


def _bare(part: str) -> str:
    part = re.sub(r"feed_entries_(y\d{4}m\d{2}|past|future)", "feed_entries_<month>", part)
    part = re.sub(r"\b([a-z]+)_\d+\b", r"\1", part)
    return re.sub(r"\$\d+", "$", part)


def _without_repeats(lines: list[str]) -> Iterator[str]:
    """Leave out a scan of a partition, with its condition, that is like the one before it."""
    last: list[str] = []
    group: list[str] = []
    for line in [*lines, ""]:
        if group and "Index Cond" in line:
            group.append(line)
            continue
        if group and group != last:
            yield from group
        last, group = group or last, []
        if "feed_entries_<month>" in line:
            group = [line]
        elif line:
            last = []
            yield line


def _title(query: Query) -> str:
    who = "without a token" if query.reader is None else f"by {query.reader}"
    return f"{query.call}, page {DEEP if query.deep else 1} of {PAGE} rows, read {who}"


def _about(connection: Connection) -> str:
    """Return how much there is, as the catalog estimates it, and the server's version."""
    users, follows, posts, entries, version = connection.execute(
        "select (select reltuples from pg_class where oid = 'app.users'::regclass),"
        " (select reltuples from pg_class where oid = 'app.follows'::regclass),"
        " (select reltuples from pg_class where oid = 'app.posts'::regclass),"
        " (select sum(estimated_rows) from dba.feed_partitions where estimated_rows > 0),"
        " current_setting('server_version')"
    ).fetchall()[0]
    return (
        f"{users:,.0f} users, {follows:,.0f} follows, {posts:,.0f} posts, {entries or 0:,.0f} feed"
        f" entries; PostgreSQL {version.split()[0]}"
    )


def _reader(connection: Connection, query: Query) -> int | None:
    if query.reader is None:
        return None
    row = connection.execute(READERS[query.reader]).fetchone()
    if row is None:
        raise StackError(f"nobody to read as: {query.reader}", "Fill the database: microblog seed")
    return int(row[0])


def _cursor(connection: Connection, query: Query) -> str | None:
    """Return the cursor of page DEEP, or of the last page where there are fewer."""
    cursor = None
    for _ in range(DEEP - 1):
        rows = connection.execute(
            sql.SQL("select id from {}(%s, %s)").format(sql.Identifier("api", query.call)),
            [cursor, PAGE],
        ).fetchall()
        if len(rows) < PAGE:
            break
        cursor = str(rows[-1][0])
    return cursor

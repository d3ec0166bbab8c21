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
# A line of a plan that is a node, and lines that say under what condition or in what order.
NODE = r"^\s*(->\s+)?(\S.*?)\s+\((actual [^)]*|never executed)\)$"
TABLE_SCAN = r"(?:Seq|Index|Index Only|Bitmap Heap|Bitmap Index|Tid) Scan(?: Backward)? .*\bon \S+"
CONDITIONS = (
    *("Index Cond:", "Filter:", "Recheck Cond:", "Hash Cond:", "Merge Cond:", "Join Filter:"),
    *("One-Time Filter:", "Sort Key:", "Presorted Key:", "Group Key:", "Order By:"),
)
# Readers, found by what they are; each query gives one id or none. page: rows of one page; rows: of
# DEEP pages.
ACTIVE = """
        from app.user_counters c
        join app.feed_states s using (user_id)
        where s.complete_from <= (select h.post_id from app.feed_horizon h)"""
FOLLOWS_PULLED = """exists (
          select from app.follows f
          where f.follower_id = c.user_id
            and f.followed_id = any (array(select r.author_id from app.pull_ranges r)))"""
READERS = {
    "somebody who follows about 50, of whom some are merged in": f"""
        select c.user_id {ACTIVE} and {FOLLOWS_PULLED}
        order by abs(c.following_count - 50), c.user_id limit 1""",
    "somebody who follows about 50, of whom none is merged in": f"""
        select c.user_id {ACTIVE} and not {FOLLOWS_PULLED}
        order by abs(c.following_count - 50), c.user_id limit 1""",
    "the active reader who follows the most": f"""
        select c.user_id {ACTIVE} order by c.following_count desc, c.user_id limit 1""",
    f"somebody with {DEEP} full pages, of the active readers who follow the most": f"""
        select c.user_id
        from (
          select c.user_id, c.following_count {ACTIVE}
          order by c.following_count desc, c.user_id limit 100
        ) c
        where %(rows)s = (
          select count(*)
          from (
            select from app.follows f join app.posts p on p.author_id = f.followed_id
            where f.follower_id = c.user_id and not p.is_reply limit %(rows)s
          ) p
        )
        order by c.following_count, c.user_id limit 1""",  # noqa: S608
    "somebody inactive who follows about 50": """
        select c.user_id from app.user_counters c join app.feed_states s using (user_id)
        where s.complete_from = 9007199254740992
        order by abs(c.following_count - 50), c.user_id limit 1""",
    "somebody inactive whose first page is in the view": """
        select i.user_id from app.inactive_feeds i join app.user_counters c using (user_id)
        where cardinality(i.post_ids) > %(page)s
        order by abs(c.following_count - 50), i.user_id limit 1""",
    "who has posted the most": """
        select c.user_id from app.user_counters c order by c.posts_count desc, c.user_id limit 1""",
}
USUAL, LIGHT, GREEDY, LONG, ABSENT, VIEWED, WRITER = READERS
# What the tenth post of the reader's first page is made, for the time of the query.
HORIZONS = {
    "where retention ends with the tenth post": """
        update app.feed_horizon set post_id = %(post)s""",
    "where a return was made whole down to the tenth post": """
        update app.feed_states set complete_from = %(post)s where user_id = %(reader)s""",
}
RETENTION, RETURN = HORIZONS


@dataclass(frozen=True)
class Query:
    """A page of an api function.

    ``reader``: a key of READERS, or None without a token. ``horizon``: a key of HORIZONS, or None
    for the reader's own. ``tag``: not the page, but what its tag is made of.
    """

    name: str
    call: str
    reader: str | None
    page: int = 1
    horizon: str | None = None
    tag: bool = False


QUERIES = (
    Query("timeline", "feed_timeline", USUAL),
    Query("timeline-none-merged-in", "feed_timeline", LIGHT),
    Query("timeline-page-50", "feed_timeline", LONG, page=DEEP),
    Query("timeline-follows-many", "feed_timeline", GREEDY),
    Query("timeline-across-retention", "feed_timeline", USUAL, horizon=RETENTION),
    Query("timeline-below-return", "feed_timeline", LONG, page=2, horizon=RETURN),
    Query("timeline-below-horizon", "feed_timeline", ABSENT),
    Query("timeline-tag", "feed_timeline", USUAL, tag=True),
    Query("following", "feed_following", USUAL),
    Query("following-below-horizon", "feed_following", ABSENT),
    Query("mine", "feed_mine", WRITER),
    Query("public", "feed_public", None),
    Query("public-page-50", "feed_public", None, page=DEEP),
    Query("public-cached", "feed_public_cached", None),
    Query("timeline-cached", "feed_timeline_cached", VIEWED),
    Query("users-popular", "users_popular", None),
)


def keep(settings: Settings, folder: Path, dbname: str | None = None) -> list[Path]:
    """Write the plan of each query to a file of ``folder``, replacing what is there.

    Of the stack's database, or ``dbname``. Returns the files. Raises StackError where the database
    lacks the people to read as, or a page is short.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with postgres.connect(settings, dbname) as connection:
        prepare(connection)
        about = _about(connection)
        for query in QUERIES:
            file = folder / f"{query.name}.txt"
            file.write_text(f"{title(query)}\n{about}\n\n{text(connection, query)}")
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

    with connection.transaction(force_rollback=True):
        connection.execute(
            "select set_config('microblog.user_id', %s, true),"
            " set_config('request.path', '/rpc/' || %s, true),"
            " set_config('request.headers', '', true)",
            ["" if reader is None else str(reader), query.call],
        )
        role = sql.Identifier("anon" if reader is None else "member")
        connection.execute(sql.SQL("set local role {}").format(role))
        if query.horizon is not None:
            post = _ids(connection, query, None)[PAGE // 2 - 1]
            connection.execute("set local role none")
            connection.execute(HORIZONS[query.horizon].encode(), {"post": post, "reader": reader})
            connection.execute(sql.SQL("set local role {}").format(role))
        cursor = None
        for _ in range(query.page - 1):
            cursor = str(_ids(connection, query, cursor)[-1])
        if query.page > 1:
            _ids(connection, query, cursor)  # sees that it is full
        if query.tag:
            connection.execute("set local role microblog_owner")
            call = "select app.feed_tag_rows(app.page_top(%s::text), %s, true)"
            statement, parameters = sql.SQL(call), [cursor, PAGE + 1]
        else:
            statement, parameters = _page(query), [cursor, PAGE]
        connection.add_notice_handler(hear)
        try:
            for _ in range(2):  # the first time plans what is inside
                heard.clear()
                connection.execute(statement, parameters, prepare=True)
                connection.execute("select")  # in a transaction, this ends the one before
        finally:
            connection.remove_notice_handler(hear)
    return "\n\n".join(heard) + "\n"


def plain(plan: str) -> str:
    """Return a plan without its costs, which are no part of what it does."""
    lines = [re.sub(r"\(cost=[^)]*\) ?", "", line).rstrip() for line in plan.splitlines()]
    return "\n".join(line for line in lines if line)


def reads(plans: str) -> dict[str, set[str]]:
    """Return how each statement reads tables: the scans that ran, each with index and table.

    Statements that read none are left out.
    """
    found = {}
    for part in plans.strip("\n").split("\n\n"):
        statement = re.split(NODE, part, maxsplit=1, flags=re.MULTILINE)[0].rstrip()
        if scans := set(re.findall(TABLE_SCAN, shape(part))):
            found[statement] = scans
    return found


def shape(plans: str) -> str:
    """Return what stays the same while data grow: the nodes that ran, their relations, indexes,
    conditions and orders, without figures.

    Partitions count as one, whatever their month and however many there are.
    """
    kept: list[str] = []
    dropped: int | None = None  # indentation of a node that was not executed
    for line in plans.splitlines():
        indent = len(line) - len(line.lstrip())
        if dropped is not None and indent > dropped:
            continue
        dropped = None
        node = re.fullmatch(NODE, line)
        if node and node[3] == "never executed":
            dropped = indent
        elif node:
            kept.append(" " * indent + _bare(node[2]))
        elif line.lstrip().startswith((*CONDITIONS, "Query Text:")):
            kept.append(" " * indent + _bare(line.strip()))
    return "\n".join(_without_repeats(kept)) + "\n"


def _bare(part: str) -> str:
    part = re.sub(r"feed_entries_(y\d{4}m\d{2}|past|future)", "feed_entries_<month>", part)
    part = re.sub(r"\b([a-z]+)_\d+\b", r"\1", part)
    return re.sub(r"\$\d+", "$", part)


def _without_repeats(lines: list[str]) -> Iterator[str]:
    """Leave out a scan of a partition, with its conditions, that is like the one before it."""
    last: list[str] = []
    group: list[str] = []
    for line in [*lines, ""]:
        if group and line.lstrip().startswith(CONDITIONS):
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


def title(query: Query) -> str:
    """Return the first line of a query's file: what is read, and by whom."""
    what = f"{query.call}, page {query.page} of {PAGE} rows"
    what += ", what its tag is made of" if query.tag else ""
    what += ", read without a token" if query.reader is None else f", read by {query.reader}"
    return what + (f", {query.horizon}" if query.horizon else "")


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
    wanted = READERS[query.reader].encode()
    row = connection.execute(wanted, {"page": PAGE, "rows": PAGE * DEEP}).fetchone()
    if row is None:
        raise StackError(f"nobody to read as: {query.reader}", "Fill the database: microblog seed")
    return int(row[0])


def _page(query: Query) -> sql.Composed:
    return sql.SQL("select * from {}(%s::text, %s::integer)").format(
        sql.Identifier("api", query.call)
    )


def _ids(connection: Connection, query: Query, cursor: str | None) -> list[int]:
    """Return the ids of a page; raise StackError where it is not full, and so shows too little."""
    ids = [int(row[0]) for row in connection.execute(_page(query), [cursor, PAGE]).fetchall()]
    if len(ids) < PAGE:
        raise StackError(
            f"{title(query)}: a page has {len(ids)} rows",
            "Fill the database with more: microblog seed --preset full",
        )
    return ids

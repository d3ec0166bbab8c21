"""Compares answers that were given under load with their definitions.

Pages of posts: which are there, in which order, with their texts and authors. The load goes on
while answers are sampled, so posts newer than the round's beginning may or may not be on a page
yet; each that is there must belong there. Older ones must all be there, and no other. Profiles:
their names, and their counts, which are counted.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import dict_row

from microblog.bench.generators import Sample
from microblog.bench.scenario import BENCH

# From kind, reader, top, rows of a page and the round's first id to posts by id, newest first, as
# many as cover the page whatever came in since.
Definition = Callable[[str, int, int, int, int], dict[int, "Post"]]

TOP = 2**53  # above every id
FULL = 20  # posts on a page that is full, unless its address has a limit
DEFINITION = (BENCH / "sql" / "definition.sql").read_text()
PROFILE = (BENCH / "sql" / "profile_definition.sql").read_text()
NAMED = re.compile(r"[?&](?:author_)?id=eq\.(\d+)")
LIMIT = re.compile(r"[?&]limit=(\d+)")

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Post:
    """What of a post is compared; None where an answer says nothing of it."""

    content: str
    author: int | None
    username: str | None


def newest_post(connection: Connection) -> int:
    """Return an id above that of every post there is."""
    row = connection.execute("select app.post_id_next()").fetchone()
    return int(row[0]) if row else 0


def wrong(
    connection: Connection,
    samples: Iterable[Sample],
    begun: int,
    defined: "Definition | None" = None,
) -> list[str]:
    """Say of each answer that is not as defined what is wrong with it.

    ``begun`` is above the ids of all posts from before the round. The queue must be empty.
    ``defined`` says what is on a page, by default the definition over this project's own tables.
    """
    defined = defined or partial(_defined, connection)
    profiles: dict[int, dict[str, Any] | None] = {}
    found = (
        _wrong_profile(connection, sample, profiles)
        if sample.check == "profile"
        else _wrong_page(defined, sample, begun)
        for sample in samples
    )
    return [one for one in found if one]


def _wrong_page(define: "Definition", sample: Sample, begun: int) -> str:
    named = NAMED.search(sample.path)
    reader = int(named[1]) if sample.check == "author" and named else sample.user
    who = f"{sample.check} of user {reader}" + (f" from {sample.cursor}" if sample.cursor else "")
    try:
        page = [(int(post["id"]), _told(post)) for post in json.loads(sample.body)]
    except (ValueError, TypeError, KeyError):
        return f"{who}: not a list of posts: {sample.body[:100]!r}"
    ids = [one for one, _ in page]
    if ids != sorted(set(ids), reverse=True):
        return f"{who}: not newest first, each once: {ids[:20]}"
    limit = LIMIT.search(sample.path)
    full = int(limit[1]) if limit else FULL
    top = int(sample.cursor) if sample.cursor else TOP
    defined = define(sample.check, reader, top, max(len(ids), full), begun)
    surplus = [one for one in ids if one not in defined]
    if surplus:
        return f"{who}: {len(surplus)} that do not belong there: {surplus[:5]}"
    for one, told in page:
        if not _agree(told, defined[one]):
            return f"{who}: post {one} is {defined[one]}, not {told}"
    old = [one for one in ids if one < begun]
    expected = [one for one in defined if one < begun]
    # A page that is full ends where it ends; one that is not must have everything.
    expected = expected[: len(old)] if len(ids) >= full else expected
    if old != expected:
        missing = [one for one in expected if one not in old]
        return f"{who}: {len(missing)} missing: {missing[:5]}"
    return ""


def _told(post: dict[str, Any]) -> Post:
    """Read a post of a page: its author as {id, username}, or the column author_id alone."""
    if "author" not in post:
        return Post(str(post["content"]), post["author_id"], None)
    author = post["author"] or {"id": None, "username": None}
    return Post(str(post["content"]), author["id"], author["username"])


def _agree(told: Post, defined: Post) -> bool:
    names_too = told.username is not None or told.author is None
    return (told.content, told.author) == (defined.content, defined.author) and (
        not names_too or told.username == defined.username
    )


def _defined(
    connection: Connection, kind: str, reader: int, top: int, length: int, begun: int
) -> dict[int, Post]:
    """Return by definition enough to cover a page of ``length``, whatever came in since."""
    newer = connection.execute("select count(*) from app.posts where id >= %s", [begun]).fetchone()
    rows = length + (newer[0] if newer else 0) + 1
    found = connection.execute(
        DEFINITION, {"kind": kind, "reader": reader, "top": top, "rows": rows}
    )
    return {int(row[0]): Post(*row[1:]) for row in found}


def _wrong_profile(
    connection: Connection, sample: Sample, known: dict[int, dict[str, Any] | None]
) -> str:
    named = NAMED.search(sample.path)
    user = int(named[1]) if named else sample.user
    if user not in known:
        with connection.cursor(row_factory=dict_row) as cursor:
            known[user] = cursor.execute(PROFILE, {"user": user}).fetchone()
    try:
        answer = json.loads(sample.body)
        (told,) = answer if isinstance(answer, list) else [answer]
        differing = [k for k, value in (known[user] or {"id": None}).items() if told[k] != value]
    except (ValueError, TypeError, KeyError):
        return f"profile of user {user}: not a profile: {sample.body[:100]!r}"
    if differing:
        return f"profile of user {user}: other than recounted: {', '.join(differing)}"
    return ""

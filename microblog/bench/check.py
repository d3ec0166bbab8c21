"""Compares answers that were given under load with the definition of a timeline.

The load goes on while answers are sampled, so posts newer than the round's beginning may or may not
be on a page yet; each that is there must belong there. Older ones must all be there, and no other.
"""

import json
from collections.abc import Iterable
from typing import Any

import psycopg

from microblog.bench.generators import Sample
from microblog.bench.scenario import BENCH

TOP = 2**53  # above every id
DEFINITION = (BENCH / "sql" / "definition.sql").read_text()

Connection = psycopg.Connection[Any]


def newest_post(connection: Connection) -> int:
    """Return an id above that of every post there is."""
    row = connection.execute("select app.post_id_next()").fetchone()
    return int(row[0]) if row else 0


def wrong(connection: Connection, samples: Iterable[Sample], begun: int) -> list[str]:
    """Say of each answer that is not as defined what is wrong with it.

    ``begun`` is above the ids of all posts from before the round. The queue must be empty.
    """
    return [found for sample in samples if (found := _wrong(connection, sample, begun))]


def _wrong(connection: Connection, sample: Sample, begun: int) -> str:
    who = f"timeline of user {sample.user}" + (f" from {sample.cursor}" if sample.cursor else "")
    try:
        ids = [int(post["id"]) for post in json.loads(sample.body)]
    except (ValueError, TypeError, KeyError):
        return f"{who}: not a list of posts: {sample.body[:100]!r}"
    if ids != sorted(set(ids), reverse=True):
        return f"{who}: not newest first, each once: {ids[:20]}"
    top = int(sample.cursor) if sample.cursor else TOP
    defined = _defined(connection, sample.user, top, len(ids), begun)
    surplus = [one for one in ids if one not in defined]
    if surplus:
        return f"{who}: {len(surplus)} that do not belong there: {surplus[:5]}"
    old = [one for one in ids if one < begun]
    expected = [one for one in defined if one < begun]
    # A page that is full ends where it ends; one that is not must have everything.
    expected = expected[: len(old)] if len(ids) >= FULL else expected
    if old != expected:
        missing = [one for one in expected if one not in old]
        return f"{who}: {len(missing)} missing: {missing[:5]}"
    return ""


FULL = 20  # posts on a page that is full


def _defined(
    connection: Connection, reader: int, top: int, length: int, begun: int
) -> dict[int, None]:
    """Return by definition enough to cover a page of ``length``, whatever came in since."""
    newer = connection.execute("select count(*) from app.posts where id >= %s", [begun]).fetchone()
    rows = max(length, FULL) + (newer[0] if newer else 0) + 1
    found = connection.execute(DEFINITION, {"reader": reader, "top": top, "rows": rows})
    return dict.fromkeys(int(row[0]) for row in found)

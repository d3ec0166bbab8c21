"""Puts the demonstration's data set into an empty stack."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from microblog.demo.town import Post, Town, town
from microblog.importer import load, owner_connection, stage
from microblog.settings import Settings


@dataclass(frozen=True)
class Filled:
    """How much was put in."""

    users: int
    follows: int
    posts: int
    replies: int


def fill(settings: Settings, dbname: str | None = None) -> Filled | None:
    """Load the data set where there is neither a user nor a post; else do nothing, return None.

    One transaction, through COPY and the triggers of every other write. The people in it have no
    password: nobody can log in as them. Raises StackError where there is no server or no schema.
    """
    with owner_connection(settings, dbname) as connection:
        if not _empty(connection):
            return None
        with connection.transaction():
            # Two demonstrations at once: the second waits here and finds it filled.
            connection.execute("lock table app.users in share row exclusive mode")
            return _fill(connection, town()) if _empty(connection) else None


def _empty(connection: psycopg.Connection[Any]) -> bool:
    found = connection.execute(
        "select not exists (select from app.users) and not exists (select from app.posts)"
    ).fetchone()
    return found == (True,)


def _fill(connection: psycopg.Connection[Any], data: Town) -> Filled:
    stage(
        connection,
        ((line, name) for line, name in enumerate(data.names, 1)),
        ((line, i, j) for line, (i, j) in enumerate(data.follows, 1)),
    )
    users, follows = load(connection)
    ids = dict(connection.execute("select u.username, u.id from app.users u").fetchall())
    authors = [ids[name] for name in data.names]

    posts = _with_ids(connection, data.posts, 0)
    _copy_posts(connection, authors, posts, [None] * len(posts))
    parents = [posts[reply.parent or 0][0] for reply in data.replies]
    replies = _with_ids(connection, data.replies, len(posts))
    _copy_posts(connection, authors, replies, parents)
    return Filled(users, follows, len(posts), len(replies))


def _with_ids(
    connection: psycopg.Connection[Any], posts: Iterable[Post], first: int
) -> list[tuple[int, Post]]:
    """Give each post the id of its time; ``first`` on, a number of its own in the low 12 bits."""
    dated = []
    for number, post in enumerate(posts, first):
        row = connection.execute("select app.post_id_at(now() - %s)", [post.age]).fetchone()
        if row:
            dated.append((row[0] | number, post))
    return dated


def _copy_posts(
    connection: psycopg.Connection[Any],
    authors: list[int],
    posts: list[tuple[int, Post]],
    parents: list[Any],
) -> None:
    with connection.cursor().copy(
        "copy app.posts (id, author_id, content, parent_id) from stdin"
    ) as copy:
        for (post_id, post), parent_id in zip(posts, parents, strict=True):
            copy.write_row((post_id, authors[post.author], post.content, parent_id))

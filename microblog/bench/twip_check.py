"""What a check of the Twip mix should have answered, in each store: the definition over base data.

Nothing of how a store keeps timelines is asked, only which posts there are, by whom, and who
follows whom. Users who followed somebody during a round are not checked (``Outcome.unsteady``); the
others follow whom they followed before it, in every store alike.
"""

import json
from typing import Any

import psycopg
import redis

from microblog.bench.check import Definition, Post, newest_post
from microblog.bench.redis_peer import NEWEST, POSTS
from microblog.bench.scenario import BENCH

NAIVE = (BENCH / "sql" / "twip_naive_definition.sql").read_text()
FOLLOWS = "select f.followed_id from app.follows f where f.follower_id = %s"

Connection = psycopg.Connection[Any]


def begun(connection: Connection, store: str, socket: str) -> int:
    """Return an id above that of every post there is in a store."""
    if store == "naive":
        row = connection.execute("select max(p.id) + 1 from naive.posts p").fetchone()
        return int(row[0]) if row and row[0] else 1
    if store == "redis":
        last: Any = redis.Redis(unix_socket_path=socket).get("last")
        return int(last or 0) + 1
    return newest_post(connection)


def definition(connection: Connection, store: str, socket: str) -> Definition | None:
    """Return how to tell what is on a page of this store; None for this project's own."""
    if store == "naive":
        return _Triggers(connection)
    if store == "redis":
        return _Redis(connection, redis.Redis(unix_socket_path=socket))
    return None


class _Triggers:
    """By the rival's own tables of posts, users and follows, without its table of timelines."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __call__(self, kind: str, reader: int, top: int, rows: int, begun: int) -> dict[int, Post]:
        found = self.connection.execute(
            NAIVE, {"reader": reader, "top": top, "rows": rows, "begun": begun}
        )
        return {int(row[0]): Post(*row[1:]) for row in found}


class _Redis:
    """By this project's tables for what Redis was loaded from them, and its posts of the round.

    In Redis a post is what a page shows of it: compared with itself, it would always be right.
    """

    def __init__(self, connection: Connection, client: "redis.Redis") -> None:
        self.connection, self.client = connection, client
        self.posts: dict[int, Post] = {}

    def __call__(self, kind: str, reader: int, top: int, rows: int, begun: int) -> dict[int, Post]:
        if not self.posts:
            self._read(begun)
        followed = {int(row[0]) for row in self.connection.execute(FOLLOWS, [reader])}
        found: dict[int, Post] = {}
        old = 0
        for number, post in self.posts.items():
            if number < top and (post.author == reader or post.author in followed):
                found[number] = post
                old += number < begun
                if old > rows:
                    break
        return found

    def _read(self, begun: int) -> None:
        """Read the posts, newest first."""
        last: Any = self.client.get("last")
        keys = [f"p:{number}" for number in range(begun, int(last or 0) + 1)]
        told: Any = self.client.mget(keys) if keys else []
        for post in (json.loads(one) for one in reversed(told) if one):
            author = post["author"]
            self.posts[int(post["id"])] = Post(post["content"], author["id"], author["username"])
        rows = self.connection.execute(NEWEST, [POSTS]).fetchall()
        for number, (_, *post) in zip(range(len(rows), 0, -1), rows, strict=True):
            self.posts[number] = Post(*post)

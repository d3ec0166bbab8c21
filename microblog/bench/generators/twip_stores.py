"""The four calls of the Twip mix, for each store that is compared.

Every check answers the newest 20 posts with their text and their author's name. Redis keeps what a
check needs in the cheapest form there is: sorted sets of post ids, capped at 800, and each post as
one string that has its author's name in it already.

Each check is one statement, or in Redis two commands, of which the second needs the first's answer.
What can go out together goes out together: ours says who it is and writes in one round trip, Redis
pipelines the entries of a post.
"""

import json
from typing import Any, Protocol

import psycopg
import redis

PAGE = 20
CAP = 800  # entries of a timeline in Redis, as Mastodon keeps
BACKFILL = 200  # posts that a new subscription brings in Redis, as Mastodon does
DAY = 86_400


class Store(Protocol):
    """What the mix calls; users are ids."""

    def post(self, user: int, text: str) -> None:
        """Post, and deliver to all who follow."""

    def check(self, user: int) -> str:
        """Return the newest page of the timeline as JSON."""

    def subscribe(self, user: int, other: int) -> None:
        """Follow somebody, whose posts are then in the timeline."""

    def logout(self, user: int) -> None:
        """End the user's session and begin another."""


class Ours:
    """This project's own functions and views, as the role that HTTP requests have.

    A check is one call, as the rivals' checks are. A post and a subscription say first who it is.
    """

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=1)
        self.connection.execute("set role member")
        self.sessions: dict[int, str] = {}

    def _as(self, user: int, query: str, values: tuple[Any, ...] = ()) -> Any:
        """Run one statement as this user, in one round trip and one transaction."""
        with self.connection.pipeline():
            self.connection.execute(
                "select set_config('microblog.user_id', %s, false),"
                " set_config('request.path', '/rpc/feed_timeline', false)",
                (str(user),),
            )
            return self.connection.execute(query, values)

    def post(self, user: int, text: str) -> None:
        """Post, and deliver."""
        self._as(user, "insert into api.posts (content) values (%s)", (text,))

    def check(self, user: int) -> str:
        """Read the newest page."""
        query = "select bench.check_page(%s)"
        return str(self.connection.execute(query, (user,)).fetchone()[0])  # type: ignore[index]

    def subscribe(self, user: int, other: int) -> None:
        """Follow."""
        self._as(user, "insert into api.follows (followed_id) values (%s)", (other,))

    def logout(self, user: int) -> None:
        """Renew the session."""
        query = "select bench.session_renew(%s, %s)"
        found = self.connection.execute(query, (user, self.sessions.get(user)))
        self.sessions[user] = found.fetchone()[0]  # type: ignore[index]


class Naive:
    """Timelines kept by row triggers, see bench/sql/twip_naive.sql."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=1)
        self.sessions: dict[int, str] = {}

    def post(self, user: int, text: str) -> None:
        """Post, and deliver."""
        query = "insert into naive.posts (author_id, content) values (%s, %s)"
        self.connection.execute(query, (user, text))

    def check(self, user: int) -> str:
        """Read the newest page."""
        query = "select coalesce(json_agg(t), '[]')::text from naive.check_page(%s) t"
        return str(self.connection.execute(query, (user,)).fetchone()[0])  # type: ignore[index]

    def subscribe(self, user: int, other: int) -> None:
        """Follow."""
        self.connection.execute(
            "insert into naive.follows (follower_id, followed_id) values (%s, %s)"
            " on conflict do nothing",
            (user, other),
        )

    def logout(self, user: int) -> None:
        """Renew the session."""
        query = "select naive.session_renew(%s, %s)"
        found = self.connection.execute(query, (user, self.sessions.get(user)))
        self.sessions[user] = found.fetchone()[0]  # type: ignore[index]


class Redis:
    """Redis as feeds are kept in it: p:<id> a post, t:<user> a timeline, f:<user> the followers."""

    def __init__(self, socket: str) -> None:
        self.client = redis.Redis(unix_socket_path=socket)
        self.number = 0

    def post(self, user: int, text: str) -> None:
        """Post, and deliver."""
        number = int(self.client.incr("last"))  # type: ignore[arg-type]
        name, followers = self.client.pipeline().get(f"n:{user}").smembers(f"f:{user}").execute()
        author = {"id": user, "username": (name or b"").decode()}
        send = self.client.pipeline(transaction=False)
        send.set(f"p:{number}", json.dumps({"id": number, "content": text, "author": author}))
        send.zadd(f"a:{user}", {str(number): number})
        for follower in (str(user).encode(), *followers):
            key = b"t:" + follower
            send.zadd(key, {str(number): number})
            send.zremrangebyrank(key, 0, -CAP - 1)
        send.execute()

    def check(self, user: int) -> str:
        """Read the newest page."""
        numbers = self.client.zrevrange(f"t:{user}", 0, PAGE - 1)
        if not numbers:
            return "[]"
        posts = self.client.mget([b"p:" + number for number in numbers])  # type: ignore[union-attr]
        return "[" + b",".join(post for post in posts if post).decode() + "]"  # type: ignore[union-attr]

    def subscribe(self, user: int, other: int) -> None:
        """Follow."""
        newest = self.client.zrevrange(f"a:{other}", 0, BACKFILL - 1)
        send = self.client.pipeline(transaction=False)
        send.sadd(f"f:{other}", user)
        if newest:
            send.zadd(f"t:{user}", {number: int(number) for number in newest})  # type: ignore[union-attr]
            send.zremrangebyrank(f"t:{user}", 0, -CAP - 1)
        send.execute()

    def logout(self, user: int) -> None:
        """Renew the session."""
        self.number += 1
        send = self.client.pipeline(transaction=False)
        send.delete(f"s:{user}")
        send.set(f"s:{user}", self.number, ex=DAY)
        send.execute()


def store(name: str, dsn: str, socket: str) -> Store:
    """Connect to the store of that name."""
    if name == "ours":
        return Ours(dsn)
    if name == "naive":
        return Naive(dsn)
    if not socket:
        raise ValueError("Redis was not started")
    return Redis(socket)

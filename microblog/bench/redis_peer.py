"""Redis as a rival: a server of the bench's own, on a socket in the stack's folder, no port.

It keeps nothing on disk (no snapshots, no append-only file), which is its fastest way to run.
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from microblog.errors import MissingProgramError
from microblog.settings import Settings
from microblog.stack.privileges import service_user
from microblog.stack.process import Process

POSTS = 3000  # newest top-level posts that Redis and the row triggers begin with
NEWEST = """
select p.id, p.content, u.id, u.username::text
from app.posts p
join app.users u on u.id = p.author_id
where not p.is_reply
order by p.id desc
limit %s
"""
BATCH = 2000  # commands sent at a time

Connection = psycopg.Connection[Any]


def binary() -> str | None:
    """Where redis-server is, None where it is not installed."""
    return shutil.which("redis-server")


def absent() -> str:
    """Say why Redis cannot take part; empty where it can."""
    return "" if binary() else "Redis is not installed: apt-get install -y redis-server"


def server(settings: Settings, folder: Path, socket: Path) -> Process:
    """Return the server's process, not started yet."""
    program = binary()
    if program is None:
        raise MissingProgramError(absent())
    user = service_user(settings.root)
    home = folder / "redis"
    home.mkdir()
    user.own(home)
    folder.chmod(0o711)
    return Process(
        "redis",
        [
            *(program, "--port", "0", "--unixsocket", socket, "--dir", home),
            *("--save", "", "--appendonly", "no", "--daemonize", "no"),
        ],
        settings.log_dir / "redis.log",
        prefix=user.prefix,
    )


def answers(socket: Path) -> bool:
    """Tell whether the server answers."""
    with suppress(redis.RedisError):
        return bool(redis.Redis(unix_socket_path=str(socket)).ping())
    return False


def load(connection: Connection, socket: Path) -> None:
    """Put the followers, the newest posts and the timelines made of them into Redis."""
    client = redis.Redis(unix_socket_path=str(socket))
    client.flushall()
    followers: dict[int, list[int]] = {}
    send = client.pipeline(transaction=False)
    for user, name in connection.execute("select id, username from app.users"):
        send.set(f"n:{user}", name)
    send.execute()
    query = "select followed_id, array_agg(follower_id) from app.follows group by followed_id"
    for number, (author, ids) in enumerate(connection.execute(query)):
        followers[author] = ids
        send.sadd(f"f:{author}", *ids)
        if number % BATCH == 0:
            send.execute()
    send.execute()
    timelines: dict[int, dict[str, int]] = {}
    rows = connection.execute(NEWEST, [POSTS]).fetchall()
    for number, (_, content, author, name) in enumerate(reversed(rows), 1):
        post = {"id": number, "content": content, "author": {"id": author, "username": name}}
        send.set(f"p:{number}", json.dumps(post))
        send.zadd(f"a:{author}", {str(number): number})
        for reader in (author, *followers.get(author, ())):
            timelines.setdefault(reader, {})[str(number)] = number
    send.set("last", len(rows))
    for number, (reader, entries) in enumerate(timelines.items()):
        send.zadd(f"t:{reader}", entries)  # type: ignore[arg-type]
        if number % BATCH == 0:
            send.execute()
    send.execute()

"""One database of the test cluster: connections in each role, seeding, draining the queue."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg

from microblog.settings import Settings
from microblog.stack import postgres
from microblog.stack.process import wait_for

Connection = psycopg.Connection[Any]
Row = tuple[Any, ...]


class Database:
    """A database with the schema in it, and what tests do with it.

    ``run``, ``value`` and ``values`` work as the superuser on one connection that is kept open;
    each statement is its own transaction.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings = settings
        self.name = name
        self._kept: Connection | None = None
        self._numbers = count(1)

    # -- connections -----------------------------------------------------------------------------

    def connect(self, user: str = "postgres", **options: Any) -> Connection:
        """Open a connection in autocommit mode as ``postgres`` or ``worker``; the caller closes."""
        options.setdefault("application_name", f"test {user}")
        return postgres.connect(self.settings, self.name, user, **options)

    @contextmanager
    def superuser(self) -> Iterator[Connection]:
        """Open a connection as the superuser."""
        with self.connect() as connection:
            yield connection

    @contextmanager
    def as_worker(self) -> Iterator[Connection]:
        """Open a connection as the role the worker logs in as."""
        with self.connect("worker") as connection:
            yield connection

    @contextmanager
    def as_member(self, user_id: int) -> Iterator[Connection]:
        """Open a connection with the rights of a request by this user."""
        with self.connect() as connection:
            become_member(connection, user_id)
            yield connection

    @contextmanager
    def as_anon(self) -> Iterator[Connection]:
        """Open a connection with the rights of a request without a token."""
        with self.connect() as connection:
            connection.execute("set role anon")
            yield connection

    def close(self) -> None:
        """Close the kept connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    # -- statements as the superuser -------------------------------------------------------------

    def run(self, query: str, parameters: Any = None) -> list[Row]:
        """Run one statement and return its rows; none where it gives none."""
        if self._kept is None or self._kept.closed:
            self._kept = self.connect()
        cursor = self._kept.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def value(self, query: str, parameters: Any = None) -> Any:
        """Return the one value of the one row; None without a row."""
        rows = self.run(query, parameters)
        assert len(rows) <= 1, f"{len(rows)} rows from {query}"
        return rows[0][0] if rows else None

    def values(self, query: str, parameters: Any = None) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self.run(query, parameters)]

    # -- seeding, below HTTP ---------------------------------------------------------------------

    def set(self, **limits: int) -> None:
        """Change rows of app.settings: ``db.set(fan_out_sync_limit=1)``."""
        for name, value in limits.items():
            rows = self.run(
                "update app.settings set value = %s where name = %s returning name", [value, name]
            )
            assert rows, f"there is no setting {name}"

    def user(self, name: str | None = None) -> int:
        """Make a user without a password; returns the id."""
        name = name or f"user_{next(self._numbers)}"
        return self.value("insert into app.users (username) values (%s) returning id", [name])

    def users(self, number: int) -> list[int]:
        """Make ``number`` users; returns their ids, ascending."""
        first = next(self._numbers)
        return sorted(
            self.values(
                "insert into app.users (username)"
                " select format('many_%%s_%%s', %s::bigint, n) from generate_series(1, %s) n"
                " returning id",
                [first, number],
            )
        )

    def follow(self, follower: int | Sequence[int], followed: int | Sequence[int]) -> None:
        """Have everyone in ``follower`` follow everyone in ``followed``, in one statement."""
        self.run(
            "insert into app.follows (follower_id, followed_id)"
            " select a, b from unnest(%s::bigint[]) a, unnest(%s::bigint[]) b where a <> b",
            [as_list(follower), as_list(followed)],
        )

    def unfollow(self, follower: int | Sequence[int], followed: int | Sequence[int]) -> None:
        """Undo ``follow``, in one statement."""
        self.run(
            "delete from app.follows"
            " where follower_id = any (%s::bigint[]) and followed_id = any (%s::bigint[])",
            [as_list(follower), as_list(followed)],
        )

    def post(self, author: int, content: str = "hello", parent: int | None = None) -> int:
        """Write a post or a reply; returns the id."""
        return self.value(
            "insert into app.posts (author_id, content, parent_id) values (%s, %s, %s)"
            " returning id",
            [author, content, parent],
        )

    def posts(self, author: int, number: int) -> list[int]:
        """Write ``number`` top-level posts in one statement; returns the ids, ascending."""
        return sorted(
            self.values(
                "insert into app.posts (author_id, content)"
                " select %s, 'post ' || n from generate_series(1, %s) n returning id",
                [author, number],
            )
        )

    def delete_post(self, post_id: int) -> None:
        """Delete a post."""
        self.run("delete from app.posts where id = %s", [post_id])

    # -- looking ---------------------------------------------------------------------------------

    def feed(self, user_id: int, name: str = "following", limit: int = 100) -> list[int]:
        """Return the ids on the first page of one of the four feeds, as this user sees it."""
        with self.as_member(user_id) as connection:
            rows = connection.execute(
                f"select id from api.feed_{name}(null, %s)", [limit]
            ).fetchall()
        return [row[0] for row in rows]

    def entries(self, user_id: int) -> list[int]:
        """Return the post ids materialised for a reader, ascending."""
        return self.values(
            "select post_id from app.feed_entries where user_id = %s order by post_id", [user_id]
        )

    def counts(self, user_id: int) -> tuple[int, int, int] | None:
        """Return (followers, following, posts) as a profile shows them; None without a user."""
        rows = self.run(
            "select followers_count::bigint, following_count::bigint, posts_count::bigint"
            " from app.user_counts where user_id = %s",
            [user_id],
        )
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    def replies_count(self, post_id: int) -> int:
        """Return a post's exact number of replies, as pages show it."""
        return self.value("select replies_count from api.posts where id = %s", [post_id])

    def jobs(self, kind: str | None = None) -> list[int]:
        """Return the ids of waiting and dead jobs, in order of arrival."""
        return self.values(
            "select id from app.jobs where kind = coalesce(%s, kind) order by id", [kind]
        )

    # -- the queue -------------------------------------------------------------------------------

    def pause_schedules(self) -> None:
        """Keep recurring jobs out of the queue, where a test watches what is in it."""
        self.run("update app.job_schedules set next_run_at = now() + interval '1 year'")
        self.run("delete from app.jobs where kind in (select kind from app.job_schedules)")

    def work(self, name: str = "test") -> str | None:
        """Run one chunk of one job as a worker would; returns its kind, None when none is due."""
        with self.as_worker() as connection:
            row = connection.execute("select app.job_work(%s)", [name]).fetchone()
            assert row is not None
            return row[0]

    def drain(self, fold: bool = True) -> list[str]:
        """Work until the queue is empty; returns the kinds, one for each chunk.

        Counter deltas are folded too, due or not, unless ``fold`` is off. A job that fails fails
        the test.
        """
        if fold:
            self.run(
                "update app.job_schedules set next_run_at = now() where kind = 'counters_fold'"
            )
        kinds: list[str] = []
        with self.as_worker() as connection:
            while True:
                row = connection.execute("select app.job_work('drain')").fetchone()
                assert row is not None
                if row[0] is None:
                    break
                kinds.append(row[0])
        left = self.run("select kind, state, last_error from app.jobs")
        assert not left, f"jobs that could not be done: {left}"
        return kinds

    def assert_sound(self) -> None:
        """Drain the queue; then counters and feeds must equal a recount of what they show."""
        self.drain()
        assert self.run("select * from dba.counter_drift()") == []
        assert self.run("select * from dba.feed_drift() order by 1, 2, 3 limit 20") == []
        deltas = self.run("select user_deltas, post_deltas from dba.counter_deltas")
        assert deltas == [(0, 0)], "deltas were left unfolded"
        assert (
            self.run(
                "select * from app.user_counters where least(followers_count, following_count,"
                " posts_count) < 0"
            )
            == []
        )

    # -- waiting for other sessions --------------------------------------------------------------

    def wait_blocked(self, pid: int, by: int | None = None, timeout: float = 30.0) -> None:
        """Wait until backend ``pid`` waits for a lock (one that ``by`` holds, if given)."""

        def blocked() -> bool:
            blockers = self.value("select pg_blocking_pids(%s)", [pid])
            return by in blockers if by is not None else bool(blockers)

        wait_for(blocked, timeout, f"backend {pid} to wait for a lock")

    def wait_for(self, query: str, parameters: Any = None, timeout: float = 30.0) -> Any:
        """Wait until a query returns something true; returns that."""
        return wait_for(lambda: self.value(query, parameters), timeout, query)


def become_member(connection: Connection, user_id: int) -> None:
    """Give a superuser's connection the rights and the identity of a request by this user."""
    connection.execute("select set_config('microblog.user_id', %s, false)", [str(user_id)])
    connection.execute("set role member")


def as_list(ids: int | Sequence[int]) -> list[int]:
    """Return one id or several as a list."""
    return [ids] if isinstance(ids, int) else list(ids)

"""Database sessions that each run in a thread of their own, so that a test can interleave them.

A test lets one actor do something, sees that another waits for it (``Database.wait_blocked``),
and lets the first go on. Nothing depends on time; every wait ends with an error after a deadline.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.support.database import Database, Row, become_member

DEADLINE = 60.0  # seconds


class Actor:
    """One session. ``do`` waits for the statement's end, ``start`` does not."""

    def __init__(self, database: Database, user: str = "postgres") -> None:
        self.database = database
        self.connection = database.connect(user)
        self.connection.execute(f"set statement_timeout = '{DEADLINE:g}s'")
        self.pid = self.connection.info.backend_pid
        self._thread = ThreadPoolExecutor(max_workers=1)

    def start(self, query: str, *parameters: Any) -> "Future[list[Row]]":
        """Begin a statement, after those begun before; its rows come with ``.result()``."""
        return self._thread.submit(self._execute, query, parameters)

    def do(self, query: str, *parameters: Any) -> list[Row]:
        """Run a statement to its end and return its rows."""
        return self.start(query, *parameters).result(DEADLINE)

    def start_blocked(
        self, query: str, *parameters: Any, by: "Actor | None" = None
    ) -> "Future[list[Row]]":
        """Begin a statement and see that it waits for a lock, one that ``by`` holds if given."""
        pending = self.start(query, *parameters)
        self.database.wait_blocked(self.pid, by.pid if by else None)
        assert not pending.done()
        return pending

    def begin(self) -> None:
        """Open a transaction."""
        self.do("begin")

    def commit(self) -> None:
        """Commit it."""
        self.do("commit")

    def rollback(self) -> None:
        """Roll it back."""
        self.do("rollback")

    def close(self) -> None:
        """End the session, whatever it is doing."""
        self.connection.cancel_safe(timeout=10)
        self._thread.shutdown(wait=True)
        self.connection.close()

    def _execute(self, query: str, parameters: Any) -> list[Row]:
        cursor = self.connection.execute(query, parameters or None)
        return cursor.fetchall() if cursor.description else []


class Stage:
    """Makes actors for one database and sends them home at the end of the test."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.actors: list[Actor] = []

    def superuser(self) -> Actor:
        """An actor that may do everything."""
        return self._enter(Actor(self.database))

    def worker(self) -> Actor:
        """An actor with the rights of a worker."""
        return self._enter(Actor(self.database, "worker"))

    def member(self, user_id: int) -> Actor:
        """An actor with the rights and identity of this user's requests."""
        actor = self._enter(Actor(self.database))
        become_member(actor.connection, user_id)
        return actor

    def members(self, user_ids: list[int]) -> list[Actor]:
        """One actor for each user."""
        return [self.member(user_id) for user_id in user_ids]

    def _enter(self, actor: Actor) -> Actor:
        self.actors.append(actor)
        return actor


@contextmanager
def stage(database: Database) -> Iterator[Stage]:
    """Give a stage; sessions that still hold locks at the end are ended."""
    made = Stage(database)
    try:
        yield made
    finally:
        for actor in made.actors:
            try:
                actor.close()
            except psycopg.Error:
                actor.connection.close()


# Statements that actors say, as requests make them.
FOLLOW = "insert into api.follows (followed_id) values (%s)"
UNFOLLOW = "delete from api.follows where followed_id = %s"
POST = "insert into api.posts (content) values (%s) returning id"
REPLY = "insert into api.posts (content, parent_id) values (%s, %s) returning id"
DELETE_POST = "delete from api.posts where id = %s"
WORK = "select app.job_work('test')"
CLOSE_ACCOUNT = "select app.account_close(%s)"

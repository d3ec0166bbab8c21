"""Requests that cannot be counted, and sessions that count and are lost."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from microblog.stack.process import wait_for
from tests.api.rate_limits.asking import Bucket, Place, told
from tests.support.client import Member, expect, refused
from tests.support.database import Database
from tests.support.servers import Served, serve_rest


def test_the_session_that_counts_may_die_between_the_count_and_the_refusal(
    here: Place, member: Member
) -> None:
    """The bucket is held so that the refusal waits; its session is ended; another one tells."""
    Bucket(here.api, "posts", f"user {member.id}").fill(10, 60)
    database = here.api.database
    # The refusal alone writes here.
    with database.superuser() as holder, ThreadPoolExecutor(1) as thread:
        with holder.transaction():
            holder.execute("lock table app.rate_limit_refusals in share mode")
            answer = thread.submit(here, "POST", "/posts", member, json={"content": "x"})
            pid = database.wait_for(
                "select pid from pg_stat_activity where usename = 'limiter'"
                " and datname = current_database() and wait_event_type = 'Lock'"
            )
            assert database.value("select pg_terminate_backend(%s, 10000)", [pid])
        refused(429, "rate_limited", answer.result(60))
        assert int(answer.result().headers["Retry-After"]) > 50


def test_the_session_that_counts_may_die(here: Place, member: Member) -> None:
    assert told(expect(200, here("GET", "/rpc/feed_timeline", member)))[2] == 99
    ended = here.api.database.values(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where usename = 'limiter' and datname = current_database()"
    )
    assert ended
    assert all(ended)
    assert told(expect(200, here("GET", "/rpc/feed_timeline", member)))[2] == 98


def test_a_request_that_cannot_be_counted_is_not_carried_out(here: Place, member: Member) -> None:
    """Another session holds the bucket: the wait has an end, and the answer says what to do."""
    expect(201, here("POST", "/posts", member, json={"content": "first"}))
    with here.api.database.superuser() as holder, holder.transaction():
        holder.execute(
            "select from app.rate_limit_buckets where key = %s for update", [f"user {member.id}"]
        )
        answer = here("POST", "/posts", member, json={"content": "second"})
        refused(503, "busy", answer)
    (only,) = expect(200, here("GET", "/rpc/feed_mine", member)).json()
    assert only["content"] == "first"


def test_a_busy_answer_says_when_to_come_back(own_api: Served) -> None:
    """PostgREST would say: at once."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    expect(200, own_api.get("/rpc/feed_public"))
    with own_api.database.superuser() as holder, holder.transaction():
        holder.execute("select from app.rate_limit_buckets for update")
        answer = own_api.get("/rpc/feed_public")
        refused(503, "busy", answer)
        assert answer.headers["Retry-After"] == "1"


def test_what_cannot_be_counted_is_refused_until_it_can(database: Database) -> None:
    """The session that counts cannot be had: nothing passes uncounted, and nothing stays broken."""
    database.run("delete from app.rate_limit_exemptions")
    database.run("alter role limiter nologin")
    try:
        with serve_rest(database) as api:
            refused(503, "rate_limits_unavailable", api.get("/rpc/feed_public"))
            database.run("alter role limiter login")
            wait_for(
                lambda: api.get("/rpc/feed_public").status_code == 200, 10, "requests to count"
            )
    finally:
        database.run("alter role limiter login")


def test_a_backend_that_cannot_connect_tries_once_a_second_and_says_why(
    database: Database,
) -> None:
    """Every attempt may take as long as its timeout."""
    log = database.settings.log_dir / "postgres.log"
    said = "requests cannot be counted"
    refused = f"limiter@{database.name} FATAL:"
    before, refused_before = log.read_text().count(said), log.read_text().count(refused)
    database.run("alter role limiter nologin")
    try:
        with database.superuser() as backend:
            started_at = database.value("select date_part('epoch', clock_timestamp())")
            for _ in range(30):
                with pytest.raises(psycopg.Error):
                    backend.execute("select app.rate_limit_reconnect()")
            seconds = database.value("select date_part('epoch', clock_timestamp())") - started_at
            assert 1 <= log.read_text().count(said) - before <= 1 + seconds
            assert "not permitted to log in" in log.read_text()
            assert 1 <= log.read_text().count(refused) - refused_before <= 1 + seconds
            database.run("alter role limiter login")

            def connects() -> bool:
                try:
                    backend.execute("select app.rate_limit_reconnect()")
                except psycopg.Error:
                    return False
                return True

            wait_for(connects, 10, "a connection")
    finally:
        database.run("alter role limiter login")

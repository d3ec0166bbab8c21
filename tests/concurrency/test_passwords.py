"""Passwords that are checked at once: a few run, a few wait, the others are told to come again."""

import re
from pathlib import Path

import pytest
from psycopg import errors

from microblog.settings import ROOT
from microblog.stack.process import wait_for
from tests.support.actors import Actor, Stage
from tests.support.client import PASSWORD, expect, refused
from tests.support.database import Database
from tests.support.refusals import told
from tests.support.servers import Served

CHECK = "select app.password_matches(%s, %s)"
HELD = "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 2 and pid = %s"


def with_password(database: Database) -> int:
    """Make a user whose password is PASSWORD; returns the id."""
    user = database.user()
    database.run(
        "insert into app.credentials (user_id, password_hash) values (%s, app.password_hash(%s))",
        [user, PASSWORD],
    )
    return user


def computing(actors: Stage, number: int = 1) -> list[Actor]:
    """Sessions that stand where app.bcrypt computes: each has a place and a slot until it ends."""
    busy = [actors.superuser() for _ in range(number)]
    for slot, actor in enumerate(busy, 1):
        actor.begin()
        actor.do("select pg_advisory_xact_lock(1, %s), pg_advisory_xact_lock(2, %s)", slot, slot)
    return busy


def test_one_computes_one_waits_and_the_third_is_refused_at_once(
    database: Database, actors: Stage
) -> None:
    database.set(login_concurrency=1, login_queue=1)
    user = with_password(database)
    (first,) = computing(actors)
    second, third = actors.superuser(), actors.superuser()

    waiting = second.start_blocked(CHECK, user, PASSWORD, by=first)
    third.do("set statement_timeout = '10s'")  # who waits although nobody should is not refused
    with pytest.raises(errors.DatabaseError, match='"busy"'):
        third.do(CHECK, user, PASSWORD)
    first.commit()

    assert waiting.result(60) == [(True,)]
    assert third.do(CHECK, user, PASSWORD) == [(True,)]


def test_as_many_run_as_the_setting_says(database: Database, actors: Stage) -> None:
    user = with_password(database)
    database.set(login_concurrency=2, login_queue=1)
    one, two = computing(actors, 2)
    three, four = actors.superuser(), actors.superuser()

    waiting = three.start_blocked(CHECK, user, PASSWORD)
    with pytest.raises(errors.DatabaseError, match='"busy"'):
        four.do(CHECK, user, PASSWORD)
    one.commit()
    two.commit()

    assert waiting.result(60) == [(True,)]


def test_a_second_core_is_used_while_the_first_is_busy(database: Database, actors: Stage) -> None:
    user = with_password(database)
    database.set(login_concurrency=2, login_queue=0)
    computing(actors)
    assert actors.superuser().do(CHECK, user, PASSWORD) == [(True,)]


def test_somebody_always_computes_whatever_the_settings(database: Database, actors: Stage) -> None:
    user = with_password(database)
    database.set(login_concurrency=0, login_queue=0)
    assert actors.superuser().do(CHECK, user, PASSWORD) == [(True,)]


def test_a_slot_rests_after_a_password_and_is_nobody_s_meanwhile(
    database: Database, actors: Stage
) -> None:
    """For a multiple of the time that it took: here it would be days."""
    user = with_password(database)
    database.set(login_concurrency=1, login_queue=0, login_rest=10**12)
    first, second = actors.superuser(), actors.superuser()
    resting = first.start(CHECK, user, PASSWORD)
    asleep = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"
    wait_for(lambda: database.value(asleep, [first.pid]), 30, "the rest")
    assert database.value(HELD, [first.pid]) == 2
    with pytest.raises(errors.DatabaseError, match='"busy"'):
        second.do(CHECK, user, PASSWORD)

    database.run("select pg_cancel_backend(%s)", [first.pid])
    with pytest.raises(errors.QueryCanceled):
        resting.result(60)
    database.set(login_rest=0)
    assert second.do(CHECK, user, PASSWORD) == [(True,)]


@pytest.mark.parametrize("password", [PASSWORD, "wrong", "x" * 73, None])
def test_the_turn_ends_with_the_computing_not_with_the_transaction(
    database: Database, actors: Stage, password: str | None
) -> None:
    """What a login waits for afterwards, such as a lock of its user's row, keeps nobody waiting."""
    user = with_password(database)
    actor = actors.superuser()
    for user_id in (user, None):
        actor.begin()
        actor.do(CHECK, user_id, password)
        assert database.value(HELD, [actor.pid]) == 0
        actor.commit()


def test_who_waits_too_long_is_refused_and_leaves_the_queue(
    database: Database, actors: Stage
) -> None:
    user = with_password(database)
    database.set(login_concurrency=1, login_queue=1)
    computing(actors)
    waiting = actors.superuser()
    waiting.do("set lock_timeout = '20ms'")
    for _ in range(2):
        with pytest.raises(errors.DatabaseError, match='"busy"'):
            waiting.do(CHECK, user, PASSWORD)
        assert database.value(HELD, [waiting.pid]) == 0


def test_a_cancelled_request_leaves_the_queue(database: Database, actors: Stage) -> None:
    """Also where its connection is used again, as PostgREST's are."""
    user = with_password(database)
    database.set(login_concurrency=1, login_queue=1)
    (first,) = computing(actors)
    second, third = actors.superuser(), actors.superuser()
    second.begin()
    cancelled = second.start_blocked(CHECK, user, PASSWORD, by=first)
    database.run("select pg_cancel_backend(%s)", [second.pid])
    with pytest.raises(errors.QueryCanceled):
        cancelled.result(60)
    second.rollback()

    waiting = third.start_blocked(CHECK, user, PASSWORD, by=first)
    first.commit()
    assert waiting.result(60) == [(True,)]


def test_two_who_change_one_password_do_not_wait_for_each_other_in_a_circle(
    database: Database, actors: Stage
) -> None:
    """One holds the row and wants a turn, the other has had its turn and wants the row."""
    database.set(login_concurrency=1, login_queue=4)
    user = with_password(database)
    one, two = actors.superuser(), actors.superuser()
    one.begin()
    one.do(CHECK, user, PASSWORD)  # a match locks the row
    blocked = two.start_blocked(CHECK, user, PASSWORD, by=one)
    hashed = one.do("select app.password_hash('another password')")
    one.do("update app.credentials set password_hash = %s where user_id = %s", hashed[0][0], user)
    one.commit()
    assert blocked.result(60) == [(False,)]


# -- over HTTP -----------------------------------------------------------------------------------


def test_every_call_that_takes_a_password_is_refused_in_words_and_all_others_work(
    database: Database, actors: Stage, rest: Served
) -> None:
    member = rest.signup()
    database.set(login_concurrency=1, login_queue=0)
    (busy,) = computing(actors)
    calls = {
        "login": {"username": member.username, "password": PASSWORD},
        "signup": {"username": "newcomer", "password": PASSWORD},
        "password_change": {"current_password": PASSWORD, "new_password": PASSWORD + "!"},
        "account_delete": {"password": PASSWORD},
    }
    for name, body in calls.items():
        answer = member.post(f"/rpc/{name}", json=body)
        told(503, "busy", answer, "Too many passwords", "again in a second")
    answer = rest.login("nobody_at_all", "whatever it is")
    refused(503, "busy", answer)
    expect(200, member.get("/rpc/feed_timeline"))
    member.write()

    busy.commit()
    expect(200, rest.login(member.username))
    for name in ("signup", "account_delete"):
        assert member.post(f"/rpc/{name}", json=calls[name]).is_success


def test_nothing_else_runs_bcrypt() -> None:
    """A function that called crypt by itself would get around the cap."""
    folders = [ROOT / "sql" / name for name in ("schema", "functions", "triggers")]
    scripts = [path for folder in folders for path in folder.glob("*.sql")]

    def callers(scripts: list[Path]) -> set[str]:
        return {p.stem for p in scripts if re.search(r"\bcrypt\(", p.read_text())}

    assert callers(scripts) == {"bcrypt"}

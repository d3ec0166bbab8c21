"""Password hashes: bcrypt at the cost that the settings say, and the same work for nobody."""

import re

import pytest

from tests.support import plan
from tests.support.database import Database


@pytest.fixture(scope="module")
def shared(module_database: Database) -> Database:
    return module_database


def test_the_cost_of_a_deployment_is_ten_or_more(database: Database) -> None:
    """The cheap cost of the other tests is theirs alone."""
    settings = plan.deploy_script("schema/settings").read_text()
    deployed = re.search(r"\('bcrypt_cost', ([0-9]+),", settings)
    assert deployed and int(deployed[1]) >= 10
    database.set(bcrypt_cost=int(deployed[1]))
    stored = database.value("select app.password_hash('correct horse')")
    assert stored.startswith(f"$2a${deployed[1]}$") and len(stored) == 60


def test_a_hash_has_a_salt_of_its_own(shared: Database) -> None:
    hashes = shared.values("select app.password_hash('same') from generate_series(1, 5)")
    assert len(set(hashes)) == 5


@pytest.mark.parametrize("password", ["correct horse", "ü" * 36, "x" * 72, "päss wörd \U0001f642"])
def test_the_right_password_matches_and_no_other(database: Database, password: str) -> None:
    a = database.user()
    database.run("insert into app.credentials values (%s, app.password_hash(%s))", [a, password])
    matches = "select app.password_matches(%s, %s)"
    assert database.value(matches, [a, password]) is True
    for wrong in (password[:-1], password.upper() + "x", "", None):
        assert database.value(matches, [a, wrong]) is False
    assert database.value(matches, [a + 1, password]) is False
    assert database.value(matches, [None, password]) is False


def test_what_bcrypt_would_cut_off_counts(database: Database) -> None:
    """A password of 72 bytes is not matched by a longer one that begins with it."""
    a = database.user()
    database.run("insert into app.credentials values (%s, app.password_hash(%s))", [a, "x" * 72])
    assert database.value("select app.password_matches(%s, %s)", [a, "x" * 73]) is False


def test_a_user_who_does_not_exist_costs_a_hash_too(database: Database) -> None:
    """Counted in calls, not in time: what an unknown name runs is a bcrypt of the same cost."""
    a = database.user()
    database.run("insert into app.credentials values (%s, app.password_hash('right'))", [a])

    def hashes(user_id: int | None) -> int:
        with database.superuser() as connection:
            connection.execute("set track_functions = 'all'")
            with connection.transaction():
                connection.execute("select app.password_matches(%s, 'wrong')", [user_id])
                row = connection.execute(
                    "select coalesce(sum(calls), 0)::int from pg_stat_xact_user_functions"
                    " where funcname = 'crypt'"
                ).fetchone()
        assert row is not None
        return row[0]

    assert hashes(a) == hashes(None) == hashes(a + 1) == 1


@pytest.mark.parametrize("password", [None, "", "seven77", "ü" * 7])
def test_a_short_password_is_refused(shared: Database, password: str | None) -> None:
    with pytest.raises(Exception, match="password_too_short"):
        shared.run("select app.password_require(%s)", [password])


@pytest.mark.parametrize("password", ["x" * 73, "ü" * 37, "\U0001f642" * 19])
def test_more_than_72_bytes_are_refused(shared: Database, password: str) -> None:
    with pytest.raises(Exception, match="password_too_long"):
        shared.run("select app.password_require(%s)", [password])


@pytest.mark.parametrize("password", ["12345678", "x" * 72, "ü" * 36, "\U0001f642" * 8])
def test_what_lies_between_is_taken(shared: Database, password: str) -> None:
    shared.run("select app.password_require(%s)", [password])

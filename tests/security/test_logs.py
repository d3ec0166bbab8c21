"""What people send stands in no log: passwords and tokens, whatever becomes of the request."""

import pytest

from tests.support.client import PASSWORD, Member, expect
from tests.support.cluster import Cluster
from tests.support.database import Database
from tests.support.servers import Served, serve_api

MARK = "Zq7MARKx"


@pytest.fixture
def logging_api(cluster: Cluster, database: Database) -> Served:
    """The API, with every statement in PostgreSQL's log as if it had been slow."""
    with database.superuser() as connection:
        connection.execute(f"alter database {database.name} set log_min_duration_statement = 0")
    with serve_api(database) as served:
        yield served


def logs(served: Served) -> str:
    """Return what PostgreSQL, PostgREST and HAProxy wrote of this database."""
    settings = served.database.settings
    whole = (settings.log_dir / "postgres.log").read_text()
    ours = [line for line in whole.splitlines() if f"@{served.database.name} " in line]
    return "\n".join(ours + [process.log_text() for process in served.processes])


def send_secrets(served: Served) -> Member:
    """Send a secret wherever one can go, also where it does not belong."""
    member = served.signup(password=f"{MARK} horse battery")
    login = {"username": member.username, "password": f"{MARK} wrong"}
    expect(401, served.post("/rpc/login", json=login))
    expect(400, served.get("/rpc/login", params=login))
    expect(400, served.get(f"/rpc/login?select={MARK}"))
    expect(401, served.get("/rpc/me", f"{MARK}.{MARK}.{MARK}"))
    change = {"current_password": f"{MARK} horse battery", "new_password": f"{MARK} staple"}
    expect(204, member.post("/rpc/password_change", json=change))
    expect(403, member.post("/rpc/account_delete", json={"password": f"{MARK} wrong"}))
    expect(200, member.get("/rpc/feed_timeline"))
    expect(400, member.post("/posts", json={"content": f"{MARK}" * 30}))
    expect(201, member.post("/posts", json={"content": MARK}, headers={"Idempotency-Key": MARK}))
    return member


def test_no_password_and_no_token_is_logged_however_slow_or_wrong(logging_api: Served) -> None:
    member = send_secrets(logging_api)
    written = logs(logging_api)
    for name in ("duration: ", "password_change", "feed_answers"):
        assert name in written, "not logged at all"
    lines = [line for line in written.splitlines() if MARK in line or member.token in line]
    assert lines == []


def test_a_refused_request_leaves_its_statement_out_of_the_log(api: Served) -> None:
    """One line for an error, not the request that anybody may repeat a million times."""
    member = api.signup()
    content = PASSWORD * 20
    expect(400, member.post("/posts", json={"content": content}))
    expect(400, api.get("/posts?id=eq.no_number"))
    written = logs(api)
    assert "no_number" in written, "the error itself is not there"
    assert "STATEMENT:" not in written
    assert "pgrst_source" not in written

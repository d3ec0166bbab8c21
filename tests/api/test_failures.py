"""What fails inside is told in the API's own words, and no request escapes its role's limits."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from microblog.stack import postgres, secret_files
from tests.support.client import expect
from tests.support.database import Database
from tests.support.refusals import told
from tests.support.relay import Relay
from tests.support.servers import Served, serve_api

SECRET = 'relation "app.credentials" at /var/lib/data on 10.1.2.3, query: SELECT "api"."x"'

# GET /up that fails as the header X-Client-Info asks, or tells the settings it runs under.
UP = """
create or replace function api.up() returns json language plpgsql stable as $$
declare
  v_state constant text := current_setting('request.headers')::json ->> 'x-client-info';
begin
  if v_state is not null then
    raise exception using errcode = v_state, message = %s, detail = %s, hint = %s;
  end if;
  return (
    select json_object_agg(name, current_setting(name))
    from unnest(array[
      'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'work_mem',
      'temp_file_limit', 'jit'
    ]) name
  );
end
$$
"""
LIMITS = {
    "statement_timeout": "5s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "10s",
    "work_mem": "4MB",
    "temp_file_limit": "64MB",
    "jit": "off",
}


@pytest.fixture(scope="module")
def failing(cluster) -> Iterator[Served]:
    """The public contract, with a GET /up that fails as it is told to."""
    with cluster.clone() as database:
        database.run(UP.replace("%s", f"$x${SECRET}$x$"))
        with serve_api(database) as served:
            yield served


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("57014", 504, "too_slow"),
        ("55P03", 503, "busy"),
        ("40P01", 503, "busy"),
        ("25P03", 503, "HTTP503"),
        ("53400", 503, "HTTP503"),
        ("58030", 500, "HTTP500"),
        ("P0001", 400, "HTTP400"),
        ("P0002", 500, "HTTP500"),
        ("XX000", 500, "HTTP500"),
        ("22P05", 400, "22P05"),
        ("42501", 403, "42501"),
        ("42703", 400, "HTTP400"),
        ("42883", 400, "HTTP400"),
        ("54001", 400, "HTTP400"),
        ("23503", 400, "HTTP400"),
        ("PT418", 400, "HTTP400"),
    ],
)
def test_no_word_of_a_failure_inside_is_told(
    failing: Served, state: str, status: int, code: str
) -> None:
    member = failing.signup()
    for token in (None, member.token):
        answer = failing.get("/up", token, headers={"X-Client-Info": state})
        body = told(status, code, answer)
        for word in ("credentials", "/var/", "10.1.2.3", "SELECT", "app."):
            assert word not in answer.text
        assert body["details"] is None
        assert answer.headers["x-request-id"]
        if status == 503:
            assert int(answer.headers["retry-after"]) >= 1


def test_no_address_is_told_while_the_database_is_away(own_api: Served) -> None:
    database = own_api.database
    database.close()
    with postgres.connect(database.settings, "postgres") as other:
        other.execute(f"alter database {database.name} with allow_connections false")
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            [database.name],
        )
    for _ in range(5):
        body = told(503, "HTTP503", own_api.get("/users"))
        assert body["details"] is None


# GET /rpc/waits answers once lock 7 is free; then its transaction may be idle for a moment only.
WAITS = """
create function api.waits() returns void language plpgsql stable as $$
begin
  perform set_config('idle_in_transaction_session_timeout', '200ms', true);
  perform pg_advisory_xact_lock_shared(7);
end
$$
"""


@pytest.fixture
def waiting(database: Database) -> Database:
    """A database of this test's own, whose API has a call that waits."""
    database.run(WAITS)
    database.run("grant execute on function api.waits() to anon")
    return database


def ended(
    served: Served, stall: Callable[[], object], go_on: Callable[[], object] = lambda: None
) -> httpx.Response:
    """Ask for /rpc/waits, whose transaction is ended before PostgREST does so: ``stall`` keeps it
    from it, and ``go_on`` no more.
    """
    database = served.database
    session = (
        "from pg_stat_activity where usename = 'authenticator'"
        " and datname = current_database() and wait_event = 'advisory'"
    )
    with ThreadPoolExecutor(1) as pool:
        try:
            with database.superuser() as holder, holder.transaction():
                holder.execute("select pg_advisory_xact_lock(7)")
                asked = pool.submit(served.get, "/rpc/waits")
                database.wait_for(f"select count(*) = 1 {session}")
                pid = database.value(f"select pid {session}")
                stall()
            database.wait_for(
                "select not exists (select from pg_stat_activity where pid = %s)", [pid]
            )
        finally:
            go_on()
        return asked.result()


def told_as_an_absence(answer: httpx.Response) -> None:
    body = told(503, "HTTP503", answer)
    assert body["details"] is None
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]


def test_a_transaction_that_stood_idle_is_told_as_an_absence(waiting: Database) -> None:
    """PostgREST stops in the middle of a request, and learns of the end before it goes on."""
    with serve_api(waiting) as served:
        postgrest = served.processes[0]
        answer = ended(
            served,
            lambda: postgrest.send(signal.SIGSTOP),
            lambda: postgrest.send(signal.SIGCONT),
        )
        told_as_an_absence(answer)


def test_a_commit_that_arrives_too_late_is_told_as_an_absence(
    waiting: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to PostgreSQL stalls: PostgREST has sent its commit when it learns of the end."""
    uri = secret_files.rest_uri
    with Relay(waiting.settings.pg_port) as relay:
        monkeypatch.setattr(secret_files, "rest_uri", lambda *to: uri(*to[:2], relay.port))
        with serve_api(waiting) as served:
            told_as_an_absence(ended(served, relay.hold))
            assert '"code":"25P03"' in served.processes[0].log_text()


def test_a_request_runs_under_the_limits_of_its_role(failing: Served) -> None:
    member = failing.signup()
    for token in (None, member.token):
        assert expect(200, failing.get("/up", token)).json() == LIMITS


def test_no_function_of_the_api_loosens_a_limit(module_database: Database) -> None:
    """A setting of a function holds while it runs, and PostgREST even gives some to the request."""
    loosened = module_database.run(
        "select proname, proconfig from pg_proc where proconfig::text ~ any (%s)"
        " and (has_function_privilege('anon', oid, 'execute')"
        "   or has_function_privilege('member', oid, 'execute'))",
        [list(LIMITS)],
    )
    assert loosened == []
    may_set = module_database.values(
        "select name from unnest(array['temp_file_limit', 'log_min_error_statement']) name"
        " where has_parameter_privilege('anon', name, 'set')"
        " or has_parameter_privilege('member', name, 'set')"
    )
    assert may_set == []


def test_the_login_itself_has_the_limits_of_a_request(failing: Served) -> None:
    """The settings that PostgREST logs in with hold for all of its requests."""
    config = failing.database.value(
        "select rolconfig from pg_roles where rolname = 'authenticator'"
    )
    for name, value in LIMITS.items():
        assert f"{name}={value}" in config

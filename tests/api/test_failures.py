"""What fails inside is told in the API's own words, and no request escapes its role's limits."""

from collections.abc import Iterator

import pytest

from microblog.stack import postgres
from tests.support.client import expect
from tests.support.database import Database
from tests.support.refusals import told
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

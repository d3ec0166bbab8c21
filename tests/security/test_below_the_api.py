"""What a request's role may do where no endpoint stands between: rows, schemas, time."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from psycopg import errors, sql

from tests.security.victim import OWNER, Victim
from tests.support.client import expect
from tests.support.database import Database
from tests.support.servers import Served, serve_rest

# What runs with the owner's rights and a request may call: each asks by itself whose it touches.
DEFINERS = {
    "api.account_delete", "api.health", "api.login", "api.logout", "api.password_change",
    "api.signup", "app.cache_shared", "app.feed_ids", "app.inactive_feed", "app.pre_request",
    "app.rate_limit_end", "app.rate_limit_hit",
}  # fmt: skip

# What is published of everybody; of all else that a member may select, one's own rows alone.
PUBLISHED = {"users", "user_counters", "posts", "follows"}
UNOWNED = {"feed_horizon", "pull_ranges", "user_counter_deltas", "post_counter_deltas"}

BOUNDS = {
    "statement_timeout": "5s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "10s",
    "log_min_error_statement": "panic",
}


@pytest.fixture(scope="module")
def peopled(module_rest: Served) -> Iterator[tuple[Database, list[Victim]]]:
    """Two members with rows in every table."""
    yield module_rest.database, [Victim(module_rest), Victim(module_rest)]


def readable(database: Database, role: str) -> set[str]:
    """Return the tables of app that this role may read in any column."""
    return set(
        database.values(
            "select relname from pg_class where relnamespace = 'app'::regnamespace"
            " and relkind in ('r', 'p') and has_any_column_privilege(%s, oid, 'select')",
            [role],
        )
    )


def test_of_private_tables_a_member_sees_their_own_rows_alone(
    peopled: tuple[Database, list[Victim]],
) -> None:
    database, (one, other) = peopled
    private = readable(database, "member") - PUBLISHED - UNOWNED
    assert private == {"feed_entries", "feed_states", "idempotency_keys"}
    for table in private:
        column = OWNER[table]
        owners = sql.SQL("select distinct {} from {}").format(
            sql.Identifier(column or ""), sql.Identifier("app", table)
        )
        with database.superuser() as connection:
            everybody = {row[0] for row in connection.execute(owners)}
        assert everybody >= {one.member.id, other.member.id}, f"{table} proves nothing"
        with database.as_member(one.member.id) as connection:
            assert {row[0] for row in connection.execute(owners)} == {one.member.id}, table
        with database.superuser() as connection:
            connection.execute("set role member")
            assert connection.execute(owners).fetchall() == [], f"{table} shows rows to nobody"


def test_without_a_token_only_what_is_published_is_readable(
    peopled: tuple[Database, list[Victim]],
) -> None:
    database, _ = peopled
    counted = {"user_counter_deltas", "post_counter_deltas"}
    assert readable(database, "anon") == PUBLISHED | counted


def test_the_keys_of_others_can_be_neither_claimed_nor_moved(
    peopled: tuple[Database, list[Victim]],
) -> None:
    database, (one, other) = peopled
    insert = "insert into app.idempotency_keys (key, fingerprint) values ('claimed', '')"
    with database.as_member(one.member.id) as connection:
        moved = connection.execute("update app.idempotency_keys set post_id = 1")
        assert moved.rowcount == 1, "one's own alone"
        connection.execute(insert)
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(
                "insert into app.idempotency_keys (user_id, key, fingerprint) values (%s, 'k', '')",
                [other.member.id],
            )
    claimed = "select user_id from app.idempotency_keys where key = 'claimed'"
    assert database.values(claimed) == [one.member.id]


def test_a_policy_and_not_only_a_default_decides_whose_a_row_is(
    peopled: tuple[Database, list[Victim]],
) -> None:
    """Should a grant ever name the owner's column, a row in another's name is still refused."""
    database, (one, other) = peopled
    attempts = (
        ("app.posts (author_id, content)", "(%s, 'x')", "insert (author_id) on app.posts"),
        ("app.follows (follower_id, followed_id)", "(%s, 1)",
         "insert (follower_id) on app.follows"),
        ("app.idempotency_keys (user_id, key, fingerprint)", "(%s, 'k', '')",
         "insert (user_id) on app.idempotency_keys"),
    )  # fmt: skip
    for target, values, grant in attempts:
        with database.superuser() as connection, connection.transaction(force_rollback=True):
            connection.execute(f"grant {grant} to member")
            connection.execute(
                "select set_config('microblog.user_id', %s, true)", [str(one.member.id)]
            )
            connection.execute("set local role member")
            with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
                connection.execute(f"insert into {target} values {values}", [other.member.id])


@pytest.mark.parametrize("role", ["anon", "member", "authenticator"])
def test_a_request_role_enters_no_other_schema_and_makes_nothing(
    module_database: Database, role: str
) -> None:
    schemas = module_database.run(
        """
        select n.nspname, has_schema_privilege(%(role)s, n.oid, 'usage'),
          has_schema_privilege(%(role)s, n.oid, 'create')
        from pg_namespace n
        where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public')
        """,
        {"role": role},
    )
    assert {name for name, *_ in schemas} == {"app", "api", "dba", "extensions", "sqitch"}
    entered = {name for name, may_use, _ in schemas if may_use}
    assert entered == (set() if role == "authenticator" else {"app", "api"})
    assert [name for name, _, may_create in schemas if may_create] == []
    assert not module_database.value(
        "select has_schema_privilege(%(role)s, 'public', 'create')"
        " or has_database_privilege(%(role)s, current_database(), 'create')",
        {"role": role},
    )


def test_a_definer_function_heeds_nothing_that_the_caller_puts_in_its_way(
    database: Database,
) -> None:
    """Even where somebody could make objects and choose the path on which names are looked up."""
    one = database.user()
    with database.superuser() as connection:
        connection.execute("create schema trap")
        connection.execute(
            "create function trap.char_length(text) returns int language sql return 1000"
        )
        connection.execute("grant usage on schema trap to public")
    with database.as_member(one) as connection:
        connection.execute("set search_path = trap, pg_catalog")
        assert connection.execute("select char_length('x')").fetchone() == (1000,), "no trap"
        connection.execute("insert into app.posts (content) values ('unharmed')")
    assert database.values("select content from app.posts") == ["unharmed"]


def test_few_functions_of_a_request_have_the_owner_s_rights(module_database: Database) -> None:
    """A new one is a difference in this file; no trigger of a view of the API is one."""
    assert (
        set(
            module_database.values(
                """
            select p.pronamespace::regnamespace || '.' || p.proname
            from pg_proc p
            where p.prosecdef and p.pronamespace in ('app'::regnamespace, 'api'::regnamespace)
              and (has_function_privilege('anon', p.oid, 'execute')
                or has_function_privilege('member', p.oid, 'execute'))
            union all
            select p.pronamespace::regnamespace || '.' || p.proname
            from pg_trigger t
            join pg_class c on c.oid = t.tgrelid and c.relnamespace = 'api'::regnamespace
            join pg_proc p on p.oid = t.tgfoid
            where p.prosecdef
            """
            )
        )
        == DEFINERS
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_a_login_tells_nothing_about_a_password_past_the_proxy_either(
    module_rest: Served, method: str
) -> None:
    member = module_rest.signup()
    answers = [
        module_rest.request(method, "/rpc/login", params={"username": name, "password": password})
        for name, password in (
            (member.username, member.password), (member.username, "a wrong one"), ("no_one", "x"),
        )
    ]  # fmt: skip
    assert {(expect(405, answer).content, answer.status_code) for answer in answers} == {
        (answers[0].content, 405)
    }


# What the API of ``telling`` has besides: a call that waits for as long as it takes, and one that
# sorts so many kB in temporary files.
WAITS = """
create function api.waits() returns void language sql stable
set statement_timeout = '1h' set lock_timeout = '1h'
as 'select pg_advisory_xact_lock_shared(7)'
"""
SORTS = """
create function api.sorts(kb int) returns bigint language sql stable
set statement_timeout = '1h'
as 'select count(*) from (select repeat(md5(n::text), 32) from generate_series(1, kb) n order by 1
    offset 0) sorted'
"""


@pytest.fixture
def telling(database: Database) -> Iterator[Served]:
    """PostgREST before a database whose API tells who asks and what bounds the request."""
    names = ", ".join(f"'{name}'" for name in BOUNDS)
    with database.superuser() as connection:
        connection.execute("set role microblog_owner")
        connection.execute(
            "create function api.bounds() returns json language sql stable return"
            f" (select json_object_agg(n, current_setting(n)) from unnest(array[{names}]) n)"
        )
        connection.execute(
            "create function api.who() returns bigint language sql stable"
            " return app.current_user_id()"
        )
        connection.execute(WAITS)
        connection.execute(SORTS)
        connection.execute(
            "grant execute on function api.bounds(), api.who(), api.waits(), api.sorts(int)"
            " to anon, member"
        )
        connection.execute("reset role")
        # Those of the role, not of the login, which are the same elsewhere.
        for name in BOUNDS:
            if name.endswith("timeout"):
                connection.execute(
                    f"alter role authenticator in database {database.name} set {name} = '1h'"
                )
    with serve_rest(database) as served:
        yield served


def test_every_request_is_bounded_in_time_whoever_sends_it(telling: Served) -> None:
    """The settings of the role are in force in the request, not only in the catalog."""
    for token in (None, telling.signup().token):
        for method in ("GET", "POST"):
            options = {"json": {}} if method == "POST" else {}
            answer = telling.request(method, "/rpc/bounds", token, **options)
            assert expect(200, answer).json() == BOUNDS


def test_a_request_that_waits_for_a_lock_gives_up_before_its_time_is_over(
    telling: Served,
) -> None:
    """By its lock_timeout: its statement_timeout would give another code."""
    callers = (None, telling.signup().token)
    with ThreadPoolExecutor(2) as pool:
        with telling.database.superuser() as holder, holder.transaction():
            holder.execute("lock table app.posts in access exclusive mode")
            for answer in pool.map(lambda token: telling.get("/posts", token), callers):
                assert answer.json()["code"] == "55P03"
        for token in callers:
            expect(200, telling.get("/posts", token))


def test_a_transaction_that_nobody_goes_on_with_is_ended(telling: Served) -> None:
    """As those of a PostgREST that stops in the middle of requests."""
    database, (postgrest,) = telling.database, telling.processes
    token = telling.signup().token
    state = (
        "select count(*) = %s from pg_stat_activity where usename = 'authenticator'"
        " and datname = current_database() and coalesce(wait_event, '') ~ %s and state ~ %s"
    )
    with ThreadPoolExecutor(2) as pool, ExitStack() as stopped:
        with database.superuser() as holder, holder.transaction():
            holder.execute("select pg_advisory_xact_lock(7)")
            asked = [pool.submit(telling.get, "/rpc/waits", who) for who in (None, token)]
            database.wait_for(state, [2, "^advisory$", "^active$"])
            postgrest.send(signal.SIGSTOP)
            stopped.callback(postgrest.send, signal.SIGCONT)
        database.wait_for(state, [2, "", "^idle in transaction$"])
        database.wait_for(state, [0, "", "^idle in transaction$"])
        stopped.close()
        for one in asked:
            assert not one.result().is_success


def test_a_request_that_fills_temporary_files_is_refused(telling: Served) -> None:
    """By its login's temp_file_limit; what stays below passes."""
    for token in (None, telling.signup().token):
        expect(200, telling.get("/rpc/sorts?kb=20000", token))
        assert telling.get("/rpc/sorts?kb=100000", token).json()["code"] == "53400"


def test_nobody_becomes_who_sent_the_request_before_on_the_same_connection(
    telling: Served,
) -> None:
    member = telling.signup()
    for _ in range(3):
        assert expect(200, member.get("/rpc/who")).json() == member.id
        assert expect(200, telling.get("/rpc/who")).json() is None
    backends = telling.database.values(
        "select pid from pg_stat_activity where usename = 'authenticator'"
        " and datname = current_database()"
    )
    assert 1 <= len(backends) < 6, "the requests did not share connections"

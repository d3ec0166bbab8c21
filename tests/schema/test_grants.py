"""Who may touch what: the whole inventory, so that a grant more is a difference in this file."""

import pytest
from psycopg import errors

from tests.support.database import Database

# Everything that the request roles may do with relations; columns where the grant names them.
REQUEST_GRANTS = {
    ("anon", "api.follows", "SELECT", "*"),
    ("anon", "api.posts", "SELECT", "*"),
    ("anon", "api.users", "SELECT", "*"),
    ("anon", "app.follows", "SELECT", "*"),
    ("anon", "app.post_cards", "SELECT", "*"),
    ("anon", "app.post_counter_deltas", "SELECT", "*"),
    ("anon", "app.posts", "SELECT", "*"),
    ("anon", "app.user_counter_deltas", "SELECT", "*"),
    ("anon", "app.user_counters", "SELECT", "*"),
    ("anon", "app.user_counts", "SELECT", "*"),
    ("anon", "app.users", "SELECT", "created_at,deleted_at,description,id,username"),
    ("anon", "app.popular_users", "SELECT", "*"),
    ("anon", "app.public_page", "SELECT", "*"),
    ("member", "api.follows", "DELETE", "*"),
    ("member", "api.follows", "INSERT", "followed_id"),
    ("member", "api.follows", "SELECT", "*"),
    ("member", "api.posts", "DELETE", "*"),
    ("member", "api.posts", "INSERT", "content,parent_id"),
    ("member", "api.posts", "SELECT", "*"),
    ("member", "api.users", "SELECT", "*"),
    ("member", "api.users", "UPDATE", "description,username"),
    ("member", "app.feed_entries", "SELECT", "*"),
    ("member", "app.feed_horizon", "SELECT", "*"),
    ("member", "app.feed_states", "SELECT", "*"),
    ("member", "app.pull_ranges", "SELECT", "*"),
    ("member", "app.follows", "DELETE", "*"),
    ("member", "app.follows", "INSERT", "followed_id"),
    ("member", "app.follows", "SELECT", "*"),
    ("member", "app.idempotency_keys", "INSERT", "fingerprint,key"),
    ("member", "app.idempotency_keys", "SELECT", "*"),
    ("member", "app.idempotency_keys", "UPDATE", "post_id"),
    ("member", "app.post_cards", "SELECT", "*"),
    ("member", "app.post_counter_deltas", "SELECT", "*"),
    ("member", "app.post_id_seq", "USAGE", "*"),
    ("member", "app.posts", "DELETE", "*"),
    ("member", "app.posts", "INSERT", "content,parent_id"),
    ("member", "app.posts", "SELECT", "*"),
    ("member", "app.user_counter_deltas", "SELECT", "*"),
    ("member", "app.user_counters", "SELECT", "*"),
    ("member", "app.user_counts", "SELECT", "*"),
    ("member", "app.popular_users", "SELECT", "*"),
    ("member", "app.public_page", "SELECT", "*"),
    ("member", "app.users", "SELECT", "created_at,deleted_at,description,id,username"),
    ("member", "app.users", "UPDATE", "description,username"),
}

# The endpoint inventory: what HTTP may call without and with a token.
ANON_CALLS = {
    "feed_public", "feed_public_cached", "followers", "following", "health", "login", "replies",
    "signup", "thread", "up", "user_cached", "users_popular",
}  # fmt: skip
MEMBER_CALLS = ANON_CALLS | {
    "account_delete", "feed_following", "feed_mine", "feed_timeline", "feed_timeline_cached",
    "logout", "me", "password_change",
}  # fmt: skip

# The functions in app that requests run with the caller's rights or are let into.
HELPERS = {
    "busy", "cache_shared", "current_user_id", "http_error", "page_cursor", "page_cursor_refuse",
    "page_limit", "page_limit_given", "page_more", "page_tag", "page_tag_row", "page_tell_tag",
    "page_top", "page_unchanged", "page_version", "post_created_at", "post_id_at", "post_require",
    "pre_request", "rate_limit_hit", "response_header", "tag_matches", "text_trimmed",
    "user_require",
}  # fmt: skip

HIDDEN = (
    "credentials", "sessions", "secrets", "jobs", "job_schedules", "workers", "settings",
    "rate_limits", "rate_limit_exemptions", "rate_limit_buckets", "rate_limit_refusals",
    "rate_limit_totals", "view_refreshes", "inactive_feeds", "cached_calls", "cache_proxies",
    "cache_reports",
)  # fmt: skip

# Public figures without an owner, only ever read: row security would have nothing to say.
WITHOUT_ROW_SECURITY = {"post_counter_deltas", "user_counter_deltas", "user_counters"}


_OF_A_REQUEST = {
    "statement_timeout": "5s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "10s",
}  # fmt: skip
ROLE_SETTINGS = {
    "anon": _OF_A_REQUEST,
    "member": _OF_A_REQUEST,
    "authenticator": _OF_A_REQUEST | {
        "work_mem": "4MB", "temp_file_limit": "64MB", "jit": "off",
        "log_min_error_statement": "panic", "TimeZone": "UTC", "DateStyle": "ISO, MDY",
    },
    "worker": {"statement_timeout": "60s", "idle_in_transaction_session_timeout": "30s"},
    "limiter": {
        "statement_timeout": "2s", "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "5s", "synchronous_commit": "off",
        "plan_cache_mode": "force_generic_plan",
    },
    "proxy": {
        "statement_timeout": "1s", "lock_timeout": "500ms",
        "idle_in_transaction_session_timeout": "5s", "synchronous_commit": "off", "jit": "off",
        "plan_cache_mode": "force_generic_plan", "client_connection_check_interval": "50ms",
        "work_mem": "4MB", "temp_file_limit": "64MB", "TimeZone": "UTC", "DateStyle": "ISO, MDY",
        "log_min_error_statement": "panic",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def catalog(module_database: Database) -> Database:
    return module_database


def test_request_roles_may_touch_exactly_this(catalog: Database) -> None:
    granted = catalog.run(
        """
        select a.grantee::regrole::text, c.oid::regclass::text, a.privilege_type, '*'
        from pg_class c
        cross join aclexplode(c.relacl) a
        where c.relnamespace in ('app'::regnamespace, 'api'::regnamespace, 'dba'::regnamespace)
          and a.grantee in ('anon'::regrole, 'member'::regrole, 'authenticator'::regrole)
        union all
        select x.grantee::regrole::text, x.rel::regclass::text, x.privilege_type,
          string_agg(x.attname, ',' order by x.attname)
        from (
          select a.grantee, c.oid as rel, a.privilege_type, t.attname
          from pg_class c
          join pg_attribute t on t.attrelid = c.oid
          cross join aclexplode(t.attacl) a
          where c.relnamespace in ('app'::regnamespace, 'api'::regnamespace, 'dba'::regnamespace)
            and a.grantee in ('anon'::regrole, 'member'::regrole, 'authenticator'::regrole)
        ) x
        group by 1, 2, 3
        """
    )
    assert set(granted) == REQUEST_GRANTS


def executable(catalog: Database, role: str, schema: str) -> set[str]:
    return set(
        catalog.values(
            "select proname from pg_proc where pronamespace = %s::regnamespace"
            " and has_function_privilege(%s, oid, 'execute')",
            [schema, role],
        )
    )


def test_anon_may_call_exactly_this(catalog: Database) -> None:
    assert executable(catalog, "anon", "api") == ANON_CALLS
    assert executable(catalog, "anon", "app") == HELPERS


def test_a_member_may_call_exactly_this(catalog: Database) -> None:
    assert executable(catalog, "member", "api") == MEMBER_CALLS
    assert executable(catalog, "member", "app") == HELPERS | {
        "feed_below", "feed_ids", "feed_page", "feed_rows", "inactive_feed",
        "post_id_next", "rate_limit_end", "row_written", "username_require",
    }  # fmt: skip


def test_the_inventory_of_the_schema_api_is_complete(catalog: Database) -> None:
    """Nothing lies in the schema that nobody may call."""
    functions = catalog.values(
        "select proname from pg_proc where pronamespace = 'api'::regnamespace"
    )
    assert sorted(functions) == sorted(MEMBER_CALLS)
    relations = catalog.values(
        "select relname from pg_class where relnamespace = 'api'::regnamespace order by 1"
    )
    assert relations == ["follows", "posts", "users"]


def test_the_worker_works_through_six_functions_alone(catalog: Database) -> None:
    assert executable(catalog, "worker", "app") == {
        "job_work", "job_next_due", "worker_heartbeat", "worker_bye", "cache_keep", "cache_report",
    }  # fmt: skip
    assert executable(catalog, "worker", "api") == set()
    assert executable(catalog, "worker", "dba") == set()
    for role in ("worker", "authenticator"):
        assert (
            catalog.values(
                """
            select c.oid::regclass::text
            from pg_class c
            where c.relnamespace in ('app'::regnamespace, 'api'::regnamespace, 'dba'::regnamespace)
              and c.relkind in ('r', 'p', 'v') and has_any_column_privilege(%s, c.oid, 'select')
            """,
                [role],
            )
            == []
        )


def test_the_proxy_asks_for_pages_of_feeds_and_does_nothing_else(catalog: Database) -> None:
    assert executable(catalog, "proxy", "app") == {"feed_answers"}
    assert executable(catalog, "proxy", "api") == set()
    assert executable(catalog, "proxy", "dba") == set()
    assert (
        catalog.run(
            "select from pg_class c, aclexplode(c.relacl) a where a.grantee = 'proxy'::regrole"
        )
        == []
    )


def test_a_page_for_the_proxy_is_read_with_a_members_rights_and_no_others(
    catalog: Database,
) -> None:
    """Row security holds for the one function of that role, which only its one caller may call."""
    assert catalog.run(
        "select oid::regproc::text, prosecdef from pg_proc where proowner = 'page_reader'::regrole"
    ) == [("app.feed_body", True)]
    assert catalog.values(
        "select grantee::regrole::text from pg_proc, aclexplode(proacl)"
        " where oid = 'app.feed_body'::regproc order by 1"
    ) == ["microblog_owner", "page_reader"]
    assert catalog.run(
        "select rolcanlogin, rolsuper, rolbypassrls from pg_roles where rolname = 'page_reader'"
    ) == [(False, False, False)]
    assert catalog.values(
        "select roleid::regrole::text from pg_auth_members where member = 'page_reader'::regrole"
    ) == ["member"]
    members = "select 1 from pg_auth_members where roleid = 'page_reader'::regrole"
    assert catalog.values(members) == []


def test_the_limiter_counts_and_does_nothing_else(catalog: Database) -> None:
    assert executable(catalog, "limiter", "app") == {
        "rate_limit_hits", "rate_limit_refuse",
    }  # fmt: skip
    assert executable(catalog, "limiter", "api") == set()
    assert executable(catalog, "limiter", "dba") == set()
    assert catalog.run(
        """
        select c.oid::regclass::text, a.privilege_type
        from pg_class c cross join aclexplode(c.relacl) a
        where a.grantee = 'limiter'::regrole order by 1, 2
        """
    ) == [
        ("app.rate_limit_buckets", "INSERT"),
        ("app.rate_limit_buckets", "SELECT"),
        ("app.rate_limit_buckets", "UPDATE"),
        ("app.rate_limit_refusals", "INSERT"),
    ]


def test_the_monitor_reads_views_of_dba_and_writes_nothing(catalog: Database) -> None:
    readable = catalog.run(
        """
        select c.oid::regclass::text, a.privilege_type
        from pg_class c cross join aclexplode(c.relacl) a
        where a.grantee = 'monitor'::regrole order by 1
        """
    )
    assert readable == [
        ("dba.cache", "SELECT"),
        ("dba.cache_calls", "SELECT"),
        ("dba.counter_deltas", "SELECT"),
        ("dba.feed_partitions", "SELECT"),
        ("dba.queue", "SELECT"),
        ("dba.rate_limit_keys", "SELECT"),
        ("dba.rate_limits", "SELECT"),
        ("dba.views", "SELECT"),
        ("dba.workers", "SELECT"),
    ]
    with catalog.superuser() as connection:
        connection.execute("set role monitor")
        for view, _ in readable:
            connection.execute(f"select * from {view}")


@pytest.mark.parametrize("role", ["anon", "member"])
@pytest.mark.parametrize("table", HIDDEN)
def test_a_request_role_has_no_way_into(catalog: Database, role: str, table: str) -> None:
    privileges = catalog.values(
        """
        select p
        from unnest(array['select', 'insert', 'update', 'references']) p
        where has_any_column_privilege(%(role)s, %(table)s, p)
        union all
        select p
        from unnest(array['delete', 'truncate', 'trigger']) p
        where has_table_privilege(%(role)s, %(table)s, p)
        """,
        {"role": role, "table": f"app.{table}"},
    )
    assert privileges == []
    with catalog.superuser() as connection:
        connection.execute(f"set role {role}")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(f"select count(*) from app.{table}")


def test_row_security_guards_what_request_roles_can_touch(catalog: Database) -> None:
    unguarded = catalog.values(
        """
        select c.relname
        from pg_class c
        where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p')
          and not c.relrowsecurity
          and exists (
            select
            from unnest(array['anon', 'member']) role, unnest(array[
              'select', 'insert', 'update']) p
            where has_any_column_privilege(role, c.oid, p)
               or has_table_privilege(role, c.oid, 'delete')
          )
        """
    )
    assert set(unguarded) == WITHOUT_ROW_SECURITY


def test_no_request_reads_a_partition_past_the_policy_of_the_whole(catalog: Database) -> None:
    assert (
        catalog.values(
            """
        select c.relname
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where has_any_column_privilege('member', c.oid, 'select')
           or has_any_column_privilege('anon', c.oid, 'select')
        """
        )
        == []
    )


def test_a_member_sees_only_their_own_feed_entries(database: Database) -> None:
    reader, other, author = database.users(3)
    database.follow([reader, other], author)
    post = database.post(author)
    with database.as_member(reader) as connection:
        seen = connection.execute("select user_id, post_id from app.feed_entries").fetchall()
    assert seen == [(reader, post)]


def test_a_member_writes_only_as_themselves_even_below_the_api(database: Database) -> None:
    """The policies hold by themselves, whatever the views' triggers do."""
    me, other = database.users(2)
    post = database.post(other)
    database.follow(other, me)
    with database.as_member(me) as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(
                "insert into app.posts (content, author_id) values ('x', %s)", [other]
            )
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("insert into app.follows values (%s, %s)", [other, me])
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("update app.posts set content = 'x' where id = %s", [post])
        deleted = connection.execute("delete from app.posts where id = %s", [post])
        assert deleted.rowcount == 0
        unfollowed = connection.execute(
            "delete from app.follows where follower_id = %s and followed_id = %s", [other, me]
        )
        assert unfollowed.rowcount == 0
        renamed = connection.execute(
            "update app.users set description = 'x' where id = %s", [other]
        )
        assert renamed.rowcount == 0
    assert database.feed(other, "mine") == [post]
    assert database.counts(me) == (1, 0, 0)


def test_a_role_setting_bounds_every_request(catalog: Database) -> None:
    """And nothing is set for some role besides, or in one database alone."""
    rows = catalog.run(
        "select r.rolname, s.setdatabase, split_part(c, '=', 1), split_part(c, '=', 2)"
        " from pg_db_role_setting s join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) c"
        " where r.rolname in ('anon', 'authenticator', 'limiter', 'member', 'microblog_owner',"
        " 'monitor', 'page_reader', 'proxy', 'worker')"
    )
    assert {database for _, database, _, _ in rows} == {0}
    settings: dict[str, dict[str, str]] = {}
    for role, _, name, value in rows:
        settings.setdefault(role, {})[name] = value
    assert settings == ROLE_SETTINGS


def test_every_role_that_logs_in_is_bounded_in_time(catalog: Database) -> None:
    """A worker waits for a lock as long as its statement may take: nobody waits for a job."""
    roles = catalog.values(
        "select rolname from pg_roles where rolcanlogin and rolname not like 'pg\\_%'"
        " and not rolsuper"
    )
    assert {"authenticator", "limiter", "proxy", "worker"} <= set(roles)
    for role in roles:
        bounds = {"statement_timeout", "idle_in_transaction_session_timeout"}
        bounds |= set() if role == "worker" else {"lock_timeout"}
        assert bounds <= set(ROLE_SETTINGS.get(role, {})), role

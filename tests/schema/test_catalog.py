"""The house rules of STYLE, read off the system catalogs of a deployed database."""

import re

import pytest

from tests.support.database import Database

OURS = "n.nspname in ('app', 'api', 'dba')"

FEEDS = ("feed_timeline", "feed_mine", "feed_following", "feed_public")
INLINED = (
    *(*FEEDS, "replies", "followers", "following"),
    *("feed_public_cached", "feed_timeline_cached", "users_popular"),
)


@pytest.fixture(scope="module")
def catalog(module_database: Database) -> Database:
    return module_database


def test_every_foreign_key_is_served_by_an_index(catalog: Database) -> None:
    """Some index begins with the key's columns; a partial one may leave out only nulls."""
    bare = catalog.values(
        """
        select c.conname
        from pg_constraint c
        where c.contype = 'f'
          and c.connamespace = 'app'::regnamespace
          and not exists (
            select
            from pg_index i
            where i.indrelid = c.conrelid
              and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] = c.conkey
              and (
                i.indpred is null
                or pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', (
                  select a.attname from pg_attribute a
                  where a.attrelid = c.conrelid and a.attnum = c.conkey[1]
                ))
              )
          )
        """
    )
    assert bare == []
    assert catalog.value("select count(*) from pg_constraint where contype = 'f'") >= 8


def test_every_constraint_is_named_by_the_convention(catalog: Database) -> None:
    """<table>_pkey, <table>_<columns>_fkey, <table>_<columns>_key, <table>_<what>_check."""
    rows = catalog.run(
        """
        select c.conname, r.relname, c.contype,
          (
            select string_agg(a.attname, '_' order by k.n)
            from unnest(c.conkey) with ordinality k (attnum, n)
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum
          )
        from pg_constraint c
        join pg_class r on r.oid = c.conrelid
        where c.connamespace = 'app'::regnamespace and c.contype in ('p', 'f', 'u', 'c')
        """
    )
    assert len(rows) > 30
    pattern = {"p": "{t}_pkey", "f": "{t}_{c}_fkey", "u": "{t}_{c}_key", "c": "{t}_[a-z_]+_check"}
    wrong = [
        name
        for name, table, kind, columns in rows
        if not re.fullmatch(pattern[kind].format(t=table, c=columns), name)
    ]
    assert wrong == []


def test_every_index_is_named_by_the_convention(catalog: Database) -> None:
    """<table>_<columns>[_<what it is limited to>]_idx, or …_key where it is unique. A member of a
    JSON column counts as a column.
    """
    rows = catalog.run(
        """
        select x.relname, t.relname, i.indisunique, i.indpred is not null,
          (
            select string_agg(
              coalesce(
                a.attname,
                substring(pg_get_indexdef(x.oid, k.n::integer, true) from '->> ''([a-z_]+)''')
              ),
              '_' order by k.n
            )
            from unnest(i.indkey::smallint[]) with ordinality k (attnum, n)
            left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
          )
        from pg_index i
        join pg_class x on x.oid = i.indexrelid
        join pg_class t on t.oid = i.indrelid
        where x.relnamespace = 'app'::regnamespace and not i.indisprimary
        """
    )
    assert len(rows) >= 8
    wrong = [
        name
        for name, table, unique, partial, columns in rows
        if not re.fullmatch(
            f"{table}_{columns}{'(_[a-z_]+)?' if partial else ''}_{'key' if unique else 'idx'}",
            name,
        )
    ]
    assert wrong == []


def test_a_feed_entry_costs_one_index_entry(catalog: Database) -> None:
    indexes = catalog.run(
        """
        select i.indrelid::regclass::text, count(*)
        from pg_index i
        join pg_inherits h on h.inhrelid = i.indrelid
        where h.inhparent = 'app.feed_entries'::regclass
        group by 1
        having count(*) <> 1
        """
    )
    assert indexes == []


def test_no_counter_is_indexed(catalog: Database) -> None:
    """An index on what changes with every follow would end HOT updates."""
    indexed = catalog.values(
        """
        select i.indexrelid::regclass::text
        from pg_index i
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
        where a.attname ~ '_count$' and i.indrelid in (
          select oid from pg_class where relnamespace = 'app'::regnamespace
        )
        """
    )
    assert indexed == []


def test_every_definer_function_has_a_fixed_search_path(catalog: Database) -> None:
    rows = catalog.run(
        f"""
        select p.oid::regprocedure::text, coalesce(p.proconfig, '{{}}')
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where {OURS} and p.prosecdef
        """
    )
    assert len(rows) > 20
    wrong = [name for name, config in rows if "search_path=pg_catalog, pg_temp" not in config]
    assert wrong == []


def test_public_may_execute_nothing(catalog: Database) -> None:
    executable = catalog.values(
        f"""
        select p.oid::regprocedure::text
        from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        where {OURS} and a.grantee = 0
        """
    )
    assert executable == []


def test_public_may_touch_no_relation_and_no_schema(catalog: Database) -> None:
    granted = catalog.values(
        f"""
        select c.oid::regclass::text
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        cross join aclexplode(c.relacl) a
        where {OURS} and a.grantee = 0
        union all
        select n.nspname
        from pg_namespace n
        cross join aclexplode(n.nspacl) a
        where n.nspname in ('app', 'api', 'dba', 'extensions') and a.grantee = 0
        """
    )
    assert granted == []


def test_a_new_function_of_the_owner_is_not_public_either(catalog: Database) -> None:
    with catalog.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("set local role microblog_owner")
        connection.execute("create function app.scratch() returns int language sql return 1")
        row = connection.execute(
            "select has_function_privilege('anon', 'app.scratch()', 'execute')"
        ).fetchone()
    assert row == (False,)


def test_everything_belongs_to_the_owner_but_what_needs_less_or_more(catalog: Database) -> None:
    foreign = catalog.run(
        f"""
        select n.nspname, c.relname, pg_get_userbyid(c.relowner)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where {OURS} and c.relowner <> 'microblog_owner'::regrole
        union all
        select n.nspname, p.proname, pg_get_userbyid(p.proowner)
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where {OURS} and p.proowner <> 'microblog_owner'::regrole
          and p.oid not in (
            'app.rate_limit_connect()'::regprocedure,
            'app.feed_body(text, text, integer)'::regprocedure
          )
        union all
        select n.nspname, t.typname, pg_get_userbyid(t.typowner)
        from pg_type t join pg_namespace n on n.oid = t.typnamespace
        where {OURS} and t.typowner <> 'microblog_owner'::regrole
        union all
        select n.nspname, l.collname, pg_get_userbyid(l.collowner)
        from pg_collation l join pg_namespace n on n.oid = l.collnamespace
        where {OURS} and l.collowner <> 'microblog_owner'::regrole
        union all
        select n.nspname, '', pg_get_userbyid(n.nspowner)
        from pg_namespace n
        where (n.nspname = 'extensions' or {OURS}) and n.nspowner <> 'microblog_owner'::regrole
        """
    )
    assert foreign == []


def test_what_belongs_to_the_superuser_calls_nothing_of_the_owner(catalog: Database) -> None:
    """One function connects the server to itself. Whatever it called could become superuser."""
    source, owner, access = catalog.run(
        "select prosrc, pg_get_userbyid(proowner), proacl::text from pg_proc"
        " where oid = 'app.rate_limit_connect()'::regprocedure"
    )[0]
    assert "app." not in source
    assert set(re.findall(r"extensions\.(\w+)", source)) == {
        "dblink_connect",
        "dblink_disconnect",
        "dblink_get_connections",
    }
    assert (owner, access) == ("postgres", "{postgres=X/postgres,microblog_owner=X/postgres}")


def test_the_owner_is_nobody_to_log_in_as_and_no_superuser(catalog: Database) -> None:
    """So that a definer function can do no more than the schema's own rules allow."""
    assert catalog.run(
        "select rolcanlogin, rolsuper, rolbypassrls, rolcreaterole from pg_roles"
        " where rolname = 'microblog_owner'"
    ) == [(False, False, False, False)]
    assert (
        catalog.run(
            "select rolname from pg_roles where rolname in ('anon', 'member', 'authenticator',"
            " 'worker', 'monitor') and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)"
        )
        == []
    )


def test_the_authenticator_can_only_become_anon_or_member(catalog: Database) -> None:
    assert catalog.run(
        "select rolcanlogin, rolinherit from pg_roles where rolname = %s", ["authenticator"]
    ) == [(True, False)]
    roles = catalog.values(
        """
        select r.rolname
        from pg_auth_members m join pg_roles r on r.oid = m.roleid
        where m.member = 'authenticator'::regrole
        order by 1
        """
    )
    assert roles == ["anon", "member"]


def test_every_table_and_view_is_commented(catalog: Database) -> None:
    assert (
        catalog.values(
            f"""
        select c.oid::regclass::text
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where {OURS} and c.relkind in ('r', 'p', 'v', 'm')
          and coalesce(obj_description(c.oid, 'pg_class'), '') = ''
        """
        )
        == []
    )


def test_every_function_is_commented(catalog: Database) -> None:
    assert (
        catalog.values(
            f"""
        select p.oid::regprocedure::text
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where {OURS} and coalesce(obj_description(p.oid, 'pg_proc'), '') = ''
        """
        )
        == []
    )


def test_schemas_roles_sequences_and_types_are_commented(catalog: Database) -> None:
    """A sequence behind an identity column is its column's business."""
    assert (
        catalog.values(
            f"""
        select n.nspname from pg_namespace n
        where (n.nspname = 'extensions' or {OURS})
          and obj_description(n.oid, 'pg_namespace') is null
        union all
        select r.rolname from pg_roles r
        where r.rolname in ('anon', 'member', 'authenticator', 'worker', 'monitor',
          'microblog_owner') and shobj_description(r.oid, 'pg_authid') is null
        union all
        select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where {OURS} and c.relkind = 'S' and obj_description(c.oid, 'pg_class') is null
          and not exists (
            select from pg_depend d
            where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype = 'i'
          )
        union all
        select t.typname
        from pg_type t
        join pg_namespace n on n.oid = t.typnamespace
        join pg_class c on c.oid = t.typrelid and c.relkind = 'c'
        where {OURS} and obj_description(t.oid, 'pg_type') is null
        """
        )
        == []
    )


def test_a_comment_on_what_http_sees_opens_with_a_summary(catalog: Database) -> None:
    """PostgREST shows the first line as the summary, what follows a blank line as description."""
    comments = catalog.run(
        """
        select p.proname, obj_description(p.oid, 'pg_proc')
        from pg_proc p where p.pronamespace = 'api'::regnamespace
        union all
        select c.relname, obj_description(c.oid, 'pg_class')
        from pg_class c where c.relnamespace = 'api'::regnamespace and c.relkind = 'v'
        """
    )
    assert len(comments) >= 18
    for name, comment in comments:
        summary, _, description = comment.partition("\n\n")
        assert "\n" not in summary and len(summary) <= 60, name
        assert description.strip(), f"{name} has no description below its summary"


def test_the_columns_that_http_sees_are_commented_where_the_name_does_not_say_it(
    catalog: Database,
) -> None:
    plain = {("users", "id"), ("users", "created_at")}
    bare = catalog.run(
        """
        select c.relname, a.attname
        from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'api'::regnamespace and c.relkind = 'v' and a.attnum > 0
          and col_description(c.oid, a.attnum) is null
        """
    )
    assert set(bare) <= plain


def test_every_setting_says_its_unit_and_what_it_is(catalog: Database) -> None:
    assert catalog.values("select name from app.settings where unit = '' or description = ''") == []
    assert catalog.value("select count(*) from app.settings") >= 12


@pytest.mark.parametrize("name", INLINED)
def test_a_read_path_can_be_inlined(catalog: Database, name: str) -> None:
    """The planner inlines a set-returning function that is language sql, stable, invoker, bare."""
    rows = catalog.run(
        """
        select l.lanname, p.provolatile, p.prosecdef, p.proconfig, p.proisstrict
        from pg_proc p join pg_language l on l.oid = p.prolang
        where p.pronamespace = 'api'::regnamespace and p.proname = %s
        """,
        [name],
    )
    assert rows == [("sql", "s", False, None, False)]


def test_view_rights_are_the_callers(catalog: Database) -> None:
    """Row security must be that of the request, not the owner's."""
    assert (
        catalog.values(
            """
        select c.oid::regclass::text
        from pg_class c
        where c.relnamespace in ('api'::regnamespace, 'app'::regnamespace) and c.relkind = 'v'
          and not coalesce('security_invoker=true' = any (c.reloptions), false)
        """
        )
        == []
    )


def test_trigger_functions_say_table_and_task(catalog: Database) -> None:
    """tg_<table>__<task>; on a view of the schema api, tg_api_<view>__<task> or tg_api__<task>."""
    rows = catalog.run(
        """
        select n.nspname, c.relname, t.tgname, p.proname, pn.nspname
        from pg_trigger t
        join pg_class c on c.oid = t.tgrelid
        join pg_namespace n on n.oid = c.relnamespace
        join pg_proc p on p.oid = t.tgfoid
        join pg_namespace pn on pn.oid = p.pronamespace
        where not t.tgisinternal and n.nspname in ('app', 'api')
        """
    )
    assert len(rows) >= 15
    for schema, relation, trigger, function, function_schema in rows:
        assert re.fullmatch(r"t[0-9]0_[a-z_]+", trigger), trigger
        assert function_schema == "app"
        named_for = f"api_{relation}" if schema == "api" else relation
        assert re.fullmatch(f"tg_({named_for}|api)__[a-z_]+", function), function


def test_every_trigger_function_is_used(catalog: Database) -> None:
    assert (
        catalog.values(
            """
        select p.proname from pg_proc p
        where p.pronamespace = 'app'::regnamespace and p.prorettype = 'trigger'::regtype
          and not exists (select from pg_trigger t where t.tgfoid = p.oid)
        """
        )
        == []
    )


def test_counters_and_feeds_are_kept_by_statement_level_triggers(catalog: Database) -> None:
    """One call for a bulk statement, with transition tables; t20 feeds before t30 counters."""
    rows = catalog.run(
        """
        select t.tgname, t.tgtype::integer & 1,
          coalesce(t.tgoldtable, t.tgnewtable) is not null
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where not t.tgisinternal and c.relnamespace = 'app'::regnamespace
          and c.relname in ('posts', 'follows') and t.tgname ~ '^t[23]0'
        """
    )
    assert {name for name, _, _ in rows} == {
        "t20_fan_out", "t20_feed_cleanup", "t20_backfill", "t30_counters_insert",
        "t30_counters_delete",
    }  # fmt: skip
    assert all(is_row == 0 and has_rows for _, is_row, has_rows in rows)


def test_a_job_kind_has_its_handler(catalog: Database) -> None:
    """Every kind that the code queues or schedules names a function of the right signature."""
    kinds = set(catalog.values("select kind from app.job_schedules"))
    for source in catalog.values(
        "select prosrc from pg_proc where pronamespace = 'app'::regnamespace"
    ):
        kinds |= set(re.findall(r"job_add\('([a-z_]+)'", source))
        if "insert into app.jobs" in source:
            kinds |= set(re.findall(r"select\s+'([a-z_]+)',\s+jsonb_build_object", source))
    assert kinds >= {"fan_out", "post_purge", "follow_backfill", "account_purge", "counters_fold"}
    for kind in kinds:
        signature = f"app.job_{kind}(jsonb, bigint)"
        assert catalog.value("select to_regprocedure(%s) is not null", [signature]), kind

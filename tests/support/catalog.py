"""A fingerprint of everything that the schema's changes make, to compare two states by."""

import subprocess

from tests.support.database import Database

# Each row: what kind of object, its name, what distinguishes it. Monthly partitions are left out:
# they hold rows, are made by a job as time passes, and go with the table that they are part of.
FINGERPRINT = """
with ours as (
  select oid, nspname from pg_namespace where nspname in ('app', 'api', 'dba', 'extensions')
)
select 'schema', n.nspname, concat_ws(' | ', n.nspowner::regrole,
  sorted(coalesce(n.nspacl, acldefault('n', n.nspowner))), obj_description(n.oid, 'pg_namespace'))
from pg_namespace n
where n.oid in (select oid from ours) or n.nspname = 'sqitch'
union all
select 'relation', c.oid::regclass::text, concat_ws(' | ', c.relkind, c.relowner::regrole,
  sorted(coalesce(c.relacl, acldefault('r', c.relowner))), c.reloptions, c.relrowsecurity,
  obj_description(c.oid, 'pg_class'),
  case c.relkind when 'v' then pg_get_viewdef(c.oid)
    when 'm' then pg_get_viewdef(c.oid) when 'i' then pg_get_indexdef(c.oid) end)
from pg_class c
where c.relnamespace in (select oid from ours) or c.relnamespace::regnamespace::text = 'sqitch'
union all
select 'column', a.attrelid::regclass || '.' || a.attname, concat_ws(' | ', a.atttypid::regtype,
  a.attnotnull, sorted(a.attacl), col_description(a.attrelid, a.attnum),
  pg_get_expr(d.adbin, d.adrelid))
from pg_attribute a
join pg_class c on c.oid = a.attrelid and c.relnamespace in (select oid from ours)
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped
union all
select 'constraint', coalesce(r.conrelid::regclass::text, '') || '.' || r.conname,
  pg_get_constraintdef(r.oid)
from pg_constraint r where r.connamespace in (select oid from ours)
union all
select 'function', p.oid::regprocedure::text, concat_ws(' | ', p.proowner::regrole,
  sorted(p.proacl), obj_description(p.oid, 'pg_proc'),
  case when p.prokind = 'f' then pg_get_functiondef(p.oid) end)
from pg_proc p where p.pronamespace in (select oid from ours)
union all
select 'trigger', t.tgrelid::regclass || '.' || t.tgname, pg_get_triggerdef(t.oid)
from pg_trigger t
join pg_class c on c.oid = t.tgrelid and c.relnamespace in (select oid from ours)
where not t.tgisinternal
union all
select 'policy', p.polrelid::regclass || '.' || p.polname, concat_ws(' | ', p.polcmd,
  p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid),
  pg_get_expr(p.polwithcheck, p.polrelid))
from pg_policy p
union all
select 'type', t.oid::regtype::text, concat_ws(' | ', t.typtype, sorted(t.typacl),
  obj_description(t.oid, 'pg_type'))
from pg_type t where t.typnamespace in (select oid from ours)
union all
select 'default privileges', a.defaclrole::regrole::text,
  a.defaclobjtype::text || sorted(a.defaclacl)
from pg_default_acl a
union all
select 'extension', e.extname, e.extnamespace::regnamespace::text from pg_extension e
"""

SORTED = """
create function pg_temp.sorted(acl aclitem[]) returns text language sql
return (select string_agg(a::text, ',' order by a::text) from unnest(acl) a)
"""

Fingerprint = set[tuple[str, str, str]]


def fingerprint(database: Database) -> Fingerprint:
    """Describe every object of the schemas; the rows of settings and schedules are objects too."""
    with database.superuser() as connection:
        connection.execute(SORTED)
        rows = connection.execute(FINGERPRINT.replace("sorted(", "pg_temp.sorted(")).fetchall()
        for table, columns in (
            ("app.settings", "name || '=' || value"),
            ("app.job_schedules", "kind || ' every ' || every"),
        ):
            found = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
            if found == (True,):
                query = f"select 'row', '{table}', {columns} from {table}"
                rows += connection.execute(query).fetchall()
    return {row for row in rows if ".feed_entries_y" not in row[1]}


def schema_dump(database: Database) -> str:
    """Return ``pg_dump --schema-only`` of our schemas, without what differs from run to run."""
    settings = database.settings
    done = subprocess.run(
        [
            settings.pg_bin / "pg_dump",
            "--schema-only",
            "--exclude-schema=sqitch",
            settings.socket_dsn("postgres", database.name),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return "\n".join(
        line
        for line in done.stdout.splitlines()
        if line.strip() and not line.startswith(("--", "\\restrict", "\\unrestrict"))
    )

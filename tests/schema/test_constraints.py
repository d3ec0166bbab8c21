"""Each rule holds at the table itself: for SQL past every function, and with triggers off."""

import pytest
from psycopg import errors

from tests.support.database import Database

ACCENTED = "e\u0301"  # e and a combining accent: one to the eye, two characters

BAD_ROWS = [
    # statement, constraint
    ("insert into app.users (username) values ('')", "users_username_check"),
    ("insert into app.users (username) values ('two words')", "users_username_check"),
    ("insert into app.users (username) values ('ümlaut')", "users_username_check"),
    ("insert into app.users (username) values (e'line\\n')", "users_username_check"),
    ("insert into app.users (username) values (e'a\\nb')", "users_username_check"),
    ("insert into app.users (username) values ('a-b')", "users_username_check"),
    ("insert into app.users (username) values ('ſ')", "users_username_check"),
    ("insert into app.users (username) values (repeat('a', 51))", "users_username_check"),
    ("insert into app.users (username) values ('Ann')", "users_username_key"),
    ("insert into app.users (username) values ('ANN')", "users_username_key"),
    ("update app.users set description = repeat('é', 121)", "users_description_check"),
    ("insert into app.posts (author_id, content) values (1, '')", "posts_content_check"),
    ("insert into app.posts (author_id, content) values (1, ' x')", "posts_content_check"),
    ("insert into app.posts (author_id, content) values (1, e'x\\n')", "posts_content_check"),
    ("insert into app.posts (author_id, content) values (1, e'\\u3000')", "posts_content_check"),
    ("insert into app.posts (author_id, content) values (1, e'x\\u00a0')", "posts_content_check"),
    ("insert into app.posts (author_id, content) values (1, repeat('x', 201))",
     "posts_content_check"),
    ("insert into app.posts (author_id, content) values (1, repeat('\U0001f642', 201))",
     "posts_content_check"),
    (f"insert into app.posts (author_id, content) values (1, repeat('{ACCENTED}', 101))",
     "posts_content_check"),
    ("insert into app.posts (id, author_id, content) values (0, 1, 'x')", "posts_id_check"),
    ("insert into app.posts (id, author_id, content) values (9007199254740992, 1, 'x')",
     "posts_id_check"),
    ("insert into app.posts (author_id, content, parent_id, is_reply)"
     " values (1, 'x', (select min(id) from app.posts), false)", "posts_parent_id_check"),
    ("insert into app.follows values (1, 1)", "follows_no_self_check"),
    ("insert into app.follows values (1, 2)", "follows_pkey"),
    ("insert into app.jobs (kind) values ('No Such')", "jobs_kind_check"),
    ("insert into app.jobs (kind) values ('a(b)')", "jobs_kind_check"),
    ("insert into app.jobs (kind, state) values ('prune', 'running')", "jobs_state_check"),
    ("update app.job_schedules set every = interval '0'", "job_schedules_every_check"),
    ("update app.settings set value = -1", "settings_value_check"),
    ("update app.settings set value = 0 where name = 'fan_out_chunk_size'",
     "settings_chunk_size_check"),
    ("update app.settings set value = 0 where name = 'backfill_chunk_size'",
     "settings_chunk_size_check"),
    ("update app.view_refreshes set refreshed_at = '-infinity'",
     "view_refreshes_refreshed_at_check"),
    ("insert into app.secrets values ('jwt2', 'short')", "secrets_value_check"),
    ("insert into app.credentials values (1, 'a password')", "credentials_password_hash_check"),
    ("insert into app.credentials values (1, md5('a password'))",
     "credentials_password_hash_check"),
    ("update app.rate_limits set name = 'two words'", "rate_limits_name_check"),
    ("update app.rate_limits set methods = '{GRAB}'", "rate_limits_methods_check"),
    ("update app.rate_limits set methods = '{}'", "rate_limits_methods_check"),
    ("update app.rate_limits set path_pattern = '/posts'", "rate_limits_path_pattern_check"),
    ("update app.rate_limits set scope = 'planet'", "rate_limits_scope_check"),
    ("update app.rate_limits set quota = 0", "rate_limits_quota_check"),
    ("update app.rate_limits set window_seconds = 0", "rate_limits_window_seconds_check"),
    ("update app.rate_limits set window_seconds = 2592001", "rate_limits_window_seconds_check"),
    ("insert into app.rate_limit_exemptions default values", "rate_limit_exemptions_one_check"),
    ("insert into app.rate_limit_exemptions (address) values ('::ffff:10.0.0.1')",
     "rate_limit_exemptions_address_check"),
    ("insert into app.rate_limit_exemptions (address, user_id) values ('10.0.0.1', 1)",
     "rate_limit_exemptions_one_check"),
    ("insert into app.idempotency_keys values (1, '', '')", "idempotency_keys_key_check"),
    ("update app.feed_states set delivered_from = 2, complete_from = 1",
     "feed_states_complete_from_check"),
    ("insert into app.feed_horizon values (1, false)", "feed_horizon_is_only_check"),
    ("insert into app.pull_ranges values (1, 5, 5)", "pull_ranges_to_id_check"),
    ("insert into app.idempotency_keys values (1, repeat('k', 256), '')",
     "idempotency_keys_key_check"),
]  # fmt: skip

# Foreign keys are triggers themselves: with triggers off, nothing holds them.
BAD_REFERENCES = [
    ("insert into app.posts (author_id, content) values (99, 'x')", "posts_author_id_fkey"),
    ("update app.posts set parent_id = 99, is_reply = true", "posts_parent_id_fkey"),
    ("insert into app.follows values (1, 99)", "follows_followed_id_fkey"),
    ("insert into app.feed_states (user_id) values (99)", "feed_states_user_id_fkey"),
    ("insert into app.pull_ranges (author_id, from_id) values (99, 1)",
     "pull_ranges_author_id_fkey"),
    ("insert into app.follows values (99, 1)", "follows_follower_id_fkey"),
    ("insert into app.sessions (user_id, expires_at) values (99, now())", "sessions_user_id_fkey"),
    ("insert into app.rate_limit_exemptions (user_id) values (99)",
     "rate_limit_exemptions_user_id_fkey"),
    ("insert into app.user_counters values (99)", "user_counters_user_id_fkey"),
    ("insert into app.credentials values (99, '$2a$04$' || repeat('x', 53))",
     "credentials_user_id_fkey"),
    ("insert into app.idempotency_keys values (99, 'k', '')", "idempotency_keys_user_id_fkey"),
    ("update app.view_refreshes set lifetime_setting = 'nosuch'",
     "view_refreshes_lifetime_setting_fkey"),
    ("update app.cached_calls set lifetime_setting = 'nosuch'",
     "cached_calls_lifetime_setting_fkey"),
]  # fmt: skip

# Primary keys, and unique constraints that are no index's alone.
KEYS = [
    "cache_proxies_pkey", "cache_reports_pkey", "cached_calls_pkey", "credentials_pkey",
    "feed_entries_pkey", "feed_horizon_pkey", "feed_states_pkey", "follows_pkey",
    "idempotency_keys_pkey", "job_schedules_pkey", "jobs_pkey", "post_counter_deltas_pkey",
    "posts_pkey", "pull_ranges_pkey", "rate_limit_buckets_pkey",
    "rate_limit_exemptions_address_key", "rate_limit_exemptions_pkey",
    "rate_limit_exemptions_user_id_key", "rate_limit_totals_pkey", "rate_limits_name_key",
    "rate_limits_pkey", "secrets_pkey", "sessions_pkey", "settings_pkey",
    "user_counter_deltas_pkey", "user_counters_pkey", "users_pkey", "view_refreshes_pkey",
    "workers_pkey",
]  # fmt: skip

# The columns of a row with this key, and values: the key's own columns, and what has no default.
# An id is one of now, for which there is a partition.
ROW_OF_A_KEY = """
select c.oid::regclass::text, a.attname::text,
  case
    when a.attndims > 0 then $$'{}'$$
    when a.atttypid = 'bigint'::regtype then i.id::text
    else case a.atttypid::regtype::text
      when 'text' then $$'k'$$
      when 'boolean' then 'true'
      when 'bytea' then $$'k'$$
      when 'inet' then $$'10.0.0.1'$$
      when 'uuid' then quote_literal(gen_random_uuid())
      when 'timestamp with time zone' then 'now()'
      when 'interval' then $$'1 day'$$
      when 'jsonb' then $$'{}'$$
      else '1'
    end
  end
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
cross join (select app.post_id_next()) i (id)
where k.connamespace = 'app'::regnamespace and k.conname = %(key)s and a.attgenerated = ''
  and (a.attnum = any (k.conkey) or a.attnotnull and not a.atthasdef and a.attidentity = '')
order by a.attnum
"""

NULLS = [
    ("app.users", "username"), ("app.users", "description"), ("app.users", "created_at"),
    ("app.posts", "content"), ("app.posts", "is_reply"), ("app.posts", "replies_count"),
    ("app.follows", "created_at"), ("app.user_counters", "followers_count"),
    ("app.user_counters", "following_count"), ("app.user_counters", "posts_count"),
    ("app.settings", "value"), ("app.job_schedules", "every"),
]  # fmt: skip


@pytest.fixture(scope="module")
def seeded(module_database: Database) -> Database:
    """Ann (1) follows Bob (2); one post by each."""
    module_database.run("alter table app.users alter id restart 1")
    ann, bob = module_database.user("ann"), module_database.user("Bob")
    assert (ann, bob) == (1, 2)
    module_database.follow(ann, bob)
    module_database.post(ann)
    module_database.post(bob)
    return module_database


@pytest.mark.parametrize(("statement", "constraint"), BAD_ROWS)
def test_a_bad_row_is_refused_by_name_with_triggers_off(
    seeded: Database, statement: str, constraint: str
) -> None:
    with seeded.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")
        with pytest.raises(errors.IntegrityError) as refusal:
            connection.execute(statement)
    assert refusal.value.diag.constraint_name == constraint


@pytest.mark.parametrize(("statement", "constraint"), BAD_REFERENCES)
def test_a_reference_to_nothing_is_refused(
    seeded: Database, statement: str, constraint: str
) -> None:
    with seeded.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("alter table app.posts disable trigger t10_normalize")
        connection.execute("alter table app.posts disable trigger t20_fan_out")
        with pytest.raises(errors.ForeignKeyViolation) as refusal:
            connection.execute(statement)
            connection.execute("set constraints all immediate")
    assert refusal.value.diag.constraint_name == constraint


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_taken_once(module_database: Database, key: str) -> None:
    """By itself: without triggers and checks, and whatever else a row holds."""
    with module_database.superuser() as connection, connection.transaction(force_rollback=True):
        row = connection.execute(ROW_OF_A_KEY, {"key": key}).fetchall()
        assert row, f"there is no {key}"
        table = row[0][0]
        connection.execute("set local session_replication_role = replica")
        checks = "select conname from pg_constraint where conrelid = %s::regclass and contype = 'c'"
        for (check,) in connection.execute(checks, [table]).fetchall():
            connection.execute(f"alter table {table} drop constraint {check}")
        connection.execute(f"delete from {table}")
        names, values = (", ".join(part[n] for part in row) for n in (1, 2))
        insert = f"insert into {table} ({names}) overriding system value values ({values})"
        connection.execute(insert)
        with pytest.raises(errors.UniqueViolation) as refusal:
            connection.execute(insert)
    assert str(refusal.value.diag.constraint_name).endswith(key.removeprefix("feed_entries"))


@pytest.mark.parametrize(("table", "column"), NULLS)
def test_null_is_refused(seeded: Database, table: str, column: str) -> None:
    with seeded.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")
        with pytest.raises(errors.NotNullViolation):
            connection.execute(f"update {table} set {column} = null")


GOOD_ROWS = [
    "insert into app.users (username) values (repeat('a', 50))",
    "insert into app.users (username) values ('_')",
    "update app.users set description = repeat('\U0001f642', 120)",
    "insert into app.posts (author_id, content) values (1, repeat('\U0001f642', 200))",
    f"insert into app.posts (author_id, content) values (1, repeat('{ACCENTED}', 100))",
    "insert into app.posts (author_id, content) values (1, e'two\\nlines\\t.')",
    "insert into app.posts (id, author_id, content) values (9007199254740991, 1, 'x')",
    "insert into app.posts (author_id, content, is_reply) values (1, 'orphaned', true)",
    "insert into app.posts (content) values ('nobody''s')",
    "insert into app.follows values (2, 1)",
]


@pytest.mark.parametrize("statement", GOOD_ROWS)
def test_a_row_at_the_edge_is_taken(seeded: Database, statement: str) -> None:
    with seeded.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")
        assert connection.execute(statement).rowcount >= 1


def test_each_constraint_of_the_schema_is_refused_by_some_row_here(seeded: Database) -> None:
    """A new constraint needs a bad row in this file."""
    checks = seeded.values(
        """
        select c.conname from pg_constraint c
        where c.connamespace = 'app'::regnamespace
          and c.contype in ('c', 'f', 'p', 'u')
          and not exists (select from pg_inherits i where i.inhrelid = c.conrelid)
        """
    )
    covered = {constraint for _, constraint in BAD_ROWS + BAD_REFERENCES} | set(KEYS)
    assert set(checks) - covered == set()


@pytest.mark.parametrize("change", ["content = 'other'", "content = 'HELLO'", "author_id = 2"])
def test_a_post_keeps_its_content_and_its_author(seeded: Database, change: str) -> None:
    """Whoever asks: tags of pages, and what clients have of them, rely on it."""
    with pytest.raises(errors.IntegrityConstraintViolation, match="keeps its content"):
        seeded.run(f"update app.posts set {change} where author_id = 1")
    assert seeded.values("select content from app.posts where author_id = 1") == ["hello"]


def test_an_update_that_changes_nothing_of_a_post_and_the_loss_of_its_author_pass(
    database: Database,
) -> None:
    post, other = database.post(database.user()), database.user()
    database.run("update app.posts set content = content, author_id = author_id, replies_count = 1")
    database.run("update app.posts set author_id = null")
    with pytest.raises(errors.IntegrityConstraintViolation, match="keeps its content"):
        database.run("update app.posts set author_id = %s where id = %s", [other, post])


def test_no_text_holds_a_nul(seeded: Database) -> None:
    with seeded.superuser() as connection, pytest.raises(errors.UntranslatableCharacter):
        connection.execute(
            """insert into app.posts (content) select '{"a": "\\u0000"}'::json ->> 'a'"""
        )


def test_the_name_of_a_closed_account_is_free(seeded: Database) -> None:
    with seeded.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("update app.users set deleted_at = now() where username = 'ANN'")
        connection.execute("insert into app.users (username) values ('aNN')")

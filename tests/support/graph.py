"""A graph of some thousand users, written with triggers off, for tests of plans."""

from tests.support.database import Database

USERS, POSTS, DELTAS = 4000, 8000, 1000
READER = 2500  # has posted 200 times
POPULAR = 1  # has some 1,300 followers, and 400 replies to the newest post

SEED = f"""
insert into app.users (id, username) overriding system value
  select n, 'user_' || n from generate_series(1, {USERS}) n;
-- Everybody follows 40 others, low numbers more often than high ones.
insert into app.follows (follower_id, followed_id)
  select distinct n, 1 + (({USERS} - 1) * power(x.r, 2.5))::bigint
  from generate_series(1, {USERS}) n
  cross join lateral (
    select abs(hashint8(n * 1000 + k)) / 2147483648.0 as r from generate_series(1, 40) k
  ) x
  where n <> 1 + (({USERS} - 1) * power(x.r, 2.5))::bigint
  on conflict do nothing;
insert into app.posts (id, author_id, content)
  select app.post_id_at(now() - n * interval '5 minutes') + n % 4096,
    1 + abs(hashint8(n)) % {USERS}, 'post ' || n
  from generate_series(1, {POSTS}) n;
insert into app.posts (author_id, content, parent_id, is_reply)
  select 1 + abs(hashint8(-p.id)) % {USERS}, 'reply', p.id, true
  from app.posts p where p.id % 3 = 0;
insert into app.posts (id, author_id, content)
  select app.post_id_at(now() - n * interval '3 hours') + 4095, {READER}, 'mine ' || n
  from generate_series(1, 200) n;
insert into app.posts (author_id, content) values ({POPULAR}, 'popular');
insert into app.posts (author_id, content, parent_id, is_reply)
  select n, 'reply',
    (select max(id) from app.posts where author_id = {POPULAR} and not is_reply), true
  from generate_series(1000, 1399) n;
insert into app.feed_entries (user_id, post_id)
  select f.follower_id, p.id
  from app.follows f join app.posts p on p.author_id = f.followed_id
  where not p.is_reply and f.followed_id > 5;
-- The five best known are pulled.
insert into app.pull_ranges (author_id, from_id) select n, 0 from generate_series(1, 5) n;
insert into app.feed_states (user_id) select id from app.users;
insert into app.user_counters (user_id, followers_count, following_count, posts_count)
  select u.id,
    (select count(*) from app.follows f where f.followed_id = u.id),
    (select count(*) from app.follows f where f.follower_id = u.id),
    (select count(*) from app.posts p where p.author_id = u.id)
  from app.users u;
insert into app.user_counter_deltas (user_id) select 1 + n % 50 from generate_series(1, {DELTAS}) n;
insert into app.post_counter_deltas (post_id, replies)
  select id, 0 from app.posts order by id desc limit {DELTAS};
insert into app.sessions (user_id, expires_at) select id, now() + '1 hour' from app.users;
insert into app.credentials (user_id, password_hash)
  select id, '$2a$04$' || repeat('x', 53) from app.users;
insert into app.idempotency_keys (user_id, key, fingerprint)
  select id, 'k', '' from app.users;
update app.posts p set replies_count = n.n
  from (select parent_id, count(*) as n from app.posts group by parent_id) n
  where n.parent_id = p.id;
"""


def seed(database: Database) -> None:
    """Fill an empty database with the graph and analyse it; recurring jobs are paused."""
    with database.superuser() as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(SEED)
        connection.execute("set session_replication_role = origin")
        connection.execute("select setval(pg_get_serial_sequence('app.users', 'id'), 10000)")
        connection.execute("vacuum analyze")
    database.pause_schedules()
    assert database.value("select count(*) from app.follows") > 100_000
    assert database.value("select count(*) from app.feed_entries") > 100_000
    assert database.run("select * from dba.counter_drift()") == []
    assert database.run("select * from dba.feed_drift()") == []


def popular_post(database: Database) -> int:
    """Return the id of the post with 400 replies."""
    return database.value(
        "select max(id) from app.posts where author_id = %s and not is_reply", [POPULAR]
    )

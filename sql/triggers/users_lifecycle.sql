-- Deploy microblog:triggers/users_lifecycle to pg
-- requires: schema/users
-- requires: schema/follows
-- requires: schema/feed_entries
-- requires: schema/feed_states

begin;
set local role microblog_owner;

create function app.tg_users__attach()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into app.user_counters (user_id)
  select u.id from new_users u;
  insert into app.feed_states (user_id)
  select u.id from new_users u;
  return null;
end
$$;

comment on function app.tg_users__attach() is 'Gives each new user a row of counters and a timeline';

create trigger t10_attach
after insert on app.users
referencing new table as new_users
for each statement
execute function app.tg_users__attach();

-- Before the foreign keys' own actions, whose order among themselves is nobody's promise: the
-- follows go first, while the posts still name their author, so that their triggers find the
-- feed rows and the other side's counters.
--
-- Locks, in this order, so that two deletions and the fold of counters cannot deadlock: the own
-- counter row, posts by id, follows by (follower, followed).
create function app.tg_users__detach()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from app.user_counters c where c.user_id = old.id for update;
  perform from app.posts p where p.author_id = old.id order by p.id for no key update;
  perform from app.follows f
    where f.follower_id = old.id or f.followed_id = old.id
    order by f.follower_id, f.followed_id
    for update;

  delete from app.follows f where f.follower_id = old.id or f.followed_id = old.id;
  delete from app.feed_entries e where e.user_id = old.id;
  delete from app.user_counter_deltas d where d.user_id = old.id;
  return old;
end
$$;

comment on function app.tg_users__detach() is 'Takes a user out of follows and feeds before the row goes';

create trigger t10_detach
before delete on app.users
for each row
execute function app.tg_users__detach();

commit;

-- Deploy microblog:triggers/follows_counters to pg
-- requires: schema/follows
-- requires: functions/counters_add

begin;
set local role microblog_owner;

create function app.tg_follows__counters()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_sign constant integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
  perform app.user_counters_add(
      array_agg(c.user_id),
      array_agg(v_sign * c.followers),
      array_agg(v_sign * c.following),
      array_agg(0)
    )
    from (
      select
        u.user_id,
        sum(u.followers)::integer as followers,
        sum(u.following)::integer as following
      from (
        select f.followed_id as user_id, 1 as followers, 0 as following from changed_follows f
        union all
        select f.follower_id, 0, 1 from changed_follows f
      ) u
      group by u.user_id
    ) c
    having count(*) > 0;
  return null;
end
$$;

comment on function app.tg_follows__counters() is 'Keeps followers_count and following_count';

create trigger t30_counters_insert
after insert on app.follows
referencing new table as changed_follows
for each statement
execute function app.tg_follows__counters();

create trigger t30_counters_delete
after delete on app.follows
referencing old table as changed_follows
for each statement
execute function app.tg_follows__counters();

commit;

-- Deploy microblog:triggers/posts_counters to pg
-- requires: schema/posts
-- requires: functions/counters_add

begin;
set local role microblog_owner;

create function app.tg_posts__counters()
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
      array_agg(c.author_id), array_agg(0), array_agg(0), array_agg(v_sign * c.posts)
    )
    from (
      select p.author_id, count(*)::integer as posts
      from changed_posts p
      where p.author_id is not null
      group by p.author_id
    ) c
    having count(*) > 0;

  perform app.post_counters_add(array_agg(c.parent_id), array_agg(v_sign * c.replies))
    from (
      select p.parent_id, count(*)::integer as replies
      from changed_posts p
      where p.parent_id is not null
      group by p.parent_id
    ) c
    having count(*) > 0;
  return null;
end
$$;

comment on function app.tg_posts__counters() is 'Keeps posts_count of authors and replies_count of parents';

create trigger t30_counters_insert
after insert on app.posts
referencing new table as changed_posts
for each statement
execute function app.tg_posts__counters();

create trigger t30_counters_delete
after delete on app.posts
referencing old table as changed_posts
for each statement
execute function app.tg_posts__counters();

commit;

-- Deploy microblog:functions/job_counters_fold to pg
-- requires: functions/counters_add
-- requires: schema/jobs

begin;
set local role microblog_owner;

-- Moves deltas into the rows they belong to; a reader sees the same sum before and after. Never
-- waits either: a row that somebody holds keeps its deltas for the next time, so no cycle can form,
-- whatever the order in which requests lock. A delta whose user or post is gone goes with it.
create function app.job_counters_fold(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch constant integer := 1000;
  v_users bigint[];
  v_posts bigint[];
  v_free bigint[];
begin
  v_users := array(
    select distinct d.user_id from app.user_counter_deltas d order by d.user_id limit v_batch
  );
  v_free := array(
    select c.user_id
    from app.user_counters c
    where c.user_id = any (v_users)
    order by c.user_id
    for no key update skip locked
  );
  with taken as (
    delete from app.user_counter_deltas d
    where d.user_id = any (v_free)
      or d.user_id = any (v_users)
        and not exists (select from app.user_counters c where c.user_id = d.user_id)
    returning d.user_id, d.followers, d.following, d.posts
  )
  update app.user_counters c
    set
      followers_count = c.followers_count + t.followers,
      following_count = c.following_count + t.following,
      posts_count = c.posts_count + t.posts
    from (
      select
        t.user_id,
        sum(t.followers) as followers,
        sum(t.following) as following,
        sum(t.posts) as posts
      from taken t
      group by t.user_id
    ) t
    where c.user_id = t.user_id;

  v_posts := array(
    select distinct d.post_id from app.post_counter_deltas d order by d.post_id limit v_batch
  );
  v_free := array(
    select p.id
    from app.posts p
    where p.id = any (v_posts)
    order by p.id
    for no key update skip locked
  );
  with taken as (
    delete from app.post_counter_deltas d
    where d.post_id = any (v_free)
      or d.post_id = any (v_posts)
        and not exists (select from app.posts p where p.id = d.post_id)
    returning d.post_id, d.replies
  )
  update app.posts p
    set replies_count = p.replies_count + t.replies
    from (select t.post_id, sum(t.replies) as replies from taken t group by t.post_id) t
    where p.id = t.post_id;

  return case
    when v_batch in (cardinality(v_users), cardinality(v_posts)) then coalesce(progress, 0) + 1
  end;
end
$$;

comment on function app.job_counters_fold(jsonb, bigint) is 'Job: folds counter deltas into their rows';

insert into app.job_schedules (kind, every, description) values
  ('counters_fold', interval '5 seconds', 'Fold appended counter deltas into their rows');

commit;

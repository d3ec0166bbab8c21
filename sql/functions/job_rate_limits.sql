-- Deploy microblog:functions/job_rate_limits to pg
-- requires: schema/rate_limits
-- requires: schema/jobs

begin;
set local role microblog_owner;

-- A chunk at a time, because calls wait for a bucket that it holds until it commits. It waits for
-- nobody itself: what is locked is left to the next run, so that no deadlock can come of the order in
-- which it meets buckets, and no lock of a table stands before those that refuse or look on. Room
-- in app.rate_limit_refusals is autovacuum's; only this and the views of dba read it.
--
-- A bucket that is removed in the moment in which its key comes back has nothing to forget: all it
-- counted has left the window.
create function app.job_rate_limits(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  c_chunk constant integer := 5000;
  v_refusals integer;
  v_gone integer;
begin
  with taken as (
    delete from app.rate_limit_refusals r
      where r.ctid = any (array(
        select f.ctid from app.rate_limit_refusals f limit c_chunk for update skip locked
      ))
      returning r.rule_id, r.window_seconds, r.key, r.refusal_count
  ),
  refused as (
    select t.rule_id, t.window_seconds, t.key, sum(t.refusal_count)::integer as refusal_count
    from taken t
    group by t.rule_id, t.window_seconds, t.key
  ),
  unlocked as (
    select b.rule_id, b.window_seconds, b.key
    from app.rate_limit_buckets b
    where (b.rule_id, b.window_seconds, b.key) in (
      select r.rule_id, r.window_seconds, r.key from refused r
    )
    for update skip locked
  ),
  folded as (
    update app.rate_limit_buckets b
      set refusal_count = b.refusal_count + r.refusal_count
      from refused r
      join unlocked u using (rule_id, window_seconds, key)
      where b.rule_id = r.rule_id and b.window_seconds = r.window_seconds and b.key = r.key
      returning b.rule_id, b.window_seconds, b.key
  ),
  -- A bucket somebody holds gets its refusals later, and one that is gone gets none.
  put_back as (
    insert into app.rate_limit_refusals (rule_id, window_seconds, key, refusal_count)
      select r.rule_id, r.window_seconds, r.key, r.refusal_count
      from refused r
      join app.rate_limit_buckets b using (rule_id, window_seconds, key)
      where not exists (
        select
        from unlocked u
        where u.rule_id = r.rule_id and u.window_seconds = r.window_seconds and u.key = r.key
      )
  ),
  without as (
    insert into app.rate_limit_totals as t (rule_id, hit_count, refusal_count)
      select r.rule_id, 0, sum(r.refusal_count)
      from refused r
      where not exists (
        select
        from app.rate_limit_buckets b
        where b.rule_id = r.rule_id and b.window_seconds = r.window_seconds and b.key = r.key
      )
      group by r.rule_id
      on conflict on constraint rate_limit_totals_pkey do update
        set refusal_count = t.refusal_count + excluded.refusal_count
  )
  select count(*) into v_refusals from taken;

  with old as (
    select b.rule_id, b.window_seconds, b.key
    from app.rate_limit_buckets b
    where (b.slot + 21) * b.window_seconds / 20.0 < extract(epoch from clock_timestamp())
    limit c_chunk
    for update skip locked
  ),
  gone as (
    delete from app.rate_limit_buckets b
      using old o
      where b.rule_id = o.rule_id and b.window_seconds = o.window_seconds and b.key = o.key
      returning b.rule_id, b.hit_count, b.refusal_count
  ),
  added as (
    insert into app.rate_limit_totals as t (rule_id, hit_count, refusal_count)
      select g.rule_id, sum(g.hit_count), sum(g.refusal_count)
      from gone g
      group by g.rule_id
      on conflict on constraint rate_limit_totals_pkey do update
        set hit_count = t.hit_count + excluded.hit_count,
          refusal_count = t.refusal_count + excluded.refusal_count
  )
  select count(*) into v_gone from gone;
  return case when greatest(v_refusals, v_gone) = c_chunk then coalesce(progress, 0) + 1 end;
end
$$;

comment on function app.job_rate_limits(jsonb, bigint) is
  'Job: adds refusals to the buckets they belong to, removes buckets whose calls have all left their window';

insert into app.job_schedules (kind, every, description) values
  ('rate_limits', interval '1 minute', 'Fold refused calls, remove old buckets of the rate limits');

commit;

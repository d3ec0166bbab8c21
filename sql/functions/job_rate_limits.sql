-- Deploy microblog:functions/job_rate_limits to pg
-- requires: schema/rate_limits
-- requires: schema/jobs

begin;
set local role microblog_owner;

-- Truncated, not deleted: the room is free at once, however old the oldest transaction is. The lock
-- makes refusals wait for as long as this takes, some milliseconds; where it is not to be had within
-- a second, the next run folds.
--
-- A bucket that is removed in the moment in which its key comes back has nothing to forget: all it
-- counted has left the window.
create function app.job_rate_limits(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
  lock table app.rate_limit_refusals in access exclusive mode;
  with refused as (
    select r.rule_id, r.window_seconds, r.key, count(*) as refusal_count
    from app.rate_limit_refusals r
    group by r.rule_id, r.window_seconds, r.key
  )
  update app.rate_limit_buckets b
    set refusal_count = b.refusal_count + r.refusal_count
    from refused r
    where b.rule_id = r.rule_id and b.window_seconds = r.window_seconds and b.key = r.key;
  truncate app.rate_limit_refusals;

  with gone as (
    delete from app.rate_limit_buckets b
      where (b.slot + 21) * b.window_seconds / 20 < extract(epoch from clock_timestamp())
      returning b.rule_id, b.hit_count, b.refusal_count
  )
  insert into app.rate_limit_totals as t (rule_id, hit_count, refusal_count)
    select g.rule_id, sum(g.hit_count), sum(g.refusal_count)
    from gone g
    group by g.rule_id
    on conflict on constraint rate_limit_totals_pkey do update
      set hit_count = t.hit_count + excluded.hit_count,
        refusal_count = t.refusal_count + excluded.refusal_count;
  return null;
exception
  when lock_not_available then
    return null;
end
$$;

comment on function app.job_rate_limits(jsonb, bigint) is
  'Job: adds refusals to the buckets they belong to, removes buckets whose calls have all left their window';

insert into app.job_schedules (kind, every, description) values
  ('rate_limits', interval '1 minute', 'Fold refused calls, remove old buckets of the rate limits');

commit;

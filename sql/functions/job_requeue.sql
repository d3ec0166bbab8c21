-- Deploy microblog:functions/job_requeue to pg
-- requires: schema/jobs

begin;
set local role microblog_owner;

create function dba.job_requeue(job_id bigint default null)
returns bigint
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  with requeued as (
    update app.jobs j
    set state = 'queued', attempts = 0, run_at = now(), turn_at = now()
    where j.state = 'dead' and j.id = coalesce(job_requeue.job_id, j.id)
    returning j.id
  ),
  woken as materialized (
    select pg_notify('microblog_jobs', '') from requeued limit 1
  )
  select count(*) + 0 * (select count(*) from woken) from requeued;
end;

comment on function dba.job_requeue(bigint) is
  'Gives a dead job, or all of them, another round of attempts, from where it stopped. Returns how many';

commit;

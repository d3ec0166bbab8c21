-- Deploy microblog:functions/job_views_refresh to pg
-- requires: schema/views
-- requires: schema/jobs
-- requires: functions/job_work

begin;
set local role microblog_owner;

-- One view a chunk, the one that has been due for longest. What is committed after the time is
-- taken may be in it too: the age told is never too small.
--
-- Locks the row of app.view_refreshes, and the view against other refreshes, not against readers.
create function app.job_views_refresh(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_view text;
  v_begin timestamptz;
begin
  select v.view_name
    into v_view
    from app.view_refreshes v
    join app.settings s on s.name = v.lifetime_setting
    where v.refreshed_at + s.value * interval '1 second' <= clock_timestamp()
    order by v.refreshed_at + s.value * interval '1 second'
    limit 1
    for update of v skip locked;
  if not found then
    return null;
  end if;
  v_begin := clock_timestamp();
  execute format('refresh materialized view concurrently %s', v_view::regclass);
  update app.view_refreshes v
    set refreshed_at = v_begin, took = clock_timestamp() - v_begin
    where v.view_name = v_view;
  return coalesce(progress, 0) + 1;
end
$$;

comment on function app.job_views_refresh(jsonb, bigint) is
  'Job: refreshes the materialised views whose lifetime is over. Progress: how many';

-- For bulk loads. The age told then is too large rather than too small.
create function app.views_expire()
returns void
language sql
volatile
begin atomic
  update app.view_refreshes v
  set refreshed_at = least(v.refreshed_at, now() - s.value * interval '1 second')
  from app.settings s
  where s.name = v.lifetime_setting;
end;

comment on function app.views_expire() is
  'Has all materialised views refreshed by the next run of the job, whatever their age';

insert into app.job_schedules (kind, every, description) values
  ('views_refresh', interval '5 seconds', 'Refresh the materialised views whose lifetime is over');

commit;

-- Deploy microblog:triggers/jobs_notify to pg
-- requires: schema/jobs

begin;
set local role microblog_owner;

-- Wakes a worker that waits. NOTIFY takes a lock of the whole server at commit, so it stands on
-- the queue alone: nothing that a quiet reader or a small author does comes through here.
create function app.tg_jobs__notify()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  -- A statement that queues nothing must wake nobody: a worker's own look at the schedule is one,
  -- which would wake that worker without end.
  if exists (select from added) then
    perform pg_notify('microblog_jobs', '');
  end if;
  return null;
end
$$;

comment on function app.tg_jobs__notify() is 'Tells waiting workers, on channel microblog_jobs, that there is work';

create trigger t10_notify
after insert on app.jobs
referencing new table as added
for each statement
execute function app.tg_jobs__notify();

commit;

-- Deploy microblog:functions/job_prune to pg
-- requires: schema/sessions
-- requires: schema/idempotency_keys
-- requires: schema/jobs

begin;
set local role microblog_owner;

create function app.job_prune(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from app.sessions s where s.expires_at < now();
  delete from app.idempotency_keys k
    where k.created_at
      < now() - app.setting('idempotency_key_lifetime') * interval '1 second';
  delete from app.workers w where w.seen_at < now() - interval '1 day';
  return null;
end
$$;

comment on function app.job_prune(jsonb, bigint) is
  'Job: removes expired sessions, old idempotency keys and workers not seen for a day';

insert into app.job_schedules (kind, every, description) values
  ('prune', interval '10 minutes', 'Remove expired sessions and idempotency keys, workers long gone');

commit;

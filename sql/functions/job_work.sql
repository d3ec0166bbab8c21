-- Deploy microblog:functions/job_work to pg
-- requires: schema/jobs

begin;
set local role microblog_owner;

create function app.job_add(kind text, args jsonb default '{}')
returns bigint
language sql
volatile
begin atomic
  insert into app.jobs (kind, args) values (job_add.kind, job_add.args) returning id;
end;

comment on function app.job_add(text, jsonb) is 'Queues a job; it runs once this transaction commits. Returns its id';

-- Many large jobs may come at once, and a short one behind them would wait for a chunk of each: so
-- theirs is not the turn of their arrival. Where nobody else is there they are taken all the same,
-- and nobody who comes later than the grace goes first.
create function app.job_turn(followers bigint)
returns timestamptz
language sql
stable
begin atomic
  select now() + case
    when followers > app.setting('fan_out_chunk_size')
      then app.setting('job_turn_grace') * interval '1 millisecond'
    else interval '0'
  end;
end;

comment on function app.job_turn(bigint) is
  'Place in the queue of a new job for so many followers: its arrival, or later if they take several chunks';

-- The handler runs in a subtransaction of its own, so that a failure undoes the chunk and
-- nothing else, and the record of the failure commits. A worker that is killed leaves no record
-- and no lock: the job is as it was after the chunk before.
--
-- The commit waits for no disk. Nobody was promised a chunk: if the server crashes before it is
-- flushed, what it did and the record of it are gone together, and the job does it again.
create function app.job_work(worker_name text)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_job app.jobs;
  v_progress bigint;
  v_attempts integer;
begin
  perform set_config('synchronous_commit', 'off', true);

  -- Two workers may look at the schedule at once: each due row is queued by one of them.
  with due as (
    select s.kind
    from app.job_schedules s
    where s.next_run_at <= now()
    order by s.kind
    for update skip locked
  ),
  moved as (
    update app.job_schedules s
    set next_run_at = now() + s.every
    from due d
    where s.kind = d.kind
    returning s.kind
  )
  insert into app.jobs (kind)
  select m.kind
  from moved m
  -- One run at a time: a run that is late is not piled onto.
  where not exists (select from app.jobs j where j.kind = m.kind and j.state = 'queued');

  select j.*
    into v_job
    from app.jobs j
    where j.state = 'queued' and j.run_at <= clock_timestamp()
    order by j.turn_at, j.id
    limit 1
    for update skip locked;
  if not found then
    return null;
  end if;

  begin
    execute format('select app.%I($1, $2)', 'job_' || v_job.kind)
      into v_progress
      using v_job.args, v_job.progress;
  exception
    -- "others" leaves out a cancelled query, which is what a statement_timeout is.
    when query_canceled or others then
      v_attempts := v_job.attempts + 1;
      update app.jobs j
        set
          attempts = v_attempts,
          last_error = sqlstate || ': ' || sqlerrm,
          state = case
            when v_attempts >= app.setting('job_max_attempts') then 'dead'
            else 'queued'
          end,
          run_at = clock_timestamp() + least(
            interval '10 minutes',
            app.setting('job_retry_base') * interval '1 millisecond'
              * power(2, least(v_attempts - 1, 20))
          ) * (0.5 + random())
        where j.id = v_job.id;
      return v_job.kind;
  end;

  if v_progress is null then
    delete from app.jobs j where j.id = v_job.id;
  else
    update app.jobs j
      set
        progress = v_progress,
        chunks = j.chunks + 1,
        attempts = 0,
        -- Counted from now at the earliest: a job that came long ago, or whose chunks take long,
        -- would otherwise run through its past before anybody else's turn.
        turn_at = greatest(j.turn_at, clock_timestamp())
          + app.setting('job_turn_penalty') * interval '1 millisecond'
      where j.id = v_job.id;
  end if;
  return v_job.kind;
end
$$;

comment on function app.job_work(text) is
  'Claims the job whose turn it is, runs one chunk of it and records the outcome, in this transaction. Returns its kind; null when nothing is due';

create function app.job_next_due()
returns double precision
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select case
    when min(due.at) is not null
      then greatest(0, extract(epoch from min(due.at) - clock_timestamp()))::double precision
  end
  from (
    select min(j.run_at) as at from app.jobs j where j.state = 'queued'
    union all
    select min(s.next_run_at) from app.job_schedules s
  ) due;
end;

comment on function app.job_next_due() is 'Seconds until the next job is due; 0 for now, null if none is known';

create function app.worker_heartbeat(worker_name text)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  insert into app.workers (name) values (worker_name)
  on conflict on constraint workers_pkey do update set seen_at = now();
end;

comment on function app.worker_heartbeat(text) is 'A worker says that it is alive';

create function app.worker_bye(worker_name text)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  delete from app.workers w where w.name = worker_name;
end;

comment on function app.worker_bye(text) is 'A worker says that it leaves';

grant execute on function app.job_work(text) to worker;
grant execute on function app.job_next_due() to worker;
grant execute on function app.worker_heartbeat(text) to worker;
grant execute on function app.worker_bye(text) to worker;

commit;

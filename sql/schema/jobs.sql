-- Deploy microblog:schema/jobs to pg
-- requires: schema/settings
--
-- The queue. A worker claims a job with SKIP LOCKED, runs one bounded chunk of it and records
-- the progress, all in one transaction: a worker that dies rolls back to the last chunk, and its
-- row lock goes with it. So there is no "running" state, no lease and nothing to reap.

begin;
set local role microblog_owner;

create table app.jobs (
  id bigint generated always as identity constraint jobs_pkey primary key,
  kind text not null,
  args jsonb not null default '{}',
  progress bigint,
  chunks integer not null default 0,
  state text not null default 'queued',
  attempts integer not null default 0,
  run_at timestamptz not null default now(),
  turn_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  last_error text,
  constraint jobs_kind_check check (kind ~ '^[a-z][a-z_]{0,49}$'),
  constraint jobs_state_check check (state in ('queued', 'dead'))
);

-- A job's turn is its arrival, until it is given a chunk, which moves it behind everybody who is
-- there: a short job overtakes a long one at the next chunk, yet the long one's turn comes, because
-- new arrivals keep getting later.
create index jobs_turn_at_id_idx on app.jobs (turn_at, id) where state = 'queued';

-- Deleted posts whose entries still stand: what an unfollow asks for.
create index jobs_author_id_post_purge_idx on app.jobs ((args ->> 'author_id'))
  where kind = 'post_purge';

comment on table app.jobs is 'Work that waits or is being done. A job that is done is deleted';
comment on column app.jobs.kind is 'Names the handler: app.job_<kind>(args jsonb, progress bigint) returns bigint';
comment on column app.jobs.progress is 'What the handler returned last: where the next chunk starts; null before the first';
comment on column app.jobs.chunks is 'Chunks done';
comment on column app.jobs.state is 'queued, or dead: failed job_max_attempts times in a row, waits for dba.job_requeue';
comment on column app.jobs.attempts is 'Failures since the last chunk that succeeded';
comment on column app.jobs.run_at is 'Not before; moved by the backoff of a retry';
comment on column app.jobs.turn_at is 'Place in the queue';
comment on column app.jobs.last_error is 'Message of the last failure';

create table app.job_schedules (
  kind text constraint job_schedules_pkey primary key,
  every interval not null,
  next_run_at timestamptz not null default now(),
  description text not null,
  constraint job_schedules_every_check check (every >= interval '1 second')
);

comment on table app.job_schedules is 'Recurring jobs: app.job_work queues each when it is due';
comment on column app.job_schedules.every is 'Time between two starts';

create table app.workers (
  name text constraint workers_pkey primary key,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);

comment on table app.workers is 'Workers that said they are alive';
comment on column app.workers.seen_at is 'Last heartbeat';

commit;

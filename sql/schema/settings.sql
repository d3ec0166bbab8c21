-- Deploy microblog:schema/settings to pg
-- requires: schema/schemas
--
-- Limits are rows, so that a DBA changes them at run time: update app.settings set value = 500
-- where name = 'fan_out_sync_limit'. The next transaction sees it.

begin;
set local role microblog_owner;

create table app.settings (
  name text constraint settings_pkey primary key,
  value bigint not null,
  unit text not null,
  description text not null,
  constraint settings_value_check check (value >= 0),
  -- A chunk of nothing would end a job with nothing done.
  constraint settings_chunk_size_check check (value > 0 or name not like '%\_chunk\_size')
);

comment on table app.settings is 'Run-time limits of the microblog, one a row';
comment on column app.settings.unit is 'What value counts: followers, rows, seconds, …';

insert into app.settings (name, value, unit, description) values
  ('fan_out_sync_limit', 100, 'followers',
    'Posts of authors with at most this many followers are delivered inside the posting transaction'),
  ('fan_out_pull_limit', 50000, 'followers',
    'Posts of authors with more followers are not delivered; readers merge them in'),
  ('fan_out_push_limit', 40000, 'followers',
    'An author whose posts are merged in is delivered again once followers are at most this many'),
  ('fan_out_chunk_size', 5000, 'followers',
    'Followers served by one chunk (one transaction) of a fan-out or clean-up job'),
  ('backfill_sync_limit', 200, 'posts',
    'Newest posts of an author put into a new follower''s feed inside the follow; a job brings the rest'),
  ('backfill_chunk_size', 2000, 'posts',
    'Posts brought by one chunk of a backfill job'),
  ('account_purge_sync_limit', 500, 'rows',
    'An account with at most this many follows and posts is deleted inside the request; a larger one by a job'),
  ('job_max_attempts', 10, 'attempts',
    'A job that failed this often in a row is dead until it is requeued'),
  ('job_retry_base', 1000, 'milliseconds',
    'Wait before the first retry; doubles with each failure, up to 10 minutes, with jitter'),
  ('job_turn_penalty', 1000, 'milliseconds',
    'How far a job moves back in the queue with each chunk it was given'),
  ('job_turn_grace', 60000, 'milliseconds',
    'How long a fan-out or clean-up of several chunks lets jobs that come later go first'),
  ('session_lifetime', 3600, 'seconds',
    'A token is valid for this long after login'),
  ('bcrypt_cost', 10, 'log2 rounds',
    'Work factor of new password hashes; each step doubles the time of a login'),
  ('login_concurrency', 1, 'passwords',
    'So many password checks run at a time, each on a core of its own; at least 1'),
  ('login_queue', 4, 'passwords',
    'So many more wait for their turn, each holding a connection; beyond, requests are refused'),
  ('login_rest', 100, 'percent',
    'How long a slot rests after a password, in parts of the time that it took: 100 leaves half a core to others'),
  ('idempotency_key_lifetime', 86400, 'seconds',
    'An Idempotency-Key is remembered for this long'),
  ('feed_partitions_ahead', 2, 'months',
    'Partitions of app.feed_entries made ahead of the current month'),
  ('feed_active_time', 604800, 'seconds',
    'How long after the end of their last session a user''s timeline is kept'),
  ('feed_retention', 3, 'months',
    'Entries of app.feed_entries are kept for this many months before the current one');

-- PL/pgSQL, which keeps its plan in the session: in SQL it would be planned for each statement that
-- calls it, a dozen times a post.
create function app.setting(name text)
returns bigint
language plpgsql
stable
parallel safe
as $$
begin
  return (select s.value from app.settings s where s.name = setting.name);
end
$$;

comment on function app.setting(text) is 'Value of a run-time limit in app.settings; null if there is none of that name';

commit;

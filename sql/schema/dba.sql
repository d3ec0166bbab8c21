-- Deploy microblog:schema/dba to pg
-- requires: schema/jobs
-- requires: schema/feed_entries

begin;
set local role microblog_owner;

create view dba.queue as
select
  j.kind,
  count(*) filter (where j.state = 'queued') as queued,
  count(*) filter (where j.state = 'queued' and j.attempts > 0) as retrying,
  count(*) filter (where j.state = 'dead') as dead,
  now() - min(j.created_at) filter (where j.state = 'queued') as oldest_age,
  max(j.last_error) as an_error
from app.jobs j
group by j.kind;

comment on view dba.queue is 'Jobs by kind: waiting, failing, dead, and how long the oldest has waited';

create view dba.workers as
select
  w.name,
  w.started_at,
  now() - w.seen_at as heartbeat_age
from app.workers w;

comment on view dba.workers is 'Workers and the age of their last heartbeat';

create view dba.feed_partitions as
select
  c.relname as partition,
  pg_get_expr(c.relpartbound, c.oid) as bounds,
  c.reltuples::bigint as estimated_rows,
  pg_table_size(c.oid) as heap_bytes,
  pg_indexes_size(c.oid) as index_bytes
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'app.feed_entries'::regclass;

comment on view dba.feed_partitions is 'Partitions of app.feed_entries: bounds in post ids, rows as last analysed, bytes';

create view dba.counter_deltas as
select
  (select count(*) from app.user_counter_deltas) as user_deltas,
  (select count(*) from app.post_counter_deltas) as post_deltas;

comment on view dba.counter_deltas is 'Appended counter changes that wait to be folded';

grant select on dba.queue, dba.workers, dba.feed_partitions, dba.counter_deltas to monitor;

commit;

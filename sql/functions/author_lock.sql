-- Deploy microblog:functions/author_lock to pg
-- requires: schema/schemas
--
-- Who sees a post is decided by two things that change at once: the posts of an author and the
-- set of their followers. Fan-out (a post, a chunk of a job, the clean-up of a deletion) writes
-- for all followers of one author; a follow or unfollow writes for one follower. Run side by
-- side, each could miss what the other has not committed yet: a follower without the post, or a
-- row left behind by an unfollow.
--
-- So each author has a lock with two modes, as advisory locks held to the end of the transaction:
--   fan-out side    app.author_lock           excludes both sides; one author at a time
--   follower side   app.author_lock_shared    shared among any number of follows and unfollows
-- A statement that comes after the lock was granted sees everything the other side committed.
--
-- Order, everywhere: rows of app.posts and app.follows first, then this lock, then counters
-- (which never wait). Key 0 stands for every author: a bulk statement of the follower side takes
-- it alone instead of thousands of single locks.

begin;
set local role microblog_owner;

create function app.author_lock(author_id bigint)
returns void
language plpgsql
volatile
as $$
begin
  perform pg_advisory_xact_lock_shared(0);
  perform pg_advisory_xact_lock(author_id);
end
$$;

comment on function app.author_lock(bigint) is
  'Fan-out side of an author''s lock: waits for the follows and unfollows of this author under way, holds off new ones until the transaction ends';

create function app.author_lock_shared(author_ids bigint[])
returns void
language plpgsql
volatile
as $$
declare
  v_author_id bigint;
begin
  -- The server's lock table holds max_locks_per_transaction × connections: some thousands by default,
  -- 28,000 as this project configures it.
  if cardinality(author_ids) > 1000 then
    perform pg_advisory_xact_lock(0);
    return;
  end if;
  for v_author_id in select distinct a from unnest(author_ids) a order by a loop
    perform pg_advisory_xact_lock_shared(v_author_id);
  end loop;
end
$$;

comment on function app.author_lock_shared(bigint[]) is
  'Follower side of authors'' locks, in id order: waits for fan-out of these authors under way';

commit;

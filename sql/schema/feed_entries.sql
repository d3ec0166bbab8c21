-- Deploy microblog:schema/feed_entries to pg
-- requires: schema/posts
-- requires: schema/settings

begin;
set local role microblog_owner;

-- One row for each post in each reader's timeline, one's own posts excepted: those are merged in
-- when the feed is read. One index, which is also the order of reading. No foreign keys: a check
-- of each would more than halve the rate of fan-out; what they would do, the triggers on posts,
-- follows and users do, and dba.feed_drift proves. No author: whoever cleans up after one finds the
-- rows by the author's posts, and each row is eight bytes smaller.
create table app.feed_entries (
  user_id bigint not null,
  post_id bigint not null,
  constraint feed_entries_pkey primary key (user_id, post_id)
) partition by range (post_id);

comment on table app.feed_entries is
  'Materialised timelines: post post_id is in the timeline of user_id. Partitioned by the month of the post';
comment on column app.feed_entries.user_id is 'The reader';

-- The two outer partitions are open-ended, so that no post is ever refused for want of a month.
-- They stand in place of a default partition, which would cost the ordered Append of a page.
do $$
declare
  v_month_start constant bigint := app.post_id_at(date_trunc('month', now(), 'UTC'));
begin
  execute format(
    'create table app.feed_entries_past partition of app.feed_entries
       for values from (minvalue) to (%s)',
    v_month_start
  );
  execute format(
    'create table app.feed_entries_future partition of app.feed_entries
       for values from (%s) to (maxvalue)',
    v_month_start
  );
end
$$;

comment on table app.feed_entries_past is 'Entries older than the first month';
comment on table app.feed_entries_future is 'Entries newer than the last month; normally empty';

alter table app.feed_entries enable row level security;

create policy feed_entries_select on app.feed_entries for select to member
  using (user_id = app.current_user_id());

grant select on app.feed_entries to member;

commit;

-- Deploy microblog:schema/post_cards to pg
-- requires: schema/users
-- requires: schema/posts

begin;
set local role microblog_owner;

-- How a post looks on a page. A view over invoker rights, so that the planner looks through it and
-- row security hides deleted accounts. app.feed_page, which has its posts already, repeats the two
-- expressions (a function with sub-selects would not be inlined): they change together.
create view app.post_cards with (security_invoker = true) as
select
  p.id,
  p.content,
  app.post_created_at(p.id) as created_at,
  p.parent_id,
  -- Hardly ever is there a delta at all: one look at the last of them spares one for each post.
  p.replies_count + case
    when p.id <= (select max(d.post_id) from app.post_counter_deltas d)
      then coalesce(
        (select sum(d.replies) from app.post_counter_deltas d where d.post_id = p.id), 0
      )::integer
    else 0
  end as replies_count,
  case
    when u.id is not null then json_build_object('id', u.id, 'username', u.username)
  end as author,
  p.author_id,
  p.is_reply,
  u.id as visible_author_id
from app.posts p
left join app.users u on u.id = p.author_id;

comment on view app.post_cards is 'Posts as pages show them; author is {id, username}, or null once the account is deleted';
comment on column app.post_cards.visible_author_id is 'Null once the account is deleted, even while a job still removes the rest of it';

grant select on app.post_cards to anon, member;

-- What app.feed_rows gathers and app.feed_page makes cards of.
create type app.post_row as (
  id bigint,
  content text,
  parent_id bigint,
  replies_count integer,
  author_id bigint,
  username text collate app.ignore_case
);

comment on type app.post_row is 'A post with its author, as stored';

-- A row of a page.
create type app.page_post as (
  id bigint,
  content text,
  created_at timestamptz,
  parent_id bigint,
  replies_count integer,
  author json
);

comment on type app.page_post is 'A post on a page';

commit;

-- Deploy microblog:functions/thread to pg
-- requires: functions/replies
-- requires: functions/page_tag

begin;
set local role microblog_owner;

create function api.thread(post_id bigint default null, "limit" integer default null)
returns json
language plpgsql
stable
as $$
declare
  v_limit constant integer := app.page_limit("limit");
  v_post app.page_post;
  v_ancestors json;
  v_reply_ids bigint[];
  v_replies json;
  v_thread json;
begin
  perform app.post_require(thread.post_id);
  select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
    into v_post
    from app.post_cards c
    where c.id = thread.post_id;

  -- At most 100 steps up, however long somebody has been replying to themselves.
  with recursive up as (
    select v_post.parent_id as id, 1 as step
    union all
    select p.parent_id, u.step + 1
    from up u
    join app.posts p on p.id = u.id
    where p.parent_id is not null and u.step < 100
  )
  select coalesce(json_agg(a order by a.id), '[]')
    into v_ancestors
    from up u
    cross join lateral (
      select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
      from app.post_cards c
      where c.id = u.id
    ) a;

  with page as (
    select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
    from app.post_cards c
    where c.parent_id = thread.post_id
    order by c.id
    limit v_limit + 1
  )
  select
      array_agg(p.id order by p.id),
      (
        select coalesce(json_agg(s order by s.id), '[]')
        from (select n.* from page n order by n.id limit v_limit) s
      )
    into v_reply_ids, v_replies
    from page p;

  perform app.page_more(
    v_reply_ids, null, v_limit, 'post_id=' || thread.post_id || '&', '/rpc/replies'
  );
  v_thread := json_build_object('ancestors', v_ancestors, 'post', v_post, 'replies', v_replies);
  perform app.page_tell_tag(app.page_tag(concat(v_thread, v_reply_ids), null));
  return v_thread;
end
$$;

comment on function api.thread(bigint, integer) is
$$A post in its conversation

{ancestors, post, replies}: up to 100 posts above it, topmost first; the post; its first replies,
oldest first. limit (1–100, default 20) is for the replies; Link: rel="next" leads to more of
them, at /rpc/replies.$$;

grant execute on function api.thread(bigint, integer) to anon, member;

commit;

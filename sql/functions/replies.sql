-- Deploy microblog:functions/replies to pg
-- requires: functions/page
-- requires: functions/page_tag
-- requires: schema/post_cards

begin;
set local role microblog_owner;

create function app.post_require(post_id bigint)
returns bigint
language plpgsql
stable
as $$
begin
  if post_id is null then
    perform app.http_error(400, 'post_id_required', 'Which post? post_id is missing.',
      'Add ?post_id=<id of a post>.');
  elsif not exists (select from app.posts p where p.id = post_require.post_id) then
    perform app.http_error(404, 'post_not_found', format('There is no post %s.', post_id),
      'It may have been deleted.');
  end if;
  return post_id;
end
$$;

comment on function app.post_require(bigint) is 'The id of a post that exists; 404 otherwise';

grant execute on function app.post_require(bigint) to anon, member;

create function api.replies(
  post_id bigint default null,
  cursor text default null,
  "limit" integer default null
)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
    from app.post_cards c
    where c.parent_id = replies.post_id and c.id > app.page_cursor(cursor, 0)
    order by c.id
    limit app.page_limit("limit") + 1
  )
  select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
  from page p
  where (
    select t.is_told and app.page_tell_tag(t.tag)
    from (
      select
        app.page_more(
          array_agg(n.id order by n.id),
          cursor,
          app.page_limit("limit"),
          'post_id=' || app.post_require(replies.post_id) || '&'
        ) as is_told,
        app.page_tag(
          coalesce(
            string_agg(concat(n.id, ',', n.parent_id, ',', n.replies_count, ',', n.author), ';'), ''
          ),
          null
        ) as tag
      from page n
    ) t
  )
  order by p.id
  limit app.page_limit("limit");
end;

comment on function api.replies(bigint, text, integer) is
$$Direct replies to a post

Oldest first. limit: 1–100, default 20. X-Next-Cursor and Link: rel="next" are there while more
follows.$$;

grant execute on function api.replies(bigint, text, integer) to anon, member;

commit;

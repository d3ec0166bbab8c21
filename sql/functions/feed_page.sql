-- Deploy microblog:functions/feed_page to pg
-- requires: functions/page
-- requires: functions/page_tag
-- requires: schema/post_cards
-- requires: schema/feed_entries
-- requires: functions/feed_rows

begin;
set local role microblog_owner;

-- Invoker rights, no SET, language SQL: so the planner inlines it into the statement that PostgREST
-- prepares, and makes only the columns that are asked for. What is on the page is settled by
-- app.feed_rows, in whose order they stay; here they become cards, in the words of app.post_cards.
--
-- app.feed_entries stands here only to be locked before the statement's snapshot is taken, as the
-- plan of app.feed_rows is too late for that: whoever waits for old months to be dropped must see
-- the horizon that moved with them. It never becomes a node of the plan.
create function app.feed_page(cursor text, "limit" integer, with_own boolean)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select r.id, r.content, r.parent_id, r.replies_count, r.author_id, r.username
    from app.feed_rows(cursor, "limit", with_own) r
    where not exists (select from app.feed_entries e where false)
  )
  select
    p.id,
    p.content,
    app.post_created_at(p.id) as created_at,
    p.parent_id,
    p.replies_count + case
      when p.id <= (select max(d.post_id) from app.post_counter_deltas d)
        then coalesce(
          (select sum(d.replies) from app.post_counter_deltas d where d.post_id = p.id), 0
        )::integer
      else 0
    end as replies_count,
    json_build_object('id', p.author_id, 'username', p.username) as author
  from page p
  where (
    select t.is_told and app.page_tell_tag(t.tag)
    from (
      select
        app.page_more(array_agg(n.id order by n.id desc), cursor, app.page_limit("limit")) as is_told,
        -- In the words of app.feed_tag_rows and app.feed_body, which leave out the counters that are
        -- under way, and pages that show any: they change together.
        app.page_tag(
          concat(
            string_agg(app.page_tag_row(n.id, n.replies_count, n.author_id, n.username), ';'),
            case
              when min(n.id) <= (select max(d.post_id) from app.post_counter_deltas d) then (
                select string_agg(concat(d.post_id, ' ', d.id), ';' order by d.post_id, d.id)
                from app.post_counter_deltas d
                where d.post_id = any (array_agg(n.id))
              )
            end
          ),
          app.current_user_id()
        ) as tag
      from page n
    ) t
  )
  limit app.page_limit("limit");
end;

comment on function app.feed_page(text, integer, boolean) is
  'A page of the timeline of app.current_user_id(), with or without one''s own posts';

grant execute on function app.feed_page(text, integer, boolean) to member;

commit;

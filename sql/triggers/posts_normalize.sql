-- Deploy microblog:triggers/posts_normalize to pg
-- requires: schema/posts
-- requires: functions/http_error

begin;
set local role microblog_owner;

-- Says in words what the constraints say in names. The constraints stay: they hold for COPY with
-- triggers off, and for whatever comes after this function.
create function app.tg_posts__normalize()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_length integer;
begin
  new.content := app.text_trimmed(new.content);
  new.is_reply := new.parent_id is not null;

  v_length := char_length(new.content);
  if v_length is null or v_length = 0 then
    perform app.http_error(400, 'content_empty', 'A post needs content.',
      'Send {"content": "…"} with 1 to 200 characters that are not all white space.');
  elsif v_length > 200 then
    perform app.http_error(400, 'content_too_long',
      format('A post has at most 200 characters; this one has %s.', v_length),
      'Shorten it. Characters are counted as Unicode code points, after trimming white space.');
  end if;
  if new.parent_id is not null
    and not exists (select from app.posts p where p.id = new.parent_id)
  then
    perform app.http_error(404, 'post_not_found',
      format('There is no post %s to reply to.', new.parent_id),
      'It may have been deleted. Leave parent_id out to write a post of its own.');
  end if;
  return new;
end
$$;

comment on function app.tg_posts__normalize() is 'Trims the content, marks replies, refuses bad input in words';

create trigger t10_normalize
before insert on app.posts
for each row
execute function app.tg_posts__normalize();

-- A post is what it was when it was written: entity tags (functions/page_tag) and whatever clients
-- keep rely on it. An author may go (the account is deleted), nobody else may take the place.
create function app.tg_posts__keep()
returns trigger
language plpgsql
volatile
as $$
begin
  raise exception 'A post keeps its content and its author.'
    using errcode = 'integrity_constraint_violation',
      detail = format('The update of post %s was to change them.', old.id),
      hint = 'Delete the post and write another. Clients would go on showing what they have.';
end
$$;

comment on function app.tg_posts__keep() is 'Refuses to change what a post says or who wrote it';

create trigger t10_keep
before update of content, author_id on app.posts
for each row
when (
  old.content collate "C" is distinct from new.content
  or new.author_id is not null and old.author_id is distinct from new.author_id
)
execute function app.tg_posts__keep();

commit;

-- Deploy microblog:triggers/api_posts_insert to pg
-- requires: schema/api_posts
-- requires: schema/idempotency_keys
-- requires: triggers/posts_normalize
-- requires: functions/row_require

begin;
set local role microblog_owner;

-- Invoker rights: grants and policies of app.posts decide. An Idempotency-Key (IETF
-- draft-ietf-httpapi-idempotency-key-header) is claimed by inserting it: of two requests at once
-- the second waits for the first to commit and then gets its post.
create function app.tg_api_posts__insert()
returns trigger
language plpgsql
volatile
as $$
declare
  v_key constant text :=
    nullif(current_setting('request.headers', true), '')::json ->> 'idempotency-key';
  v_fingerprint bytea;
  v_known record;
begin
  if not app.row_written() then
    return null;
  end if;
  if v_key is not null then
    if char_length(v_key) not between 1 and 255 then
      perform app.http_error(400, 'idempotency_key_invalid',
        'An Idempotency-Key has 1 to 255 characters.', 'Use a UUID, one for each post.');
    end if;
    v_fingerprint := sha256(convert_to(
      json_build_array(new.content, new.parent_id)::text, 'UTF8'
    ));
    insert into app.idempotency_keys (key, fingerprint)
      values (v_key, v_fingerprint)
      on conflict on constraint idempotency_keys_pkey do nothing;
    if not found then
      select k.fingerprint, k.post_id, k.xmin = pg_current_xact_id()::xid as is_own
        into v_known
        from app.idempotency_keys k
        where k.user_id = app.current_user_id() and k.key = v_key;
      if v_known.is_own then
        perform app.http_error(400, 'idempotency_key_single',
          'An Idempotency-Key stands for one post; this request has several.',
          'Send one post a request, each with a key of its own.');
      elsif v_known.fingerprint <> v_fingerprint then
        perform app.http_error(422, 'idempotency_key_reused',
          'This Idempotency-Key was used for another post.',
          'Use a new key for each post; repeat a key only with the same body.');
      end if;
      select p.id, p.author_id, p.content, p.parent_id, p.is_reply, p.replies_count, p.created_at
        into new.id, new.author_id, new.content, new.parent_id, new.is_reply, new.replies_count,
          new.created_at
        from api.posts p
        where p.id = v_known.post_id;
      if new.id is null then
        perform app.http_error(410, 'post_deleted',
          'The post made with this Idempotency-Key has been deleted since.',
          'To post again, use a new key.');
      end if;
      return new;
    end if;
  end if;

  begin
    insert into app.posts as p (content, parent_id)
      values (new.content, new.parent_id)
      returning
        p.id, p.author_id, p.content, p.parent_id, p.is_reply, p.replies_count,
        app.post_created_at(p.id)
      into
        new.id, new.author_id, new.content, new.parent_id, new.is_reply, new.replies_count,
        new.created_at;
  exception
    -- The parent, or the account, went away while this was being written.
    when foreign_key_violation then
      perform app.http_error(409, 'gone_meanwhile',
        'The post replied to, or this account, was deleted at the same moment.',
        'Nothing was posted. Read the thread again.');
    when lock_not_available or deadlock_detected then
      perform app.busy();
  end;

  if v_key is not null then
    update app.idempotency_keys k
      set post_id = new.id
      where k.user_id = app.current_user_id() and k.key = v_key;
  end if;
  return new;
end
$$;

comment on function app.tg_api_posts__insert() is 'POST /posts: writes a post or reply, once for each Idempotency-Key';

create trigger t20_insert
instead of insert on api.posts
for each row
execute function app.tg_api_posts__insert();

create trigger t30_insert_row_require
after insert on api.posts
for each statement
execute function app.tg_api__row_require(
  '400', 'body_empty', 'The body holds no post.', 'Send a JSON object: {"content": "…"}.'
);

commit;

-- Deploy microblog:schema/idempotency_keys to pg
-- requires: schema/posts

begin;
set local role microblog_owner;

create table app.idempotency_keys (
  user_id bigint not null default app.current_user_id()
    constraint idempotency_keys_user_id_fkey references app.users (id) on delete cascade,
  key text not null,
  fingerprint bytea not null,
  post_id bigint,
  created_at timestamptz not null default now(),
  constraint idempotency_keys_pkey primary key (user_id, key),
  constraint idempotency_keys_key_check check (char_length(key) between 1 and 255)
);

create index idempotency_keys_created_at_idx on app.idempotency_keys (created_at);

comment on table app.idempotency_keys is
  'Posts made with an Idempotency-Key: a repeat of the request gets the same post instead of a second one';
comment on column app.idempotency_keys.fingerprint is 'SHA-256 of what was posted: the same key with another body is refused';
comment on column app.idempotency_keys.post_id is 'The post that was made; it may have been deleted since';

alter table app.idempotency_keys enable row level security;

create policy idempotency_keys_own on app.idempotency_keys for all to member
  using (user_id = app.current_user_id())
  with check (user_id = app.current_user_id());

grant select on app.idempotency_keys to member;
grant insert (key, fingerprint) on app.idempotency_keys to member;
grant update (post_id) on app.idempotency_keys to member;

commit;

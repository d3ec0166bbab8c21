-- Deploy microblog:schema/sessions to pg
-- requires: schema/users

begin;
set local role microblog_owner;

create table app.sessions (
  jti text not null default gen_random_uuid()::text constraint sessions_pkey primary key,
  user_id bigint not null
    constraint sessions_user_id_fkey references app.users (id) on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);

create index sessions_user_id_idx on app.sessions (user_id);

comment on table app.sessions is
  'Tokens in force. A token whose row is gone is dead, whatever its signature says: that is what makes logout real';
comment on column app.sessions.jti is 'The token''s own id, the jti claim (RFC 7519, 4.1.7)';

create table app.secrets (
  name text constraint secrets_pkey primary key,
  value text not null,
  changed_at timestamptz not null default now(),
  constraint secrets_value_check check (octet_length(value) >= 32)
);

comment on table app.secrets is
  'Keys that functions sign with; granted to nobody. A database setting would be readable by every role';

commit;

-- Deploy microblog:schema/schemas to pg
-- requires: schema/roles
--
--   app         tables, their rules, and the functions that carry them: not reachable over HTTP
--   api         exactly what HTTP may see: PostgREST serves this schema and no other
--   dba         views and functions for operators
--   extensions  contrib modules, out of everybody's search path

begin;

create schema app authorization microblog_owner;
create schema api authorization microblog_owner;
create schema dba authorization microblog_owner;
create schema extensions authorization microblog_owner;

comment on schema app is 'Tables, rules and private functions; not reachable over HTTP';
comment on schema api is $$pg-microblog

Post (200 characters), reply, follow, and read feeds. Sign up at /rpc/signup or log in at
/rpc/login, then send the token as "Authorization: Bearer <token>".$$;
comment on schema dba is 'What operators look at and call: queue, workers, counters, feeds';
comment on schema extensions is 'Contrib modules';

-- A request role needs USAGE on app, because PostgREST calls app.pre_request by its name;
-- what it may touch in there is granted object by object.
grant usage on schema app, api to anon, member;
grant usage on schema app to worker;
grant usage on schema dba to monitor;

-- Without this every new function would be PUBLIC's to execute.
alter default privileges for role microblog_owner revoke execute on functions from public;

create extension if not exists pgcrypto with schema extensions;
create extension if not exists pg_stat_statements with schema extensions;
create extension if not exists dblink with schema extensions;
grant usage on schema extensions to monitor;

-- Usernames compare and are unique without regard to case. The column carries the rule, so that
-- an equality over HTTP (username=eq.Alice), a join and the unique index all agree on it.
create collation app.ignore_case (
  provider = icu,
  locale = 'und-u-ks-level2',
  deterministic = false
);
alter collation app.ignore_case owner to microblog_owner;
comment on collation app.ignore_case is 'Compares without regard to case';

commit;

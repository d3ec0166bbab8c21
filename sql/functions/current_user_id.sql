-- Deploy microblog:functions/current_user_id to pg
-- requires: schema/schemas

begin;
set local role microblog_owner;

-- app.pre_request (or app.feed_answers) sets microblog.user_id once per request, after it has checked
-- the session, so that nothing else has to parse the claims again. A plain expression: it is inlined
-- everywhere.
create function app.current_user_id()
returns bigint
language sql
stable
parallel safe
return nullif(current_setting('microblog.user_id', true), '')::bigint;

comment on function app.current_user_id() is
  'User who makes this request; null without a token. Set by app.pre_request or app.feed_answers for the transaction';

grant execute on function app.current_user_id() to anon, member;

commit;

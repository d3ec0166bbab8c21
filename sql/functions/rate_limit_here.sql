-- Deploy microblog:functions/rate_limit_here to pg
-- requires: functions/rate_limit_hit
--
-- Limits of a page that the proxy asks for (functions/feed_answer). It is made in a transaction that
-- may write, and that commits where the page is sent; so it is counted there, without another
-- session. A request that meets a limit is not: the error undoes all of it, and PostgREST, which the
-- proxy asks instead, counts and refuses it in words.

begin;
set local role microblog_owner;

-- Finds its rules by itself: to look at those few rows costs less than to read rules that are kept as
-- text. What counts is the statement of app.rate_limit_take. Locks as there.
do $do$
begin
  execute format(
    $function$
      create function app.rate_limit_hit_here(
        method text, path text, user_id bigint, address text, out told text
      )
      language plpgsql
      volatile
      as %L
    $function$,
    format(
      $body$
declare
  v_address constant text := app.rate_limit_address(address);
  v_name text;
  v_quota integer;
  v_window integer;
  v_key text;
  v_remaining bigint;
  v_reset_at bigint;
begin
  with rules as materialized (
    select l.id as rule_id, l.name, l.window_seconds, l.quota, l.is_dry_run,
      case when l.scope = 'user' then coalesce('user ' || user_id, v_address) else v_address end as key
    from app.rate_limits l
    where l.is_enabled
      and l.scope <> 'username'
      and (l.scope <> 'anonymous' or user_id is null)
      -- The planner would match patterns first.
      and case when method = any (l.methods) then path ~ l.path_pattern end
      and (
        not exists (select from app.rate_limit_exemptions) or not app.rate_limit_is_exempt(address)
      )
    -- The address last, as in app.rate_limit_rules.
    order by l.scope = 'address', l.id
  ),
  taken as (%s)
  -- A rule that refuses comes first, a dry run too: its refusal is recorded on the usual way. Else the
  -- tightest is told.
  select r.name, r.quota, r.window_seconds, r.key, t.remaining, t.reset_at
    into v_name, v_quota, v_window, v_key, v_remaining, v_reset_at
    from rules r
    left join taken t on t.rule_id = r.rule_id
    where t.rule_id is null or not r.is_dry_run
    order by t.remaining nulls first, r.rule_id
    limit 1;
  if v_remaining is not null then
    told := format(
      app.rate_limit_headers(v_name, v_quota, v_window), v_remaining, v_reset_at,
      greatest(0, v_reset_at - date_part('epoch', statement_timestamp())::bigint)
    );
  elsif v_key is not null then
    perform app.http_error(429, 'rate_limited', case v_key
      when v_address then 'Too many requests by address.'
      else 'Too many requests by user.'
    end);
  end if;
end
      $body$,
      replace(replace(replace(
        app.rate_limit_take(),
        'unnest($1, $2, $3, $4) c (rule_id, window_seconds, quota, key)', 'rules c'), '$5', '1'),
        '$6', 'null')
    )
  );
end
$do$;

comment on function app.rate_limit_hit_here(text, text, bigint, text) is
  'Counts this request, of a user or (null) of nobody, in this transaction. Returns the headers that tell the tightest rule, as response.headers has them; null where no rule concerns it, or only dry runs do. Refuses it (429) where a limit is reached, and then records nothing';

commit;

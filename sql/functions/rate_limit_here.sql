-- Deploy microblog:functions/rate_limit_here to pg
-- requires: functions/rate_limit_hit
--
-- Limits of pages that the proxy asks for (functions/feed_answer). They are made in a transaction that
-- may write, and that commits where the pages are sent; so they are counted there, without another
-- session. Where a limit is met nothing is: the error undoes all of it, and PostgREST, which the
-- proxy asks instead, counts and refuses the request in words.

begin;
set local role microblog_owner;

-- Finds its rules by itself: to look at those few rows costs less than to read rules that are kept as
-- text. What counts is the statement of app.rate_limit_take, each bucket once, with all requests that
-- it counts: so those of one address, asked together, cost one update. Locks as there, and keys of a
-- rule in their order, since others may count the same ones.
do $do$
begin
  execute format(
    $function$
      create function app.rate_limit_hit_here(
        methods text[], paths text[], user_ids bigint[], addresses text[], out told text[]
      )
      language plpgsql
      volatile
      as %L
    $function$,
    format(
      $body$
declare
  v_refused text;
begin
  with requests as materialized (
    select r.n, r.method, r.path, r.user_id, r.address, app.rate_limit_address(r.address) as key
    from unnest(methods, paths, user_ids, addresses)
      with ordinality r (method, path, user_id, address, n)
  ),
  rules as materialized (
    select r.n, l.id as rule_id, l.name, l.window_seconds, l.quota, l.is_dry_run,
      case when l.scope = 'user' then coalesce('user ' || r.user_id, r.key) else r.key end as key,
      l.scope = 'address' as is_shared
    from requests r
    cross join app.rate_limits l
    where l.is_enabled
      and l.scope <> 'username'
      and (l.scope <> 'anonymous' or r.user_id is null)
      -- The planner would match patterns first.
      and case when r.method = any (l.methods) then r.path ~ l.path_pattern end
      and (
        not exists (select from app.rate_limit_exemptions)
        or not app.rate_limit_is_exempt(r.user_id, r.address)
      )
  ),
  -- The address last, as in app.rate_limit_rules.
  calls as materialized (
    select r.rule_id, r.window_seconds, r.quota, r.key, count(*)::integer as cost
    from rules r
    group by r.is_shared, r.rule_id, r.window_seconds, r.quota, r.key
    order by r.is_shared, r.rule_id, r.key
  ),
  taken as (%s),
  -- A rule that refuses comes first, a dry run too: its refusal is recorded on the usual way. Else the
  -- tightest is told.
  tightest as (
    select distinct on (r.n)
      r.n, t.remaining,
      case when r.key like 'user %%' then 'user' else 'address' end as by_what,
      format(
        app.rate_limit_headers(r.name, r.quota, r.window_seconds), t.remaining, t.reset_at,
        greatest(0, t.reset_at - date_part('epoch', statement_timestamp())::bigint)
      ) as headers
    from rules r
    left join taken t on t.rule_id = r.rule_id and t.key = r.key
    where t.rule_id is null or not r.is_dry_run
    order by r.n, t.remaining nulls first, r.rule_id
  )
  select array_agg(t.headers order by r.n), min(t.by_what) filter (where t.remaining is null)
    into told, v_refused
    from requests r
    left join tightest t on t.n = r.n;
  if v_refused is not null then
    perform app.http_error(429, 'rate_limited', format('Too many requests by %%s.', v_refused));
  end if;
end
      $body$,
      replace(replace(replace(
        app.rate_limit_take() || ', b.key',
        'unnest($1, $2, $3, $4) c (rule_id, window_seconds, quota, key)', 'calls c'), '$5', 'c.cost'),
        '$6', 'null')
    )
  );
end
$do$;

comment on function app.rate_limit_hit_here(text[], text[], bigint[], text[]) is
  'Counts requests, arrays of one length, of users or (null) of nobody, in this transaction. Returns of each the headers that tell its tightest rule, as response.headers has them; null where no rule concerns it, or only dry runs do. Refuses all of them (429) where one meets a limit, and then records nothing';

commit;

-- Deploy microblog:functions/rate_limit_here to pg
-- requires: functions/rate_limit_hit
--
-- Limits of a page that the proxy asks for (functions/feed_answer). It is made in a transaction that
-- may write, and that commits where the page is sent; so it is counted there, without another
-- session. A request that meets a limit is not: the error undoes all of it, and PostgREST, which the
-- proxy asks instead, counts and refuses it in words.

begin;
set local role microblog_owner;

-- The statement of app.rate_limit_take for one call. As PL/pgSQL its plan stays in the session.
do $do$
begin
  execute format(
    $function$
      create function app.rate_limit_take_here(
        rules text[], user_id bigint, address text,
        out allowing smallint[], out tightest bigint[]
      )
      language plpgsql
      volatile
      as %L
    $function$,
    format(
      $body$
#variable_conflict use_column
begin
  with taken as (%s)
  select
      array_agg(t.rule_id),
      min(array[t.remaining, t.rule_id, t.reset_at])
        filter (where t.rule_id <> all (rules[5]::smallint[]))
    into allowing, tightest
    from taken t;
end
      $body$,
      replace(replace(replace(replace(replace(replace(
        app.rate_limit_take(),
        '$1', 'rules[6]::smallint[]'), '$2', 'rules[8]::integer[]'), '$3', 'rules[9]::integer[]'),
        '$4', 'format(rules[10], user_id, address)::text[]'), '$5', '1'), '$6', 'null')
    )
  );
end
$do$;

comment on function app.rate_limit_take_here(text[], bigint, text) is
  'Runs app.rate_limit_take for one call, in the transaction of the caller, with rules as app.rate_limit_rules_kept gives them. Returns the rules that allow it, and the tightest of those that are no dry run: calls left, rule, when the whole quota is back';

create function app.rate_limit_hit_here(method text, path text, user_id bigint, address text)
returns text
language plpgsql
volatile
as $$
declare
  v_rules constant text[] := app.rate_limit_rules_kept(
    method, path, user_id is not null, false, null
  );
  v_taken record;
begin
  if v_rules[4] = '0' or v_rules[7] = 't' and app.rate_limit_is_exempt(address) then
    return null;
  end if;
  v_taken := app.rate_limit_take_here(v_rules, user_id, app.rate_limit_address(address));
  if coalesce(cardinality(v_taken.allowing), 0) < v_rules[4]::integer then
    perform app.http_error(429, 'rate_limited', case
      when exists (
        select
        from app.rate_limits l
        where l.id = any (v_rules[6]::smallint[])
          and l.id <> all (coalesce(v_taken.allowing, '{}'))
          and (l.scope = 'address' or rate_limit_hit_here.user_id is null)
      ) then 'Too many requests by address.'
      else 'Too many requests by user.'
    end);
  end if;
  return format(
    v_rules[10 + array_position(v_rules[6]::smallint[], v_taken.tightest[2]::smallint)],
    v_taken.tightest[1], v_taken.tightest[3],
    greatest(0, v_taken.tightest[3] - date_part('epoch', statement_timestamp())::bigint)
  );
end
$$;

comment on function app.rate_limit_hit_here(text, text, bigint, text) is
  'Counts this request, of a user or (null) of nobody, in this transaction. Returns the headers that tell the tightest rule, as response.headers has them; null where no rule concerns it, or only dry runs do. Refuses it (429) where a limit is reached, and then records nothing';

commit;

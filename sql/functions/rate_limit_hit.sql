-- Deploy microblog:functions/rate_limit_hit to pg
-- requires: functions/rate_limit_take
-- requires: functions/http_error
-- requires: functions/response_header
--
-- What a request does about its limits: finds the rules that concern it, has the call counted in
-- another session, and reports or refuses.
--
-- The other session is one libpq connection (dblink) that each backend keeps. It counts and commits
-- by itself, so that reads, refused calls and failed logins count, however the request ends; on a
-- replica it goes to the primary. One round trip of about 0.1 ms for all rules of a request
-- (decision 0013).

begin;

-- Owned by the superuser who deploys: the operating system vouches for the server's own connection
-- to itself, which would let the owner of the schema become anybody. This function can become the
-- role limiter and nobody else, and all that role can do is count. It calls nothing that the owner
-- could replace; the casts keep overloaded functions out.
--
-- A replica asks the server it replicates from. Where that wants a password, it stands in the
-- password file of the server's operating system user.
create function app.rate_limit_connect()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_source constant text := current_setting('primary_conninfo');
  v_host text;
  v_port text := current_setting('port');
begin
  if pg_is_in_recovery() then
    v_host := substring(v_source from $re$\mhost\s*=\s*('(?:[^'\\]|\\.)*'|\S+)$re$);
    v_port := coalesce(substring(v_source from $re$\mport\s*=\s*'?(\d+)$re$), '5432');
  else
    v_host := format('''%s''', regexp_replace(
      split_part(current_setting('unix_socket_directories'), ',', 1), '([\\''])', '\\\1', 'g'
    ));
  end if;
  if 'rate_limits' = any (extensions.dblink_get_connections()) then
    perform extensions.dblink_disconnect('rate_limits'::text);
  end if;
  perform extensions.dblink_connect('rate_limits'::text, format(
    'host=%s port=%s dbname=''%s'' user=limiter application_name=rate_limits connect_timeout=3',
    v_host, v_port, regexp_replace(current_database(), '([\\''])', '\\\1', 'g')
  ));
end
$$;

comment on function app.rate_limit_connect() is
  'Opens this backend''s connection "rate_limits" to the primary, as the role limiter';

revoke execute on function app.rate_limit_connect() from public;
grant execute on function app.rate_limit_connect() to microblog_owner;

set local role microblog_owner;

-- An IPv6 network is what one customer has: its addresses share a count.
create function app.rate_limit_address(address text)
returns text
language plpgsql
immutable
parallel safe
as $$
declare
  v_address inet;
begin
  if address ~ '^[0-9.]+$' then
    return address;
  end if;
  begin
    v_address := address::inet;
  exception
    when invalid_text_representation then
      return 'unknown';
  end;
  return case
    when v_address is null then 'unknown'
    when family(v_address) = 4 then host(v_address)
    when v_address <<= '::ffff:0.0.0.0/96' then substring(host(v_address) from '[0-9.]+$')
    else network(set_masklen(v_address, 64))::text
  end;
end
$$;

comment on function app.rate_limit_address(text) is
  'Key of an address: itself, or the /64 of an IPv6 address; "unknown" for what is none';

create function app.rate_limit_report(
  name text,
  quota integer,
  window_seconds integer,
  remaining bigint,
  reset_at bigint
)
returns void
language plpgsql
volatile
as $$
declare
  v_set text := nullif(current_setting('response.headers', true), '');
begin
  -- Of several hits of one request the tighter one is reported.
  if v_set like '%"X-RateLimit-%' then
    if remaining > (
      select min((h ->> 'X-RateLimit-Remaining')::integer) from json_array_elements(v_set::json) h
    ) then
      return;
    end if;
    select json_agg(h)::text
      into v_set
      from json_array_elements(v_set::json) h
      where h::text not like '%RateLimit%';
  end if;
  perform set_config(
    'response.headers',
    format(
      '[{"X-RateLimit-Limit": "%s"}, {"X-RateLimit-Remaining": "%s"}, {"X-RateLimit-Reset": "%s"},'
      ' {"RateLimit-Policy": "\"%s\";q=%s;w=%s"}, {"RateLimit": "\"%s\";r=%s;t=%s"}%s',
      quota, remaining, reset_at, name, quota, window_seconds, name, remaining,
      greatest(0, reset_at - date_part('epoch', statement_timestamp())::bigint),
      coalesce(', ' || ltrim(v_set, '['), ']')
    ),
    true
  );
end
$$;

comment on function app.rate_limit_report(text, integer, integer, bigint, bigint) is
  'Sets the headers X-RateLimit-* (reset: seconds since 1970) and RateLimit, RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers) of a rule';

-- The rules for a kind of request, as text: when they were read, which request they are for, then
-- arrays of ids, windows, quotas, dry runs, scopes and names, and whether anybody is exempt.
--
-- The address last: many requests share it, and its bucket stays locked until the commit.
create function app.rate_limit_rules(
  request text,
  method text,
  path text,
  has_user boolean,
  has_username boolean,
  has_further_rows boolean
)
returns text
language sql
stable
begin atomic
  select concat_ws(
    chr(10),
    date_part('epoch', statement_timestamp()),
    request,
    array_agg(r.id),
    array_agg(r.window_seconds),
    array_agg(r.quota),
    array_agg(r.is_dry_run),
    array_agg(r.scope),
    array_agg(r.name),
    (select count(*) > 0 from app.rate_limit_exemptions)
  )
  from (
    select l.id, l.window_seconds, l.quota, l.is_dry_run, l.scope, l.name
    from app.rate_limits l
    where l.is_enabled
      and rate_limit_rules.method = any (l.methods)
      and rate_limit_rules.path ~ l.path_pattern
      and (l.scope = 'username') = has_username
      and (l.scope <> 'anonymous' or not has_user)
      and (l.counts_rows or not has_further_rows)
    order by l.scope = 'address', l.id
  ) r;
end;

comment on function app.rate_limit_rules(text, text, text, boolean, boolean, boolean) is
  'The enabled rules for a kind of request, as app.rate_limit_hit keeps them in its session';

-- Sends a statement to the session that counts; its rows have three numbers.
create function app.rate_limit_ask(statement text)
returns bigint[]
language plpgsql
volatile
as $$
declare
  v_rows bigint[];
begin
  for v_attempt in 1 .. 2 loop
    begin
      if v_attempt = 2 then
        perform app.rate_limit_connect();
        perform extensions.dblink_exec('rate_limits', format(
          'prepare take (smallint[], integer[], integer[], text[], integer, double precision) as %s',
          app.rate_limit_take()
        ));
      end if;
      select array_agg(array[t.a, t.b, t.c])
        into v_rows
        from extensions.dblink('rate_limits', statement) t (a bigint, b bigint, c bigint);
      return v_rows;
    exception
      when lock_not_available then
        perform app.busy();
      -- Not connected yet, or not any more; after a deployment, a stale prepared statement.
      when others then
        if v_attempt = 2 then
          perform app.http_error(503, 'rate_limits_unavailable',
            'Requests cannot be counted at the moment; nothing was done.',
            'Send the request again in a moment.');
        end if;
    end;
  end loop;
end
$$;

comment on function app.rate_limit_ask(text) is
  'Runs a statement in the session that counts, which it connects where need be; returns its rows';

create function app.rate_limit_hit(username text default null, further_rows integer default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_method constant text := current_setting('request.method', true);
  v_path constant text := current_setting('request.path', true);
  v_user_id constant bigint := app.current_user_id();
  v_address constant text := app.rate_limit_address(
    nullif(current_setting('request.headers', true), '')::json ->> 'x-forwarded-for'
  );
  v_cost constant integer := coalesce(further_rows, 1);
  v_request constant text := concat(
    v_method, v_path, v_user_id is null, username is null, further_rows is null
  );
  v_cache constant text := 'microblog.rate_limits_' || (hashtext(v_request) & 15);
  v_rules text[] := string_to_array(current_setting(v_cache, true), chr(10));
  v_ids smallint[];
  v_keys text[];
  v_answer bigint[];
  v_row bigint[];
  v_rule integer;
  v_binding integer;
  v_remaining bigint;
  v_reset_at bigint;
  v_retry_after bigint;
begin
  -- Looking the rules up anew for every request would cost a third of all this. Sixteen settings,
  -- not one for each request: every commit walks through them all.
  if v_rules[2] is distinct from v_request
    or v_rules[1]::double precision < date_part('epoch', statement_timestamp()) - 0.5
  then
    v_rules := string_to_array(
      set_config(
        v_cache,
        app.rate_limit_rules(
          v_request, v_method, v_path, v_user_id is not null, username is not null,
          further_rows is not null
        ),
        false
      ),
      chr(10)
    );
  end if;
  if cardinality(v_rules) < 9 then
    return;
  end if;
  -- By itself: together with another condition it would be planned anew for every request.
  if v_rules[9] = 't' then
    perform
      from app.rate_limit_exemptions e
      where e.user_id = v_user_id
        or e.address >>= case when v_address <> 'unknown' then v_address::inet end;
    if found then
      return;
    end if;
  end if;

  v_ids := v_rules[3];
  v_keys := v_rules[7];
  for n in 1 .. cardinality(v_keys) loop
    v_keys[n] := case
      when v_keys[n] = 'user' and v_user_id is not null then 'user ' || v_user_id
      when v_keys[n] = 'username' then 'name ' || lower(left(username, 50))
      else v_address
    end;
  end loop;
  v_answer := app.rate_limit_ask(format('execute take (%L, %L, %L, %L, %s, null)',
    v_rules[3], v_rules[4], v_rules[5], v_keys, v_cost));

  -- Who allows the call says how many are left; the least of these is told.
  if v_answer is not null then
    foreach v_row slice 1 in array v_answer loop
      v_rule := array_position(v_ids, v_row[1]::smallint);
      v_ids[v_rule] := null;
      if (v_remaining is null or v_row[2] < v_remaining)
        and not (v_rules[6]::boolean[])[v_rule]
      then
        v_binding := v_rule;
        v_remaining := v_row[2];
        v_reset_at := v_row[3];
      end if;
    end loop;
  end if;

  -- Who says nothing refuses; of these the one that refuses for longest.
  v_ids := array_remove(v_ids, null);
  if cardinality(v_ids) > 0 then
    v_answer := app.rate_limit_ask((
      select format('select * from app.rate_limit_refuse(%L, %L, %L, %L, %s, null)',
        array_agg(r.id), array_agg(r.window_seconds), array_agg(r.quota), array_agg(r.key), v_cost)
      from unnest(
        v_rules[3]::smallint[], v_rules[4]::integer[], v_rules[5]::integer[], v_keys
      ) r (id, window_seconds, quota, key)
      where r.id = any (v_ids)
    ));
    foreach v_row slice 1 in array v_answer loop
      v_rule := array_position(v_rules[3]::smallint[], v_row[1]::smallint);
      if (v_retry_after is null or v_row[3] > v_retry_after)
        and not (v_rules[6]::boolean[])[v_rule]
      then
        v_binding := v_rule;
        v_remaining := 0;
        v_reset_at := v_row[2];
        v_retry_after := v_row[3];
      end if;
    end loop;
  end if;

  if v_binding is null then
    return;
  end if;
  perform app.rate_limit_report(
    (v_rules[8]::text[])[v_binding], (v_rules[5]::integer[])[v_binding],
    (v_rules[4]::integer[])[v_binding], v_remaining, v_reset_at
  );
  if v_retry_after is not null then
    perform app.response_header('Retry-After', v_retry_after::text);
    perform app.http_error(429, 'rate_limited',
      format('Too many requests: the limit %s allows %s in %s seconds.',
        (v_rules[8]::text[])[v_binding], (v_rules[5]::integer[])[v_binding],
        (v_rules[4]::integer[])[v_binding]),
      case
        when further_rows >= (v_rules[5]::integer[])[v_binding]
          then format('Each row counts: send at most %s in one request.',
            (v_rules[5]::integer[])[v_binding])
        else format('Try again in %s seconds.', v_retry_after)
      end);
  end if;
end
$$;

comment on function app.rate_limit_hit(text, integer) is
  'Counts this request against the rules that concern it, sets the headers that tell, and refuses it (429) where a limit is reached. username: against rules by username alone; further_rows: rows beyond the first, against rules that count rows alone';

grant execute on function app.rate_limit_hit(text, integer) to anon, member;

commit;

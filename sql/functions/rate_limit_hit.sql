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
-- A replica asks the server it replicates from, in the way in which it replicates: whatever
-- primary_conninfo says of hosts, certificates and password file holds, but for the user, whose
-- password is another one. Of several hosts it is the one that writes.
create function app.rate_limit_connect()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_source constant text := current_setting('primary_conninfo');
  v_target text;
begin
  if pg_is_in_recovery() and v_source = '' then
    raise object_not_in_prerequisite_state using
      message = 'this replica has no primary_conninfo, so that it cannot reach the primary';
  elsif pg_is_in_recovery() and v_source ~ '^postgres(ql)?://' then
    v_target := format(
      '%s%suser=limiter&password=&dbname=%s&application_name=rate_limits&connect_timeout=2'
      '&target_session_attrs=read-write',
      v_source, case when position('?' in v_source) > 0 then '&' else '?' end,
      regexp_replace(
        encode(convert_to(current_database(), 'UTF8'), 'hex'), '(..)', '%\1', 'g'
      )
    );
  else
    -- What comes later in a connection string holds.
    v_target := format(
      '%s user=limiter password='''' dbname=''%s'' application_name=rate_limits connect_timeout=2',
      case
        when pg_is_in_recovery() then v_source || ' target_session_attrs=read-write'
        else format('host=''%s'' port=%s',
          regexp_replace(
            split_part(current_setting('unix_socket_directories'), ',', 1), '([\\''])', '\\\1', 'g'
          ),
          current_setting('port'))
      end,
      regexp_replace(current_database(), '([\\''])', '\\\1', 'g')
    );
  end if;
  if 'rate_limits' = any (extensions.dblink_get_connections()) then
    perform extensions.dblink_disconnect('rate_limits'::text);
  end if;
  perform extensions.dblink_connect('rate_limits'::text, v_target);
end
$$;

comment on function app.rate_limit_connect() is
  'Opens this backend''s connection "rate_limits" to the primary, as the role limiter';

revoke execute on function app.rate_limit_connect() from public;
grant execute on function app.rate_limit_connect() to microblog_owner;

set local role microblog_owner;

create function app.rate_limits_unavailable()
returns void
language sql
volatile
begin atomic
  select app.http_error(503, 'rate_limits_unavailable',
    'Requests cannot be counted at the moment; nothing was done.',
    'Send the request again in a moment.');
end;

comment on function app.rate_limits_unavailable() is
  'Refuses a request that cannot be counted: 503';

-- Where the primary cannot be reached, an attempt may take as long as its timeout, which not every
-- request shall wait for: after a failure this backend makes none for a second. Only a prepared
-- statement can remember that: the request is rolled back, and a replica has nothing to write to.
--
-- What a replica prepares on its primary has a name of its own. Once the replica is promoted, it asks
-- for the other name (app.rate_limit_rules), which that session does not know, and connects to
-- itself, though the old primary may still be there.
create function app.rate_limit_reconnect()
returns void
language plpgsql
volatile
as $$
declare
  v_failed_at double precision;
  v_detail text;
begin
  select substring(p.statement from '[0-9.]+')::double precision
    into v_failed_at
    from pg_catalog.pg_prepared_statements p
    where p.name = 'rate_limits_failed_at';
  if date_part('epoch', clock_timestamp()) - v_failed_at between 0 and 1 then
    raise object_not_in_prerequisite_state using message = 'the last attempt has just failed';
  end if;
  perform app.rate_limit_connect();
  perform extensions.dblink_exec('rate_limits', format(
    'prepare %s (smallint[], integer[], integer[], text[], integer, double precision) as %s',
    case when pg_is_in_recovery() then 'take_from_replica' else 'take' end, app.rate_limit_take()
  ));
exception
  when others then
    if date_part('epoch', clock_timestamp()) - v_failed_at between 0 and 1 then
      raise;
    end if;
    get stacked diagnostics v_detail = pg_exception_detail;
    raise log 'requests cannot be counted: %', concat_ws('. ', sqlerrm, v_detail);
    if v_failed_at is not null then
      deallocate rate_limits_failed_at;
    end if;
    execute format(
      'prepare rate_limits_failed_at as select %s', date_part('epoch', clock_timestamp())
    );
    raise;
end
$$;

comment on function app.rate_limit_reconnect() is
  'Opens the connection to the session that counts, and prepares its statement; fails at once for a second after a failure';

-- One way to write an address: an IPv4 address within IPv6 is that IPv4 address.
create function app.rate_limit_inet(address text)
returns inet
language plpgsql
immutable
parallel safe
as $$
declare
  v_address inet;
begin
  v_address := address;
  return case
    when v_address <<= '::ffff:0.0.0.0/96'
      then substring(host(v_address) from '[0-9.]+$')::inet
    else v_address
  end;
exception
  when invalid_text_representation then
    return null;
end
$$;

comment on function app.rate_limit_inet(text) is 'An address as it was forwarded; null for what is none';

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
  v_address := app.rate_limit_inet(address);
  return case
    when v_address is null then 'unknown'
    when family(v_address) = 4 then host(v_address)
    else network(set_masklen(v_address, 64))::text
  end;
end
$$;

comment on function app.rate_limit_address(text) is
  'Key of an address: itself, or the /64 of an IPv6 address; "unknown" for what is none';

-- The address itself, not its key: an exemption may be narrower than a /64.
create function app.rate_limit_is_exempt(user_id bigint, address text)
returns boolean
language plpgsql
stable
as $$
declare
  v_address constant inet := app.rate_limit_inet(address);
begin
  return exists (
    select
    from app.rate_limit_exemptions e
    where e.user_id = rate_limit_is_exempt.user_id or e.address >>= v_address
  );
end
$$;

comment on function app.rate_limit_is_exempt(bigint, text) is
  'Whether no rule counts a request, by its user (null: nobody) or by the address it was forwarded for';

-- X-RateLimit-* and RateLimit, RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers).
create function app.rate_limit_headers(name text, quota integer, window_seconds integer)
returns text
language sql
stable
parallel safe
return format(
  '[{"X-RateLimit-Limit": "%2$s"}, {"X-RateLimit-Remaining": "%%1$s"},'
  ' {"X-RateLimit-Reset": "%%2$s"}, {"RateLimit-Policy": "\"%1$s\";q=%2$s;w=%3$s"},'
  ' {"RateLimit": "\"%1$s\";r=%%1$s;t=%%3$s"}]',
  name, quota, window_seconds
);

comment on function app.rate_limit_headers(text, integer, integer) is
  'The headers that tell a rule, as response.headers has them: for format() with the calls left, the time of the reset (seconds since 1970) and the seconds to it';

-- The rules for a kind of request, as lines of text that app.rate_limit_hit keeps in its session:
--
--   1  when they were read, seconds since 1970
--   2  which request they are for
--   3  the call to the session that counts: for format() with user id, address and username
--   4  how many rules there are
--   5  ids of those that are dry runs, an array
--   6  ids of all, an array
--   7  whether anybody is exempt
--   8  and following: the headers that tell the first rule, the second and so on: for format() with
--      what is left, the time of the reset and the seconds to it
--
-- The address last: many requests share it, and its bucket stays locked until the commit.
create function app.rate_limit_rules(
  request text,
  method text,
  path text,
  has_user boolean,
  has_username boolean,
  further_rows integer
)
returns text
language plpgsql
stable
as $$
begin
  return (
    select concat_ws(
      chr(10),
      date_part('epoch', statement_timestamp()),
      request,
      format('execute %s (%L, %L, %L, array[%s], %s, null)',
        case when pg_is_in_recovery() then 'take_from_replica' else 'take' end,
        array_agg(r.id), array_agg(r.window_seconds), array_agg(r.quota), string_agg(r.key, ', '),
        coalesce(further_rows, 1)),
      count(*),
      coalesce(array_agg(r.id) filter (where r.is_dry_run), '{}'),
      coalesce(array_agg(r.id), '{}'),
      (select count(*) > 0 from app.rate_limit_exemptions),
      string_agg(r.headers, chr(10))
    )
    from (
      select l.id, l.window_seconds, l.quota, l.is_dry_run,
        case
          when l.scope = 'username' then '%3$L'
          when l.scope = 'user' and has_user then '''user %1$s'''
          else '%2$L'
        end as key,
        app.rate_limit_headers(l.name, l.quota, l.window_seconds) as headers
      from app.rate_limits l
      where l.is_enabled
        and rate_limit_rules.method = any (l.methods)
        and rate_limit_rules.path ~ l.path_pattern
        and (l.scope = 'username') = has_username
        and (l.scope <> 'anonymous' or not has_user)
        and (l.counts_rows or further_rows is null)
      order by l.scope = 'address', l.id
    ) r
  );
end
$$;

comment on function app.rate_limit_rules(text, text, text, boolean, boolean, integer) is
  'The enabled rules for a kind of request, in the form in which a session keeps them for half a second';

-- Of several hits of one request the tighter one is told.
create function app.rate_limit_tell(headers text, remaining bigint, reset_at bigint)
returns void
language plpgsql
volatile
as $$
declare
  v_set text := nullif(current_setting('response.headers', true), '');
begin
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
    rtrim(
      format(headers, remaining, reset_at,
        greatest(0, reset_at - date_part('epoch', statement_timestamp())::bigint)),
      ']'
    ) || coalesce(', ' || ltrim(v_set, '['), ']'),
    true
  );
end
$$;

comment on function app.rate_limit_tell(text, bigint, bigint) is
  'Sets the headers of a rule, given as app.rate_limit_rules makes them';

-- For a request that some rules did not allow: has the refusals recorded, tells how long until the
-- same request gets through all of its rules, and ends it, unless the refusals are dry runs.
--
-- How many rows a write has is not known before its statement has met them all, and for whom a login
-- asks not before its body is read; the wait depends on it. Until then, rows is null and the refusal
-- is only noted: app.row_written has the other rows passed over, and app.rate_limit_end refuses at
-- the statement's end, or at the login's beginning. What the refusing rules have counted of the
-- request by then is given back.
create function app.rate_limit_refuse_request(
  refusing smallint[],
  username text,
  rows integer,
  counted integer
)
returns void
language plpgsql
volatile
as $$
declare
  v_user_id constant bigint := app.current_user_id();
  v_method constant text := current_setting('request.method', true);
  v_path constant text := current_setting('request.path', true);
  v_address constant text := app.rate_limit_address(
    nullif(current_setting('request.headers', true), '')::json ->> 'x-forwarded-for'
  );
  v_rules text[];
  v_ids smallint[];
  v_headers text[];
  v_call text;
  v_is_enforced boolean;
  v_counts_rows boolean;
  v_rows_max integer;
  v_refusal record;
begin
  v_rules := string_to_array(
    app.rate_limit_rules('', v_method, v_path, v_user_id is not null, false, null), chr(10)
  );
  v_ids := v_rules[6];
  v_headers := v_rules[8 :];
  if username is not null then
    v_rules := string_to_array(
      app.rate_limit_rules('', v_method, v_path, v_user_id is not null, true, null), chr(10)
    );
    v_ids := v_ids || v_rules[6]::smallint[];
    v_headers := v_headers || v_rules[8 :];
  end if;
  select
    format('select * from app.rate_limit_refuse(%L, %L, %L, %L, %L, %L, %s, %s, null)',
      array_agg(l.id order by l.scope = 'address', l.id),
      array_agg(l.window_seconds order by l.scope = 'address', l.id),
      array_agg(l.quota order by l.scope = 'address', l.id),
      array_agg(
        case
          when l.scope = 'username'
            then 'name ' || lower(left(rate_limit_refuse_request.username, 50))
          when l.scope = 'user' and v_user_id is not null then 'user ' || v_user_id
          else v_address
        end
        order by l.scope = 'address', l.id
      ),
      array_agg(case when l.counts_rows then coalesce(rows, 1) else 1 end
        order by l.scope = 'address', l.id),
      array_agg(l.id = any (refusing) order by l.scope = 'address', l.id),
      counted, date_part('epoch', now())),
    coalesce(bool_or(l.id = any (refusing) and not l.is_dry_run), false),
    bool_or(l.counts_rows and not l.is_dry_run),
    min(l.quota) filter (where l.counts_rows and not l.is_dry_run)
    into v_call, v_is_enforced, v_counts_rows, v_rows_max
    from app.rate_limits l
    where l.id = any (v_ids);
  if v_is_enforced and rows is null
    -- What ends at app.rate_limit_end in any case; anything else would get through.
    and (
      v_counts_rows and v_user_id is not null and v_method || v_path
        in ('POST/posts', 'DELETE/posts', 'PATCH/users', 'POST/follows', 'DELETE/follows')
      -- A token whose session has ended is refused before.
      or username is null and v_method || v_path = 'POST/rpc/login'
        and (v_user_id is not null or current_setting('role') = 'anon')
    )
  then
    perform set_config('microblog.refusing', refusing::text, true);
    perform set_config('microblog.rows_counted', counted::text, true);
    return;
  end if;

  for v_attempt in 1 .. 2 loop
    begin
      if v_attempt = 2 then
        perform app.rate_limit_reconnect();
      end if;
      select l.name, l.quota, l.window_seconds, t.reset_at, t.retry_after, r.headers
        into v_refusal
        from extensions.dblink('rate_limits', v_call)
          t (rule_id smallint, reset_at bigint, retry_after integer)
        join app.rate_limits l on l.id = t.rule_id
        join unnest(v_ids, v_headers) r (rule_id, headers) on r.rule_id = t.rule_id
        where not l.is_dry_run
        order by t.retry_after desc, l.id = any (refusing) desc
        limit 1;
      exit;
    exception
      when lock_not_available or deadlock_detected then
        perform app.busy();
      when others then
        if v_attempt = 2 then
          perform app.rate_limits_unavailable();
        end if;
    end;
  end loop;
  if not v_is_enforced then
    return;
  end if;
  perform app.rate_limit_tell(v_refusal.headers, 0, v_refusal.reset_at);
  -- No wait would help it.
  if rows > v_rows_max then
    perform app.http_error(400, 'rows_too_many',
      format('A request writes at most %s rows here.', v_rows_max),
      format('Nothing was written. Each row counts: send at most %s in one request.', v_rows_max));
  end if;
  perform app.response_header('Retry-After', v_refusal.retry_after::text);
  perform app.http_error(429, 'rate_limited',
    format('Too many requests: the limit %s allows %s in %s seconds.',
      v_refusal.name, v_refusal.quota, v_refusal.window_seconds),
    format('Try again in %s seconds.', v_refusal.retry_after));
end
$$;

comment on function app.rate_limit_refuse_request(smallint[], text, integer, integer) is
  'Records that these rules refuse the request, and answers 429 with the longest wait. username: the one that a login asks for; rows: what it costs the rules that count rows, null where not all of the request is known; counted: how many of them these rules have counted';

-- Every request comes by here, and plpgsql makes each expression anew in each transaction: hence
-- the few and long ones, and rules that are kept as text ready for use.
create function app.rate_limit_hit(
  username text default null,
  further_rows integer default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_user_id constant bigint := app.current_user_id();
  -- As PostgREST writes it out: within a value, quotes have a backslash.
  v_address text := split_part(
    split_part(current_setting('request.headers', true), '"x-forwarded-for":"', 2), '"', 1
  );
  v_request constant text := concat(
    current_setting('request.method', true), current_setting('request.path', true),
    v_user_id is null, username is null, further_rows
  );
  v_cache constant text := 'microblog.rate_limits_' || (hashtext(v_request) & 15);
  v_rules text[] := string_to_array(current_setting(v_cache, true), chr(10));
  v_ids smallint[];
  v_allowing smallint[];
  v_tightest bigint[];
  v_told text;
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
          v_request, current_setting('request.method', true),
          current_setting('request.path', true), v_user_id is not null, username is not null,
          further_rows
        ),
        false
      ),
      chr(10)
    );
  end if;
  if v_rules[4] = '0' then
    return;
  end if;
  if v_rules[7] = 't' or v_address ~ '^[0-9.]+$' is not true then
    if v_address = '' is not false then
      v_address := nullif(current_setting('request.headers', true), '')::json ->> 'x-forwarded-for';
    end if;
    if v_rules[7] = 't' and app.rate_limit_is_exempt(v_user_id, v_address) then
      return;
    end if;
    v_address := app.rate_limit_address(v_address);
  end if;

  for v_attempt in 1 .. 2 loop
    begin
      if v_attempt = 2 then
        perform app.rate_limit_reconnect();
      end if;
      select array_agg(t.rule_id),
        min(array[t.remaining, t.rule_id, t.reset_at])
          filter (where t.rule_id <> all (v_rules[5]::smallint[]))
        into v_allowing, v_tightest
        from extensions.dblink(
          'rate_limits',
          format(v_rules[3], v_user_id, v_address, 'name ' || lower(left(username, 50)))
        ) t (rule_id smallint, remaining bigint, reset_at bigint);
      exit;
    exception
      when lock_not_available or deadlock_detected then
        perform app.busy();
      -- Not connected yet, or not any more; after a deployment, a stale prepared statement.
      when others then
        if v_attempt = 2 then
          perform app.rate_limits_unavailable();
        end if;
    end;
  end loop;

  v_ids := v_rules[6];
  if coalesce(cardinality(v_allowing), 0) < cardinality(v_ids) then
    perform app.rate_limit_refuse_request(
      array(select i from unnest(v_ids) i where i <> all (coalesce(v_allowing, '{}'))),
      username, null,
      case
        when further_rows is null then 0
        else coalesce(nullif(current_setting('microblog.rows_written', true), '')::integer - 1, 1)
      end
    );
  end if;
  if v_tightest is null then
    return;
  elsif current_setting('response.headers', true) <> '' then
    perform app.rate_limit_tell(
      v_rules[7 + array_position(v_ids, v_tightest[2]::smallint)], v_tightest[1], v_tightest[3]
    );
  else
    -- As app.rate_limit_tell does it, for the first headers of a request, in one expression.
    v_told := set_config(
      'response.headers',
      format(
        v_rules[7 + array_position(v_ids, v_tightest[2]::smallint)], v_tightest[1], v_tightest[3],
        greatest(0, v_tightest[3] - date_part('epoch', statement_timestamp())::bigint)
      ),
      true
    );
  end if;
end
$$;

comment on function app.rate_limit_hit(text, integer) is
  'Counts this request against the rules that concern it, sets the headers that tell, and refuses it (429) where a limit is reached. username: against rules by username alone; further_rows: rows beyond the first, against rules that count rows alone';

grant execute on function app.rate_limit_hit(text, integer) to anon, member;

commit;

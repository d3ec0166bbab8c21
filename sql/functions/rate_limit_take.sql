-- Deploy microblog:functions/rate_limit_take to pg
-- requires: schema/rate_limits
--
-- The counting itself. It runs in a session of its own (role limiter, see
-- functions/rate_limit_hit), so that a count stays whatever becomes of the request: PostgREST reads
-- in READ ONLY transactions, and rolls a refused write back. functions/rate_limit_here is the exception.

begin;
set local role microblog_owner;

-- Counts a call in the buckets of several rules and returns a row for each rule that allows it; each
-- rule decides by itself. One prepared statement, because every request waits for it: as a plpgsql
-- function it took two to three times as long (decision 0013).
--
--   $1 … $4  rule ids, windows in seconds, quotas, keys: arrays of one length
--   $5       what the call costs: 1, or the number of rows
--   $6       the time, seconds since 1970; null for the clock
--
-- A call in slot s sees slots s - 20 to s. Whatever stretch as long as the window ends with it
-- lies in these 21, so no such stretch ever holds more than the quota. The price: a quota lasts for
-- a window and a twentieth, so that a steady caller gets 95 % of it. A clock that goes back opens no
-- older slot, the call counts in the newest there is.
--
-- A bucket keeps how many calls there had been at the end of each slot, so what the window holds is
-- a difference, and a call in the newest slot changes one number. With the calls of each slot it would be
-- a sum, and a loop.
--
-- A refused call does not count for the rule that refuses it: the wait it is told would be over
-- only for those who do not ask.
--
-- Locks: rows of app.rate_limit_buckets, in the order of the arrays, which is the same for all.
create function app.rate_limit_take()
returns text
language sql
immutable
return $statement$
  insert into app.rate_limit_buckets as b (
    rule_id, window_seconds, key, slot, quota, hit_count, past_counts
  )
  select
    c.rule_id, c.window_seconds, c.key,
    floor(coalesce($6, date_part('epoch', clock_timestamp())) * 20 / c.window_seconds),
    c.quota, $5, array_fill(0, '{21}')
  from unnest($1, $2, $3, $4) c (rule_id, window_seconds, quota, key)
  where c.quota >= $5
  on conflict on constraint rate_limit_buckets_pkey do update
    set slot = greatest(b.slot, excluded.slot),
      quota = excluded.quota,
      hit_count = b.hit_count + excluded.hit_count,
      past_counts = case
        when excluded.slot <= b.slot then b.past_counts
        else array_fill(b.hit_count, array[least(excluded.slot - b.slot, 21)::integer])
          || b.past_counts[: 21 - least(excluded.slot - b.slot, 21)::integer]
      end
    where excluded.quota - excluded.hit_count >= b.hit_count - case
      when excluded.slot <= b.slot then b.past_counts[21]
      when excluded.slot < b.slot + 21 then b.past_counts[21 - (excluded.slot - b.slot)::integer]
      else b.hit_count
    end
  returning b.rule_id, b.quota - b.hit_count + b.past_counts[21] as remaining,
    ((b.slot + 21) * b.window_seconds + 19) / 20 as reset_at
$statement$;

comment on function app.rate_limit_take() is
  'The statement that counts a call: for each rule that allows it, the calls left and when (seconds since 1970) the whole quota is back';

create function app.rate_limit_hits(bucket app.rate_limit_buckets, place integer)
returns bigint
language sql
immutable
return case place when 1 then bucket.hit_count else bucket.past_counts[place - 1] end
  - bucket.past_counts[place];

comment on function app.rate_limit_hits(app.rate_limit_buckets, integer) is
  'Calls in the slot at this place of a bucket, 1 (the newest) to 21';

-- For a request that some rules refuse: when the same request would get through. All of its rules
-- are asked, for one that has just allowed it may be full now. A bucket's oldest hits are the first
-- to leave the window; the request waits until so many have left that there is room for its cost.
--
-- The rows of a request are counted one by one. Where a rule has counted some when it refuses the
-- next, it gives them back. Which slots they lie in is not recorded; they are none before
-- counted_since, and to take the oldest hits from there on forgets nothing too early.
--
-- Locks: rows of app.rate_limit_buckets, in the order of the arrays.
create function app.rate_limit_refuse(
  rule_ids smallint[],
  windows integer[],
  quotas integer[],
  keys text[],
  costs integer[],
  refusing boolean[],
  counted integer,
  counted_since double precision,
  at double precision
)
returns table (rule_id smallint, reset_at bigint, retry_after integer)
language plpgsql
volatile
as $$
#variable_conflict use_column
declare
  v_epoch constant double precision := coalesce(at, date_part('epoch', clock_timestamp()));
  v_bucket app.rate_limit_buckets;
  v_total bigint;
  v_position integer;
  v_back integer;
  v_from_slot integer;
begin
  for n in 1 .. cardinality(rule_ids) loop
    if refusing[n] then
      insert into app.rate_limit_refusals (rule_id, window_seconds, key)
        values (rule_ids[n], windows[n], keys[n]);
      if counted > 0 then
        select b.*
          into v_bucket
          from app.rate_limit_buckets b
          where b.rule_id = rule_ids[n] and b.window_seconds = windows[n] and b.key = keys[n]
          for update;
        v_position := greatest(
          1, v_bucket.slot - floor(counted_since * 20 / windows[n])::bigint + 1
        );
        v_back := counted;
        -- Beyond 21 they may have left the window, and what is in it belongs to others.
        while found and v_position between 1 and 21 and v_back > 0 loop
          v_from_slot := least(v_back, app.rate_limit_hits(v_bucket, v_position));
          v_bucket.hit_count := v_bucket.hit_count - v_from_slot;
          -- Each later slot ends with so many less.
          for later in 1 .. v_position - 1 loop
            v_bucket.past_counts[later] := v_bucket.past_counts[later] - v_from_slot;
          end loop;
          v_back := v_back - v_from_slot;
          v_position := v_position - 1;
        end loop;
        update app.rate_limit_buckets b
          set hit_count = v_bucket.hit_count,
            past_counts = v_bucket.past_counts
          where b.rule_id = rule_ids[n] and b.window_seconds = windows[n] and b.key = keys[n];
      end if;
    end if;

    select b.*
      into v_bucket
      from app.rate_limit_buckets b
      where b.rule_id = rule_ids[n] and b.window_seconds = windows[n] and b.key = keys[n];
    if not found then
      v_bucket := row(
        rule_ids[n], windows[n], keys[n], floor(v_epoch * 20 / windows[n]), quotas[n],
        0, array_fill(0, '{21}'), 0
      );
    end if;

    v_total := v_bucket.hit_count - v_bucket.past_counts[21];
    v_position := 22;
    while v_total > greatest(quotas[n] - costs[n], 0) and v_position > 1 loop
      v_position := v_position - 1;
      v_total := v_total - app.rate_limit_hits(v_bucket, v_position);
    end loop;
    rule_id := rule_ids[n];
    reset_at := ((v_bucket.slot + 21) * windows[n] + 19) / 20;
    retry_after := greatest(
      refusing[n]::integer,
      case
        when v_position < 22
          then ceil((v_bucket.slot - v_position + 22) * windows[n] / 20.0 - v_epoch)
      end
    );
    return next;
  end loop;
end
$$;

comment on function app.rate_limit_refuse(
  smallint[], integer[], integer[], text[], integer[], boolean[], integer,
  double precision, double precision
) is
  'Records that rules refuse a request. Returns for each of its rules when (seconds since 1970) the whole quota is back, and in how many seconds the request would get through';

grant usage on schema app to limiter;
grant select, insert, update on app.rate_limit_buckets to limiter;
grant insert on app.rate_limit_refusals to limiter;
grant execute on function app.rate_limit_hits(app.rate_limit_buckets, integer) to limiter;
grant execute on function app.rate_limit_refuse(
  smallint[], integer[], integer[], text[], integer[], boolean[], integer,
  double precision, double precision
) to limiter;

commit;

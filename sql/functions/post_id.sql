-- Deploy microblog:functions/post_id to pg
-- requires: schema/schemas
--
-- A post id is its time and its place in every feed: milliseconds since 2020-01-01 (41 bits,
-- until 2089) shifted by 12, plus 12 bits of a sequence. 53 bits, so that a JavaScript number
-- holds it exactly. The id is cursor, sort key and partition key at once, and the post's time is
-- read off it instead of being stored and indexed beside it.

begin;
set local role microblog_owner;

create sequence app.post_id_seq
  as integer
  minvalue 0
  maxvalue 4095
  cycle;

comment on sequence app.post_id_seq is 'Low 12 bits of post ids: tells posts of one millisecond apart';

create function app.post_id_at(at timestamptz)
returns bigint
language sql
immutable
parallel safe
return floor(extract(epoch from at - timestamptz '2020-01-01 00:00:00+00') * 1000)::bigint << 12;

comment on function app.post_id_at(timestamptz) is 'Smallest post id of that millisecond; the inverse of app.post_created_at';

create function app.post_created_at(post_id bigint)
returns timestamptz
language sql
immutable
parallel safe
return to_timestamp(1577836800 + (post_id >> 12) / 1000.0::double precision);

comment on function app.post_created_at(bigint) is 'Time of a post, to the millisecond, read off its id';

-- More than 4,096 ids in one millisecond would repeat one; the primary key refuses that. One
-- backend makes about 300 a millisecond.
create function app.post_id_next()
returns bigint
language sql
volatile
return app.post_id_at(clock_timestamp()) | nextval('app.post_id_seq'::regclass);

comment on function app.post_id_next() is 'Id of a new post: time-ordered, unique, below 2^53';

grant usage on sequence app.post_id_seq to member;
grant execute on function app.post_id_at(timestamptz) to anon, member;
grant execute on function app.post_created_at(bigint) to anon, member;
grant execute on function app.post_id_next() to member;

commit;

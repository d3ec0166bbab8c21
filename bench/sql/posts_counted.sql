-- Whether a round that did nothing but post left as many posts as answers were counted. One request of
-- each client may be under way at the end, and of one that failed nobody knows whether it posted.
select n.posts || ' posts, for ' || %(answered)s::bigint || ' answers and at most ' || %(unsure)s || ' not counted'
from (select count(*) as posts from app.posts p where p.id >= %(begun)s) n
where n.posts not between %(answered)s::bigint and %(answered)s::bigint + %(unsure)s::bigint

-- Whether each post that was taken back is gone, and whether five hundred of those who wrote have as
-- many posts as their counters say; a row for each that is wrong.
select 'post ' || p.id || ' was taken back, and is there'
from app.posts p
where p.id >= %(begun)s and p.content = 'Written, and taken back.'
union all
select 'posts of user ' || c.user_id || ': ' || c.posts_count || ' counted, ' || n.count || ' there are'
from (select p.user_id from bench.people p where p.kind = 'active' order by p.number limit 500) p
join app.user_counts c on c.user_id = p.user_id
cross join lateral (select count(*) from app.posts q where q.author_id = p.user_id) n
where c.posts_count <> n.count

-- How many deliveries a post of the made-up author is.
select count(*) from app.follows f where f.followed_id = (select p.user_id from bench.people p where p.kind = 'crowd')

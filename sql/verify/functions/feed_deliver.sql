-- Verify microblog:functions/feed_deliver on pg

begin;

select 'app.is_pulled'::regproc;
select 'app.pull_from'::regproc;
select 'app.author_tier_settle'::regproc;

rollback;

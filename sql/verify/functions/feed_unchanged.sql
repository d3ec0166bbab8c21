-- Verify microblog:functions/feed_unchanged on pg

begin;

select 'app.feed_tag_rows'::regproc;
select 'app.feed_tag_cards'::regproc;
select 'app.feed_unchanged'::regproc;

rollback;

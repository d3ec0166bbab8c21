-- Verify microblog:functions/feed_tags on pg

begin;

select 'app.feed_tag_rows'::regproc;
select 'app.feed_tag_cards'::regproc;

rollback;

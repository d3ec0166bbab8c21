-- Verify microblog:schema/post_cards on pg

begin;

select 1 from app.post_cards where false;
select null::app.post_row;
select null::app.page_post;

rollback;

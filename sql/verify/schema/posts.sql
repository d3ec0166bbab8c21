-- Verify microblog:schema/posts on pg

begin;

select id, author_id, parent_id, replies_count, is_reply, content from app.posts where false;
select post_id, id, replies from app.post_counter_deltas where false;

rollback;

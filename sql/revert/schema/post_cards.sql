-- Revert microblog:schema/post_cards from pg

begin;

drop type app.page_post;
drop view app.post_cards;

commit;

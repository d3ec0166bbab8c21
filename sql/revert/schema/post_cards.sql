-- Revert microblog:schema/post_cards from pg

begin;

drop type app.page_post;
drop type app.post_row;
drop view app.post_cards;

commit;

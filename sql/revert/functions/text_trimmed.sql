-- Revert microblog:functions/text_trimmed from pg

begin;

drop function app.text_trimmed;

commit;

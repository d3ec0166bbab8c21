-- Verify microblog:functions/text_trimmed on pg

begin;

select 'app.text_trimmed'::regproc;

rollback;

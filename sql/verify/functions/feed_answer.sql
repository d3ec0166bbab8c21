-- Verify microblog:functions/feed_answer on pg

begin;

select 'app.feed_body'::regproc;
select 'app.feed_answers'::regproc;
do $$
begin
  assert (select proowner from pg_proc where oid = 'app.feed_body'::regproc) = 'page_reader'::regrole,
    'pages are not read with a member''s rights';
  assert has_function_privilege('proxy', 'app.feed_answers'::regproc, 'execute'), 'the proxy may not ask';
end
$$;

rollback;

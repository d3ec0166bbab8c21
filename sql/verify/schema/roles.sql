-- Verify microblog:schema/roles on pg

begin;

select 'microblog_owner'::regrole, 'monitor'::regrole, 'worker'::regrole, 'limiter'::regrole,
  'proxy'::regrole, 'page_reader'::regrole;

do $$
begin
  assert pg_has_role('authenticator', 'anon', 'member'), 'authenticator cannot become anon';
  assert pg_has_role('authenticator', 'member', 'member'), 'authenticator cannot become member';
  assert pg_has_role('page_reader', 'member', 'usage'), 'page_reader has not a member''s rights';
end
$$;

rollback;

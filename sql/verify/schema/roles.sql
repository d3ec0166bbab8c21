-- Verify microblog:schema/roles on pg

begin;

select 'microblog_owner'::regrole, 'monitor'::regrole, 'worker'::regrole, 'limiter'::regrole,
  'proxy'::regrole;

do $$
begin
  assert pg_has_role('authenticator', 'anon', 'member'), 'authenticator cannot become anon';
  assert pg_has_role('authenticator', 'member', 'member'), 'authenticator cannot become member';
end
$$;

rollback;

-- Verify microblog:schema/schemas on pg

begin;

select 'app'::regnamespace, 'api'::regnamespace, 'dba'::regnamespace;
select extensions.gen_random_bytes(1);
select 'A' = 'a' collate app.ignore_case;

do $$
begin
  assert has_schema_privilege('anon', 'api', 'usage'), 'anon cannot use the schema api';
  assert not has_schema_privilege('anon', 'dba', 'usage'), 'anon can use the schema dba';
end
$$;

rollback;

-- Revert microblog:schema/roles from pg
--
-- Roles belong to the cluster. While another database holds objects of microblog_owner, it needs
-- the others as well, and all stay.

begin;

do $$
declare
  v_role text;
begin
  foreach v_role in array
    array[
      'microblog_owner', 'authenticator', 'worker', 'limiter', 'proxy', 'page_reader', 'monitor',
      'anon', 'member'
    ]
  loop
    execute format('drop owned by %I', v_role);
    execute format('drop role %I', v_role);
  end loop;
exception
  when dependent_objects_still_exist then
    raise notice 'the roles stay: another database of this cluster uses them';
end
$$;

commit;

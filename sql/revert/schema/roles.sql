-- Revert microblog:schema/roles from pg
--
-- A role stays where another database of the cluster still uses it.

begin;

do $$
declare
  v_role text;
begin
  foreach v_role in array
    array['authenticator', 'worker', 'monitor', 'anon', 'member', 'microblog_owner']
  loop
    begin
      if to_regrole(v_role) is not null then
        execute format('drop owned by %I', v_role);
        execute format('drop role %I', v_role);
      end if;
    exception
      when dependent_objects_still_exist or object_in_use then
        raise notice 'role % stays: another database uses it', v_role;
    end;
  end loop;
end
$$;

commit;

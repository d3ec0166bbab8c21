-- Revert microblog:schema/schemas from pg

begin;

drop collation app.ignore_case;
drop extension dblink;
drop extension pg_stat_statements;
drop extension pgcrypto;
alter default privileges for role microblog_owner grant execute on functions to public;
drop schema extensions;
drop schema dba;
drop schema api;
drop schema app;

commit;

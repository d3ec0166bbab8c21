-- Revert microblog:schema/dba_rate_limits from pg

begin;

drop function dba.rate_limit_forget;
drop view dba.rate_limits;
drop view dba.rate_limit_keys;

commit;

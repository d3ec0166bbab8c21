-- Verify microblog:schema/settings on pg

begin;

select name, value, unit, description from app.settings where false;
select 'app.setting'::regproc;

rollback;

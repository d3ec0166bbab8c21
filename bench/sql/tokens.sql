-- Tokens of active readers with a full page, for scripts that ask as the proxy does.
drop table if exists bench.tokens;
create unlogged table bench.tokens as
select p.number, app.session_start(p.user_id) ->> 'token' as token
from bench.people p
where p.kind = 'active' and p.number <= 3000;
alter table bench.tokens add constraint tokens_pkey primary key (number);
analyze bench.tokens;

-- Deploy microblog:schema/roles to pg
--
-- The roles of the house. Roles belong to the cluster, not to the database, so that several
-- databases (a template, its clones, two stacks of one cluster) share them: each is created
-- only where it is missing.
--
--   microblog_owner  owns every object; nobody logs in as it; not a superuser, so that a
--                    SECURITY DEFINER function can do no more than the schema's own rules allow
--   authenticator    what PostgREST logs in as; NOINHERIT: it can do nothing but become
--                    anon or member
--   anon, member     a request without and with a token
--   worker           runs jobs, through functions alone
--   limiter          counts requests against their limits, through one function alone
--   proxy            asks for pages of feeds, through one function alone
--   page_reader      whose rights that function reads a page with: a member's; nobody logs in as it
--   monitor          reads the dba schema and the server's statistics

begin;

-- A grant that is there already is worth a notice to nobody.
set local client_min_messages = warning;

do $$
declare
  v_role text;
begin
  foreach v_role in array array['microblog_owner', 'anon', 'member', 'page_reader', 'monitor'] loop
    if to_regrole(v_role) is null then
      execute format('create role %I nologin', v_role);
    end if;
  end loop;
  if to_regrole('authenticator') is null then
    create role authenticator login noinherit;
  end if;
  if to_regrole('worker') is null then
    create role worker login;
  end if;
  if to_regrole('limiter') is null then
    create role limiter login;
  end if;
  if to_regrole('proxy') is null then
    create role proxy login;
  end if;
end
$$;

grant anon, member to authenticator;
grant member to page_reader;
grant pg_monitor to monitor;

-- PostgREST applies a role's settings to each of its requests. A request that runs longer than
-- this holds one of a few connections and a core that everybody shares.
alter role anon set statement_timeout = '5s';
alter role anon set lock_timeout = '3s';
alter role anon set idle_in_transaction_session_timeout = '10s';
alter role member set statement_timeout = '5s';
alter role member set lock_timeout = '3s';
alter role member set idle_in_transaction_session_timeout = '10s';
alter role authenticator set statement_timeout = '5s';
alter role authenticator set lock_timeout = '3s';
alter role authenticator set idle_in_transaction_session_timeout = '10s';

-- No query of the API sorts more than a page, so none needs more memory or any temporary file. Only
-- a superuser may give the second, and PostgREST does not apply it from the role of a request: the
-- role that logs in has both.
alter role authenticator set work_mem = '4MB';
alter role authenticator set temp_file_limit = '64MB';
alter role proxy set work_mem = '4MB';
alter role proxy set temp_file_limit = '64MB';

-- Pages read in the order of an index, with sorts forbidden to the planner (functions/feed_rows):
-- what that makes a plan look like would have the server compile it, where its own settings allow.
alter role authenticator set jit = off;
alter role proxy set jit = off;

-- How times are written out is part of what an entity tag stands for, and no operator's choice.
alter role authenticator set timezone = 'UTC';
alter role authenticator set datestyle = 'ISO, MDY';
alter role proxy set timezone = 'UTC';
alter role proxy set datestyle = 'ISO, MDY';

-- A refused request is an error to PostgreSQL. One line of the log each will do; the statement
-- would let anybody fill the disk.
alter role authenticator set log_min_error_statement = 'panic';
alter role proxy set log_min_error_statement = 'panic';

-- A chunk of a job is bounded; a worker that stops in the middle of one (SIGSTOP, a lost
-- network) must give its job back.
alter role worker set statement_timeout = '60s';
alter role worker set idle_in_transaction_session_timeout = '30s';

-- A request waits for each count, and would rather be refused than wait on; and a crash may forget
-- counts.
alter role limiter set statement_timeout = '2s';
alter role limiter set synchronous_commit = off;
-- One prepared statement, always the same: nothing is gained by planning it anew.
alter role limiter set plan_cache_mode = force_generic_plan;
alter role limiter set lock_timeout = '1s';
alter role limiter set idle_in_transaction_session_timeout = '5s';

-- The proxy would rather have no answer than a late one. All it writes are counts, which a crash may
-- forget.
alter role proxy set synchronous_commit = off;
-- Few statements, always the same: planning them costs as much as running them.
alter role proxy set plan_cache_mode = force_generic_plan;
alter role proxy set statement_timeout = '1s';
alter role proxy set lock_timeout = '500ms';
alter role proxy set idle_in_transaction_session_timeout = '5s';
-- A question that the proxy gave up is asked of PostgREST, which counts it: here it must not be counted.
alter role proxy set client_connection_check_interval = '50ms';

comment on role microblog_owner is 'pg-microblog: owns every object of the schema';
comment on role authenticator is 'pg-microblog: PostgREST logs in as this role';
comment on role anon is 'pg-microblog: a request without a token';
comment on role member is 'pg-microblog: a request with a valid token';
comment on role worker is 'pg-microblog: the worker that runs jobs';
comment on role limiter is 'pg-microblog: counts requests against their limits';
comment on role proxy is 'pg-microblog: the proxy, which asks for pages of feeds';
comment on role page_reader is 'pg-microblog: reads pages of feeds for the proxy, with the rights of a member';
comment on role monitor is 'pg-microblog: reads statistics and the dba schema';

commit;

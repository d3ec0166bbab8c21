-- Verify microblog:functions/rate_limit_take on pg

begin;

select 'app.rate_limit_take'::regproc;
select 'app.rate_limit_hits'::regproc;
select 'app.rate_limit_refuse'::regproc;
do $$
begin
  assert has_table_privilege('limiter', 'app.rate_limit_buckets', 'update'), 'limiter cannot count';
end
$$;

rollback;

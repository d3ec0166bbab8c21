-- Neither the log nor the statistics keep what follows in this session.
set log_statement = none;
set log_min_duration_statement = -1;
set log_min_error_statement = panic;
set log_error_verbosity = terse;
set pg_stat_statements.track = none;

"""Fixtures of the tests of functions."""

import pytest

from tests.support.database import Database


@pytest.fixture
def queue(database: Database) -> Database:
    """A database whose queue is empty and stays so: recurring jobs are paused.

    It knows two more kinds of job. ``counting {to}`` counts one a chunk and leaves a row in
    ``public.done`` each time; ``failing {with}`` raises an error, of its own or of this SQLSTATE.
    """
    database.pause_schedules()
    database.run("create table public.done (n bigint generated always as identity, label text)")
    database.run("grant select, insert on public.done to microblog_owner")
    database.run(
        """
        create function app.job_counting(args jsonb, progress bigint) returns bigint
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
        begin
          insert into public.done (label) values (args ->> 'label');
          return nullif(coalesce(progress, 0) + 1, (args ->> 'to')::bigint);
        end $$
        """
    )
    database.run(
        """
        create function app.job_failing(args jsonb, progress bigint) returns bigint
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
        begin
          insert into public.done (label) values ('undone');
          raise exception using errcode = coalesce(args ->> 'with', 'P0001'), message = 'no luck';
        end $$
        """
    )
    for kind in ("counting", "failing"):
        database.run(f"alter function app.job_{kind}(jsonb, bigint) owner to microblog_owner")
    return database

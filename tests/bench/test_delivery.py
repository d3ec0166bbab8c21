"""When followers see a post: what was there is not late because pages take long to read."""

import psycopg
import pytest

from microblog.bench import histogram
from microblog.bench.generators.delivery_worker import NOT_AT_ONCE, Deliveries
from microblog.bench.generators.job import Tally
from microblog.bench.scenario import Delivery, Load, Users
from microblog.errors import StackError
from tests.bench.servers import Known, job
from tests.support.database import Database

PAGE = 0.1  # seconds that a page takes
# Who sees which post from when on; each page takes its time, and says how it was read.
MADE = """
create schema bench;
create table bench.people (kind text, number integer, user_id bigint);
create table bench.shown (reader_id bigint, post_id bigint, at timestamptz);
create table bench.waits (reader_id bigint, seconds float8);
create sequence bench.posts;
create function bench.post(author_id bigint) returns bigint language plpgsql as $$
declare v_id constant bigint := nextval('bench.posts');
begin
  insert into bench.shown
  select w.reader_id, v_id, clock_timestamp() + make_interval(secs => w.seconds)
  from bench.waits w;
  return v_id;
end $$;
create function bench.sees(reader_id bigint, post_id bigint) returns boolean
language plpgsql as $$
begin
  if current_setting('transaction_isolation') <> 'repeatable read' then
    raise 'each page has a snapshot of its own';
  end if;
  perform pg_sleep(0.1);
  return exists (
    select from bench.shown s
    where (s.reader_id, s.post_id) = (sees.reader_id, sees.post_id) and s.at <= now()
  );
end $$;
create function bench.work(post_id bigint) returns void language plpgsql as $$
begin perform pg_sleep(0.3); end $$;
"""


def deliver(database: Database, waits: list[float], **delivery: object) -> dict[str, Tally]:
    """Return what was measured of one post, or a few, that four followers see after so long."""
    author, *readers = database.users(5)
    database.follow(readers, author)
    with database.superuser() as connection:
        connection.execute(MADE)
        connection.execute("insert into bench.people values ('some', 1, %s)", [author])
        for reader, seconds in zip(sorted(readers), waits, strict=True):
            connection.execute("insert into bench.waits values (%s, %s)", [reader, seconds])
    made = job(Known(), "", calls=[], seconds=0.1, timeout=2.0)
    followed = Delivery(by="some", readers=20, **delivery)  # type: ignore[arg-type]
    made.load = Load(name="followed", delivery=followed, timeout=2.0)
    made.users, made.user_count = Users(), author + 5
    made.dsn = database.settings.socket_dsn(dbname=database.name)
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        one = Deliveries(made, connection, followed)
        assert one.followers(author) == sorted(readers), "all of them are looked at"
        return one.run().operations


def seconds(tally: Tally) -> float:
    return histogram.latency(histogram.decode(tally.histogram)).p50 / 1000


def test_what_is_there_when_the_call_returns_is_as_late_as_the_call(database: Database) -> None:
    """Four pages of 0.1 s are read, and none of that is a delay."""
    found = deliver(database, [0, 0, 0, 0], at_once=True)
    assert seconds(found["delivered"]) == pytest.approx(seconds(found["post"]), abs=PAGE / 2)
    assert not found["delivered"].errors


def test_a_job_that_waits_for_nobody_counts_and_reading_after_it_does_not(
    database: Database,
) -> None:
    found = deliver(database, [0, 0, 0, 0], work="work")
    assert 0.3 <= seconds(found["delivered"]) < 0.3 + PAGE


@pytest.mark.parametrize("late", range(4))
def test_it_is_as_late_as_the_last_follower_whoever_that_is(database: Database, late: int) -> None:
    """The pages of the others, read before and after, do not push it out."""
    waits = [0.0] * 4
    waits[late] = 0.45
    found = deliver(database, waits, at_once=True)
    assert 0.45 <= seconds(found["delivered"]) < 0.45 + PAGE + PAGE
    assert found["delivered"].errors == {NOT_AT_ONCE: found["delivered"].count}


def test_a_follower_who_never_sees_it_is_named(database: Database) -> None:
    with pytest.raises(StackError, match="never reached user"):
        deliver(database, [0, 0, 3600, 0])

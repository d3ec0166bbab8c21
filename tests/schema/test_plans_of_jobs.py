"""The plans of what keeps, drops and makes timelines again, as they execute: by index only, and for
what is in hand only, on a graph where anything else would show.
"""

from collections.abc import Iterator

import pytest

from tests.support.database import Database
from tests.support.horizon import come_back
from tests.support.plans import Executed, Recorder

PEOPLE, FOLLOWS, POSTS = 3000, 70, 5


@pytest.fixture(scope="module")
def graph(module_database: Database) -> Database:
    """Everybody follows the next 70, each with five posts: a million entries would be kept."""
    with module_database.superuser() as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "insert into app.users (username) select 'user_' || n from generate_series(1, %s) n",
            [PEOPLE],
        )
        for table in ("user_counters", "feed_states"):
            connection.execute(f"insert into app.{table} (user_id) select id from app.users")
        connection.execute(
            "insert into app.follows (follower_id, followed_id)"
            " select u, 1 + (u - 1 + n) %% %s from generate_series(1, %s) u,"
            " generate_series(1, %s) n",
            [PEOPLE, PEOPLE, FOLLOWS],
        )
        connection.execute(
            "insert into app.posts (id, author_id, content)"
            " select app.post_id_at(now() - n * interval '1 minute') + u, u, 'x'"
            " from generate_series(1, %s) u, generate_series(1, %s) n",
            [PEOPLE, POSTS],
        )
        connection.execute(
            "insert into app.feed_entries (user_id, post_id)"
            " select f.follower_id, p.id from app.follows f"
            " join app.posts p on p.author_id = f.followed_id where f.follower_id % 10 = 0"
        )
        connection.execute("set session_replication_role = origin")
        connection.execute("vacuum analyze")
    module_database.pause_schedules()
    return module_database


@pytest.fixture
def hand(graph: Database) -> Iterator[Recorder]:
    """A connection that tells the plans of what it runs."""
    with graph.superuser() as connection:
        yield Recorder(connection)


def check(graph: Database, executed: list[Executed], blocks: int) -> None:
    """See that no big table is read from end to end, nor any month of entries; ``blocks``: what
    each statement inside may touch.
    """
    big = graph.values(
        "select relname from pg_class where relnamespace = 'app'::regnamespace"
        " and relkind = 'r' and reltuples >= 1000"
    )
    assert {"users", "posts", "follows", "feed_states"} < set(big)
    for one in executed:
        for table, kinds in one.scans().items():
            assert table not in big or "Seq Scan" not in kinds, f"{table} in {one}"
        assert one.filtered() <= 100, f"{one.filtered()} rows in vain in {one}"
    for one in executed[:-1]:
        assert one.blocks <= blocks, f"{one.blocks} blocks in {one}"


def test_a_release_of_somebody(graph: Database, hand: Recorder) -> None:
    graph.run(
        "update app.feed_states set active_until = now() - interval '1 day' where user_id = 10"
    )
    executed = hand.run("select app.job_feeds_release('{}', null)")
    check(graph, executed, blocks=3000)
    assert graph.entries(10) == []
    assert len(graph.entries(20)) == FOLLOWS * POSTS


def test_a_chunk_of_a_rebuild(graph: Database, hand: Recorder) -> None:
    graph.run(
        "update app.feed_states set active_until = now() - interval '1 day' where user_id = 30"
    )
    graph.run("select app.job_feeds_release('{}', null)")
    come_back(graph, 30)
    assert graph.jobs("feed_rebuild")
    executed = hand.run("select app.job_work('test')")
    check(graph, executed, blocks=6000)
    assert len(graph.entries(30)) == 64 * POSTS
    graph.drain()
    assert len(graph.entries(30)) == FOLLOWS * POSTS


def test_a_login(graph: Database, hand: Recorder) -> None:
    check(graph, hand.run("select app.feed_keep(40, now())"), blocks=100)


def test_a_post_that_changes_its_authors_tier(graph: Database, hand: Recorder) -> None:
    """It looks for the newest post before it, whatever their number."""
    author = 50
    graph.run("update app.user_counters set followers_count = 70 where user_id = %s", [author])
    graph.set(fan_out_pull_limit=10, fan_out_push_limit=5)
    insert = "insert into app.posts (author_id, content) values (%s::bigint, 'x')"
    check(graph, hand.run(insert, author), blocks=300)
    assert graph.value("select count(*) from app.pull_ranges") == 1
    graph.set(fan_out_pull_limit=1000, fan_out_push_limit=1000)
    check(graph, hand.run(insert, author), blocks=1500)
    assert graph.value("select to_id < 2::bigint ^ 53 from app.pull_ranges") is True

"""What makes a page of a feed cheap, and what its results do not show: few plan nodes, no call of
PL/pgSQL that is not needed, plans that are kept, and a look-up for each entry, whoever else has how
many.
"""

from collections.abc import Iterator

import pytest

from tests.support.database import Database
from tests.support.graph import READER, seed
from tests.support.plans import Executed, Node, recorder

PAGE = 20
MOST_NODES = 50  # of them, on average, each costs as much as a row of the page
FOLLOWS_ALL = 3000


@pytest.fixture(scope="module")
def graph(module_database: Database) -> Database:
    """Some thousand users; the last ones have half of all entries, FOLLOWS_ALL follows them all."""
    seed(module_database)
    whale = module_database.value("select max(id) from app.users")
    with module_database.superuser() as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("delete from app.feed_entries where user_id % 20 <> 0")
        connection.execute(
            "insert into app.feed_entries (user_id, post_id)"
            " select u.id, p.id"
            " from app.posts p, generate_series(%s::bigint, %s) u (id)"
            " where not p.is_reply on conflict do nothing",
            [whale - 4, whale],
        )
        connection.execute(
            "insert into app.follows (follower_id, followed_id)"
            " select %s, u.id from app.users u where u.id <> %s on conflict do nothing",
            [FOLLOWS_ALL, FOLLOWS_ALL],
        )
        # Many of the last are pulled too, and have posted nothing since: more than the average
        # reader follows, whom the planner has in mind. Fewer it would look up one by one anyway.
        connection.execute(
            "insert into app.pull_ranges (author_id, from_id)"
            " select u.id, app.post_id_at(now() + interval '1 day')"
            " from app.users u where u.id < 10000 order by u.id desc limit 130"
        )
        connection.execute("vacuum analyze")
    return module_database


def nodes(plan: Node) -> Iterator[Node]:
    """All nodes of a plan, whether they ran or not: each is started and ended."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def page(graph: Database, reader: int, cursor: str | None) -> list[Executed]:
    """Record the execution of one page of the timeline."""
    with recorder(graph, reader) as made:
        return made.again("select * from api.feed_timeline(%s::text, %s::integer)", cursor, PAGE)


def test_a_page_looks_up_the_posts_of_its_entries_and_no_others(graph: Database) -> None:
    """With a few readers who have nearly every post, the planner would rather read all posts in
    order, down to the cursor.
    """
    reader = graph.value("select max(id) from app.users")
    old = graph.value(
        "select percentile_disc(0.2) within group (order by id) from app.posts where not is_reply"
    )
    executed = page(graph, reader, str(old))
    assert executed[-1].plan["Actual Rows"] == PAGE
    read = [
        (node["Actual Rows"] * node["Actual Loops"], str(one))
        for one in executed
        for node in one.nodes()
        if (node.get("Relation Name") or "").startswith(("posts", "feed_entries"))
    ]
    assert read
    assert max(read)[0] <= PAGE + 1, max(read)[1]


def test_a_page_looks_up_the_pulled_among_thousands_of_follows_and_no_others(
    graph: Database,
) -> None:
    pulled = graph.value("select count(*) from app.pull_ranges")
    executed = page(graph, FOLLOWS_ALL, None)
    assert executed[-1].plan["Actual Rows"] == PAGE
    read = [
        (
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"],
            str(one),
        )
        for one in executed
        for node in one.nodes()
        if node.get("Relation Name") == "follows"
    ]
    assert read
    assert max(read)[0] <= pulled, max(read)[1]


def test_a_page_has_few_plan_nodes(graph: Database) -> None:
    """Of somebody who follows no author that is pulled, and of somebody who does."""
    months = graph.value(
        "select count(*) from pg_inherits where inhparent = 'app.feed_entries'::regclass"
    )
    usual = graph.value(
        "select min(f.follower_id) from app.follows f where f.follower_id <> all ("
        " select g.follower_id from app.follows g join app.pull_ranges r"
        " on r.author_id = g.followed_id)"
    )
    for reader in (usual, READER):
        executed = page(graph, reader, None)
        count = sum(1 for one in executed for _ in nodes(one.plan))
        assert count <= MOST_NODES + months, "\n".join(map(str, [count, *executed]))


def test_the_plans_of_a_page_are_made_once(graph: Database) -> None:
    """Also where each of the first readers has next to no entries, when a plan of its own for each
    looks cheaper than one for all.
    """
    with graph.superuser() as connection:
        connection.execute(
            "select set_config('microblog.user_id', max(u.id)::text, false) from app.users u"
            " where not exists (select from app.feed_entries e where e.user_id = u.id)"
        )
        connection.execute("set role member")
        for _ in range(8):
            connection.execute("select * from api.feed_timeline()")
        connection.execute("reset role")
        connection.execute("set log_planner_stats = on")
        connection.execute("set client_min_messages = log")
        heard: list[str] = []
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
        connection.execute("select 1")
        assert any("PLANNER" in message for message in heard)
        connection.execute("set role member")
        connection.execute("prepare page as select * from api.feed_timeline()")
        connection.execute("execute page")
        heard.clear()
        connection.execute("execute page")
        assert not [message for message in heard if "PLANNER" in message]


def test_a_page_calls_two_functions_of_pl_pgsql(graph: Database) -> None:
    """One says which posts, one reads them. Limit, cursor and headers are expressions in plans."""
    counted = "select coalesce(sum(calls), 0) from pg_stat_xact_user_functions"
    with graph.superuser() as connection:
        connection.execute("set track_functions = 'all'")
        connection.execute("select set_config('microblog.user_id', %s, false)", [str(READER)])
        connection.execute("set role member")
        with connection.transaction():
            (before,) = connection.execute(counted).fetchone()
            rows = connection.execute("select * from api.feed_timeline()").fetchall()
            (after,) = connection.execute(counted).fetchone()
    assert len(rows) == PAGE
    assert after - before == 2

"""What makes a page of a feed cheap, and what its results do not show: few plan nodes, no call of
PL/pgSQL that is not needed, and a look-up for each entry, whoever else has how many.
"""

from collections.abc import Iterator

import pytest

from tests.support.database import Database
from tests.support.graph import READER, seed
from tests.support.plans import Executed, Node, recorder

PAGE = 20
MOST_NODES = 70  # of them, on average, each costs as much as a row of the page


@pytest.fixture(scope="module")
def graph(module_database: Database) -> Database:
    """Some thousand users; the last one follows everybody and has half of all entries."""
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
        return made.run("select * from api.feed_timeline(%s::text, %s::integer)", cursor, PAGE)


def test_a_page_looks_up_the_posts_of_its_entries_and_no_others(graph: Database) -> None:
    """With a few readers who have nearly every post, the planner would rather read all posts in
    order, down to the cursor.
    """
    reader = graph.value("select max(id) from app.users")
    old = graph.value(
        "select percentile_disc(0.2) within group (order by id) from app.posts where not is_reply"
    )
    outer = page(graph, reader, str(old))[-1]
    assert outer.plan["Actual Rows"] == PAGE
    read = [
        node["Actual Rows"] * node["Actual Loops"]
        for node in outer.nodes()
        if node.get("Relation Name") == "posts"
    ]
    assert max(read) <= PAGE + 1, str(outer)


def test_a_page_has_few_plan_nodes(graph: Database) -> None:
    outer = page(graph, READER, None)[-1]
    count = sum(1 for _ in nodes(outer.plan))
    months = graph.value(
        "select count(*) from pg_inherits where inhparent = 'app.feed_entries'::regclass"
    )
    assert count <= MOST_NODES + months, str(outer)


def test_a_page_calls_no_function_of_pl_pgsql(graph: Database) -> None:
    """Limit, cursor and the headers of the next page are expressions in the plan itself."""
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
    assert after - before == 0

"""What functions and triggers execute for a request is planned once in a session, and not for each
request: planning a statement takes as long as carrying it out, or longer.

Two ways lead to a plan for each call: a function in SQL that cannot be inlined, and a plan for the
values at hand that looks so much cheaper than a generic one that the server never keeps one.
"""

from collections.abc import Iterator

import pytest

from tests.support.database import Connection, Database, become_member
from tests.support.graph import READER, popular_post, seed

# The server makes five plans for the values at hand before it compares them with a generic one, and
# each trigger of a function has its own: fewer than half as many plans as calls can be asked.
CALLS = 20

# Functions in SQL, of one value, that are planned wherever they are called, and why they may be.
PLANNED_EACH_TIME = {
    "app.cache_keep": "by the worker, now and then",
    "app.cache_report": "by the worker, once in some seconds",
    "app.job_add": "when an account is closed or its user comes back",
    "app.job_next_due": "by the worker, when the queue is empty",
    "app.jwt_secret_set": "at the start",
    "app.posts_kept": "in a loop, which plans it once",
    "app.seed_mutual": "when a network is made",
    "app.views_expire": "by a job, once in some minutes",
    "app.worker_bye": "by the worker, at its end",
    "app.worker_heartbeat": "by the worker, once in some seconds",
}

PLANNED = """
select s.plans, s.calls, s.query
from extensions.pg_stat_statements s
join pg_database d on d.oid = s.dbid
where d.datname = current_database() and not s.toplevel
  and s.calls >= %s and s.plans * 2 > s.calls
"""


@pytest.fixture(scope="module")
def graph(module_database: Database) -> Database:
    """Some thousand users, analysed: with real numbers of followers, plans for them look cheap."""
    seed(module_database)
    return module_database


@pytest.fixture
def watched(graph: Database) -> Iterator[Connection]:
    """A session with a member's rights, whose nested statements are counted, plans and all."""
    with graph.superuser() as connection:
        connection.execute("set pg_stat_statements.track = 'all'")
        connection.execute("set pg_stat_statements.track_planning = on")
        become_member(connection, READER)
        yield connection


def forget(graph: Database) -> None:
    """Begin to count anew, in this database alone."""
    graph.run(
        "select extensions.pg_stat_statements_reset(0, d.oid, 0) from pg_database d"
        " where d.datname = current_database()"
    )


def see(graph: Database, least: int) -> None:
    """See that nothing nested was planned again and again, and that something was counted."""
    counted = graph.value(
        "select count(*) from extensions.pg_stat_statements s join pg_database d on d.oid = s.dbid"
        " where d.datname = current_database() and not s.toplevel and s.calls >= %s",
        [CALLS],
    )
    assert counted >= least, f"{counted} nested statements were seen"
    again = [f"{plans} plans, {calls} calls: {query}" for plans, calls, query in
             graph.run(PLANNED, [CALLS])]  # fmt: skip
    assert not again, "\n".join(again)


def small_author(graph: Database) -> int:
    """Return who has followers, and few enough that posts are delivered at once."""
    return graph.value(
        "select c.user_id from app.user_counters c join app.feed_states s on s.user_id = c.user_id"
        " where c.followers_count between 20 and 90 order by c.user_id limit 1"
    )


def post_and_delete(watched: Connection) -> None:
    """Write posts, and delete each."""
    for _ in range(CALLS):
        written = watched.execute("insert into api.posts (content) values ('x') returning id")
        watched.execute("delete from api.posts where id = %s", written.fetchone())


def test_posts_are_written_and_deleted(graph: Database, watched: Connection) -> None:
    become_member(watched, small_author(graph))
    forget(graph)
    post_and_delete(watched)
    see(graph, 10)


def test_posts_of_an_author_with_many_followers(graph: Database, watched: Connection) -> None:
    graph.set(fan_out_sync_limit=10)
    become_member(watched, small_author(graph))
    forget(graph)
    post_and_delete(watched)
    see(graph, 8)
    graph.set(fan_out_sync_limit=100)


def test_replies(graph: Database, watched: Connection) -> None:
    parent = popular_post(graph)
    forget(graph)
    for _ in range(CALLS):
        watched.execute("insert into api.posts (content, parent_id) values ('x', %s)", [parent])
    see(graph, 8)


def test_follows(graph: Database, watched: Connection) -> None:
    followed = graph.values(
        "select u.id from app.users u where u.id between 2001 and 2400 and not exists (select"
        " from app.follows f where f.follower_id = %s and f.followed_id = u.id) limit %s",
        [READER, CALLS],
    )
    assert len(followed) == CALLS
    forget(graph)
    for user in followed:
        watched.execute("insert into api.follows (followed_id) values (%s)", [user])
    for user in followed:
        watched.execute("delete from api.follows where followed_id = %s", [user])
    see(graph, 15)


@pytest.mark.parametrize("feed", ["timeline", "following", "mine", "public"])
def test_pages(graph: Database, watched: Connection, feed: str) -> None:
    middle = graph.value("select percentile_disc(0.5) within group (order by id) from app.posts")
    forget(graph)
    for n in range(CALLS):
        cursor = str(middle + n) if n % 2 else None
        watched.execute(f"select * from api.feed_{feed}(%s)", [cursor], prepare=True)
    see(graph, 0)


def test_functions_in_sql_are_inlined_or_have_a_reason(graph: Database) -> None:
    """The planner says so itself: what it inlined is not called in the plan any more. Statements of
    such functions, when they are not inlined, are counted nowhere.
    """
    called = set()
    for name, types in graph.run(
        "select p.oid::regproc::text, array(select t::regtype::text from unnest(p.proargtypes) t)"
        " from pg_proc p join pg_language l on l.oid = p.prolang"
        " where l.lanname = 'sql' and not p.proretset"
        " and p.pronamespace in ('app'::regnamespace, 'api'::regnamespace)"
    ):
        columns = ", ".join(f"null::{kind} as a{n}" for n, kind in enumerate(types)) or "1 as a"
        values = ", ".join(f"x.a{n}" for n in range(len(types)))
        plan = graph.values(
            f"explain (verbose) select {name}({values}) from (select {columns} offset 0) x"
        )
        if any(f"{name.rpartition('.')[2]}(" in line for line in plan):
            called.add(name)
    assert called == set(PLANNED_EACH_TIME)

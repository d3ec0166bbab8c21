"""The plan of every read and write of the API on a graph of some thousand users, as it executes.

Generic plans, as PostgREST's prepared statements have them, with the rights of a member, and all
that functions and triggers execute inside: no big table is read from end to end, nothing is sorted
that is much longer than a page, and next to nothing is read in vain.
"""

import pytest

from tests.support.database import Database
from tests.support.graph import READER, popular_post, seed
from tests.support.plans import Executed, Recorder, recorder
from tests.support.views import refresh

PAGE = 20


@pytest.fixture(scope="module")
def graph(module_database: Database) -> Database:
    """Some thousand users, analysed."""
    seed(module_database)
    return module_database


class Bounds:
    """What a plan may do on this graph: read nothing big but by index, sort and drop little."""

    def __init__(self, graph: Database) -> None:
        self.big = set(
            graph.values(
                "select relname from pg_class where relnamespace = 'app'::regnamespace"
                " and relkind = 'r' and reltuples >= 500"
            )
        )
        assert {"users", "posts", "follows", "user_counter_deltas", "feed_states"} < self.big
        assert any(table.startswith("feed_entries_y") for table in self.big)

    def check(
        self, executed: list[Executed], rows: int = 6 * (PAGE + 1), blocks: int = 1500
    ) -> None:
        """See that each statement keeps them: rows sorted or read in vain, blocks touched."""
        for one in executed:
            for table, kinds in one.scans().items():
                assert table not in self.big or "Seq Scan" not in kinds, f"{table} in {one}"
            assert one.sorted_rows() <= rows, f"{one.sorted_rows()} rows sorted in {one}"
            assert one.filtered() <= rows, f"{one.filtered()} rows in vain in {one}"
            assert one.blocks <= blocks, f"{one.blocks} blocks touched in {one}"


def inlined(executed: list[Executed], function: str) -> Executed:
    """Return the outermost plan, which must be the function's own, not a call of it. That of a
    timeline calls app.feed_rows, whose plans read the posts.
    """
    outer = executed[-1]
    called = {n["Function Name"] for n in outer.nodes() if n["Node Type"] == "Function Scan"}
    assert function not in called
    if called == {"feed_rows"}:
        assert any("posts" in one.scans() for one in executed)
    else:
        assert "posts" in outer.scans() or "follows" in outer.scans()
    return outer


@pytest.fixture(scope="module")
def bounds(graph: Database) -> Bounds:
    return Bounds(graph)


@pytest.fixture
def member(graph: Database) -> Recorder:
    with recorder(graph, READER) as made:
        yield made


@pytest.mark.parametrize("cursor", ["first page", "from the middle"])
@pytest.mark.parametrize("feed", ["timeline", "mine", "following", "public"])
def test_a_page_of_a_feed(graph: Database, feed: str, cursor: str, bounds: Bounds) -> None:
    middle = graph.value("select percentile_disc(0.5) within group (order by id) from app.posts")
    with recorder(graph, READER) as made:
        executed = made.again(
            f"select * from api.feed_{feed}(%s::text, %s::integer)",
            None if cursor == "first page" else str(middle),
            PAGE,
        )
    bounds.check(executed)
    outer = inlined(executed, f"feed_{feed}")
    assert outer.plan["Actual Rows"] == PAGE
    if feed in ("timeline", "following"):
        entries = [t for one in executed for t in one.scans() if t.startswith("feed_entries")]
        assert 1 <= len(entries) <= 2, "only the partitions that the page needs"
        below = [one for one in executed if "heads" in one.query and one is not outer]
        assert below == [], "a page that is full from above asks for nothing below"


@pytest.mark.parametrize("limit", [1, 100])
def test_the_smallest_and_the_largest_page_of_the_timeline(
    member: Recorder, limit: int, bounds: Bounds
) -> None:
    executed = member.again("select * from api.feed_timeline(%s::text, %s::integer)", None, limit)
    bounds.check(executed, rows=6 * (limit + 1))
    assert executed[-1].plan["Actual Rows"] == limit


@pytest.mark.parametrize("feed", ["timeline", "following"])
def test_a_page_below_the_horizon(graph: Database, feed: str, bounds: Bounds) -> None:
    """Somebody who was away: nothing is kept for them, all comes from follows and posts. It costs
    a look-up for each author followed, not for each post.
    """
    graph.run(
        "update app.feed_states set delivered_from = 9007199254740992,"
        " complete_from = 9007199254740992 where user_id = %s", [READER + 1],
    )  # fmt: skip
    with recorder(graph, READER + 1) as made:
        executed = made.again(f"select * from api.feed_{feed}(null, %s::integer)", PAGE)
    bounds.check(executed, rows=PAGE * 101)
    assert executed[-1].plan["Actual Rows"] == PAGE
    assert any("heads" in one.query for one in executed[:-1])


def test_a_feed_of_somebody_who_follows_nobody(graph: Database, bounds: Bounds) -> None:
    newcomer = graph.user("newcomer")
    with recorder(graph, newcomer) as made:
        for feed in ("timeline", "following", "mine"):
            bounds.check(made.again(f"select * from api.feed_{feed}(null, null)"), blocks=200)


@pytest.mark.parametrize("cursor", [None, "1500"])
@pytest.mark.parametrize("name", ["followers", "following"])
def test_a_page_of_people(member: Recorder, name: str, cursor: str | None, bounds: Bounds) -> None:
    executed = member.run(
        f"select * from api.{name}(%s::bigint, %s::text, %s::integer)", 1, cursor, PAGE
    )
    bounds.check(executed)
    outer = inlined(executed, name)
    assert outer.plan["Actual Rows"] > 5
    assert outer.sorted_rows() <= PAGE + 1


@pytest.mark.parametrize("cursor", [None, "middle"])
def test_a_page_of_the_most_followed(graph: Database, cursor: str | None) -> None:
    """A few blocks of the view, and a look at each of its users."""
    refresh(graph)
    graph.run("vacuum analyze app.popular_users")
    middle = graph.value(
        "select percentile_disc(0.5) within group (order by rank) from app.popular_users"
    )
    with recorder(graph) as made:
        for _ in range(2):  # the first time plans what is in it
            (*_, outer) = made.run(
                "select * from api.users_popular(%s::text, %s::integer)",
                cursor and str(middle), PAGE,
            )  # fmt: skip
    assert outer.plan["Actual Rows"] == PAGE
    assert outer.scans()["popular_users"] == {"Index Scan"}
    assert outer.sorted_rows() <= PAGE + 1
    assert outer.blocks <= 150, str(outer)


@pytest.mark.parametrize("later", [False, True])
def test_a_page_of_replies(graph: Database, member: Recorder, later: bool, bounds: Bounds) -> None:
    post = popular_post(graph)
    cursor = graph.value(
        "select percentile_disc(0.5) within group (order by id) from app.posts"
        " where parent_id = %s", [post],
    )  # fmt: skip
    executed = member.run(
        "select * from api.replies(%s::bigint, %s::text, %s::integer)",
        post,
        str(cursor) if later else None,
        PAGE,
    )
    bounds.check(executed)
    assert inlined(executed, "replies").plan["Actual Rows"] == PAGE


def test_a_thread(graph: Database, member: Recorder, bounds: Bounds) -> None:
    post = popular_post(graph)
    reply = graph.value("select max(id) from app.posts where parent_id = %s", [post])
    for shown in (post, reply):
        bounds.check(member.run("select api.thread(%s::bigint, %s::integer)", shown, PAGE))


# As PostgREST writes them: a filter, an order, a limit.
READS = {
    "an author's posts": (
        "select * from api.posts where author_id = %s and id < %s order by id desc limit %s",
        (1, 2**53, PAGE),
    ),
    "a post": ("select * from api.posts where id = %s", (4096,)),
    "newest posts": ("select * from api.posts order by id desc limit %s", (PAGE,)),
    "a profile by name": (
        "select * from api.users where username = %s limit 100", ("USER_1",),
    ),
    "a profile by id": ("select * from api.users where id = %s", (1,)),
    "one's own profile": ("select * from api.me()", ()),
    "whether one follows somebody": (
        "select * from api.follows where follower_id = %s and followed_id = %s", (READER, 1),
    ),
    "posts with their authors": (
        "select p.*, u.username from api.posts p left join lateral"
        " (select * from api.users u where u.id = p.author_id) u on true"
        " where p.author_id = %s order by p.id desc limit %s", (1, PAGE),
    ),
    # The rest of what the proxy lets through: see docs/http.md, what may be asked of a table.
    "posts beyond an id": ("select * from api.posts where id > %s order by id limit %s", (9, PAGE)),
    "posts between two ids": (
        "select * from api.posts where id >= %s and id < %s limit %s", (9, 2**53, PAGE),
    ),
    "some posts": ("select * from api.posts where id = any (%s)", ([1, 4096, 8193],)),
    "an author's posts that are no replies": (
        "select * from api.posts where author_id = %s and is_reply is false and id < %s"
        " order by id desc limit %s", (READER, 2**53, PAGE),
    ),
    "replies to a post, newest first": (
        "select * from api.posts where parent_id = (select max(parent_id) from api.posts"
        " where author_id = %s) and id < %s order by id desc limit %s", (1000, 2**53, PAGE),
    ),
    "people in order": (
        "select * from api.users where id > %s order by id limit %s", (2000, PAGE),
    ),
    "people from the newest": ("select * from api.users order by id desc limit %s", (PAGE,)),
    "some people by name": (
        "select * from api.users where username = any (%s) limit 100", (["user_1", "USER_2"],),
    ),
    "followers from one on": (
        "select * from api.follows where followed_id = %s and follower_id > %s"
        " order by follower_id limit %s", (1, 1000, PAGE),
    ),
    "people followed, from the newest account": (
        "select * from api.follows where follower_id = %s and followed_id < %s"
        " order by followed_id desc limit %s", (READER, 4000, PAGE),
    ),
    "whom of these one follows": (
        "select * from api.follows where follower_id = %s and followed_id = any (%s) limit 100",
        (READER, list(range(1, 60))),
    ),
    "follows in one order": ("select * from api.follows order by follower_id limit %s", (PAGE,)),
    "follows in the other order": (
        "select * from api.follows order by followed_id desc limit %s", (PAGE,),
    ),
    "follows with both people": (
        "select f.*, a.username, b.username from api.follows f"
        " left join lateral (select * from api.users u where u.id = f.follower_id) a on true"
        " left join lateral (select * from api.users u where u.id = f.followed_id) b on true"
        " where f.followed_id = %s order by f.follower_id limit %s", (1, PAGE),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", READS)
def test_a_read_of_a_view(member: Recorder, what: str, bounds: Bounds) -> None:
    query, parameters = READS[what]
    executed = member.run(query, *parameters)
    bounds.check(executed, blocks=600)
    if "limit" in query:
        assert executed[-1].plan["Actual Rows"] >= 1


@pytest.mark.parametrize("table", ["users", "posts", "follows"])
def test_the_farthest_offset(member: Recorder, table: str, bounds: Bounds) -> None:
    order = "follower_id" if table == "follows" else "id"
    executed = member.run(
        f"select * from api.{table} order by {order} limit %s offset %s", PAGE, 999
    )
    bounds.check(executed, rows=1000 + PAGE, blocks=10 * 1000)
    assert executed[-1].plan["Actual Rows"] == PAGE


def test_a_name_is_found_whatever_its_case(graph: Database) -> None:
    with graph.as_anon() as connection:
        rows = connection.execute("select id from api.users where username = 'UsEr_7'").fetchall()
    assert rows == [(7,)]


def test_a_read_without_a_token(graph: Database, bounds: Bounds) -> None:
    with recorder(graph) as made:
        bounds.check(made.run("select * from api.feed_public(null, %s::integer)", PAGE))
        bounds.check(
            made.run("select * from api.followers(%s::bigint, null, %s::integer)", 1, PAGE)
        )


def test_what_comes_before_each_request(graph: Database, member: Recorder, bounds: Bounds) -> None:
    ((claims,),) = graph.run(
        "select json_build_object('role', 'member', 'aud', 'microblog', 'sub', user_id::text,"
        " 'jti', jti, 'exp', extract(epoch from expires_at)::bigint)::text"
        " from app.sessions where user_id = %s",
        [READER],
    )
    for name, value in (
        ("request.jwt.claims", claims),
        ("request.path", "/rpc/feed_timeline"),
        ("request.method", "GET"),
    ):
        member.connection.execute("select set_config(%s, %s, false)", [name, value])
    member.run("select app.pre_request()")  # plans what is in it
    bounds.check(member.run("select app.pre_request()"), blocks=20)


# -- writes --------------------------------------------------------------------------------------


def test_a_post_of_a_small_author(member: Recorder, bounds: Bounds) -> None:
    executed = member.run("insert into api.posts (content) values (%s)", "hello")
    bounds.check(executed, rows=200, blocks=3000)
    assert any("feed_entries" in one.query for one in executed)


def test_a_reply(graph: Database, member: Recorder, bounds: Bounds) -> None:
    post = popular_post(graph)
    bounds.check(
        member.run("insert into api.posts (content, parent_id) values (%s, %s)", "re", post)
    )


def test_the_deletion_of_a_post_with_replies_and_readers(graph: Database, bounds: Bounds) -> None:
    """The foreign key looks for replies, the clean-up for readers: both by index."""
    author, post = graph.run(
        "select p.author_id, p.id from app.posts p join app.user_counters c"
        " on c.user_id = p.author_id where not p.is_reply and p.author_id > 5"
        " and c.followers_count between 20 and 90"
        " and exists (select from app.posts r where r.parent_id = p.id) order by p.id limit 1"
    )[0]
    with recorder(graph, author) as made:
        executed = made.run("delete from api.posts where id = %s", post)
    bounds.check(executed, rows=200, blocks=3000)
    assert any("feed_entries" in one.query for one in executed)
    assert graph.value("select count(*) from app.feed_entries where post_id = %s", [post]) == 0


def test_a_follow_and_an_unfollow(graph: Database, member: Recorder, bounds: Bounds) -> None:
    followed = graph.value(
        "select min(id) from app.users u where id between 100 and 200 and not exists"
        " (select from app.follows f where f.follower_id = %s and f.followed_id = u.id)",
        [READER],
    )
    bounds.check(member.run("insert into api.follows (followed_id) values (%s)", followed))
    bounds.check(member.run("delete from api.follows where followed_id = %s", followed), rows=2500)


def test_a_chunk_of_a_fan_out_and_of_its_purge(graph: Database, bounds: Bounds) -> None:
    graph.set(fan_out_sync_limit=0, fan_out_chunk_size=100)
    author = 50
    post = graph.post(author)
    with graph.superuser() as connection:
        made = Recorder(connection)
        bounds.check(made.run("select app.job_work('test')"), rows=200, blocks=3000)
        graph.delete_post(post)
        bounds.check(made.run("select app.job_work('test')"), rows=200, blocks=3000)


def test_the_deletion_of_an_account(graph: Database, bounds: Bounds) -> None:
    """Every foreign key to users is looked up by an index, for one of 4,000 and its few hundred
    rows.
    """
    graph.set(account_purge_sync_limit=1000)
    with graph.superuser() as connection:
        made = Recorder(connection)
        executed = made.run("select app.account_close(%s::bigint)", 3900)
    bounds.check(executed, rows=8000, blocks=12000)
    assert graph.value("select count(*) from app.users where id = 3900") == 0

"""The strategies that benchmarks compare all answer the same page: the one that is defined."""

import json
from collections.abc import Callable

import pytest

from microblog.bench.scenario import BENCH, read_all
from tests.support.database import Database
from tests.support.horizon import defined, forget

SQL = BENCH / "sql"


@pytest.fixture(scope="module")
def town(module_database: Database) -> Database:
    """Sixty people, replies, one who is pulled, one who has been away, one who follows nobody but
    the one author whom everybody follows.
    """
    database = module_database
    database.pause_schedules()
    database.set(fan_out_pull_limit=30, fan_out_push_limit=20)
    database.run("alter table app.users alter id restart 1")
    people = database.users(60)
    assert people == list(range(1, 61))
    celebrity, lonely, absent = 1, 40, 60
    for number in range(1, 8):
        database.follow([p for p in people if p % number == 0 and p != lonely], number)
    for author in (*people[:12], 20, 40, 60, *people[:8]):
        post = database.post(author)
        database.post(author % 12 + 1, "a reply", parent=post)
    database.drain()
    forget(database, absent)
    assert database.values("select author_id from app.pull_ranges") == [celebrity]
    database.run(
        "insert into app.follows (follower_id, followed_id)"
        " select u.id, 2 from app.users u where u.id <> 2 on conflict do nothing"
    )
    with database.superuser() as connection:
        connection.execute((SQL / "objects.sql").read_text())
        connection.execute(
            "insert into bench.people (kind, number, user_id)"
            " values ('active', 1, 20), ('active', 2, 40), ('active', 3, 60)"
        )
        for _ in range(2):
            for file in ("objects.sql", "strategies.sql"):
                connection.execute((SQL / file).read_text())
    assert database.values("select user_id from bench.sample order by 1") == [20, 40, 60]
    return database


def page(database: Database, reader: int, call: str) -> list[int]:
    """Return the ids of the page that a call gives to a member."""
    with database.as_member(reader) as connection:
        return [row[0] for row in connection.execute(f"select id from {call}").fetchall()]


def cached(database: Database, reader: int) -> list[int]:
    """Return the ids of the page from the cache, as JSON."""
    with database.as_member(reader) as connection:
        row = connection.execute("select bench.timeline_cached(%s)::text", [reader]).fetchone()
    assert row is not None
    return [post["id"] for post in json.loads(row[0])]


STRATEGIES: dict[str, Callable[[Database, int], list[int]]] = {
    "pull": lambda database, reader: page(database, reader, f"bench.timeline_pull({reader})"),
    "push": lambda database, reader: page(database, reader, f"bench.timeline_push({reader})"),
    "view": lambda database, reader: page(database, reader, f"bench.timeline_view({reader})"),
    "cached": cached,
    "hybrid": lambda database, reader: page(database, reader, "api.feed_timeline()"),
}


@pytest.mark.parametrize("reader", [20, 40, 60])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_page_is_the_one_that_is_defined(town: Database, strategy: str, reader: int) -> None:
    wanted = defined(town, reader)[:20]
    assert len(wanted) >= 3
    assert STRATEGIES[strategy](town, reader) == wanted


def test_a_run_proves_that_they_agree(town: Database) -> None:
    proof = (SQL / "strategies_agree.sql").read_text()
    with town.superuser() as connection:
        assert connection.execute(proof).fetchall() == []
        with connection.transaction(force_rollback=True):
            connection.execute(
                "delete from bench.feed_entries e where e.user_id = 20 and e.post_id = ("
                " select max(o.post_id) from bench.feed_entries o where o.user_id = 20)"
            )
            ((found,),) = connection.execute(proof).fetchall()
    assert found.startswith("push of user 20: ")


def test_rows_are_the_same_whichever_the_strategy(town: Database) -> None:
    """Content, author, counts: not the ids alone."""
    with town.as_member(20) as connection:
        rows = {
            str(connection.execute(f"select * from {call}").fetchall())
            for call in (
                "bench.timeline_pull(20)", "bench.timeline_push(20)", "bench.timeline_view(20)",
                "api.feed_timeline()",
            )
        }  # fmt: skip
    assert len(rows) == 1


def test_a_new_post_shows_as_soon_as_each_strategy_says(town: Database) -> None:
    """Pull and hybrid: at once; push: after its job; view: after a refresh; cached: a minute later
    still.
    """
    before = defined(town, 20)[:20]
    assert cached(town, 20) == before
    post = town.post(2)
    after = [post, *before][:20]
    seen = {name: strategy(town, 20) for name, strategy in STRATEGIES.items()}
    assert [name for name, ids in seen.items() if ids == after] == ["pull", "hybrid"]
    assert town.value("select bench.push_fan_out(%s)", [post]) == 59
    assert STRATEGIES["push"](town, 20) == after
    town.run("select bench.view_keep(300)")
    town.run("update app.view_refreshes set refreshed_at = now() - interval '300 seconds'")
    town.run("select app.job_add('views_refresh')")
    town.drain(fold=False)
    assert STRATEGIES["view"](town, 20) == after
    assert cached(town, 20) == before
    town.run("update bench.feed_cache set cached_at = cached_at - interval '61 seconds'")
    assert cached(town, 20) == after
    town.run("select bench.view_leave()")
    assert not town.values("select view_name from app.view_refreshes where view_name ~ '^bench'")


def test_the_table_has_the_four_indexes_that_it_is_compared_for(town: Database) -> None:
    assert (
        town.value("select count(*) from pg_index where indrelid = 'bench.feed_entries'::regclass")
        == 4
    )


def test_each_strategy_is_a_side_of_one_scenario_with_a_floor() -> None:
    (scenario,) = read_all(("strategies",))
    files = {script.file for side in scenario.sides for script in side.scripts}
    names = ("pull", "push", "view", "hybrid", "floor")
    assert files == {f"sql/strategy_{name}.sql" for name in names}
    assert [side.role for side in scenario.sides].count("floor") == 1
    assert all(side.setup == ["sql/strategies.sql"] for side in scenario.sides)

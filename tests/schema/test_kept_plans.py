"""The plans of the feed queries keep the shape that is committed beside this file.

docs/plans has the same queries at full scale, written by ``microblog plans``.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from microblog.errors import StackError
from microblog.plans import (
    DEEP,
    PAGE,
    QUERIES,
    Query,
    keep,
    prepare,
    reads,
    shape,
    text,
    title,
)
from microblog.settings import ROOT
from tests.support.database import Connection, Database
from tests.support.graph import seed
from tests.support.horizon import NEVER
from tests.support.views import refresh

KEPT = Path(__file__).parent / "plans"
FULL = ROOT / "docs" / "plans"
ABSENT, GREEDY = 2600, 2700
# What may be otherwise at full scale, beside the order and the methods of joins: how tables of few
# rows are read, and whether there are replies that wait to be counted.
FREE = ("feed_horizon", "pull_ranges", "settings", "cached_calls", "view_refreshes", "deltas")


@pytest.fixture(scope="module")
def graph(module_database: Database) -> Database:
    """Some thousand users, some of them away for long, one with a timeline of 50 pages, analysed,
    with the views refreshed.
    """
    seed(module_database)
    module_database.run(
        "insert into app.follows (follower_id, followed_id)"
        " select %s, n from generate_series(1, 805) n on conflict do nothing",
        [GREEDY],
    )
    # As jobs do it with whoever has been away; these only read, so that they have no posts either.
    away = {"least": ABSENT, "most": ABSENT + 60, "never": NEVER}
    module_database.run(
        "update app.feed_states set delivered_from = %(never)s, complete_from = %(never)s"
        " where user_id between %(least)s and %(most)s",
        away,
    )
    for table, who in (("feed_entries", "user_id"), ("posts", "author_id")):
        module_database.run(
            f"delete from app.{table} where {who} between %(least)s and %(most)s", away
        )
    refresh(module_database)
    module_database.run(
        "vacuum analyze app.popular_users, app.public_page, app.inactive_feeds, app.feed_states,"
        " app.follows, app.feed_entries"
    )
    return module_database


@pytest.fixture(scope="module")
def connection(graph: Database) -> Iterator[Connection]:
    with graph.superuser() as connection:
        prepare(connection)
        yield connection


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_plan_has_the_shape_that_is_kept(
    connection: Connection, query: Query, tmp_path: Path
) -> None:
    kept = KEPT / f"{query.name}.txt"
    found = shape(text(connection, query))
    if not kept.is_file() or found != kept.read_text():
        fresh = tmp_path / kept.name
        fresh.write_text(found)
        pytest.fail(
            f"the plan of {query.name} has changed; if that is meant, copy {fresh} to {kept}, and"
            f" compare the plans at full scale:\n{found}"
        )


def test_every_kept_plan_is_of_a_query_there_is() -> None:
    names = {query.name for query in QUERIES}
    for folder in (KEPT, FULL):
        assert {file.stem for file in folder.glob("*.txt")} == names, folder


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_plan_at_full_scale_is_of_the_same_statements_and_reads_the_same_way(
    connection: Connection, query: Query
) -> None:
    """Written anew by ``microblog plans`` on a full stack, whenever this fails."""
    head, _, full = (FULL / f"{query.name}.txt").read_text().partition("\n\n")
    assert head.splitlines()[0] == title(query)
    there, here = bound(full), bound(text(connection, query))
    assert list(there) == list(here), "docs/plans is of older functions"
    assert there == here


def bound(plans: str) -> dict[str, set[str]]:
    """Return each statement and how it reads tables, less what may be otherwise at full scale."""
    return {
        statement: {scan for scan in scans if not any(table in scan for table in FREE)}
        for statement, scans in reads(plans).items()
    }


def test_a_shape_changes_with_an_index_and_not_with_figures(
    graph: Database, connection: Connection
) -> None:
    (query,) = (query for query in QUERIES if query.name == "public")
    before = shape(text(connection, query))
    graph.run("insert into app.posts (author_id, content) select 1, 'x' from generate_series(1, 9)")
    assert shape(text(connection, query)) == before
    try:
        graph.run("alter index app.posts_id_top_level_idx rename to another_idx")
        assert shape(text(connection, query)) != before
    finally:
        graph.run("alter index app.another_idx rename to posts_id_top_level_idx")
    graph.run("delete from app.posts where content = 'x'")


def test_the_files_say_what_was_read_and_on_how_much(graph: Database, tmp_path: Path) -> None:
    files = keep(graph.settings, tmp_path, graph.name)
    assert sorted(file.stem for file in files) == sorted(query.name for query in QUERIES)
    deep = (tmp_path / "timeline-page-50.txt").read_text()
    assert deep.startswith(
        f"feed_timeline, page {DEEP} of {PAGE} rows, read by somebody with 50 full"
    )
    assert "4,000 users" in deep
    assert "Buffers: shared hit=" in deep
    assert "cost=" not in deep
    below = {file.stem for file in files if "heads" in file.read_text()}
    assert below == {query.name for query in QUERIES if "below" in query.name or query.horizon}
    merged = {file.stem for file in files if reads_large_authors(file.read_text())}
    assert "timeline" in merged
    assert "timeline-none-merged-in" not in merged


def reads_large_authors(plan: str) -> bool:
    """Whether somebody the reader follows is so large that their posts are merged in."""
    _, ranges, after = plan.partition("Seq Scan on pull_ranges r ")
    return bool(ranges) and "rows=0" not in after.partition("\n")[0]


def test_a_page_that_is_short_is_not_kept(graph: Database, connection: Connection) -> None:
    short = replace(next(query for query in QUERIES if query.name == "timeline"), page=DEEP)
    with pytest.raises(StackError, match="a page has"):
        text(connection, short)


def test_what_is_changed_for_a_plan_is_changed_back(
    graph: Database, connection: Connection
) -> None:
    states = "select h.post_id, max(s.complete_from) filter (where s.complete_from <> %s)"
    states += " from app.feed_horizon h, app.feed_states s group by 1"
    before = graph.run(states, [NEVER])
    for query in QUERIES:
        if query.horizon:
            text(connection, query)
    assert graph.run(states, [NEVER]) == before == [(0, 0)]


def test_an_empty_database_has_nobody_to_read_as(database: Database, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="nobody to read as"):
        keep(database.settings, tmp_path, database.name)

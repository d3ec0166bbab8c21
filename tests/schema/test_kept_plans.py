"""The plans of the feed queries keep the shape that is committed beside this file.

docs/plans has the same queries at full scale, written by ``microblog plans``.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from microblog.errors import StackError
from microblog.plans import QUERIES, Query, keep, prepare, shape, text
from microblog.settings import ROOT
from tests.support.database import Connection, Database
from tests.support.graph import seed
from tests.support.views import refresh

KEPT = Path(__file__).parent / "plans"
ABSENT = 2600


@pytest.fixture(scope="module")
def graph(module_database: Database) -> Database:
    """Some thousand users, one of them away for long, analysed, with the views refreshed."""
    seed(module_database)
    module_database.run(
        "update app.feed_states set delivered_from = 9007199254740992,"
        " complete_from = 9007199254740992 where user_id = %s",
        [ABSENT],
    )
    refresh(module_database)
    module_database.run(
        "vacuum analyze app.popular_users, app.public_page, app.inactive_feeds, app.feed_states"
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
    assert {file.stem for file in KEPT.iterdir()} == names
    assert {file.stem for file in (ROOT / "docs" / "plans").glob("*.txt")} <= names


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
    assert deep.startswith("feed_timeline, page 50 of 20 rows, read by somebody who follows about")
    assert "4,000 users" in deep
    assert "Buffers: shared hit=" in deep
    assert "cost=" not in deep
    assert "heads" in (tmp_path / "timeline-below-horizon.txt").read_text()
    assert "heads" not in (tmp_path / "timeline.txt").read_text()


def test_an_empty_database_has_nobody_to_read_as(database: Database, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="nobody to read as"):
        keep(database.settings, tmp_path, database.name)

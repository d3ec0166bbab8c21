"""The plan of a feed as PostgREST asks for it, told by the server's own log."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from microblog.stack.process import wait_for
from tests.support.client import Member, expect
from tests.support.database import Database
from tests.support.graph import seed
from tests.support.plans import Executed
from tests.support.servers import Served, serve_rest

REQUESTS = 8  # PostgreSQL takes a generic plan from the sixth execution on, where it is no worse


@pytest.fixture(scope="module")
def served(module_database: Database) -> Iterator[Served]:
    """PostgREST before the graph; each of its statements explains itself in the log."""
    seed(module_database)
    name = module_database.name
    module_database.run(f"alter database {name} set session_preload_libraries = 'auto_explain'")
    for setting, value in (
        ("log_min_duration", "0"), ("log_format", "json"), ("log_analyze", "on"),
        ("log_buffers", "on"), ("log_timing", "off"), ("log_nested_statements", "on"),
    ):  # fmt: skip
        module_database.run(
            f"alter role authenticator in database {name} set auto_explain.{setting} = '{value}'"
        )
    with serve_rest(module_database) as running:
        yield running


@pytest.fixture(scope="module")
def reader(served: Served) -> Member:
    """Somebody who follows sixty people, five pulled ones among them, and has posted."""
    member = served.signup()
    served.database.follow(member.id, list(range(1, 61)))
    member.write("mine")
    served.database.drain()
    served.database.run("analyze")
    return member


def plans(log: Path, since: int, database: str) -> list[Executed]:
    """Read the plans that this database's sessions have logged since this place in the file."""
    text = log.read_bytes()[since:].decode()
    pattern = rf"@{database} LOG:  duration: [^\n]* plan:\n((?:\t[^\n]*\n)+)"
    found = [json.loads(match) for match in re.findall(pattern, text)]
    return [Executed(one["Query Text"], one["Plan"]) for one in found]


@pytest.mark.parametrize("feed", ["feed_timeline", "feed_following", "feed_mine", "feed_public"])
@pytest.mark.parametrize("cursor", [False, True])
def test_postgrest_gets_the_plan_of_the_inlined_function(
    served: Served, reader: Member, feed: str, cursor: bool
) -> None:
    database = served.database
    log = database.settings.log_dir / "postgres.log"
    since = log.stat().st_size
    middle = str(database.value("select app.post_id_at(now() - interval '1 hour')"))
    for _ in range(REQUESTS):
        rows = expect(200, reader.page(feed, middle if cursor else None, 20)).json()
    assert len(rows) == (20 if feed != "feed_mine" else 0 if cursor else 1)

    def asked() -> list[int]:
        return [n for n, one in enumerate(plans(log, since, database.name)) if feed in one.query]

    wait_for(lambda: len(asked()) >= REQUESTS, 30, "the plans in the log")
    before, last = asked()[-2:]
    executed = plans(log, since, database.name)[before + 1 : last + 1]
    nodes = [node for node in executed[-1].nodes() if node["Node Type"] == "Function Scan"]
    assert feed not in {node["Function Name"] for node in nodes}, str(executed[-1])
    assert any("posts" in one.scans() for one in executed)
    for one in executed:
        scans = one.scans()
        big = {table for table in scans if table in ("posts", "users", "follows", "feed_states")}
        assert all("Seq Scan" not in scans[table] for table in big), str(one)
        assert one.sorted_rows() <= 6 * 21, str(one)
        assert one.filtered() <= 6 * 21, str(one)
        assert one.blocks <= 1500, str(one)


@pytest.mark.parametrize("path", ["/users", "/posts", "/follows", "/follows?followed_id=eq.1"])
def test_an_estimated_count_counts_no_more_than_a_page(
    served: Served, reader: Member, path: str
) -> None:
    database = served.database
    log = database.settings.log_dir / "postgres.log"
    since = log.stat().st_size
    answer = reader.get(path, headers={"Prefer": "count=estimated", "Range": "0-0"})
    assert int(expect(206, answer).headers["Content-Range"].partition("/")[2]) > 100

    def asked() -> list[Executed]:
        return [one for one in plans(log, since, database.name) if "pgrst_source" in one.query]

    wait_for(asked, 30, "the plan in the log")
    for one in asked():
        assert one.rows("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan") <= 102

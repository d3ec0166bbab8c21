"""What the API says of itself, and the committed inventory of all that it exposes."""

import json
from pathlib import Path
from typing import Any

import pytest

from microblog.settings import ROOT
from tests.support.client import expect
from tests.support.servers import Served

COMMITTED = Path(__file__).parent / "endpoints.json"
CONTRACT = [
    ("post", "/rpc/signup", {"username", "password"}),
    ("post", "/rpc/login", {"username", "password"}),
    ("post", "/rpc/logout", {"all"}),
    ("post", "/rpc/password_change", {"current_password", "new_password"}),
    ("post", "/rpc/account_delete", {"password"}),
    ("get", "/rpc/me", set()),
    ("patch", "/users", set()),
    ("get", "/users", set()),
    ("post", "/posts", set()),
    ("delete", "/posts", set()),
    ("get", "/posts", set()),
    ("get", "/rpc/feed_timeline", {"cursor", "limit"}),
    ("get", "/rpc/feed_mine", {"cursor", "limit"}),
    ("get", "/rpc/feed_following", {"cursor", "limit"}),
    ("get", "/rpc/feed_public", {"cursor", "limit"}),
    ("get", "/rpc/feed_public_cached", {"cursor", "limit"}),
    ("get", "/rpc/feed_timeline_cached", {"cursor", "limit"}),
    ("get", "/rpc/users_popular", {"cursor", "limit"}),
    ("get", "/rpc/user_cached", {"user_id"}),
    ("get", "/rpc/replies", {"post_id", "cursor", "limit"}),
    ("get", "/rpc/thread", {"post_id", "limit"}),
    ("post", "/follows", set()),
    ("delete", "/follows", set()),
    ("get", "/rpc/followers", {"user_id", "cursor", "limit"}),
    ("get", "/rpc/following", {"user_id", "cursor", "limit"}),
    ("get", "/rpc/up", set()),
    ("get", "/rpc/health", set()),
]
MEMBERS_ONLY = {
    "/rpc/account_delete", "/rpc/feed_following", "/rpc/feed_mine", "/rpc/feed_timeline",
    "/rpc/feed_timeline_cached", "/rpc/logout", "/rpc/me", "/rpc/password_change",
}  # fmt: skip


@pytest.fixture(scope="module")
def documents(api: Served) -> dict[str, dict[str, Any]]:
    """The OpenAPI document as anon and as a member get it."""
    return {
        "anon": expect(200, api.get("/")).json(),
        "member": expect(200, api.signup().get("/")).json(),
    }


def arguments(document: dict[str, Any], path: str) -> set[str]:
    """Return the names of the arguments of a function, or of the columns of a table."""
    if path.startswith("/rpc/"):
        (body,) = (
            p for p in document["paths"][path]["post"]["parameters"] if p.get("name") == "args"
        )
        return set(body["schema"].get("properties", {}))
    return set(document["definitions"][path.removeprefix("/")]["properties"])


def inventory(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return all that is exposed: path → who sees it, summary, arguments or columns."""
    found: dict[str, Any] = {}
    for role, document in documents.items():
        for path in sorted(set(document["paths"]) - {"/"}):
            entry = found.setdefault(path, {"roles": [], "summary": None})
            entry["roles"].append(role)
            entry["summary"] = document["paths"][path]["get"]["summary"]
            kind = "arguments" if path.startswith("/rpc/") else "columns"
            entry[kind] = sorted(arguments(document, path))
    return dict(sorted(found.items()))


def test_what_is_exposed_is_what_the_committed_inventory_says(
    documents: dict[str, dict[str, Any]],
) -> None:
    found = inventory(documents)
    if found != json.loads(COMMITTED.read_text()):
        fresh = ROOT / "var" / "endpoints.json"
        fresh.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        pytest.fail(f"what is exposed has changed: if that is meant, copy {fresh} to {COMMITTED}")


@pytest.mark.parametrize(("method", "path", "names"), CONTRACT)
def test_every_call_is_described(
    documents: dict[str, dict[str, Any]], method: str, path: str, names: set[str]
) -> None:
    document = documents["member"]
    call = document["paths"][path][method]
    assert call["summary"]
    assert call["description"]
    if path.startswith("/rpc/"):
        assert arguments(document, path) == names


def test_nothing_is_exposed_beside_the_calls(documents: dict[str, dict[str, Any]]) -> None:
    assert set(documents["member"]["paths"]) == {path for _, path, _ in CONTRACT} | {"/"}
    assert set(documents["anon"]["paths"]) == set(documents["member"]["paths"]) - MEMBERS_ONLY


def test_every_column_is_described(documents: dict[str, dict[str, Any]]) -> None:
    for table, definition in documents["member"]["definitions"].items():
        for name, column in definition["properties"].items():
            own = column.get("description", "").partition("\n\nNote:")[0].removeprefix("Note:")
            if name not in ("id", "created_at"):
                assert own, f"{table}.{name} is not described"


def test_the_document_names_itself_and_says_how_to_begin(
    documents: dict[str, dict[str, Any]],
) -> None:
    info = documents["anon"]["info"]
    assert info["title"] == "pg-microblog"
    assert "/rpc/signup" in info["description"]
    assert "/rpc/login" in info["description"]


def test_health_and_up_have_short_names(api: Served) -> None:
    assert expect(200, api.get("/up")).json() == api.get("/rpc/up").json() == {"status": "ok"}
    health = expect(200, api.get("/health")).json()
    assert set(health) == {"status", "schema", "worker", "queue", "cache"}
    assert set(health["schema"]) == {"change", "tag"}
    assert health["schema"]["change"]
    assert health["status"] == "degraded", "no worker runs beside the tests"
    assert health["worker"]["alive"] == 0
    assert set(health["queue"]) == {"depth", "oldest_age_seconds", "dead"}
    figures = {"hits", "misses", "bytes", "age_seconds", "invalidations", "conditional", "feeds"}
    assert set(health["cache"]) == figures
    assert health["cache"]["hits"] is None


def test_health_shows_the_worker_and_the_queue(own_api: Served) -> None:
    database = own_api.database
    database.pause_schedules()
    database.set(fan_out_sync_limit=0)
    author, follower = own_api.signups(2)
    follower.follow(author)
    author.write()
    with database.as_worker() as worker:
        worker.execute("select app.worker_heartbeat('one')")
        health = own_api.get("/health").json()
        assert (health["status"], health["worker"]["alive"]) == ("ok", 1)
        assert 0 <= health["worker"]["heartbeat_age_seconds"] < 15
        assert health["queue"]["depth"] == 1
        assert health["queue"]["oldest_age_seconds"] >= 0
        database.run("update app.jobs set state = 'dead'")
        health = own_api.get("/health").json()
        assert (health["status"], health["queue"]["dead"]) == ("degraded", 1)
        worker.execute("select app.worker_bye('one')")
    assert own_api.get("/health").json()["worker"]["alive"] == 0


def test_the_document_says_how_tokens_are_sent(documents: dict[str, dict[str, Any]]) -> None:
    (scheme,) = documents["anon"]["securityDefinitions"].values()
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    assert documents["anon"]["security"]

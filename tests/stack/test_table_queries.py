"""What may be asked of a table: the proxy passes what an index serves, and nothing else."""

import json
from urllib.parse import quote

import httpx
import pytest

from microblog.settings import ROOT
from tests.fuzz.wire import Request, send
from tests.stack.test_proxy import ALLOWED, assert_error

U, E = "follower:users!follower_id(id,username)", "followed:users!follows_followed_id_fkey(*)"
PASSED = {
    "/users": [
        "id=eq.5", "id=in.(7,8)", "id=in.%287%2C8%29", "id=gt.5&id=lte.9&order=id", "limit=5",
        "username=eq.alice", "username=in.(a,b)", "order=id.desc&limit=20", "order=id.asc",
        "select=*", "select=id,name:username", "select=id%2C%20username", "select=",
        "select=*,a:id", "offset=0&limit=10", "offset=999", "&id=eq.5&", "",
        "columns=%22description%22",
        "username=eq.100%25", "username=eq.%26order%3Dusername",
    ],
    "/posts": [
        "author_id=eq.5&order=id.desc&limit=20&select=*,author:users(id,username)",
        "parent_id=eq.5", "author_id=eq.5&id=lt.9", "order=id.desc&limit=3", "id=gte.5",
        "select=users(*)", "author_id=eq.5&is_reply=is.false", "parent_id=eq.5&order=id",
        "columns=content", "select=content,users!posts_author_id_fkey(username,followers_count),id",
    ],
    "/follows": [
        "follower_id=eq.5", "followed_id=eq.5&order=follower_id.desc", f"select=*,{U}",
        "follower_id=eq.5&followed_id=in.(7,8)", "followed_id=eq.5&follower_id=gt.9",
        "order=followed_id", f"select={U},{E},created_at",
    ],
}  # fmt: skip
EVERYWHERE = [
    "offset=1000", "offset=-1", "offset=abc", "offset=%31", "order=", "order=created_at",
    "foo=eq.1",
    "order=id.desc.nullslast", "order=id,id", "order=id%2Ccreated_at", "on_conflict=id",
    "and=(id.eq.1)",
    "or=(id.eq.1,id.eq.2)", "not.and=(id.eq.1)", "id=neq.5", "id=not.eq.5", "id=eq(any).{5}", "id",
    "id=is.null", "id=isdistinct.5", "%69d=eq.5", "Id=eq.5", "users.order=id", "password_hash=eq.x",
    "xmin=eq.1", "count=gt.0", "id->x=eq.1", "limit", "=", "id=eq.5&order=count",
]  # fmt: skip
REFUSED = {
    "/users": [
        *EVERYWHERE, "username=like.a*", "username=fts.a", "description=eq.x", "order=username",
        "order=followers_count.desc", "followers_count=gt.5", "created_at=lt.now",
    ],
    "/posts": [
        *EVERYWHERE, "content=like.*a*", "content=imatch.(a*)*b", "content=fts.a", "content=eq.a",
        "author_id=in.(5,6)", "author_id=gt.5", "parent_id=is.null", "is_reply=is.true",
        "is_reply=is.false",
        "author_id=eq.5&parent_id=eq.6", "parent_id=eq.6&author_id=eq.5", "order=replies_count",
        "parent_id=eq.5&limit=3&is_reply=is.false", "is_reply=eq.false", "is_reply=is.falsey",
    ],
    "/follows": [
        *EVERYWHERE, "id=eq.5", "follower_id=gt.5", "followed_id=in.(5,6)", "order=created_at.desc",
        "follower_id=gt.5&followed_id=lt.9", "order=follower_id,followed_id", "created_at=lt.2026",
    ],
}  # fmt: skip
NO_SELECT = [
    "array_agg", "count", "json_agg", "count()", "id.max()", "id::text", "id::regclass", "id->x",
    "to_json", "pg_typeof", "password_hash", "xmin", "posts(*)", "posts(count)", "credentials(*)",
    "follows!follows_followed_id_fkey(*)", "*,posts(id)", "id\n", "id\n,array_agg", "id\x00",
    "(id)",
    "...users(id)", "id,*", "a:*", "a:b:id", "*,*", ",".join(["id"] * 200), '" where ":id', "id;id",
]  # fmt: skip
NO_SELECT_OF = {
    "/users": ["content", "users(id)", "follower_id"],
    "/posts": [
        "username", "users(count)", "users(posts(id))", "users!inner(id)", "users(id),b:users(id)",
        "users(id::text)", "users(password_hash)", "author_id(id)", "users!nosuch(id)", "users()",
    ],
    "/follows": ["users(id)", f"{U},{E},c:{U}", "users!follower_id(posts(id))", "content"],
    "/rpc/feed_public": ["users(id)", "author->>password_hash", "author->x", "pg_typeof"],
    "/rpc/me": ["posts(id)", "follows!follows_followed_id_fkey(*)", "count"],
}  # fmt: skip


@pytest.mark.parametrize("path", PASSED)
def test_what_an_index_serves_passes_as_it_is(door: httpx.Client, path: str) -> None:
    for query in PASSED[path]:
        for method in ("GET", "DELETE"):
            answer = door.request(method, f"{path}?{query}")
            assert answer.status_code == 200, f"{query}: {answer.text}"
            assert answer.json()["path"].partition("?")[2] == query


@pytest.mark.parametrize("path", REFUSED)
def test_what_could_read_a_whole_table_is_refused_in_words(door: httpx.Client, path: str) -> None:
    for query in REFUSED[path]:
        of_many = path == "/follows" and "_id=" in query
        for method in ("GET",) if of_many else ("GET", "POST", "PATCH", "DELETE"):
            answer = door.request(method, f"{path}?{query}", headers={"Origin": ALLOWED})
            assert answer.status_code == 400, f"{query}: {answer.text}"
            assert_error(answer, 400, "query_not_supported")
            assert path in answer.json()["message"]
            assert answer.headers["access-control-allow-origin"] == ALLOWED


def test_an_unfollow_may_name_several_people(door: httpx.Client) -> None:
    """Row security narrows a DELETE to one's own follows, whatever its filter."""
    assert door.delete("/follows?followed_id=in.(5,6)").status_code == 200
    assert door.delete("/follows?followed_id=gt.5").status_code == 200


@pytest.mark.parametrize(
    "address",
    ["/posts?limit=2;%73elect=array_agg", "/posts?id=gt.0;content=imatch.x", "/posts?limit=1;"]
    + ["/posts?select=id;order=content;or=(content.like.*a*)", "/posts?limit=5;offset=999"]
    + ["/users?;username=like.a*", "/follows?follower_id=eq.5;order=created_at"],
)
def test_a_semicolon_brings_no_other_parameter(door: httpx.Client, address: str) -> None:
    """PostgREST would take what follows for one that no rule has looked at."""
    for method in ("GET", "POST", "PATCH", "DELETE"):
        assert_error(door.request(method, address), 400, "separator_not_supported")


def test_an_encoded_semicolon_is_part_of_a_value(door: httpx.Client) -> None:
    path = "/users?username=eq.a%3Blimit=0"
    assert door.get(path).json()["path"] == path


@pytest.mark.parametrize("path", NO_SELECT_OF)
def test_what_is_no_column_cannot_be_selected(door: httpx.Client, path: str) -> None:
    for select in NO_SELECT + NO_SELECT_OF[path]:
        for method in ("GET", "POST"):
            for query in (
                f"select={quote(select)}",
                f"limit=1&select={quote(select, safe='(),:*!.')}",
            ):
                answer = door.request(method, f"{path}?{query}")
                assert answer.status_code == 400, f"{select}: {answer.text}"
                assert_error(answer, 400, "select_not_supported")
    twice = door.get(f"{path}?select=id&limit=1&select=array_agg")
    assert_error(twice, 400, "select_not_supported")


def test_columns_of_a_page_and_an_author_s_name_can_be_selected(door: httpx.Client) -> None:
    for select in ("id,content", "id,name:author->>username", "*", "replies_count,author"):
        assert door.get("/rpc/feed_public", params={"select": select}).status_code == 200


def test_an_exact_count_is_not_asked_for(door: httpx.Client) -> None:
    for sent, left in (
        ("count=exact", "count=ignored"),
        ("return=minimal,count=exact", "return=minimal,count=ignored"),
        ("count=exact,count=exact", "count=ignored,count=ignored"),
        ("count=planned", "count=planned"),
        ("count=estimated", "count=estimated"),
    ):
        assert door.get("/users", headers={"Prefer": sent}).json()["headers"]["prefer"] == left


ODD_PREFERENCES = [
    'a="x, count=exact, b=y"', 'a; b="c;, count=exact, "', '"count=exact"', "\x0bcount=exact",
    "count=exact\x0c", "a,\x0bcount=exact", 'a="x, resolution=merge-duplicates, b=y"',
    "\x0bresolution=ignore-duplicates", "a\\, count=exact", "count=exact,\tb", "count='exact'",
]  # fmt: skip


@pytest.mark.parametrize("value", ODD_PREFERENCES)
def test_a_preference_that_could_be_read_in_two_ways_is_refused(
    door: httpx.Client, value: str
) -> None:
    """Within quotes the proxy sees no comma, where PostgREST sees nothing else."""
    for sent in ([value], ["return=minimal", value], [value, "return=minimal"]):
        headers = tuple((b"Prefer", part.encode()) for part in sent)
        for method in ("GET", "POST"):
            answer = send(str(door.base_url), Request(method, b"/users", headers))
            assert (answer.status, answer.json()["code"]) == (400, "preference_not_supported")


def test_several_preferences_are_looked_at_each(door: httpx.Client) -> None:
    sent = [("Prefer", "return=minimal, max-affected=0"), ("Prefer", "timezone=Etc/GMT+5;a")]
    left = [*sent, ("Prefer", "tx=commit,count=ignored")]
    sent.append(("Prefer", "tx=commit,count=exact"))
    seen = door.get("/users", headers=sent).json()["headers"]["prefer"]
    assert seen == ", ".join(value for _, value in left)
    sent.append(("Prefer", "a, resolution=merge-duplicates"))
    assert_error(door.post("/posts", json={}, headers=sent), 400, "upsert_not_supported")


def test_a_range_begins_where_an_offset_may(door: httpx.Client) -> None:
    for value in ("0-9", "999-", "bytes=0-"):
        assert door.get("/users", headers={"Range": value}).json()["headers"]["range"] == value
    for value in ("1000-", "1000-1009", "99999999999999999999-"):
        assert_error(door.get("/users", headers={"Range": value}), 400, "offset_too_large")


def test_an_upsert_is_refused(door: httpx.Client) -> None:
    for value in ("resolution=merge-duplicates", "return=minimal,resolution=ignore-duplicates"):
        answer = door.post("/posts", json={}, headers={"Prefer": value})
        assert_error(answer, 400, "upsert_not_supported")


def test_a_body_is_json(door: httpx.Client) -> None:
    for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        seen = door.post("/posts", content=b"{}", headers={"Content-Type": kind}).json()
        assert seen["headers"]["content-type"] == "application/json"
    assert "content-type" not in door.post("/posts", content=b"{}").json()["headers"]
    for kind in ("text/csv", "application/x-www-form-urlencoded", "text/plain", "x", ""):
        answer = door.post("/rpc/login", content=b"{}", headers={"Content-Type": kind})
        assert_error(answer, 415)
    twice = [("Content-Type", "application/json"), ("Content-Type", "text/csv")]
    for headers in (twice, twice[::-1]):
        answer = door.post("/posts", content=b"{}", headers=headers)
        kinds = {answer.json().get("headers", {}).get("content-type", "application/json")}
        assert kinds == {"application/json"}


def test_an_address_has_4_kilobytes(door: httpx.Client) -> None:
    for length in (4096, 4097, 8000):
        path = "/users?id=in.(" + "1" * (length - len("/users?id=in.(") - 1) + ")"
        answer = door.get(path)
        if length <= 4096:
            assert answer.json()["path"] == path
        else:
            assert_error(answer, 414)


def test_every_refusal_of_the_proxy_has_the_four_fields() -> None:
    for path in (ROOT / "api" / "errors").glob("*.json"):
        error = json.loads(path.read_text())
        assert list(error) == ["code", "message", "details", "hint"], path.name
        assert error["message"].endswith(".")
        assert error["hint"].endswith(".")

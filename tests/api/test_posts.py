"""Posts and replies: writing, reading, deleting."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.client import Member, expect, refused
from tests.support.refusals import told
from tests.support.servers import Served

COLUMNS = {"id", "author_id", "content", "parent_id", "is_reply", "replies_count", "created_at"}
RETURN_ROW = {"Prefer": "return=representation"}


def contents(member: Member) -> list[str]:
    return [row["content"] for row in member.all("feed_mine")]


# -- writing -------------------------------------------------------------------------------------


def test_a_post_is_201_with_the_row_on_request(api: Served) -> None:
    member = api.signup()
    body = {"content": "hello, world"}
    (row,) = expect(201, member.post("/posts", json=body, headers=RETURN_ROW)).json()
    assert set(row) == COLUMNS
    assert (row["author_id"], row["content"]) == (member.id, "hello, world")
    assert (row["parent_id"], row["is_reply"], row["replies_count"]) == (None, False, 0)


def test_a_post_is_201_with_an_empty_body_by_default(api: Served) -> None:
    member = api.signup()
    assert expect(201, member.post("/posts", json={"content": "quiet"})).content == b""
    assert contents(member) == ["quiet"]


def test_the_row_may_embed_its_author(api: Served) -> None:
    member = api.signup()
    path = "/posts?select=*,author:users(id,username)"
    (row,) = expect(201, member.post(path, json={"content": "x"}, headers=RETURN_ROW)).json()
    assert row["author"] == {"id": member.id, "username": member.username}


def test_a_location_is_given_where_only_headers_are_wanted(api: Served) -> None:
    member = api.signup()
    answer = member.post(
        "/posts", json={"content": "where?"}, headers={"Prefer": "return=headers-only"}
    )
    location = expect(201, answer).headers["Location"]
    (row,) = api.get(location).json()
    assert row["content"] == "where?"


def test_an_id_fits_a_javascript_number_and_tells_the_time_of_the_post(api: Served) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    row = api.signup().write()
    after = datetime.now(UTC)
    assert 0 < row["id"] < 2**53
    created = datetime.fromisoformat(row["created_at"])
    assert before <= created <= after
    read_off = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(milliseconds=row["id"] >> 12)
    assert created == read_off


def test_a_reply_names_its_parent_and_counts_there(api: Served) -> None:
    author, answerer = api.signups(2)
    post = author.write()
    reply = answerer.write("a reply", post["id"])
    assert (reply["parent_id"], reply["is_reply"]) == (post["id"], True)
    answerer.write("a reply to a reply", reply["id"])
    for post_id in (post["id"], reply["id"]):
        (row,) = api.get(f"/posts?id=eq.{post_id}").json()
        assert row["replies_count"] == 1


def test_a_reply_to_nothing_is_404(api: Served) -> None:
    member = api.signup()
    gone = member.write()["id"]
    member.erase(gone)
    for parent in (gone, 1, -1, 2**62):
        answer = member.post("/posts", json={"content": "hello?", "parent_id": parent})
        told(404, "post_not_found", answer, str(parent), "deleted")
    assert contents(member) == []


@pytest.mark.parametrize("body", [{}, {"content": None}, {"content": ""}, {"parent_id": None}])
def test_a_post_needs_content(api: Served, body: dict[str, Any]) -> None:
    answer = api.signup().post("/posts", json=body)
    told(400, "content_empty", answer, "needs content", "1 to 200 characters")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"7"])
def test_a_body_that_holds_no_post_is_refused(api: Served, body: bytes) -> None:
    member = api.signup()
    answer = member.post("/posts", content=body, headers={"Content-Type": "application/json"})
    told(400, "body_empty", answer, "holds no post", "Send a JSON object")


@pytest.mark.parametrize("body", [b"", b"{", b"content=x", b"[1]", b'[{"content":"a"},1]'])
def test_a_body_that_is_no_json_object_is_400(api: Served, body: bytes) -> None:
    member = api.signup()
    answer = member.post("/posts", content=body, headers={"Content-Type": "application/json"})
    refused(400, "PGRST102", answer)
    assert contents(member) == []


@pytest.mark.parametrize(
    ("parent", "code"), [("x", "22P02"), ("", "22P02"), (10**30, "22003"), (1.5, "22P02")]
)
def test_a_parent_that_is_no_id_is_400(api: Served, parent: object, code: str) -> None:
    member = api.signup()
    refused(400, code, member.post("/posts", json={"content": "x", "parent_id": parent}))


def test_several_posts_go_in_one_request_in_their_order(api: Served) -> None:
    member = api.signup()
    body = [{"content": f"number {n}"} for n in range(5)]
    rows = expect(201, member.post("/posts", json=body, headers=RETURN_ROW)).json()
    assert [row["content"] for row in rows] == [post["content"] for post in body]
    assert member.profile()["posts_count"] == 5


def test_of_several_posts_all_are_made_or_none(api: Served) -> None:
    member = api.signup()
    body = [{"content": "fine"}, {"content": "x" * 201}, {"content": "fine too"}]
    told(400, "content_too_long", member.post("/posts", json=body), "201")
    assert contents(member) == []
    assert member.profile()["posts_count"] == 0


# -- reading -------------------------------------------------------------------------------------


def test_an_author_s_posts_are_paged_by_id(api: Served) -> None:
    author, other = api.signups(2)
    posts = [author.write(str(n))["id"] for n in range(5)]
    other.write("not of this author")
    path = f"/posts?author_id=eq.{author.id}&order=id.desc&limit=2"
    seen: list[int] = []
    cursor = ""
    while rows := expect(200, api.get(path + cursor)).json():
        assert all(set(row) == COLUMNS for row in rows)
        seen += [row["id"] for row in rows]
        cursor = f"&id=lt.{seen[-1]}"
    assert seen == posts[::-1]


def test_posts_embed_their_author(api: Served) -> None:
    author = api.signup()
    post = author.write()
    path = f"/posts?id=eq.{post['id']}&select=*,author:users(id,username)"
    (row,) = expect(200, api.get(path)).json()
    assert row == post | {"author": {"id": author.id, "username": author.username}}


def test_a_table_answers_100_rows_at_most_whatever_limit_is_asked(own_api: Served) -> None:
    author = own_api.signup()
    own_api.database.posts(author.id, 120)
    for query in ("", "&limit=1000000000", "&limit=101"):
        assert len(own_api.get(f"/posts?order=id.desc{query}").json()) == 100
    assert own_api.get("/posts?limit=0").json() == []


def test_head_has_the_headers_of_get_and_no_body(api: Served) -> None:
    author = api.signup()
    author.write()
    path = f"/posts?author_id=eq.{author.id}"
    head = expect(200, api.request("HEAD", path))
    assert head.content == b""
    assert head.headers["Content-Type"] == api.get(path).headers["Content-Type"]
    assert head.headers["Content-Range"] == "0-0/*"


def test_a_thread_has_the_posts_above_the_post_and_its_replies(api: Served) -> None:
    one, two = api.signups(2)
    top = one.write("top")["id"]
    middle = two.write("middle", top)["id"]
    post = one.write("post", middle)["id"]
    replies = [two.write(f"reply {n}", post)["id"] for n in range(3)]
    one.write("beside", top)
    thread = expect(200, api.get(f"/rpc/thread?post_id={post}")).json()
    assert [row["id"] for row in thread["ancestors"]] == [top, middle]
    assert thread["post"]["id"] == post
    assert thread["post"]["replies_count"] == 3
    assert [row["id"] for row in thread["replies"]] == replies
    card = {"id", "content", "created_at", "parent_id", "replies_count", "author"}
    for row in (*thread["ancestors"], thread["post"], *thread["replies"]):
        assert set(row) == card
        assert set(row["author"]) == {"id", "username"}


def test_a_thread_leads_to_the_rest_of_its_replies(api: Served) -> None:
    member = api.signup()
    post = member.write()["id"]
    replies = [member.write(f"reply {n}", post)["id"] for n in range(5)]
    answer = expect(200, api.get(f"/rpc/thread?post_id={post}&limit=2"))
    assert [row["id"] for row in answer.json()["replies"]] == replies[:2]
    path = answer.headers["Link"].removeprefix("<").partition(">")[0]
    assert path.startswith("/rpc/replies?")
    assert [row["id"] for row in expect(200, api.get(path)).json()] == replies[2:4]
    assert "Link" not in api.get(f"/rpc/thread?post_id={post}&limit=5").headers


@pytest.mark.parametrize("call", ["thread", "replies"])
def test_a_thread_of_no_post_is_404_in_words(api: Served, call: str) -> None:
    member = api.signup()
    gone = member.write()["id"]
    member.erase(gone)
    for post_id in (gone, 0, -1):
        answer = api.get(f"/rpc/{call}?post_id={post_id}")
        told(404, "post_not_found", answer, str(post_id), "deleted")
    told(400, "post_id_required", api.get(f"/rpc/{call}"), "post_id is missing", "?post_id=")
    refused(400, "22P02", api.get(f"/rpc/{call}?post_id=x"))


def test_replies_come_oldest_first(api: Served) -> None:
    one, two = api.signups(2)
    post = one.write()["id"]
    replies = [member.write("re", post)["id"] for member in (one, two, one, two)]
    assert [row["id"] for row in api.page("/rpc/replies", post_id=post).json()] == replies


# -- deleting ------------------------------------------------------------------------------------


def test_one_deletes_one_s_own_post(api: Served) -> None:
    member = api.signup()
    kept, doomed = member.write("kept"), member.write("doomed")
    member.erase(doomed["id"])
    assert contents(member) == ["kept"]
    assert api.get(f"/posts?id=eq.{doomed['id']}").json() == []
    assert member.profile()["posts_count"] == 1
    assert api.get(f"/posts?id=eq.{kept['id']}").json() == [kept]


def test_a_deletion_returns_what_is_gone_on_request(api: Served) -> None:
    member = api.signup()
    post = member.write()
    answer = member.delete(f"/posts?id=eq.{post['id']}", headers=RETURN_ROW)
    assert expect(200, answer).json() == [post]


def test_somebody_else_s_post_cannot_be_deleted(api: Served) -> None:
    author, other = api.signups(2)
    post = author.write()
    answer = other.delete(f"/posts?id=eq.{post['id']}")
    told(403, "not_yours", answer, "own posts", str(post["id"]), "nothing was deleted")
    assert api.get(f"/posts?id=eq.{post['id']}").json() == [post]


def test_a_filter_that_meets_others_too_deletes_nothing(api: Served) -> None:
    author, other = api.signups(2)
    posts = [author.write()["id"], other.write()["id"]]
    for query in (f"id=in.({posts[0]},{posts[1]})", "id=gt.0", f"author_id=eq.{author.id}"):
        refused(403, "not_yours", other.delete(f"/posts?{query}"))
    found = api.get(f"/posts?id=in.({posts[0]},{posts[1]})").json()
    assert sorted(row["id"] for row in found) == posts


def test_one_deletes_all_of_one_s_own_posts_by_saying_so(api: Served) -> None:
    author, other = api.signups(2)
    for member in (author, other):
        expect(201, member.post("/posts", json=[{"content": "a"}, {"content": "b"}]))
    expect(204, author.delete(f"/posts?author_id=eq.{author.id}"))
    assert (contents(author), contents(other)) == ([], ["b", "a"])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "filter_required"),
        ("?select=id", "filter_required"),
        ("?limit=1&order=id", "limit_not_supported"),
        ("?id=gt.0&limit=1&order=id", "limit_not_supported"),
    ],
)
def test_a_deletion_without_a_filter_is_refused(api: Served, query: str, code: str) -> None:
    member = api.signup()
    member.write("still here")
    told(400, code, member.delete(f"/posts{query}", headers=RETURN_ROW), "filter")
    assert contents(member) == ["still here"]


def test_no_name_in_select_passes_for_a_filter(module_rest: Served) -> None:
    """The proxy lets no such name through; the guard in the database does not need it to."""
    member = module_rest.signup()
    member.write("still here")
    select = {"select": '" where ":id'}
    refused(400, "filter_required", member.delete("/posts", params=select, headers=RETURN_ROW))
    assert contents(member) == ["still here"]


def test_a_post_is_deleted_once(api: Served) -> None:
    member = api.signup()
    post = member.write()["id"]
    member.erase(post)
    answer = member.delete(f"/posts?id=eq.{post}")
    told(404, "post_not_found", answer, "nothing was deleted", "already")


def test_the_replies_of_a_deleted_post_stay_as_replies(api: Served) -> None:
    author, answerer = api.signups(2)
    answerer.follow(author)
    post = author.write()["id"]
    reply = answerer.write("still a reply", post)["id"]
    author.erase(post)
    (row,) = api.get(f"/posts?id=eq.{reply}").json()
    assert (row["parent_id"], row["is_reply"]) == (None, True)
    assert reply not in [row["id"] for row in api.page("/rpc/feed_public", limit=100).json()]
    assert answerer.ids("feed_timeline") == []
    assert answerer.ids("feed_mine") == [reply]


def test_posts_are_never_changed(api: Served) -> None:
    member = api.signup()
    post = member.write("as it was")
    path = f"/posts?id=eq.{post['id']}"
    changed = post | {"content": "as it is"}
    for answer in (
        member.patch(path, json={"content": "as it is"}),
        api.request("PUT", path, member.token, json=changed),
    ):
        told(405, "method_not_allowed", answer, "/posts", "DELETE")
    assert api.get(path).json() == [post]


def test_a_request_writes_at_most_100_rows(api: Served) -> None:
    member = api.signup()
    rows = [{"content": f"post {n}"} for n in range(101)]
    refused(400, "rows_too_many", member.post("/posts", json=rows))
    assert contents(member) == []
    expect(201, member.post("/posts", json=rows[:100]))
    assert len(contents(member)) == 100

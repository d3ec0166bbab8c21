"""Pages: limits, cursors, the last page. Nobody writes meanwhile: test_paging_meanwhile.py."""

from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

from tests.support.client import Member, expect, refused
from tests.support.paging import check_page, ids, walk
from tests.support.refusals import told
from tests.support.servers import Served

FEEDS = ["feed_timeline", "feed_mine", "feed_following", "feed_public"]
PAGED = [*FEEDS, "replies", "followers", "following"]


def arguments(call: str, member: Member, post_id: int) -> dict[str, int]:
    if call == "replies":
        return {"post_id": post_id}
    return {"user_id": member.id} if call in ("followers", "following") else {}


@pytest.fixture(scope="module")
def reader(api: Served) -> Member:
    """Somebody with 25 rows on each of the paged calls."""
    reader, author = api.signups(2)
    others = api.database.users(25)
    api.database.follow(others, reader.id)
    api.database.follow(reader.id, others[:24])
    reader.follow(author)
    api.database.posts(author.id, 25)
    mine = api.database.posts(reader.id, 25)
    for _ in range(25):
        api.database.post(author.id, "a reply", mine[0])
    api.drain()
    return reader


@pytest.fixture(scope="module")
def post_id(api: Served, reader: Member) -> int:
    """The post that has 25 replies."""
    return api.database.value("select id from app.posts where replies_count = 25")


@pytest.fixture(params=PAGED)
def paged(request: pytest.FixtureRequest, reader: Member, post_id: int) -> Callable[..., Any]:
    """Ask for a page of each paged call in turn."""
    call = request.param

    def page(cursor: str | None = None, limit: object = None) -> Any:
        return reader.page(call, cursor, limit, **arguments(call, reader, post_id))

    return page


# -- limit ---------------------------------------------------------------------------------------


def test_a_page_has_20_rows_unless_told_otherwise(paged: Callable[..., Any]) -> None:
    for limit in (None, ""):
        rows, cursor = check_page(paged(limit=limit), 20)
        assert len(rows) == 20
        assert cursor


@pytest.mark.parametrize("limit", [1, 2, 24, 100])
def test_a_page_has_up_to_limit_rows(paged: Callable[..., Any], limit: int) -> None:
    rows, _ = check_page(paged(limit=limit), limit)
    assert len(rows) == limit or (limit == 100 and len(rows) in (25, 50))


@pytest.mark.parametrize(
    "limit", [0, -1, 101, 10**9, 2**31, 2**63, 10**40, "ten", "1.5", "1e1", "0x10", "5;", "٥", "1 "]
)
def test_any_other_limit_is_refused_in_words(paged: Callable[..., Any], limit: object) -> None:
    told(400, "limit_invalid", paged(limit=limit), "from 1 to 100", "Leave it out")


def test_a_limit_in_a_body_counts_as_well(reader: Member) -> None:
    answer = reader.post("/rpc/feed_timeline", json={"limit": 3})
    rows, cursor = check_page(answer, 3)
    answer = reader.post("/rpc/feed_timeline", json={"limit": 3, "cursor": cursor})
    more, _ = check_page(answer, 3)
    assert ids(rows + more) == reader.ids("feed_timeline", limit=100)[:6]
    told(400, "limit_invalid", reader.post("/rpc/feed_timeline", json={"limit": 0}))


def test_a_limit_in_the_address_of_a_post_counts_as_well(reader: Member) -> None:
    """As generic PostgREST clients send it."""
    answer = reader.post("/rpc/feed_timeline?limit=3", json={})
    rows, cursor = check_page(answer, 3)
    assert len(rows) == 3
    assert cursor


def test_a_range_header_does_not_cut_a_page_short(reader: Member) -> None:
    headers = {"Range": "0-4", "Range-Unit": "items"}
    answer = reader.get("/rpc/feed_timeline?limit=10", headers=headers)
    rows, cursor = check_page(answer, 10)
    assert len(rows) == 10
    assert cursor


def test_a_client_cannot_set_the_limit_past_the_proxy(reader: Member) -> None:
    answer = reader.get("/rpc/feed_timeline", headers={"X-Page-Limit": "3"})
    assert len(expect(200, answer).json()) == 20


# -- cursor --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cursor", ["x", "-1", "1.5", "1e3", " 1", "1 ", "9" * 19, "9" * 500, "1,2", "null", "'", "٥"]
)
def test_a_malformed_cursor_is_refused_in_words(paged: Callable[..., Any], cursor: str) -> None:
    told(400, "cursor_invalid", paged(cursor), "X-Next-Cursor", "Leave it out")


def test_an_empty_cursor_is_the_first_page(paged: Callable[..., Any]) -> None:
    assert paged("").json() == paged().json()


@pytest.mark.parametrize("call", PAGED)
def test_a_cursor_beyond_either_end_is_a_plain_page(
    reader: Member, post_id: int, call: str
) -> None:
    given = arguments(call, reader, post_id)
    newest_first = call in FEEDS
    for cursor, empty in (("0", newest_first), ("9" * 18, not newest_first)):
        rows, _ = check_page(reader.page(call, cursor, 100, **given), 100)
        assert rows == ([] if empty else reader.page(call, None, 100, **given).json())


@pytest.mark.parametrize("call", PAGED)
def test_bad_arguments_are_refused_on_empty_pages_too(own_api: Served, call: str) -> None:
    """Whatever plan a table without rows gets."""
    member = own_api.signup()
    given = arguments(call, member, 1)
    if call != "replies":
        told(400, "cursor_invalid", member.page(call, "x", **given))
    told(400, "limit_invalid", member.page(call, None, 0, **given))
    if given:
        code = {"post_id": "post_not_found", "user_id": "user_not_found"}[next(iter(given))]
        told(404, code, member.page(call, **dict.fromkeys(given, 987654)), "987654")


# -- the last page -------------------------------------------------------------------------------


@pytest.mark.parametrize("call", PAGED)
@pytest.mark.parametrize("size", [1, 5, 7, 25, 50])
def test_pages_of_any_size_join_to_the_whole(
    reader: Member, post_id: int, call: str, size: int
) -> None:
    given = arguments(call, reader, post_id)
    whole = expect(200, reader.page(call, None, 100, **given)).json()
    assert len(whole) in (25, 50)
    assert walk(reader.api, call, reader.token, size, **given) == whole
    assert walk(reader.api, call, reader.token, cycle([size, 3, 11]), **given) == whole


@pytest.mark.parametrize("call", PAGED)
def test_an_exactly_full_last_page_has_no_next(reader: Member, post_id: int, call: str) -> None:
    given = arguments(call, reader, post_id)
    whole = reader.page(call, None, 100, **given).json()
    answer = reader.page(call, None, len(whole), **given)
    assert len(answer.json()) == len(whole)
    assert "Link" not in answer.headers
    assert "X-Next-Cursor" not in answer.headers
    one_less = reader.page(call, None, len(whole) - 1, **given)
    _, cursor = check_page(one_less, len(whole) - 1)
    last = reader.page(call, cursor, 1, **given)
    assert last.json() == whole[-1:]
    assert "Link" not in last.headers


@pytest.mark.parametrize("call", PAGED)
def test_link_can_be_followed_as_it_stands(reader: Member, post_id: int, call: str) -> None:
    given = arguments(call, reader, post_id)
    answer = reader.page(call, None, 20, **given)
    rows = answer.json()
    while "Link" in answer.headers:
        answer = expect(200, reader.get(answer.headers["Link"].partition(">")[0][1:]))
        rows += answer.json()
    assert rows == reader.page(call, None, 100, **given).json()


@pytest.mark.parametrize("call", PAGED)
def test_head_names_the_next_page(reader: Member, post_id: int, call: str) -> None:
    params = {**arguments(call, reader, post_id), "limit": 2}
    head = expect(200, reader.api.request("HEAD", f"/rpc/{call}", reader.token, params=params))
    got = reader.get(f"/rpc/{call}", params=params)
    assert head.content == b""
    assert head.headers["Link"] == got.headers["Link"]
    assert head.headers["X-Next-Cursor"] == got.headers["X-Next-Cursor"]


@pytest.mark.parametrize("query", ["offset=1", "order=id", "id=lt.5", "and=(id.lt.5)", "%6cimit=5"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_cannot_be_cut_or_sorted_another_way(
    reader: Member, method: str, query: str
) -> None:
    answer = reader.api.request(method, f"/rpc/feed_mine?{query}", reader.token)
    told(400, "parameter_unknown", answer, "cursor, limit, post_id, user_id and select")


def test_a_page_does_not_pass_for_the_total(reader: Member) -> None:
    for path in ("/rpc/feed_mine?limit=2", "/rpc/feed_public"):
        answer = expect(200, reader.get(path, headers={"Prefer": "count=exact"}))
        assert answer.headers["Content-Range"].endswith("/*")


def test_the_columns_of_a_page_can_be_chosen(reader: Member) -> None:
    answer = expect(200, reader.get("/rpc/feed_mine?select=id,parent_id&limit=2"))
    assert [list(row) for row in answer.json()] == [["id", "parent_id"]] * 2
    assert answer.headers["X-Next-Cursor"] == str(answer.json()[-1]["id"])


def test_an_empty_feed_is_plainly_empty(api: Served) -> None:
    member, quiet = api.signups(2)
    member.follow(quiet)
    for feed in ("feed_timeline", "feed_mine", "feed_following"):
        assert check_page(member.page(feed), 20) == ([], None)


def test_a_bad_token_is_no_anonymous_page(api: Served) -> None:
    refused(401, "token_invalid", api.page("/rpc/feed_public", "not.a.token"))

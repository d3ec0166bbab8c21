"""Tags of what PostgREST writes out by itself: a digest of the very bytes."""

import pytest

from tests.support.client import Member, expect
from tests.support.servers import Served

LONG = "ö" * 200


@pytest.fixture
def author(api: Served) -> Member:
    author = api.signup()
    author.write("first")
    return author


def addresses(author: Member) -> list[str]:
    return [
        f"/users?id=eq.{author.id}",
        f"/posts?author_id=eq.{author.id}&order=id.desc",
        "/rpc/me",
        f"/rpc/followers?user_id={author.id}",
        f"/follows?followed_id=eq.{author.id}",
    ]


def test_what_is_unchanged_is_not_sent_again_and_what_changed_is(
    api: Served, author: Member
) -> None:
    first = {path: expect(200, author.get(path)) for path in addresses(author)}
    assert (
        len({answer.headers["ETag"] for answer in first.values()}) >= len(first) - 1
    )  # two are []
    for path, page in first.items():
        headers = {"If-None-Match": page.headers["ETag"]}
        again = expect(304, author.get(path, headers=headers))
        assert again.content == b""
        assert again.headers["ETag"] == page.headers["ETag"]
        assert (
            again.headers["Cache-Control"] == page.headers["Cache-Control"] == "private, no-cache"
        )
        assert {"Authorization", "Accept"} <= set(again.headers["Vary"].split(", "))
        of_the_body = {name for name in page.headers if name.startswith("content-")}
        left_out = of_the_body | {"transfer-encoding"}
        assert set(again.headers) == set(page.headers) - left_out | {"x-conditional"}
    follower = api.signup()
    follower.follow(author)
    author.write("second")
    for path, page in first.items():
        now = expect(200, author.get(path, headers={"If-None-Match": page.headers["ETag"]}))
        assert now.content != page.content
        assert now.headers["ETag"] != page.headers["ETag"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_if_none_match_is_a_list_or_a_star(author: Member, form: str) -> None:
    tag = author.get("/rpc/me").headers["ETag"]
    expect(304, author.get("/rpc/me", headers={"If-None-Match": form.format(tag)}))


def test_the_total_and_the_form_are_part_of_it(author: Member) -> None:
    path = f"/posts?author_id=eq.{author.id}"
    plain = expect(200, author.get(path)).headers["ETag"]
    counted = expect(200, author.get(path, headers={"Prefer": "count=estimated"})).headers["ETag"]
    single = {"Accept": "application/vnd.pgrst.object+json"}
    assert len({plain, counted, author.get(path, headers=single).headers["ETag"]}) == 3


def test_what_does_not_fit_the_proxy_s_buffer_has_no_tag_and_comes_whole(author: Member) -> None:
    """A tag of a part of it would go on matching where the rest has changed."""
    author.api.database.run(
        "insert into app.posts (author_id, content) select %s, %s from generate_series(1, 99)",
        [author.id, LONG],
    )
    path = f"/posts?author_id=eq.{author.id}&order=id.desc&limit=100"
    answer = expect(200, author.get(path))
    assert len(answer.json()) == 100
    assert "ETag" not in answer.headers
    expect(200, author.get(path, headers={"If-None-Match": "*"}))
    sizes = [expect(200, author.get(f"{path[:-3]}{n}")) for n in range(15, 45)]
    told = [("ETag" in one.headers, len(one.content) <= 12288) for one in sizes]
    assert set(told) == {(True, True), (False, False)}


def test_a_next_page_that_comes_and_goes_is_a_change(api: Served, author: Member) -> None:
    """The rows of the page stay; only Link tells."""
    path = f"/rpc/followers?user_id={author.id}&limit=1"
    shown, beyond = sorted(api.signups(2), key=lambda member: member.id)
    shown.follow(author)
    alone = expect(200, author.get(path))
    beyond.follow(author)
    more = expect(200, author.get(path, headers={"If-None-Match": alone.headers["ETag"]}))
    assert more.content == alone.content
    assert "Link" in more.headers
    assert "Link" not in alone.headers


def test_a_head_has_no_body_to_be_known_by(author: Member) -> None:
    """A tag of nothing would match whatever the answer has become."""
    for path in addresses(author):
        answer = author.api.request("HEAD", path, author.token)
        assert "ETag" not in expect(200, answer).headers
        headers = {"If-None-Match": "*"}
        expect(200, author.api.request("HEAD", path, author.token, headers=headers))


def test_an_error_and_a_write_have_none(author: Member) -> None:
    assert "ETag" not in author.get("/users?id=eq.x").headers
    assert "ETag" not in author.post("/posts", json={"content": "new"}).headers
    expect(201, author.post("/posts", json={"content": "x"}, headers={"If-None-Match": "*"}))


def test_one_s_own_profile_is_nobody_else_s(api: Served, author: Member) -> None:
    tag = expect(200, author.get("/rpc/me")).headers["ETag"]
    other = api.signup()
    answer = expect(200, other.get("/rpc/me", headers={"If-None-Match": tag}))
    assert answer.json()["id"] == other.id

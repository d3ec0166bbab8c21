"""Idempotency-Key: a repeated POST /posts makes no second post."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.client import Member, expect, refused
from tests.support.refusals import told
from tests.support.servers import Served


def post(member: Member, body: Any, key: str | bytes) -> httpx.Response:
    headers = {"Prefer": "return=representation", "Idempotency-Key": key}
    return member.post("/posts", json=body, headers=headers)


def test_a_repeat_answers_the_same_post(api: Served) -> None:
    member = api.signup()
    first, second = (expect(201, post(member, {"content": "once"}, "k")).json() for _ in "12")
    assert first == second
    assert member.profile()["posts_count"] == 1


def test_a_repeat_shows_the_replies_that_came_meanwhile(api: Served) -> None:
    member = api.signup()
    (row,) = expect(201, post(member, {"content": "once"}, "k")).json()
    member.write("a reply", row["id"])
    (again,) = expect(201, post(member, {"content": "once"}, "k")).json()
    assert again == row | {"replies_count": 1}


def test_of_many_at_once_all_get_the_one_post(api: Served) -> None:
    member, follower = api.signups(2)
    follower.follow(member)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(member, {"content": "once"}, "k"), range(32)))
    ids = {row["id"] for answer in answers for row in expect(201, answer).json()}
    assert len(ids) == 1
    assert member.ids("feed_mine") == follower.ids("feed_timeline") == list(ids)
    assert member.profile()["posts_count"] == 1


def test_a_reply_repeats_too(api: Served) -> None:
    member = api.signup()
    parent = member.write()["id"]
    body = {"content": "re", "parent_id": parent}
    first, second = (expect(201, post(member, body, "k")).json() for _ in "12")
    assert first == second
    assert [row["id"] for row in api.page("/rpc/replies", post_id=parent).json()] == [
        first[0]["id"]
    ]


def test_the_same_key_with_another_body_is_refused(api: Served) -> None:
    member = api.signup()
    parent = member.write("a parent")["id"]
    expect(201, post(member, {"content": "one"}, "k"))
    for body in (
        {"content": "two"},
        {"content": " one"},
        {"content": "one", "parent_id": parent},
    ):
        answer = post(member, body, "k")
        told(422, "idempotency_key_reused", answer, "used for another post", "new key")
    assert member.profile()["posts_count"] == 2


def test_the_same_key_of_another_user_is_another_key(api: Served) -> None:
    one, two = api.signups(2)
    (first,) = expect(201, post(one, {"content": "mine"}, "shared")).json()
    (second,) = expect(201, post(two, {"content": "mine"}, "shared")).json()
    assert first["id"] != second["id"]
    assert (first["author_id"], second["author_id"]) == (one.id, two.id)


def test_a_key_stands_for_one_post_only(api: Served) -> None:
    member = api.signup()
    answer = post(member, [{"content": "a"}, {"content": "b"}], "k")
    told(400, "idempotency_key_single", answer, "one post", "one post a request")
    assert member.profile()["posts_count"] == 0
    (row,) = expect(201, post(member, [{"content": "a"}], "k")).json()
    assert post(member, {"content": "a"}, "k").json() == [row]


def test_a_refused_post_leaves_its_key_free(api: Served) -> None:
    member = api.signup()
    refused(400, "content_empty", post(member, {"content": ""}, "k"))
    expect(201, post(member, {"content": "now with content"}, "k"))


def test_a_key_whose_post_was_deleted_makes_no_new_one(api: Served) -> None:
    member = api.signup()
    (row,) = expect(201, post(member, {"content": "once"}, "k")).json()
    member.erase(row["id"])
    answer = post(member, {"content": "once"}, "k")
    told(410, "post_deleted", answer, "deleted since", "new key")
    assert member.profile()["posts_count"] == 0


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_1_to_255_characters(api: Served, key: str) -> None:
    member = api.signup()
    answer = post(member, {"content": "x"}, key)
    told(400, "idempotency_key_invalid", answer, "1 to 255 characters", "UUID")
    expect(201, post(member, {"content": "x"}, "k" * 255))


def test_without_a_key_a_repeat_is_a_second_post(api: Served) -> None:
    member = api.signup()
    assert member.write("twice")["id"] != member.write("twice")["id"]
    assert member.profile()["posts_count"] == 2

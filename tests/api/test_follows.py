"""Follow, unfollow, and the lists of people."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import expect, refused
from tests.support.refusals import told
from tests.support.servers import Served

RETURN_ROW = {"Prefer": "return=representation"}


def test_a_follow_is_201_with_the_row_on_request(api: Served) -> None:
    one, two = api.signups(2)
    answer = one.post("/follows", json={"followed_id": two.id}, headers=RETURN_ROW)
    (row,) = expect(201, answer).json()
    assert set(row) == {"follower_id", "followed_id", "created_at"}
    assert (row["follower_id"], row["followed_id"]) == (one.id, two.id)
    assert api.get(f"/follows?follower_id=eq.{one.id}").json() == [row]


def test_a_repeated_follow_changes_nothing_and_is_no_error(api: Served) -> None:
    one, two = api.signups(2)
    body = {"followed_id": two.id}
    answers = [one.post("/follows", json=body, headers=RETURN_ROW) for _ in range(3)]
    assert len({expect(201, answer).text for answer in answers}) == 1
    assert one.profile()["following_count"] == two.profile()["followers_count"] == 1


def test_of_many_equal_follows_at_once_one_counts(api: Served) -> None:
    one, two = api.signups(2)
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: one.post("/follows", json={"followed_id": two.id}), range(32))
        )
    assert {answer.status_code for answer in answers} == {201}
    assert one.profile()["following_count"] == two.profile()["followers_count"] == 1


def test_several_follows_go_in_one_request_repeats_included(api: Served) -> None:
    one, two, three = api.signups(3)
    body = [{"followed_id": who.id} for who in (two, three, two)]
    expect(201, one.post("/follows", json=body))
    assert one.ids("following", user_id=one.id) == [two.id, three.id]
    assert one.profile()["following_count"] == 2


def test_nobody_follows_themselves(api: Served) -> None:
    one = api.signup()
    told(400, "self_follow", one.post("/follows", json={"followed_id": one.id}), "themselves")
    assert one.profile()["followers_count"] == one.profile()["following_count"] == 0


def test_a_follow_of_nobody_is_refused_in_words(api: Served) -> None:
    one = api.signup()
    for nobody in (0, -1, 987654, 2**62):
        answer = one.post("/follows", json={"followed_id": nobody})
        told(404, "user_not_found", answer, str(nobody), "/users?username=eq.")
    for body in ({}, {"followed_id": None}):
        answer = one.post("/follows", json=body)
        told(400, "followed_id_required", answer, "missing", "followed_id")
    told(400, "body_empty", one.post("/follows", json=[]), "names nobody", "Send a JSON object")
    refused(400, "22P02", one.post("/follows", json={"followed_id": "her"}))


def test_of_several_follows_all_count_or_none(api: Served) -> None:
    one, two = api.signups(2)
    body = [{"followed_id": two.id}, {"followed_id": one.id}]
    refused(400, "self_follow", one.post("/follows", json=body))
    assert one.ids("following", user_id=one.id) == []


@pytest.mark.parametrize("column", ["follower_id", "created_at"])
def test_only_whom_to_follow_can_be_said(api: Served, column: str) -> None:
    one, two, three = api.signups(3)
    smuggled = {"follower_id": two.id, "created_at": "2020-01-01T00:00:00Z"}[column]
    answer = one.post("/follows", json={"followed_id": three.id, column: smuggled})
    refused(403, "42501", answer)
    assert three.profile()["followers_count"] == 0


def test_an_unfollow_takes_effect_at_once(api: Served) -> None:
    one, two, three = api.signups(3)
    one.follow(two)
    one.follow(three)
    gone, kept = two.write()["id"], three.write()["id"]
    one.unfollow(two)
    assert one.ids("following", user_id=one.id) == [three.id]
    assert one.ids("feed_timeline") == one.ids("feed_following") == [kept]
    assert (one.profile()["following_count"], two.profile()["followers_count"]) == (1, 0)
    assert api.get(f"/posts?id=eq.{gone}").json()


def test_a_repeated_unfollow_changes_nothing_and_is_no_error(api: Served) -> None:
    one, two = api.signups(2)
    one.unfollow(two)
    one.follow(two)
    one.unfollow(two)
    one.unfollow(two)
    assert (one.profile()["following_count"], two.profile()["followers_count"]) == (0, 0)


def test_an_unfollow_returns_what_is_gone_on_request(api: Served) -> None:
    one, two = api.signups(2)
    one.follow(two)
    answer = one.delete(f"/follows?followed_id=eq.{two.id}", headers=RETURN_ROW)
    (row,) = expect(200, answer).json()
    assert (row["follower_id"], row["followed_id"]) == (one.id, two.id)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "filter_required"),
        ("?select=followed_id", "filter_required"),
        ("?limit=100&order=followed_id", "limit_not_supported"),
    ],
)
def test_an_unfollow_without_a_filter_is_refused(api: Served, query: str, code: str) -> None:
    one, two = api.signups(2)
    one.follow(two)
    told(400, code, one.delete(f"/follows{query}", headers=RETURN_ROW), "filter")
    assert one.ids("following", user_id=one.id) == [two.id]


def test_nobody_else_s_follow_can_be_undone(api: Served) -> None:
    one, two, three = api.signups(3)
    two.follow(three)
    three.follow(one)
    for query in (f"follower_id=eq.{two.id}", f"followed_id=eq.{three.id}", "followed_id=gt.0"):
        expect(204, one.delete(f"/follows?{query}"))
    assert two.ids("following", user_id=two.id) == [three.id]
    assert one.ids("followers", user_id=one.id) == [three.id]
    assert three.profile()["followers_count"] == 1


def test_follows_are_never_changed(api: Served) -> None:
    one, two, three = api.signups(3)
    one.follow(two)
    path = f"/follows?follower_id=eq.{one.id}&followed_id=eq.{two.id}"
    body = {"follower_id": one.id, "followed_id": three.id}
    for answer in (
        one.patch(path, json={"followed_id": three.id}),
        api.request("PUT", path, one.token, json=body),
    ):
        told(405, "method_not_allowed", answer, "/follows")
    assert one.ids("following", user_id=one.id) == [two.id]


def test_people_are_listed_in_the_order_of_their_accounts(api: Served) -> None:
    people = api.signups(6)
    star, *fans = people
    for fan in reversed(fans):
        fan.follow(star)
        star.follow(fan)
    for call in ("followers", "following"):
        rows = api.page(f"/rpc/{call}", user_id=star.id).json()
        assert rows == [{"id": fan.id, "username": fan.username, "description": ""} for fan in fans]


@pytest.mark.parametrize("call", ["followers", "following"])
def test_a_list_of_people_of_nobody_is_refused_in_words(api: Served, call: str) -> None:
    for nobody in (0, -1, 987654):
        answer = api.get(f"/rpc/{call}?user_id={nobody}")
        told(404, "user_not_found", answer, str(nobody), "/users?username=eq.")
    told(400, "user_id_required", api.get(f"/rpc/{call}"), "user_id is missing", "?user_id=")
    refused(400, "22P02", api.get(f"/rpc/{call}?user_id=alice"))


@pytest.mark.parametrize("call", ["followers", "following"])
def test_a_list_of_people_may_be_empty(api: Served, call: str) -> None:
    one = api.signup()
    assert expect(200, api.get(f"/rpc/{call}?user_id={one.id}")).json() == []

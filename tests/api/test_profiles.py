"""Profiles: everybody's to read, one's own to change."""

import pytest

from tests.support.client import expect, refused
from tests.support.refusals import told
from tests.support.servers import Served

COLUMNS = {
    "id", "username", "description", "created_at",
    "followers_count", "following_count", "posts_count",
}  # fmt: skip


def test_a_profile_is_found_by_name_whatever_its_case(api: Served) -> None:
    member = api.signup("Katherine_Johnson")
    for name in ("Katherine_Johnson", "katherine_johnson", "KATHERINE_JOHNSON"):
        (profile,) = expect(200, api.get("/users", params={"username": f"eq.{name}"})).json()
        assert set(profile) == COLUMNS
        assert (profile["id"], profile["username"]) == (member.id, "Katherine_Johnson")


def test_a_name_that_nobody_has_gives_no_profile(api: Served) -> None:
    assert expect(200, api.get("/users?username=eq.nobody_at_all")).json() == []


def test_a_profile_counts_followers_following_and_posts_with_replies(api: Served) -> None:
    one, two, three = api.signups(3)
    one.follow(two)
    two.follow(one)
    three.follow(one)
    post = one.write()
    one.write("a reply", post["id"])
    profile = one.profile()
    assert profile["followers_count"] == 2
    assert profile["following_count"] == 1
    assert profile["posts_count"] == 2
    assert one.get("/rpc/me").json() == profile


def test_one_changes_one_s_own_description_and_name(api: Served) -> None:
    member = api.signup()
    body = {"description": "Counts 😀 in code points", "username": "renamed_member"}
    expect(204, member.patch(f"/users?id=eq.{member.id}", json=body))
    profile = member.profile()
    assert {name: profile[name] for name in body} == body
    expect(200, api.login("renamed_member"))
    refused(401, "invalid_credentials", api.login(member.username))


def test_a_change_returns_the_new_profile_on_request(api: Served) -> None:
    member = api.signup()
    answer = member.patch(
        f"/users?id=eq.{member.id}",
        json={"description": "hi"},
        headers={"Prefer": "return=representation"},
    )
    (profile,) = expect(200, answer).json()
    assert profile == member.profile()
    assert profile["description"] == "hi"


def test_one_may_change_the_case_of_one_s_own_name(api: Served) -> None:
    member = api.signup("lower_case")
    expect(204, member.patch(f"/users?id=eq.{member.id}", json={"username": "LOWER_CASE"}))
    assert member.profile()["username"] == "LOWER_CASE"


def test_a_description_has_at_most_120_characters(api: Served) -> None:
    member = api.signup()
    path = f"/users?id=eq.{member.id}"
    expect(204, member.patch(path, json={"description": "😀" * 120}))
    answer = member.patch(path, json={"description": "😀" * 121})
    told(400, "description_too_long", answer, "at most 120", "121", "Shorten")
    assert member.profile()["description"] == "😀" * 120


def test_a_description_can_be_taken_away(api: Served) -> None:
    member = api.signup()
    path = f"/users?id=eq.{member.id}"
    for nothing in ("", None):
        expect(204, member.patch(path, json={"description": "something"}))
        expect(204, member.patch(path, json={"description": nothing}))
        assert member.profile()["description"] == ""


def test_a_new_name_obeys_the_rules_of_sign_up(api: Served) -> None:
    member, other = api.signups(2)
    path = f"/users?id=eq.{member.id}"
    taken = other.username.upper()
    told(409, "username_taken", member.patch(path, json={"username": taken}), taken, "another")
    for name in ("", "two words", "x" * 51, None):
        told(400, "username_invalid", member.patch(path, json={"username": name}), "1 to 50")
    assert member.profile()["username"] == member.username


def test_somebody_else_s_profile_cannot_be_changed(api: Served) -> None:
    member, other = api.signups(2)
    answer = member.patch(f"/users?id=eq.{other.id}", json={"description": "was here"})
    told(403, "not_yours", answer, "own profile", f"/users?id=eq.{member.id}")
    assert other.profile()["description"] == ""


def test_a_filter_that_meets_others_too_changes_nobody(api: Served) -> None:
    member, other = api.signups(2)
    path = f"/users?id=in.({member.id},{other.id})"
    refused(403, "not_yours", member.patch(path, json={"description": "all of us"}))
    assert member.profile()["description"] == other.profile()["description"] == ""


def test_a_change_without_a_filter_is_refused(api: Served) -> None:
    member = api.signup()
    answer = member.patch("/users", json={"description": "everybody"})
    told(400, "filter_required", answer, "needs a filter", "/users?id=eq.")
    answer = member.patch("/users?limit=1&order=id", json={"description": "everybody"})
    told(400, "limit_not_supported", answer, "filter")
    assert member.profile()["description"] == ""


def test_a_change_of_nobody_is_404(api: Served) -> None:
    member = api.signup()
    answer = member.patch("/users?id=eq.0", json={"description": "nobody"})
    told(404, "user_not_found", answer, "nothing was changed", "/rpc/me")


@pytest.mark.parametrize(
    "column", ["id", "created_at", "followers_count", "following_count", "posts_count"]
)
def test_only_name_and_description_can_be_written(api: Served, column: str) -> None:
    member = api.signup()
    before = member.profile()
    body = {column: before[column], "description": "smuggled"}
    refused(403, "42501", member.patch(f"/users?id=eq.{member.id}", json=body))
    assert member.profile() == before


@pytest.mark.parametrize("column", ["deleted_at", "password_hash", "is_admin"])
def test_a_column_that_is_not_there_cannot_be_written(api: Served, column: str) -> None:
    member = api.signup()
    answer = member.patch(f"/users?id=eq.{member.id}", json={column: None})
    refused(400, "PGRST204", answer)


def test_accounts_are_neither_made_nor_deleted_through_the_table(api: Served) -> None:
    member = api.signup()
    path = f"/users?id=eq.{member.id}"
    body = {"id": member.id, "username": "by_table", "description": ""}
    for answer in (
        member.post("/users", json={"username": "by_table"}),
        member.api.request("PUT", path, member.token, json=body),
        member.delete(path),
    ):
        told(405, "method_not_allowed", answer, "/users", "PATCH of /users")
    assert member.profile()["username"] == member.username


def test_a_profile_embeds_no_lists(api: Served, module_rest: Served) -> None:
    """A list has a limit of its own, and each row in it may have lists again."""
    one = api.signup()
    for select in ("posts(id)", "follows!follows_followed_id_fkey(follower_id)", "posts(count)"):
        told(400, "select_not_supported", api.get(f"/users?id=eq.{one.id}&select=id,{select}"))
    for table in ("sessions", "credentials", "idempotency_keys", "user_counters", "feed_entries"):
        refused(400, "PGRST200", module_rest.get(f"/users?select=id,{table}(*)"))

"""Sign-up, login, logout, password change, account deletion: who holds a token, and until when."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.client import PASSWORD, Member, expect, refused
from tests.support.refusals import told
from tests.support.servers import Served


def sign_up(api: Served, **body: Any) -> Any:
    return api.post("/rpc/signup", json=body)


def dead(member: Member, token: str | None = None) -> None:
    """Every call refuses the token, also those that need none."""
    for path in ("/rpc/me", "/rpc/feed_public", "/posts?limit=1", "/rpc/up"):
        answer = member.api.get(path, token or member.token)
        told(401, "session_ended", answer, "Log in again", "/rpc/login")
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


# -- sign-up -------------------------------------------------------------------------------------


def test_sign_up_answers_201_with_the_user_and_a_token_that_works(api: Served) -> None:
    answer = expect(201, sign_up(api, username="Ada_Lovelace", password=PASSWORD)).json()
    assert set(answer) == {"token", "token_type", "expires_at", "user"}
    assert answer["token_type"] == "Bearer"
    assert set(answer["user"]) == {"id", "username", "description", "created_at"}
    assert answer["user"]["username"] == "Ada_Lovelace"
    me = expect(200, api.get("/rpc/me", answer["token"])).json()
    assert me["id"] == answer["user"]["id"]
    assert (me["followers_count"], me["following_count"], me["posts_count"]) == (0, 0, 0)


def test_a_username_has_1_to_50_characters(api: Served) -> None:
    for name in ("x", "Y" * 50):
        assert expect(201, sign_up(api, username=name, password=PASSWORD)).json()


BAD_NAMES = (
    *("", "x" * 51, "two words", "dash-ed", "dot.ted", "tab\t", "new\nline", "x\n", "<script>"),
    *("josé", "ınci", "a\u0301", "😀", None),
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_malformed_username_is_refused_in_words(api: Served, name: str | None) -> None:
    answer = sign_up(api, username=name, password=PASSWORD)
    told(400, "username_invalid", answer, "1 to 50 characters", "underscore")


def test_a_username_is_taken_whatever_its_case(api: Served) -> None:
    api.signup("Taken_Name")
    for name in ("Taken_Name", "taken_name", "TAKEN_NAME"):
        answer = sign_up(api, username=name, password=PASSWORD)
        told(409, "username_taken", answer, name, "Choose another")


def test_of_many_who_want_a_name_at_once_one_gets_it(api: Served) -> None:
    names = ["contested", "CONTESTED", "Contested"] * 4
    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: sign_up(api, username=name, password=PASSWORD), names))
    assert sorted(a.status_code for a in answers) == [201] + [409] * (len(names) - 1)
    found = api.get("/users?username=eq.contested").json()
    assert len(found) == 1


def test_a_password_has_at_least_8_characters(api: Served) -> None:
    for password in ("", "1234567", "ééééééé", None):
        answer = sign_up(api, username="short_password", password=password)
        told(400, "password_too_short", answer, "at least 8 characters")
    expect(201, sign_up(api, username="short_password", password="éééééééé"))


def test_a_password_has_at_most_72_bytes_because_bcrypt_ignores_the_rest(api: Served) -> None:
    for password in ("x" * 73, "é" * 37, "😀" * 19):
        answer = sign_up(api, username="long_password", password=password)
        told(400, "password_too_long", answer, "72 bytes", "shorter")
    expect(201, sign_up(api, username="long_password", password="😀" * 18))
    expect(200, api.login("long_password", "😀" * 18))
    refused(401, "invalid_credentials", api.login("long_password", "😀" * 17 + "😁"))


def test_what_sign_up_lacks_is_said(api: Served) -> None:
    told(400, "username_invalid", sign_up(api, password=PASSWORD), "1 to 50 characters")
    told(400, "password_too_short", sign_up(api, username="no_password"), "at least 8 characters")
    told(400, "username_invalid", sign_up(api), "1 to 50 characters")


def test_sign_up_takes_no_more_than_name_and_password(api: Served) -> None:
    for extra in ({"id": 1}, {"followers_count": 9}, {"created_at": "2020-01-01"}):
        answer = sign_up(api, username="wants_more", password=PASSWORD, **extra)
        refused(404, "PGRST202", answer)
    assert api.get("/users?username=eq.wants_more").json() == []


def test_a_get_makes_no_account_and_no_session(api: Served) -> None:
    member = api.signup()
    answer = api.get("/rpc/signup", params={"username": "by_get", "password": PASSWORD})
    refused(400, "parameter_unknown", answer)
    assert api.get("/users?username=eq.by_get").json() == []
    credentials = {"username": member.username, "password": member.password}
    refused(400, "parameter_unknown", api.get("/rpc/login", params=credentials))
    for call in ("signup", "login", "logout"):
        expect(405, member.get(f"/rpc/{call}"))
    expect(200, member.get("/rpc/me"))


# -- login ---------------------------------------------------------------------------------------


def test_login_gives_a_token_whatever_the_case_of_the_name(api: Served) -> None:
    member = api.signup("Grace_Hopper")
    for name in ("Grace_Hopper", "grace_hopper", "GRACE_HOPPER"):
        answer = expect(200, api.login(name)).json()
        assert set(answer) == {"token", "token_type", "expires_at", "user"}
        assert answer["user"]["id"] == member.id
        assert api.get("/rpc/me", answer["token"]).json()["username"] == "Grace_Hopper"


def test_a_wrong_name_and_a_wrong_password_get_the_very_same_answer(api: Served) -> None:
    member = api.signup()
    wrong_password = api.login(member.username, "not the password")
    wrong_name = api.login("nobody_of_that_name", "not the password")
    told(401, "invalid_credentials", wrong_password, "Username or password is wrong", "try again")
    assert wrong_name.status_code == wrong_password.status_code
    assert wrong_name.content == wrong_password.content
    per_request = ("date", "x-request-id")
    one, other = (
        {k: v for k, v in a.headers.items() if k not in per_request}
        for a in (wrong_name, wrong_password)
    )
    assert one == other
    assert one["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "password", [PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1], "", "x" * 73, "\u00a0" * 8]
)
def test_only_the_exact_password_opens(api: Served, password: str) -> None:
    member = api.signup()
    refused(401, "invalid_credentials", api.login(member.username, password))


def test_a_login_without_name_or_password_says_what_to_send(api: Served) -> None:
    for body in ({}, {"username": "x"}, {"password": PASSWORD}, {"username": None}):
        answer = api.post("/rpc/login", json=body)
        told(400, "credentials_required", answer, "Username and password", "Send {")


def test_each_login_is_a_session_of_its_own(api: Served) -> None:
    member = api.signup()
    tokens = {api.login(member.username).json()["token"] for _ in range(3)} | {member.token}
    assert len(tokens) == 4
    for token in tokens:
        expect(200, api.get("/rpc/me", token))


# -- logout --------------------------------------------------------------------------------------


def test_logout_kills_this_token_at_once_and_no_other(api: Served) -> None:
    member = api.signup()
    other = api.login(member.username).json()["token"]
    expect(204, member.post("/rpc/logout"))
    dead(member)
    told(401, "session_ended", member.post("/rpc/logout"), "Log in again")
    expect(200, api.get("/rpc/me", other))


def test_logout_of_all_kills_every_token_of_this_user_and_of_nobody_else(api: Served) -> None:
    member, bystander = api.signups(2)
    tokens = [api.login(member.username).json()["token"] for _ in range(2)]
    expect(204, member.post("/rpc/logout", json={"all": True}))
    for token in (*tokens, member.token):
        dead(member, token)
    expect(200, bystander.get("/rpc/me"))
    expect(200, api.login(member.username))


@pytest.mark.parametrize("body", [{}, {"all": False}, {"all": None}])
def test_logout_without_all_ends_one_session(api: Served, body: dict[str, Any]) -> None:
    member = api.signup()
    other = api.login(member.username).json()["token"]
    expect(204, member.post("/rpc/logout", json=body))
    dead(member)
    expect(200, api.get("/rpc/me", other))


def test_no_write_gets_through_on_a_dead_token(api: Served) -> None:
    member, other = api.signups(2)
    post = member.write()
    expect(204, member.post("/rpc/logout"))
    for answer in (
        member.post("/posts", json={"content": "ghost"}),
        member.delete(f"/posts?id=eq.{post['id']}"),
        member.post("/follows", json={"followed_id": other.id}),
        member.patch(f"/users?id=eq.{member.id}", json={"description": "ghost"}),
        member.post("/rpc/account_delete", json={"password": PASSWORD}),
    ):
        refused(401, "session_ended", answer)
    (profile,) = api.get(f"/users?id=eq.{member.id}").json()
    assert (profile["posts_count"], profile["following_count"]) == (1, 0)
    assert profile["description"] == ""


# -- password change -----------------------------------------------------------------------------


def test_a_password_change_keeps_this_session_and_ends_the_others(api: Served) -> None:
    member = api.signup()
    other = api.login(member.username).json()["token"]
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    expect(204, member.post("/rpc/password_change", json=body))
    expect(200, member.get("/rpc/me"))
    dead(member, other)
    refused(401, "invalid_credentials", api.login(member.username, PASSWORD))
    expect(200, api.login(member.username, "another horse battery"))


def test_a_refused_password_change_changes_nothing(api: Served) -> None:
    member = api.signup()
    other = api.login(member.username).json()["token"]
    for status, code, current, new in (
        (403, "wrong_password", "not the password", "another horse battery"),
        (403, "wrong_password", None, "another horse battery"),
        (400, "password_too_short", PASSWORD, "1234567"),
        (400, "password_too_short", PASSWORD, None),
        (400, "password_too_long", PASSWORD, "x" * 73),
    ):
        body = {"current_password": current, "new_password": new}
        told(status, code, member.post("/rpc/password_change", json=body))
    expect(200, api.get("/rpc/me", other))
    expect(200, api.login(member.username, PASSWORD))


# -- account deletion ----------------------------------------------------------------------------


def test_account_deletion_asks_for_the_password(api: Served) -> None:
    member = api.signup()
    for body in ({"password": "not the password"}, {"password": None}, {}):
        told(403, "wrong_password", member.post("/rpc/account_delete", json=body), "password")
    expect(200, member.get("/rpc/me"))


@pytest.mark.parametrize("purge_limit", [500, 0])
def test_account_deletion_ends_sessions_and_hides_the_account_at_once(
    own_api: Served, purge_limit: int
) -> None:
    """Within the request (limit 500) or by a job that has not run yet (limit 0)."""
    own_api.database.set(account_purge_sync_limit=purge_limit)
    member, friend = own_api.signups(2)
    friend.follow(member)
    member.follow(friend)
    post = member.write("what remains")
    other_session = own_api.login(member.username).json()["token"]

    expect(204, member.post("/rpc/account_delete", json={"password": PASSWORD}))

    dead(member)
    dead(member, other_session)
    refused(401, "invalid_credentials", own_api.login(member.username))
    assert own_api.get(f"/users?id=eq.{member.id}").json() == []
    for call in ("followers", "following"):
        answer = own_api.page(f"/rpc/{call}", user_id=member.id)
        told(404, "user_not_found", answer, str(member.id), "/users?username=eq.")
    assert friend.ids("followers", user_id=friend.id) == []
    assert friend.ids("following", user_id=friend.id) == []
    assert friend.ids("feed_timeline") == []
    told(404, "user_not_found", friend.post("/follows", json={"followed_id": member.id}))

    (shown,) = own_api.page("/rpc/feed_public").json()
    assert (shown["id"], shown["content"], shown["author"]) == (post["id"], "what remains", None)

    own_api.database.assert_sound()
    (row,) = own_api.get(f"/posts?id=eq.{post['id']}&select=*,author:users(id,username)").json()
    assert (row["author_id"], row["author"]) == (None, None)
    assert friend.profile()["followers_count"] == friend.profile()["following_count"] == 0


@pytest.mark.parametrize("purge_limit", [500, 0])
def test_the_name_of_a_deleted_account_is_free_for_another(
    own_api: Served, purge_limit: int
) -> None:
    own_api.database.set(account_purge_sync_limit=purge_limit)
    first = own_api.signup("Phoenix")
    expect(204, first.post("/rpc/account_delete", json={"password": PASSWORD}))
    second = own_api.signup("phoenix", "quite another password")
    assert second.id != first.id
    expect(200, own_api.login("PHOENIX", "quite another password"))
    refused(401, "invalid_credentials", own_api.login("PHOENIX", PASSWORD))
    own_api.database.assert_sound()
    expect(200, second.get("/rpc/me"))


def test_a_get_of_login_tells_nothing_about_a_password(api: Served) -> None:
    member = api.signup()
    answers = [
        api.get("/rpc/login", params={"username": member.username, "password": password})
        for password in (member.password, "a wrong one")
    ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].content == answers[1].content
    assert answers[0].status_code in (400, 405)

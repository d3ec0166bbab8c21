"""A client that nobody here wrote: the package postgrest from PyPI, as Supabase users know it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from postgrest import APIError, SyncPostgrestClient

from tests.support.servers import Served

PASSWORD = "correct horse battery"
Connect = Callable[..., SyncPostgrestClient]


@pytest.fixture
def connect(own_api: Served) -> Iterator[Connect]:
    """Make clients, with a token or without; closed at the end."""
    with ExitStack() as stack:

        def client(token: str | None = None) -> SyncPostgrestClient:
            made = stack.enter_context(SyncPostgrestClient(own_api.url, schema="api"))
            return made.auth(token) if token else made

        yield client


def sign_up(connect: Connect, username: str) -> tuple[SyncPostgrestClient, int]:
    credentials = {"username": username, "password": PASSWORD}
    answer = connect().rpc("signup", credentials).execute().data
    return connect(answer["token"]), answer["user"]["id"]


def test_sign_up_and_login_give_tokens_that_the_client_can_use(connect: Connect) -> None:
    _, user_id = sign_up(connect, "alice")
    login = connect().rpc("login", {"username": "ALICE", "password": PASSWORD}).execute().data
    me = connect(login["token"]).rpc("me", {}, get=True).execute().data
    assert (me["id"], me["username"]) == (user_id, "alice")
    profile = connect().from_("users").select("*").eq("username", "Alice").single().execute().data
    assert profile == me


def test_refusals_arrive_as_the_client_s_own_errors(connect: Connect) -> None:
    alice, _ = sign_up(connect, "alice")
    with pytest.raises(APIError) as taken:
        sign_up(connect, "Alice")
    assert taken.value.code == "username_taken"
    assert "taken" in taken.value.message
    assert taken.value.hint
    with pytest.raises(APIError) as wrong:
        connect().rpc("login", {"username": "alice", "password": "not the password"}).execute()
    assert wrong.value.code == "invalid_credentials"
    with pytest.raises(APIError) as empty:
        alice.from_("posts").insert({"content": " "}).execute()
    assert empty.value.code == "content_empty"
    with pytest.raises(APIError) as anonymous:
        connect().from_("posts").insert({"content": "x"}).execute()
    assert anonymous.value.code == "token_required"


def test_posts_and_replies_are_written_read_and_deleted(connect: Connect) -> None:
    alice, alice_id = sign_up(connect, "alice")
    bob, _ = sign_up(connect, "bob")
    (post,) = alice.from_("posts").insert({"content": "hello 😀"}).execute().data
    (reply,) = bob.from_("posts").insert({"content": "hi", "parent_id": post["id"]}).execute().data
    rows = (
        connect()
        .from_("posts")
        .select("id, content, replies_count, author:users(id, username)")
        .eq("author_id", alice_id)
        .order("id", desc=True)
        .limit(20)
        .execute()
        .data
    )
    author = {"id": alice_id, "username": "alice"}
    assert rows == [{"id": post["id"], "content": "hello 😀", "replies_count": 1, "author": author}]
    thread = connect().rpc("thread", {"post_id": post["id"]}, get=True).execute().data
    assert [row["id"] for row in thread["replies"]] == [reply["id"]]
    with pytest.raises(APIError) as foreign:
        bob.from_("posts").delete().eq("id", post["id"]).execute()
    assert foreign.value.code == "not_yours"
    assert alice.from_("posts").delete().eq("id", post["id"]).execute().data[0]["id"] == post["id"]
    assert connect().from_("posts").select("id").execute().data == [{"id": reply["id"]}]


def test_follows_and_profiles(connect: Connect) -> None:
    alice, alice_id = sign_up(connect, "alice")
    bob, bob_id = sign_up(connect, "bob")
    for _ in range(2):
        alice.from_("follows").insert({"followed_id": bob_id}).execute()
    (row,) = bob.rpc("followers", {"user_id": bob_id}, get=True).execute().data
    assert row["username"] == "alice"
    (profile,) = (
        alice.from_("users").update({"description": "A."}).eq("id", alice_id).execute().data
    )
    assert (profile["description"], profile["following_count"]) == ("A.", 1)
    alice.from_("follows").delete().eq("followed_id", bob_id).execute()
    assert bob.rpc("followers", {"user_id": bob_id}, get=True).execute().data == []


@pytest.mark.parametrize("get", [True, False], ids=["GET", "POST"])
def test_feeds_are_paged_by_the_id_of_the_last_row(
    own_api: Served, connect: Connect, get: bool
) -> None:
    alice, alice_id = sign_up(connect, "alice")
    bob, bob_id = sign_up(connect, "bob")
    own_api.database.posts(bob_id, 7)
    alice.from_("follows").insert({"followed_id": bob_id}).execute()
    own_api.database.posts(alice_id, 4)
    everything = sorted(own_api.database.values("select id from app.posts"), reverse=True)
    for limit in (3, 4, 11):
        seen: list[int] = []
        rows = [{"id": ""}]
        while rows and rows[-1]["id"] not in everything[-1:]:
            params = {"limit": limit, "cursor": str(rows[-1]["id"])}
            rows = alice.rpc("feed_timeline", params, get=get).execute().data
            seen += [row["id"] for row in rows]
        assert seen == everything
    following = alice.rpc("feed_following", {"limit": 100}, get=get).execute().data
    assert {row["author"]["username"] for row in following} == {"bob"}
    assert len(following) == 7
    assert len(bob.rpc("feed_mine", {}, get=get).execute().data) == 7
    assert len(connect().rpc("feed_public", {}, get=get).execute().data) == 11


@pytest.mark.parametrize("get", [True, False], ids=["GET", "POST"])
def test_the_client_s_own_limit_is_the_limit_of_a_page(
    own_api: Served, connect: Connect, get: bool
) -> None:
    alice, alice_id = sign_up(connect, "alice")
    own_api.database.posts(alice_id, 30)
    for limit in (2, 25):
        rows = alice.rpc("feed_mine", {}, get=get).limit(limit).execute().data
        assert len(rows) == limit


def test_logout_ends_the_client_s_session(connect: Connect) -> None:
    alice, _ = sign_up(connect, "alice")
    alice.rpc("logout", {}).execute()
    with pytest.raises(APIError) as ended:
        alice.rpc("me", {}, get=True).execute()
    assert ended.value.code == "session_ended"

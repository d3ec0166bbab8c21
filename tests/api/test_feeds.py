"""The four feeds: who sees what, newest first."""

import pytest

from tests.support.client import PASSWORD, Member, expect
from tests.support.servers import Served

CARD = {"id", "content", "created_at", "parent_id", "replies_count", "author"}


@pytest.fixture
def stranger_post(own_api: Served) -> int:
    """A post of somebody whom nobody in the test follows."""
    return own_api.signup().write("from a stranger")["id"]


def test_the_four_feeds_are_what_they_are_defined_to_be(
    own_api: Served, stranger_post: int
) -> None:
    reader, followed = own_api.signups(2)
    reader.follow(followed)
    own = reader.write("own")["id"]
    theirs = followed.write("theirs")["id"]
    own_reply = reader.write("own reply", theirs)["id"]
    followed.write("their reply", own)
    assert reader.ids("feed_timeline") == [theirs, own]
    assert reader.ids("feed_following") == [theirs]
    assert reader.ids("feed_mine") == [own_reply, own]
    assert reader.ids("feed_public") == [theirs, own, stranger_post]


def test_a_row_of_a_page_is_a_post_with_its_author(own_api: Served) -> None:
    reader, author = own_api.signups(2)
    reader.follow(author)
    post = author.write("shown")
    reader.write("a reply", post["id"])
    for feed in ("feed_timeline", "feed_following", "feed_public"):
        (row,) = expect(200, reader.page(feed)).json()
        assert set(row) == CARD
        assert row["author"] == {"id": author.id, "username": author.username}
        assert row["replies_count"] == 1
        assert (row["id"], row["content"]) == (post["id"], "shown")
        assert (row["parent_id"], row["created_at"]) == (None, post["created_at"])


def test_a_page_shows_the_new_name_of_its_author(api: Served) -> None:
    author = api.signup()
    author.write()
    expect(204, author.patch(f"/users?id=eq.{author.id}", json={"username": "quite_new"}))
    (row,) = author.page("feed_timeline").json()
    assert row["author"]["username"] == "quite_new"


def test_the_public_feed_needs_no_token_and_is_the_same_with_one(own_api: Served) -> None:
    author = own_api.signup()
    posts = [author.write(str(n))["id"] for n in range(3)]
    anonymous = expect(200, own_api.get("/rpc/feed_public")).json()
    assert [row["id"] for row in anonymous] == posts[::-1]
    assert author.page("feed_public").json() == anonymous


def test_one_s_own_post_is_in_one_s_own_timeline_at_once(api: Served) -> None:
    api.database.set(fan_out_sync_limit=0)
    author, follower = api.signups(2)
    follower.follow(author)
    post = author.write()["id"]
    assert author.ids("feed_timeline") == [post]
    api.drain()
    assert follower.ids("feed_timeline") == [post]
    api.database.set(fan_out_sync_limit=100)


def test_a_small_author_s_post_is_in_the_followers_timelines_at_once(api: Served) -> None:
    author, *followers = api.signups(4)
    for follower in followers:
        follower.follow(author)
    post = author.write()["id"]
    for follower in followers:
        assert follower.ids("feed_timeline") == [post]


def test_a_follow_brings_what_was_posted_before(api: Served) -> None:
    author, follower = api.signups(2)
    posts = [author.write(str(n))["id"] for n in range(3)]
    author.write("a reply", posts[0])
    follower.follow(author)
    assert follower.ids("feed_timeline") == posts[::-1]


def test_follow_unfollow_follow_leaves_each_post_once(api: Served) -> None:
    author, follower = api.signups(2)
    posts = [author.write(str(n))["id"] for n in range(3)]
    for _ in range(3):
        follower.follow(author)
        follower.unfollow(author)
    assert follower.ids("feed_timeline") == []
    follower.follow(author)
    assert follower.ids("feed_timeline") == posts[::-1]


def test_a_deleted_post_is_on_no_page_at_once(own_api: Served) -> None:
    own_api.database.set(fan_out_sync_limit=0)
    author, follower = own_api.signups(2)
    follower.follow(author)
    kept, doomed = author.write("kept")["id"], author.write("doomed")["id"]
    own_api.drain()
    assert follower.ids("feed_timeline") == [doomed, kept]
    author.erase(doomed)
    for member in (author, follower):
        for feed in ("feed_timeline", "feed_public"):
            assert member.ids(feed) == [kept]
    own_api.database.assert_sound()


def test_posts_of_a_deleted_account_stay_public_without_an_author(own_api: Served) -> None:
    author, follower = own_api.signups(2)
    follower.follow(author)
    post = author.write("still here")["id"]
    reply = follower.write("a reply", post)["id"]
    expect(204, author.post("/rpc/account_delete", json={"password": PASSWORD}))
    (row,) = own_api.page("/rpc/feed_public").json()
    assert (row["id"], row["author"], row["replies_count"]) == (post, None, 1)
    assert follower.ids("feed_timeline") == []
    thread = own_api.get(f"/rpc/thread?post_id={reply}").json()
    assert thread["ancestors"] == [row]


def test_following_nobody_who_posts_is_plainly_empty(api: Served) -> None:
    reader, quiet = api.signups(2)
    reader.follow(quiet)
    for feed in ("feed_timeline", "feed_following", "feed_mine"):
        assert reader.ids(feed) == []


def test_a_feed_is_one_s_own_alone(api: Served) -> None:
    one, two = api.signups(2)
    post = one.write()["id"]
    assert one.ids("feed_mine") == [post]
    assert two.ids("feed_mine") == two.ids("feed_timeline") == []
    for trick in ("user_id", "author_id", "id"):
        answer = two.get(f"/rpc/feed_mine?{trick}=eq.{one.id}")
        assert answer.status_code in (200, 400, 404)
        assert post not in ids_of(answer.json())


def ids_of(body: object) -> list[int]:
    return [row["id"] for row in body] if isinstance(body, list) else []


def test_of_two_readers_each_sees_their_own_at_the_same_time(api: Served) -> None:
    """Connections are shared; what one request said about its user must not stay behind."""
    members = api.signups(4)
    posts = {member.id: member.write()["id"] for member in members}

    def own(member: Member) -> bool:
        return member.ids("feed_mine") == [posts[member.id]]

    assert all(own(member) for _ in range(10) for member in members)

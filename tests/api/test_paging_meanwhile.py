"""Pages while people go on posting, deleting and unfollowing: nothing twice, nothing left out."""

from threading import Event, Thread

from tests.support.paging import check_page, ids, walk
from tests.support.servers import Served


def test_a_deleted_post_serves_as_cursor(api: Served) -> None:
    author, follower = api.signups(2)
    follower.follow(author)
    posts = [author.write(str(n))["id"] for n in range(6)]
    top = author.write("top")["id"]
    replies = [author.write(str(n), top)["id"] for n in range(6)]
    for doomed in (posts[3], replies[2]):
        author.erase(doomed)
    for feed in ("feed_timeline", "feed_following"):
        page = follower.page(feed, str(posts[3]), 2)
        assert ids(check_page(page, 2)[0]) == [posts[2], posts[1]]
    rows, _ = check_page(api.page("/rpc/replies", None, str(replies[2]), 2, post_id=top), 2)
    assert ids(rows) == [replies[3], replies[4]]


def test_somebody_who_unfollowed_serves_as_cursor_of_followers(api: Served) -> None:
    star, *fans = api.signups(5)
    for fan in fans:
        fan.follow(star)
    first = api.page("/rpc/followers", None, None, 2, user_id=star.id)
    cursor = check_page(first, 2)[1]
    fans[1].unfollow(star)
    rest = api.page("/rpc/followers", None, cursor, 2, user_id=star.id)
    assert ids(rest.json()) == [fans[2].id, fans[3].id]


def test_posts_made_while_paging_neither_repeat_nor_hide_any(api: Served) -> None:
    author, follower = api.signups(2)
    follower.follow(author)
    before = [author.write(str(n))["id"] for n in range(10)]
    seen: list[int] = []
    cursor = None
    while True:
        rows, cursor = check_page(follower.page("feed_timeline", cursor, 3), 3)
        seen += ids(rows)
        if cursor is None:
            break
        author.write("in between")
    assert seen == before[::-1]


def test_posts_deleted_while_paging_hide_no_other(api: Served) -> None:
    author, follower = api.signups(2)
    follower.follow(author)
    posts = [author.write(str(n))["id"] for n in range(9)][::-1]
    first, cursor = check_page(follower.page("feed_timeline", None, 3), 3)
    for doomed in (posts[0], posts[2], posts[3]):  # seen, the cursor itself, the next one
        author.erase(doomed)
    rest = follower.page("feed_timeline", cursor, 100).json()
    assert ids(first) + ids(rest) == [*posts[:3], *posts[4:]]


def test_paging_beside_a_busy_author_gives_each_post_once(api: Served) -> None:
    author, follower = api.signups(2)
    follower.follow(author)
    before = [author.write(str(n))["id"] for n in range(30)][::-1]
    done = Event()

    def post_until_done() -> None:
        while not done.is_set():
            author.write("in between")

    busy = Thread(target=post_until_done)
    busy.start()
    try:
        for _ in range(5):
            seen = ids(walk(api, "feed_timeline", follower.token, 4))
            assert seen == sorted(set(seen), reverse=True)
            assert [i for i in seen if i <= before[0]] == before
    finally:
        done.set()
        busy.join()


def test_posts_of_one_millisecond_are_told_apart(own_api: Served) -> None:
    """Ids of one millisecond differ in their last 12 bits alone."""
    author, follower = own_api.signups(2)
    follower.follow(author)
    database = own_api.database
    first = database.value("select app.post_id_at(now() - interval '1 minute')")
    posts = database.values(
        "insert into app.posts (id, author_id, content)"
        " select %s + n, %s, 'one of 40' from generate_series(0, 39) n returning id",
        [first, author.id],
    )
    assert len({i >> 12 for i in posts}) == 1
    assert len({row["created_at"] for row in follower.all("feed_timeline", 100)}) == 1
    for size in (1, 7, 40):
        assert ids(walk(own_api, "feed_timeline", follower.token, size)) == sorted(posts)[::-1]
    cursor = str(posts[20])
    assert ids(follower.page("feed_timeline", cursor, 2).json()) == [posts[19], posts[18]]

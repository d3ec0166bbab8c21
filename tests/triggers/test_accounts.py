"""The life of an account at SQL level: what goes with it, what stays, in both tiers."""

import pytest

from tests.support.database import Database

SYNC, BY_JOB = 500, 0


@pytest.fixture(params=[SYNC, BY_JOB], ids=["within the request", "by a job"])
def tier(request: pytest.FixtureRequest, database: Database) -> int:
    """Both ways of deleting an account."""
    database.pause_schedules()
    database.set(account_purge_sync_limit=request.param, fan_out_chunk_size=2)
    return request.param


def close(database: Database, user_id: int) -> None:
    database.run("select app.account_close(%s)", [user_id])


def test_posts_stay_without_an_author_and_everything_else_goes(
    database: Database, tier: int
) -> None:
    gone, friend, fan = database.users(3)
    database.follow([gone, friend, fan], [gone, friend, fan])
    post = database.post(gone, "kept")
    reply = database.post(gone, "a reply, kept", parent=database.post(friend))
    database.run("select app.jwt_secret_set(repeat('s', 32))")
    database.run("select app.session_start(%s)", [gone])
    database.run("insert into app.credentials values (%s, app.password_hash('password'))", [gone])
    database.run("insert into app.idempotency_keys values (%s, 'k', 'f', %s)", [gone, post])
    close(database, gone)
    assert database.run("select * from app.sessions") == []
    assert database.run("select * from app.credentials") == []
    database.drain()
    for table, column in (
        ("users", "id"), ("user_counters", "user_id"), ("feed_entries", "user_id"),
        ("follows", "follower_id"), ("follows", "followed_id"),
        ("idempotency_keys", "user_id"), ("posts", "author_id"),
    ):  # fmt: skip
        assert database.run(f"select from app.{table} where {column} = %s", [gone]) == []
    assert database.run(
        "select content from app.posts where id = any (%s) and author_id is null order by id",
        [[post, reply]],
    ) == [("kept",), ("a reply, kept",)]
    assert database.counts(friend) == (1, 1, 1)
    assert database.counts(fan) == (1, 1, 0)
    database.assert_sound()


def test_their_posts_are_off_feeds_at_once_and_stay_public_without_an_author(
    database: Database, tier: int
) -> None:
    gone, fan = database.users(2)
    database.follow(fan, gone)
    post = database.post(gone)
    close(database, gone)

    def look() -> None:
        assert database.feed(fan, "timeline") == database.feed(fan, "following") == []
        assert database.feed(fan, "public") == [post]
        with database.as_member(fan) as connection:
            rows = connection.execute("select author from api.feed_public()").fetchall()
            assert rows == [(None,)]
            assert (
                connection.execute("select id from api.users where id = %s", [gone]).fetchall()
                == []
            )

    look()
    database.drain()
    look()
    database.assert_sound()


def test_the_name_is_free_at_once(database: Database, tier: int) -> None:
    gone = database.user("Ann")
    database.follow(database.user(), gone)
    close(database, gone)
    again = database.user("ann")
    assert again != gone
    database.drain()
    assert database.value("select id from app.users where username = 'ANN'") == again


def test_replies_to_their_posts_stay_and_count(database: Database, tier: int) -> None:
    gone, friend = database.users(2)
    post = database.post(gone)
    database.post(friend, "reply", parent=post)
    close(database, gone)
    database.drain()
    database.post(friend, "another", parent=post)
    assert database.replies_count(post) == 2
    assert database.feed(friend, "public") == [post]
    database.assert_sound()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_large_account_goes_in_chunks_whatever_the_remainder(
    database: Database, size: int
) -> None:
    """Followers, followed and posts each in chunks of two."""
    database.set(account_purge_sync_limit=0, fan_out_chunk_size=2, fan_out_sync_limit=0)
    gone, *others = database.users(6)
    database.follow(others[:size], gone)
    database.follow(gone, others[:size])
    posts = database.posts(gone, size)
    close(database, gone)
    chunks = [kind for kind in database.drain() if kind == "account_purge"]
    assert len(chunks) == 3 * -(-size // 2) + 1
    assert database.values("select id from app.posts where author_id is null order by id") == posts
    assert all(database.counts(other) == (0, 0, 0) for other in others)
    database.assert_sound()


def test_an_account_with_posts_in_the_fan_out_queue(database: Database, tier: int) -> None:
    """The jobs find that the post has no such author any more."""
    database.set(fan_out_sync_limit=0)
    gone, *fans = database.users(6)
    database.follow(fans, gone)
    first = database.post(gone)
    database.work()
    second = database.post(gone)
    close(database, gone)
    database.drain()
    assert database.run("select * from app.feed_entries") == []
    assert database.values("select id from app.posts order by id") == [first, second]
    database.assert_sound()


def test_an_account_with_backfills_in_the_queue(database: Database, tier: int) -> None:
    """Of the follower's and of the followed's side."""
    database.set(backfill_sync_limit=1, backfill_chunk_size=1)
    a, b, c = database.users(3)
    for author in (a, b):
        database.posts(author, 4)
    database.follow([b, c], a)
    database.follow(a, b)
    close(database, a)
    database.drain()
    assert database.run("select user_id from app.feed_entries") == []
    assert database.counts(b) == (0, 0, 4)
    database.assert_sound()


def test_one_statement_that_deletes_many_accounts_that_follow_each_other(
    database: Database,
) -> None:
    users = database.users(30)
    database.follow(users, users)
    for user in users:
        database.post(user)
    database.run("delete from app.users where id = any (%s)", [users[5:]])
    assert all(database.counts(user) == (4, 4, 1) for user in users[:5])
    assert database.value("select count(*) from app.posts where author_id is null") == 25
    database.assert_sound()


def test_an_account_with_deltas_waiting(database: Database, tier: int) -> None:
    """Its deltas go with it; those of others are folded."""
    gone, friend = database.users(2)
    database.follow([gone, friend], [gone, friend])
    for user in (gone, friend):
        database.run("update app.user_counters set followers_count = 0 where user_id = %s", [user])
        database.run(
            "insert into app.user_counter_deltas (user_id, followers) values (%s, 1)", [user]
        )
    close(database, gone)
    database.assert_sound()
    assert database.counts(friend) == (0, 0, 0)


def test_an_account_is_closed_once_even_if_asked_twice(database: Database, tier: int) -> None:
    """Two requests of the same session, one after the other."""
    gone, friend = database.users(2)
    database.follow(gone, friend)
    close(database, gone)
    close(database, gone)
    database.drain()
    assert database.counts(friend) == (0, 0, 0)
    database.assert_sound()


def test_the_tier_goes_by_the_size_of_the_account(database: Database) -> None:
    database.set(account_purge_sync_limit=3)
    small, large, *others = database.users(6)
    database.follow(others[:3], small)
    database.follow(others, large)
    close(database, small)
    assert database.jobs("account_purge") == []
    close(database, large)
    assert len(database.jobs("account_purge")) == 1
    database.assert_sound()

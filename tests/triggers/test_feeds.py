"""What is in whose timeline after a post, follow, unfollow or deletion: at once, and when the
queue is empty. Both tiers of delivery, and backfills with and without a job.
"""

import pytest

from tests.support.database import Database

SYNC, BY_JOB = 100, 0


@pytest.fixture(params=[SYNC, BY_JOB], ids=["within the post", "by a job"])
def tier(request: pytest.FixtureRequest, database: Database) -> int:
    """Both ways of delivering a post."""
    database.pause_schedules()
    database.set(fan_out_sync_limit=request.param, fan_out_chunk_size=2)
    return request.param


def test_a_post_of_a_small_author_is_delivered_within_the_post(database: Database) -> None:
    author, *fans = database.users(101)
    database.follow(fans, author)
    post = database.post(author)
    assert database.jobs("fan_out") == []
    assert all(database.entries(fan) == [post] for fan in fans)
    assert database.entries(author) == [], "one's own posts are merged in when read"
    assert database.feed(author, "timeline") == [post]


def test_one_follower_more_makes_it_a_job(database: Database) -> None:
    author, *fans = database.users(102)
    database.follow(fans, author)
    post = database.post(author)
    assert len(database.jobs("fan_out")) == 1
    assert database.run("select * from app.feed_entries") == []
    assert database.feed(author, "timeline") == [post], "the author sees it at once"
    database.drain()
    assert all(database.entries(fan) == [post] for fan in fans)
    database.assert_sound()


def test_the_tier_goes_by_the_exact_number_not_the_cached_one(database: Database) -> None:
    """Followers that wait as deltas count."""
    author, *fans = database.users(4)
    database.set(fan_out_sync_limit=2)
    database.follow(fans, author)
    database.run("update app.user_counters set followers_count = 0 where user_id = %s", [author])
    database.run(
        "insert into app.user_counter_deltas (user_id, followers) values (%s, 3)", [author]
    )
    database.post(author)
    assert len(database.jobs("fan_out")) == 1
    database.assert_sound()


@pytest.mark.parametrize("followers", [0, 1, 2, 3, 4, 5])
def test_chunks_cover_all_followers_whatever_the_remainder(
    database: Database, followers: int
) -> None:
    """Also where the last chunk is exactly full, and where there is nobody any more."""
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=2)
    author, first, *others = database.users(2 + followers)
    database.follow([first, *others], author)
    post = database.post(author)
    database.unfollow(first, author)
    database.drain()
    assert all(database.entries(fan) == [post] for fan in others)
    database.assert_sound()


def test_a_reply_never_fans_out(database: Database, tier: int) -> None:
    author, fan = database.users(2)
    database.follow(fan, author)
    post = database.post(author)
    reply = database.post(author, "my own reply", parent=post)
    database.drain()
    assert database.entries(fan) == [post]
    assert database.feed(author, "mine") == [reply, post]
    assert database.feed(author, "timeline") == [post]
    database.delete_post(post)
    database.drain()
    assert database.feed(author, "timeline") == [], "an orphaned reply stays a reply"
    assert database.feed(author, "mine") == [reply]
    database.assert_sound()


def test_a_bulk_of_posts_by_several_authors(database: Database, tier: int) -> None:
    """Some with followers, some without, replies among them, one without an author."""
    a, b, c, *fans = database.users(7)
    database.follow(fans, [a, b])
    top = database.post(c)
    database.run(
        "insert into app.posts (author_id, content, parent_id)"
        " select u, 'x', case when n = 3 then %s::bigint end"
        " from unnest(%s::bigint[]) u, generate_series(1, 3) n",
        [top, [a, b, c, None]],
    )
    database.drain()
    assert {len(database.entries(fan)) for fan in fans} == {4}
    database.assert_sound()


def test_a_bulk_of_posts_by_a_thousand_authors(database: Database) -> None:
    fan, *authors = database.users(1001)
    database.follow(fan, authors)
    database.run(
        "insert into app.posts (author_id, content) select u, 'x' from unnest(%s::bigint[]) u",
        [authors],
    )
    assert len(database.entries(fan)) == 1000
    database.run("delete from app.posts")
    assert database.entries(fan) == []
    database.assert_sound()


def test_a_follow_brings_the_posts_at_once(database: Database, tier: int) -> None:
    author, fan = database.users(2)
    posts = database.posts(author, 5)
    database.post(author, "a reply", parent=posts[0])
    database.follow(fan, author)
    assert database.entries(fan) == posts
    assert database.jobs("follow_backfill") == []
    database.assert_sound()


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 20])
def test_a_follow_of_an_author_with_more_posts_than_fit_has_a_job_bring_the_rest(
    database: Database, number: int
) -> None:
    """Sync limit 3, chunks of 2: nothing is left out whatever the remainder, none comes twice."""
    database.set(backfill_sync_limit=3, backfill_chunk_size=2)
    author, fan = database.users(2)
    posts = database.posts(author, number)
    database.follow(fan, author)
    assert database.entries(fan) == posts[-3:]
    assert len(database.jobs("follow_backfill")) == (1 if number > 3 else 0)
    database.drain()
    assert database.entries(fan) == posts
    database.assert_sound()


def test_a_backfill_evicts_nothing(database: Database) -> None:
    """A feed has no cap: what is newer and what is older are both there afterwards."""
    database.set(backfill_sync_limit=2, backfill_chunk_size=2)
    early, late, fan = database.users(3)
    database.follow(fan, early)
    old = database.posts(early, 5)
    middle = database.posts(late, 9)
    new = database.posts(early, 5)
    database.follow(fan, late)
    database.drain()
    assert database.entries(fan) == old + middle + new
    database.assert_sound()


def test_one_statement_that_follows_many_with_many_posts(database: Database) -> None:
    database.set(backfill_sync_limit=2, backfill_chunk_size=2)
    *authors, fan, other = database.users(6)
    posts = [post for author in authors for post in database.posts(author, 5)]
    database.follow([fan, other], authors)
    assert len(database.jobs("follow_backfill")) == 8
    database.drain()
    assert database.entries(fan) == database.entries(other) == sorted(posts)
    database.assert_sound()


def test_an_unfollow_takes_everything_of_that_author_and_nothing_else(
    database: Database, tier: int
) -> None:
    a, b, fan, other = database.users(4)
    database.follow([fan, other], [a, b])
    of_a, of_b = database.posts(a, 3), database.posts(b, 3)
    database.drain()
    database.unfollow(fan, a)
    assert database.entries(fan) == of_b
    assert database.entries(other) == of_a + of_b
    database.assert_sound()


def test_an_unfollow_while_the_fan_out_is_queued(database: Database, tier: int) -> None:
    author, fan, other = database.users(3)
    database.follow([fan, other], author)
    post = database.post(author)
    database.unfollow(fan, author)
    assert database.feed(fan) == []
    database.drain()
    assert database.entries(fan) == []
    assert database.entries(other) == [post]
    database.assert_sound()


def test_follow_unfollow_follow_quickly(database: Database, tier: int) -> None:
    author, fan = database.users(2)
    posts = database.posts(author, 3)
    database.follow(fan, author)
    database.unfollow(fan, author)
    database.follow(fan, author)
    posts.append(database.post(author))
    database.drain()
    assert database.entries(fan) == posts
    assert database.counts(fan) == (0, 1, 0)
    database.assert_sound()


def test_a_deleted_post_is_off_every_page_at_once(database: Database, tier: int) -> None:
    author, *fans = database.users(6)
    database.follow(fans, author)
    keep, gone = database.post(author), database.post(author)
    database.drain()
    database.delete_post(gone)
    for feed in ("timeline", "following", "public"):
        assert database.feed(fans[0], feed) == [keep], feed
    assert database.feed(author, "mine") == [keep]
    database.drain()
    assert all(database.entries(fan) == [keep] for fan in fans)
    database.assert_sound()


def test_a_bulk_deletion_of_posts_of_several_authors(database: Database, tier: int) -> None:
    a, b, *fans = database.users(5)
    database.follow(fans, [a, b])
    of_a, of_b = database.posts(a, 4), database.posts(b, 4)
    database.drain()
    database.run("delete from app.posts where id = any (%s)", [of_a[:3] + of_b[1:]])
    database.drain()
    assert all(database.entries(fan) == [of_a[3], of_b[0]] for fan in fans)
    database.assert_sound()


def test_a_post_delivered_in_one_tier_and_deleted_in_the_other(database: Database) -> None:
    author, *fans = database.users(6)
    database.follow(fans, author)
    first = database.post(author)
    database.set(fan_out_sync_limit=0)
    second = database.post(author)
    database.drain()
    database.delete_post(first)
    assert len(database.jobs("post_purge")) == 1
    database.set(fan_out_sync_limit=100)
    database.delete_post(second)
    assert len(database.jobs("post_purge")) == 1
    database.drain()
    assert database.run("select * from app.feed_entries") == []
    database.assert_sound()


def test_posts_and_their_follow_in_one_transaction(database: Database) -> None:
    author, fan = database.users(2)
    with database.superuser() as connection, connection.transaction():
        connection.execute("insert into app.posts (author_id, content) values (%s, 'x')", [author])
        connection.execute("insert into app.follows values (%s, %s)", [fan, author])
        connection.execute("insert into app.posts (author_id, content) values (%s, 'y')", [author])
    assert len(database.entries(fan)) == 2
    database.assert_sound()


@pytest.mark.parametrize("first", ["post", "follow"])
def test_a_post_and_its_follow_in_one_statement(database: Database, first: str) -> None:
    """The triggers of both see both rows, whichever comes first; the reader gets one entry."""
    author, fan = database.users(2)
    follow = "insert into app.follows (follower_id, followed_id) values (%(fan)s, %(author)s)"
    post = "insert into app.posts (author_id, content) values (%(author)s, 'x')"
    inner, outer = (post, follow) if first == "post" else (follow, post)
    database.run(f"with one as ({inner}) {outer}", {"author": author, "fan": fan})
    assert len(database.entries(fan)) == 1
    database.assert_sound()


def test_a_reader_who_follows_nobody_has_a_plain_empty_feed(database: Database) -> None:
    a, b = database.users(2)
    database.post(b)
    assert database.feed(a, "timeline") == database.feed(a, "following") == []


def test_entries_lie_in_the_partition_of_their_months(database: Database) -> None:
    """Posts of last year, of this month and of a month to come; read in one order."""
    author, fan = database.users(2)
    database.follow(fan, author)
    posts = [
        database.value(
            "insert into app.posts (id, author_id, content)"
            " values (app.post_id_at(date_trunc('month', now(), 'UTC') + %s::interval), %s, 'x')"
            " returning id",
            [offset, author],
        )
        for offset in ("-1 year", "0", "1 month", "10 years")
    ]
    partitions = database.values(
        "select tableoid::regclass::text from app.feed_entries order by post_id"
    )
    month, coming = database.run(
        "select to_char(now() at time zone 'UTC', '\"y\"YYYY\"m\"MM'),"
        " to_char(date_trunc('month', now(), 'UTC') + interval '1 month', '\"y\"YYYY\"m\"MM')"
    )[0]
    assert partitions == [
        "app.feed_entries_past",
        f"app.feed_entries_{month}",
        f"app.feed_entries_{coming}",
        "app.feed_entries_future",
    ]
    assert database.entries(fan) == posts

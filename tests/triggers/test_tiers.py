"""Authors too large to deliver: their posts are merged in by readers, from one post to another.

The bounds are post ids. Every test ends with readers who get each post exactly once.
"""

import pytest

from tests.support.database import Database
from tests.support.horizon import (
    NEVER,
    assert_complete,
    forget,
    id_at,
    old_months,
    old_post,
    read,
)

PULL, PUSH = 2, 1


@pytest.fixture
def database(database: Database) -> Database:
    """Three followers make an author one who is pulled; back at one they are delivered again."""
    database.pause_schedules()
    database.set(fan_out_pull_limit=PULL, fan_out_push_limit=PUSH)
    return database


def ranges(database: Database, author: int) -> list[tuple[int, ...]]:
    """Return an author's pulled ranges, oldest first."""
    return database.run(
        "select from_id, to_id from app.pull_ranges where author_id = %s order by 1", [author]
    )


@pytest.mark.parametrize("sync_limit", [100, 0], ids=["within the post", "by a job"])
def test_the_post_that_finds_too_many_followers_opens_a_range_at_itself(
    database: Database, sync_limit: int
) -> None:
    database.set(fan_out_sync_limit=sync_limit)
    author, *fans = database.users(4)
    database.follow(fans[:2], author)
    delivered = database.post(author)
    database.drain()
    assert ranges(database, author) == []
    database.follow(fans[2], author)
    assert ranges(database, author) == [], "the tier is settled by a post, not by a follow"
    pulled = database.post(author)
    assert ranges(database, author) == [(pulled, NEVER)]
    assert database.jobs("fan_out") == [], "nothing is queued for a pulled post"
    for fan in fans:
        assert database.entries(fan) == [delivered]
        assert database.feed(fan) == [pulled, delivered], "it is there at once"
    assert_complete(database, [author, *fans], sizes=1)
    database.assert_sound()


def test_a_range_stays_open_between_the_limits_and_closes_at_the_lower_one(
    database: Database,
) -> None:
    author, *fans = database.users(4)
    database.follow(fans, author)
    first = database.post(author)
    database.unfollow(fans[2], author)
    database.post(author)
    assert ranges(database, author) == [(first, NEVER)], "two followers: neither"
    database.unfollow(fans[1], author)
    delivered = database.post(author)
    assert ranges(database, author) == [(first, delivered)]
    assert database.entries(fans[0]) == [delivered]
    assert_complete(database, [author, *fans], sizes=1)
    database.follow(fans[1:], author)
    again = database.post(author)
    assert ranges(database, author) == [(first, delivered), (again, NEVER)]
    assert_complete(database, [author, *fans], sizes=1)
    database.assert_sound()


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 4])
def test_the_limit_itself_is_still_delivered(database: Database, limit: int) -> None:
    database.set(fan_out_pull_limit=limit, fan_out_push_limit=limit)
    author, *fans = database.users(4)
    database.follow(fans, author)
    post = database.post(author)
    assert ranges(database, author) == ([] if limit >= 3 else [(post, NEVER)])
    assert_complete(database, fans)
    database.assert_sound()


def test_several_posts_in_one_statement_go_the_same_way(database: Database) -> None:
    author, *fans = database.users(4)
    database.follow(fans, author)
    posts = database.posts(author, 3)
    assert ranges(database, author) == [(posts[0], NEVER)]
    assert database.run("select from app.feed_entries") == []
    database.unfollow(fans[1:], author)
    delivered = database.posts(author, 3)
    assert ranges(database, author) == [(posts[0], delivered[0])]
    assert database.entries(fans[0]) == delivered
    assert_complete(database, fans, sizes=2)
    database.assert_sound()


def test_a_reply_settles_nothing(database: Database) -> None:
    author, *fans = database.users(4)
    top = database.post(author)
    database.follow(fans, author)
    database.post(author, "a reply", parent=top)
    assert ranges(database, author) == []
    database.assert_sound()


def test_a_range_that_opens_at_an_older_id_leaves_out_what_was_delivered(
    database: Database,
) -> None:
    """A post takes its id before it takes the author's lock, so one with a smaller id can come
    later; what has a larger one was delivered already and must not be merged in as well.
    """
    author, *fans = database.users(4)
    database.follow(fans[:2], author)
    delivered = database.posts(author, 2)
    database.follow(fans[2], author)
    late = old_post(database, author, "1 hour")
    assert_complete(database, fans)
    after = database.post(author)
    database.drain()
    assert database.entries(fans[0]) == [late, *delivered]
    assert read(database, fans[0]) == [after, *reversed(delivered), late]
    assert_complete(database, fans, sizes=1)
    database.assert_sound()


def test_a_range_that_closes_at_an_older_id_keeps_what_was_not_delivered(
    database: Database,
) -> None:
    """The other way round: what has a larger id is in nobody's entries."""
    author, *fans = database.users(4)
    database.follow(fans, author)
    old_post(database, author, "2 hours")
    database.posts(author, 2)
    database.unfollow(fans[1:], author)
    old_post(database, author, "1 hour")
    assert_complete(database, fans)
    delivered = database.post(author)
    assert database.entries(fans[0]) == [delivered]
    assert_complete(database, fans, sizes=1)
    database.assert_sound()


def test_a_range_that_opens_again_at_an_older_id_does_not_overlap_the_last(
    database: Database,
) -> None:
    """A post in two ranges would be merged in twice."""
    author, *fans = database.users(4)
    database.follow(fans, author)
    old_post(database, author, "3 hours")
    database.unfollow(fans[1:], author)
    closing = old_post(database, author, "1 hour")
    database.delete_post(closing)
    database.follow(fans[1:], author)
    old_post(database, author, "2 hours")
    database.post(author)
    database.drain()
    bounds = [bound for both in ranges(database, author) for bound in both]
    assert bounds == sorted(bounds)
    assert_complete(database, fans, sizes=1)
    database.assert_sound()


@pytest.mark.parametrize("sync_limit", [100, 0], ids=["within the post", "by a job"])
@pytest.mark.parametrize("backfill", [100, 1, 0])
def test_a_follow_of_a_pulled_author_brings_what_is_not_in_a_range(
    database: Database, sync_limit: int, backfill: int
) -> None:
    database.set(fan_out_sync_limit=sync_limit, backfill_sync_limit=backfill, backfill_chunk_size=1)
    author, late, *fans = database.users(5)
    kept = database.posts(author, 2)
    database.follow(fans, author)
    database.posts(author, 2)
    database.unfollow(fans[1:], author)
    kept += database.posts(author, 2)
    database.follow(fans[1:], author)
    database.posts(author, 2)
    database.follow(late, author)
    database.drain()
    assert database.entries(late) == kept
    assert_complete(database, [late, *fans], sizes=3)
    database.assert_sound()


def test_a_follow_of_an_author_who_was_always_pulled_queues_nothing(database: Database) -> None:
    database.set(backfill_sync_limit=0)
    author, late, *fans = database.users(5)
    database.follow(fans, author)
    database.posts(author, 5)
    database.follow(late, author)
    assert database.jobs() == []
    assert_complete(database, late)


def test_an_unfollow_of_a_pulled_author_is_seen_at_once(database: Database) -> None:
    author, *fans = database.users(5)
    database.post(author)
    database.follow(fans, author)
    database.post(author)
    database.unfollow(fans[0], author)
    assert database.feed(fans[0]) == []
    assert database.entries(fans[0]) == []
    assert len(database.feed(fans[1])) == 2
    database.assert_sound()


@pytest.mark.parametrize("sync_limit", [100, 0], ids=["within the post", "by a job"])
def test_a_deleted_pulled_post_is_gone_and_leaves_nothing_to_do(
    database: Database, sync_limit: int
) -> None:
    author, *fans = database.users(4)
    database.follow(fans, author)
    first, second = database.posts(author, 2)
    database.set(fan_out_sync_limit=sync_limit)
    database.delete_post(first)
    assert database.jobs() == []
    assert all(database.feed(fan) == [second] for fan in fans)
    database.delete_post(second)
    assert database.jobs() == []
    assert all(database.feed(fan) == [] for fan in fans)
    database.assert_sound()


def test_a_post_delivered_before_is_purged_though_its_author_is_pulled_now(
    database: Database,
) -> None:
    database.set(fan_out_sync_limit=0)
    author, *fans = database.users(4)
    database.follow(fans[:2], author)
    delivered = database.post(author)
    database.drain()
    database.follow(fans[2], author)
    database.post(author)
    database.delete_post(delivered)
    assert len(database.jobs("post_purge")) == 1
    database.drain()
    assert database.run("select from app.feed_entries") == []
    assert_complete(database, fans)
    database.assert_sound()


@pytest.mark.parametrize("purge_limit", [500, 0], ids=["at once", "by a job"])
def test_the_account_of_a_pulled_author_goes_from_every_source(
    database: Database, purge_limit: int
) -> None:
    """Delivered, merged in, and below the horizon: nothing shows before the job has run."""
    database.set(account_purge_sync_limit=purge_limit, fan_out_chunk_size=1)
    author, other, absent, *fans = database.users(6)
    delivered = database.post(author)
    database.follow([absent, *fans], author)
    database.follow([absent, *fans], other)
    database.post(author)
    stays = database.post(other)
    forget(database, absent)
    assert len(ranges(database, author)) == 1
    database.run("select app.account_close(%s)", [author])
    for fan in [absent, *fans]:
        assert database.feed(fan) == [stays]
        assert_complete(database, fan, sizes=1)
    database.drain()
    assert ranges(database, author) == []
    assert delivered not in database.values("select post_id from app.feed_entries")
    assert_complete(database, [absent, *fans], sizes=1)
    database.assert_sound()


def test_a_range_that_lies_below_the_horizon_is_forgotten_with_it(database: Database) -> None:
    old_months(database, 3)
    author, *fans = database.users(4)
    database.follow(fans, author)
    old_post(database, author, "80 days")
    database.unfollow(fans[1:], author)
    old_post(database, author, "70 days")
    database.follow(fans[1:], author)
    database.post(author)
    assert len(ranges(database, author)) == 2
    assert id_at(database, "80 days") < ranges(database, author)[0][1]
    assert database.value("select app.feed_partitions_drop(0)") == 3
    assert len(ranges(database, author)) == 1
    assert_complete(database, fans, sizes=1)
    database.assert_sound()

"""A post meets a follow, an unfollow or a deletion, in either order and in either tier.

Who sees a post is decided by two sets that change at once. Each test holds one transaction open
at the worst moment and shows that the other waits for it and then sees what it did.
"""

import pytest

from tests.support.actors import DELETE_POST, FOLLOW, POST, UNFOLLOW, WORK, Stage
from tests.support.database import Database

SYNC, BY_JOB = 100, 0


@pytest.fixture(params=[SYNC, BY_JOB], ids=["within the post", "by a job"])
def tier(request: pytest.FixtureRequest, database: Database) -> int:
    """Both ways of delivering a post."""
    database.set(fan_out_sync_limit=request.param, fan_out_chunk_size=2)
    return request.param


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_follow_that_meets_a_post_in_flight_gets_it_by_backfill(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    """The post has counted its followers and is not committed: the follow waits for it."""
    author, early, late = database.users(3)
    database.follow(early, author)
    poster, follower = actors.member(author), actors.member(late)
    poster.begin()
    ((post,),) = poster.do(POST, "hello")
    pending = follower.start_blocked(FOLLOW, author, by=poster)
    poster.do(ends)
    pending.result(60)
    assert database.entries(late) == ([post] if ends == "commit" else [])
    database.assert_sound()


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_post_that_meets_a_follow_in_flight_is_delivered_to_it(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    """The follow has looked for posts and is not committed: the post waits for it."""
    author, early, late = database.users(3)
    database.follow(early, author)
    poster, follower = actors.member(author), actors.member(late)
    follower.begin()
    follower.do(FOLLOW, author)
    pending = poster.start_blocked(POST, "hello", by=follower)
    follower.do(ends)
    ((post,),) = pending.result(60)
    database.drain()
    assert database.entries(late) == ([post] if ends == "commit" else [])
    assert database.entries(early) == [post]
    database.assert_sound()


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_an_unfollow_that_meets_a_post_in_flight_leaves_no_entry(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    author, fan, other = database.users(3)
    database.follow([fan, other], author)
    poster, follower = actors.member(author), actors.member(fan)
    poster.begin()
    poster.do(POST, "hello")
    pending = follower.start_blocked(UNFOLLOW, author, by=poster)
    poster.do(ends)
    pending.result(60)
    assert database.feed(fan) == []
    database.drain()
    assert database.entries(fan) == []
    database.assert_sound()


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_post_that_meets_an_unfollow_in_flight_waits_and_leaves_them_out(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    author, fan, other = database.users(3)
    database.follow([fan, other], author)
    poster, follower = actors.member(author), actors.member(fan)
    follower.begin()
    follower.do(UNFOLLOW, author)
    pending = poster.start_blocked(POST, "hello", by=follower)
    follower.do(ends)
    ((post,),) = pending.result(60)
    database.drain()
    assert database.entries(fan) == ([] if ends == "commit" else [post])
    database.assert_sound()


def test_follows_of_one_author_in_flight_do_not_hold_up_each_other(
    database: Database, actors: Stage, tier: int
) -> None:
    """The follower side of the lock is shared; a post waits for all of them."""
    author, a, b = database.users(3)
    one, two = actors.members([a, b])
    one.begin()
    two.begin()
    one.do(FOLLOW, author)
    two.do(FOLLOW, author)
    poster = actors.member(author)
    pending = poster.start_blocked(POST, "hello", by=one)
    one.commit()
    database.wait_blocked(poster.pid, by=two.pid)
    two.commit()
    ((post,),) = pending.result(60)
    database.drain()
    assert database.entries(a) == database.entries(b) == [post]
    database.assert_sound()


def test_posts_of_different_authors_do_not_wait_for_each_other(
    database: Database, actors: Stage, tier: int
) -> None:
    a, b, fan = database.users(3)
    database.follow(fan, [a, b])
    one, two = actors.members([a, b])
    one.begin()
    two.begin()
    ((first,),) = one.do(POST, "by a")
    ((second,),) = two.do(POST, "by b")
    two.commit()
    one.commit()
    database.drain()
    assert database.entries(fan) == [first, second]
    database.assert_sound()


def test_a_deletion_that_meets_a_follow_in_flight_removes_what_it_brought(
    database: Database, actors: Stage, tier: int
) -> None:
    """The follow's backfill has read the post; the deletion waits for it, then cleans up."""
    author, early, late = database.users(3)
    database.follow(early, author)
    post = database.post(author)
    follower, deleter = actors.member(late), actors.member(author)
    follower.begin()
    follower.do(FOLLOW, author)
    pending = deleter.start_blocked(DELETE_POST, post, by=follower)
    follower.commit()
    pending.result(60)
    assert database.feed(late) == []
    database.drain()
    assert database.entries(late) == []
    database.assert_sound()


def test_a_follow_that_meets_a_deletion_in_flight_brings_no_ghost(
    database: Database, actors: Stage, tier: int
) -> None:
    author, early, late = database.users(3)
    database.follow(early, author)
    post = database.post(author)
    follower, deleter = actors.member(late), actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, post)
    pending = follower.start_blocked(FOLLOW, author, by=deleter)
    deleter.commit()
    pending.result(60)
    assert database.entries(late) == []
    database.assert_sound()


def test_a_deletion_that_rolls_back_leaves_the_post_to_the_follow_behind_it(
    database: Database, actors: Stage, tier: int
) -> None:
    author, late = database.users(2)
    post = database.post(author)
    follower, deleter = actors.member(late), actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, post)
    pending = follower.start_blocked(FOLLOW, author, by=deleter)
    deleter.rollback()
    pending.result(60)
    assert database.entries(late) == [post]
    database.assert_sound()


def test_posts_and_a_follow_of_more_than_a_thousand_at_once_wait_in_turn(
    database: Database, actors: Stage
) -> None:
    """A bulk follow takes the lock of all authors alone: a post in flight holds it off, and it
    holds off the posts behind it, but they all come through, and each follower has each post.
    """
    fan, first, second, *others = database.users(1002)
    one, two, bulk = actors.member(first), actors.member(second), actors.superuser()
    one.begin()
    one.do(POST, "in flight before")
    bulk.begin()
    pending_bulk = bulk.start_blocked(
        "insert into app.follows (follower_id, followed_id) select %s, u from unnest(%s) u",
        fan,
        [first, second, *others],
        by=one,
    )
    pending_post = two.start_blocked(POST, "behind", by=bulk)
    one.commit()
    pending_bulk.result(60)
    bulk.commit()
    pending_post.result(60)
    assert len(database.entries(fan)) == 2
    database.assert_sound()


def test_a_post_of_each_of_many_authors_in_one_statement_and_a_follow_of_one_of_them(
    database: Database, actors: Stage
) -> None:
    """A bulk insert of posts locks its authors in id order; a follower of the last one waits."""
    fan, other, *authors = database.users(12)
    database.follow(other, authors)
    bulk, follower = actors.superuser(), actors.member(fan)
    bulk.begin()
    bulk.do("insert into app.posts (author_id, content) select a, 'x' from unnest(%s) a", authors)
    pending = follower.start_blocked(FOLLOW, authors[-1], by=bulk)
    bulk.commit()
    pending.result(60)
    assert len(database.entries(fan)) == 1
    assert len(database.entries(other)) == 10
    database.assert_sound()


def test_a_backfill_beside_the_fan_out_of_the_same_post_makes_one_entry(
    database: Database, actors: Stage
) -> None:
    """The post waits as a job; a follow brings it by itself; then the job comes to the same one.

    And the other way round: one chunk is in flight, the follow waits, then meets its row.
    """
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=2)
    author, *fans = database.users(8)
    database.follow(fans[:4], author)
    post = database.post(author)
    database.follow(fans[4], author)
    assert database.entries(fans[4]) == [post]
    worker, late = actors.worker(), actors.member(fans[5])
    worker.begin()
    assert worker.do(WORK) == [("fan_out",)]
    pending = late.start_blocked(FOLLOW, author, by=worker)
    worker.commit()
    pending.result(60)
    database.assert_sound()
    assert all(database.entries(fan) == [post] for fan in fans[:6])
    assert database.entries(fans[6]) == []

"""A post in flight while its author's tier changes: by follows, by limits, by another post.

Whatever comes first, each reader gets each post from one side and never from both.
"""

import pytest

from tests.support.actors import DELETE_POST, FOLLOW, POST, UNFOLLOW, WORK, Stage
from tests.support.database import Database
from tests.support.horizon import NEVER, assert_complete

# What POST is made of, one by one: takes an id without the author's lock, which comes last.
TAKE_ID = "select app.post_id_next()"
POST_WITH_ID = "insert into app.posts (id, author_id, content) values (%s, %s, 'late') returning id"


@pytest.fixture
def database(database: Database) -> Database:
    """Three followers make an author one who is pulled; back at two they are delivered again."""
    database.set(fan_out_pull_limit=2, fan_out_push_limit=2)
    return database


@pytest.fixture(params=[100, 0], ids=["within the post", "by a job"])
def tier(request: pytest.FixtureRequest, database: Database) -> int:
    """Both ways of delivering a post."""
    database.set(fan_out_sync_limit=request.param, fan_out_chunk_size=1)
    return request.param


def ranges(database: Database) -> list[tuple[int, ...]]:
    return database.run("select from_id, to_id from app.pull_ranges order by 1")


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_follow_that_crosses_the_limit_waits_for_the_post_in_flight(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    """The post was settled with two followers: the third gets it by backfill."""
    author, a, b, c = database.users(4)
    database.follow([a, b], author)
    poster, follower = actors.member(author), actors.member(c)
    poster.begin()
    ((post,),) = poster.do(POST, "in flight")
    pending = follower.start_blocked(FOLLOW, author, by=poster)
    poster.do(ends)
    pending.result(60)
    assert database.entries(c) == ([post] if ends == "commit" else [])
    ((pulled,),) = poster.do(POST, "after")
    assert ranges(database) == [(pulled, NEVER)]
    database.drain()
    assert_complete(database, [author, a, b, c], sizes=1)
    database.assert_sound()


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_post_waits_for_the_follow_in_flight_that_crosses_the_limit(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    author, a, b, c = database.users(4)
    database.follow([a, b], author)
    poster, follower = actors.member(author), actors.member(c)
    follower.begin()
    follower.do(FOLLOW, author)
    pending = poster.start_blocked(POST, "waits", by=follower)
    follower.do(ends)
    ((post,),) = pending.result(60)
    assert ranges(database) == ([(post, NEVER)] if ends == "commit" else [])
    database.drain()
    assert_complete(database, [author, a, b, c], sizes=1)
    database.assert_sound()


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_post_waits_for_the_unfollow_in_flight_that_crosses_back(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    author, *fans = database.users(4)
    database.follow(fans, author)
    first = database.post(author)
    poster, leaver = actors.member(author), actors.member(fans[0])
    leaver.begin()
    leaver.do(UNFOLLOW, author)
    pending = poster.start_blocked(POST, "waits", by=leaver)
    leaver.do(ends)
    ((post,),) = pending.result(60)
    assert ranges(database) == [(first, post if ends == "commit" else NEVER)]
    database.drain()
    assert_complete(database, [author, *fans], sizes=1)
    database.assert_sound()


@pytest.mark.parametrize("opens", [True, False], ids=["opens", "closes"])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_posts_with_smaller_ids_that_come_after_the_switch(
    database: Database, actors: Stage, tier: int, opens: bool, ends: str
) -> None:
    """Two took their ids first and wait for the lock of the one that switches the tier. The
    second of them meets a third switch in between.
    """
    author, *fans = database.users(4)
    database.follow(fans, author)
    if opens:
        database.unfollow(fans[0], author)
    database.post(author)
    if opens:
        database.follow(fans[0], author)
    else:
        database.unfollow(fans[0], author)
    slow, slower, poster = actors.superuser(), actors.superuser(), actors.member(author)
    ((small,),) = slow.do(TAKE_ID)
    ((smaller,),) = slower.do(TAKE_ID)
    poster.begin()
    poster.do(POST, "switches")
    pending = slow.start_blocked(POST_WITH_ID, small, author, by=poster)
    poster.do(ends)
    pending.result(60)
    assert_complete_after_drain(database, [author, *fans])
    if opens:
        database.unfollow(fans[0], author)
    else:
        database.follow(fans[0], author)
    slower.do(POST_WITH_ID, smaller, author)
    assert_complete_after_drain(database, [author, *fans])
    poster.do(POST, "and on")
    assert_complete_after_drain(database, [author, *fans])


def assert_complete_after_drain(database: Database, people: list[int]) -> None:
    database.assert_sound()
    assert_complete(database, people, sizes=1)


def test_a_chunk_in_flight_when_the_author_becomes_pulled(
    database: Database, actors: Stage
) -> None:
    """What was queued before goes on being delivered; what comes after is merged in."""
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=1)
    author, *fans = database.users(4)
    database.follow(fans[:2], author)
    queued = database.post(author)
    worker, poster, follower = actors.worker(), actors.member(author), actors.member(fans[2])
    worker.begin()
    assert worker.do(WORK) == [("fan_out",)]
    follow = follower.start_blocked(FOLLOW, author, by=worker)
    worker.commit()
    follow.result(60)
    ((pulled,),) = poster.do(POST, "pulled")
    assert database.feed(fans[2]) == [pulled, queued]
    database.drain()
    assert all(database.entries(fan) == [queued] for fan in fans)
    assert_complete_after_drain(database, [author, *fans])


def test_a_deletion_and_a_switch_of_the_tier(database: Database, actors: Stage, tier: int) -> None:
    """The deleted post is the newest; the range that opens behind it must not depend on it."""
    author, *fans = database.users(4)
    database.follow(fans[:2], author)
    doomed = database.post(author)
    database.drain()
    database.follow(fans[2], author)
    deleter, poster = actors.member(author), actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, doomed)
    pending = poster.start_blocked(POST, "pulled", by=deleter)
    deleter.commit()
    ((pulled,),) = pending.result(60)
    assert ranges(database) == [(pulled, NEVER)]
    assert all(database.feed(fan) == [pulled] for fan in fans)
    assert_complete_after_drain(database, [author, *fans])

"""A large author's chunk at work does not hold up a small author: neither their post, nor its
delivery, nor a follow.
"""

import pytest

from tests.support.actors import FOLLOW, POST, UNFOLLOW, WORK, Actor, Stage
from tests.support.database import Database


@pytest.fixture
def large(database: Database) -> int:
    """Somebody with nine followers, which is nine chunks."""
    database.set(fan_out_sync_limit=3, fan_out_chunk_size=1)
    large, *fans = database.users(10)
    database.follow(fans, large)
    return large


@pytest.fixture
def small(database: Database, large: int) -> int:
    """Somebody with two followers, of those whom the large one has too."""
    small = database.user("small")
    database.follow(fans(database, large)[:2], small)
    return small


def fans(database: Database, author: int) -> list[int]:
    return database.values(
        "select follower_id from app.follows where followed_id = %s order by 1", [author]
    )


def at_work(database: Database, actors: Stage, large: int, kind: str) -> Actor:
    """A worker in the middle of a chunk for the large author."""
    post = database.post(large)
    if kind == "post_purge":
        database.drain()
        database.delete_post(post)
    worker = actors.worker()
    worker.begin()
    assert worker.do(WORK) == [(kind,)]
    return worker


@pytest.mark.parametrize("kind", ["fan_out", "post_purge"])
@pytest.mark.parametrize("sync_limit", [3, 0], ids=["within the post", "by a job"])
def test_a_small_author_posts_and_is_followed_meanwhile(
    database: Database, actors: Stage, large: int, small: int, kind: str, sync_limit: int
) -> None:
    """Nothing here waits for the chunk."""
    worker = at_work(database, actors, large, kind)
    database.set(fan_out_sync_limit=sync_limit)
    one, two, *others = fans(database, large)
    poster, reader, second = actors.member(small), actors.member(others[0]), actors.worker()
    ((post,),) = poster.do(POST, "small")
    if sync_limit == 0:
        assert second.do(WORK) == [("fan_out",)]
        second.do(WORK)
    reader.do(FOLLOW, small)
    assert [database.entries(fan)[-1] for fan in (one, two, others[0])] == [post] * 3
    reader.do(UNFOLLOW, small)
    worker.commit()
    database.assert_sound()


@pytest.mark.parametrize("kind", ["fan_out", "post_purge"])
def test_a_short_fan_out_waits_for_no_long_one_that_has_not_begun(
    database: Database, large: int, small: int, kind: str
) -> None:
    """Many come at once, and after them the small author's post, which goes first: for a minute."""
    database.pause_schedules()
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=3)
    posts = [database.post(large) for _ in range(3)]
    if kind == "post_purge":
        database.drain()
        for one in posts:
            database.delete_post(one)
    post = database.post(small)
    assert database.work() == "fan_out"
    assert all(post in database.entries(fan) for fan in fans(database, small))
    assert len(database.jobs(kind)) == 3
    database.run("update app.jobs set turn_at = turn_at - interval '61 seconds'")
    late = database.post(small)
    assert database.work() == kind
    assert not any(late in database.entries(fan) for fan in fans(database, small))
    database.drain()
    database.assert_sound()


def test_of_many_long_fan_outs_none_comes_before_a_short_one_a_second_time(
    database: Database, large: int, small: int
) -> None:
    """By the order of chunks: all the large author's posts have begun; the small one is next."""
    database.pause_schedules()
    for _ in range(3):
        database.post(large)
    for _ in range(3):
        assert database.work() == "fan_out"
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=3)
    post = database.post(small)
    assert database.work() == "fan_out"
    assert len(database.jobs("fan_out")) == 3, "the small one is done"
    assert all(post in database.entries(fan) for fan in fans(database, small))
    database.assert_sound()

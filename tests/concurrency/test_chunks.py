"""Things that happen in the middle of a fan-out job: between two chunks, and during one.

"During" is a worker's transaction that has done its chunk and is not committed.
"""

import pytest
from psycopg import errors

from tests.support.actors import DELETE_POST, FOLLOW, POST, UNFOLLOW, WORK, Actor, Stage
from tests.support.database import Database


@pytest.fixture
def author(database: Database) -> int:
    """Somebody with seven followers, served two at a time."""
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=2)
    author = database.user("author")
    database.follow(database.users(7), author)
    return author


@pytest.fixture
def fans(database: Database, author: int) -> list[int]:
    """The seven, in the order they are served."""
    return database.values(
        "select follower_id from app.follows where followed_id = %s order by 1", [author]
    )


@pytest.fixture
def worker(actors: Stage, author: int) -> Actor:
    """A worker whose transactions the test opens and closes."""
    return actors.worker()


def chunk_in_flight(worker: Actor, kind: str = "fan_out") -> None:
    """Have the worker do one chunk and not commit it."""
    worker.begin()
    assert worker.do(WORK) == [(kind,)]


def test_a_post_deleted_while_queued_reaches_nobody(
    database: Database, author: int, fans: list[int]
) -> None:
    post = database.post(author)
    database.delete_post(post)
    database.drain()
    assert database.run("select * from app.feed_entries") == []
    database.assert_sound()


def test_a_post_deleted_between_two_chunks_leaves_no_ghost(
    database: Database, author: int, fans: list[int]
) -> None:
    post = database.post(author)
    assert database.work() == "fan_out"
    assert database.entries(fans[0]) == [post]
    database.delete_post(post)
    assert database.feed(fans[0]) == [], "hidden before anything is cleaned up"
    database.drain()
    assert database.run("select * from app.feed_entries") == []
    database.assert_sound()


def test_a_post_deleted_during_a_chunk_leaves_no_ghost(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    """The chunk has locked the post: the deletion waits for it, and purges what it brought."""
    post = database.post(author)
    deleter = actors.member(author)
    chunk_in_flight(worker)
    pending = deleter.start_blocked(DELETE_POST, post, by=worker)
    worker.commit()
    pending.result(60)
    assert database.value("select count(*) from app.feed_entries") == 2
    assert database.feed(fans[0]) == []
    database.drain()
    assert database.run("select * from app.feed_entries") == []
    database.assert_sound()


def test_a_chunk_that_meets_a_deletion_in_flight_waits_and_delivers_nothing_more(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    post = database.post(author)
    assert database.work() == "fan_out"
    deleter = actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, post)
    pending = worker.start_blocked(WORK, by=deleter)
    deleter.commit()
    assert pending.result(60) == [("fan_out",)]
    assert database.value("select count(*) from app.feed_entries") == 2, "of the first chunk"
    database.assert_sound()


def test_a_deletion_that_rolls_back_lets_the_chunk_go_on(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    post = database.post(author)
    deleter = actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, post)
    pending = worker.start_blocked(WORK, by=deleter)
    deleter.rollback()
    pending.result(60)
    database.drain()
    assert all(database.entries(fan) == [post] for fan in fans)
    database.assert_sound()


def test_deleting_two_posts_in_one_request_while_their_fan_out_goes_on_is_no_deadlock(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    """DELETE /posts?id=in.(first,second). After the first the request holds the author's lock; a
    chunk of the second post comes in between; then the request goes on to the second.
    """
    first, second = database.post(author), database.post(author)
    database.run("delete from app.jobs where args ->> 'post_id' = %s", [str(first)])
    deleter = actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, first)
    pending = worker.start_blocked(WORK, by=deleter)
    deleter.do(DELETE_POST, second)
    deleter.commit()
    pending.result(60)
    assert database.values("select last_error from app.jobs where last_error is not null") == []
    database.assert_sound()


def test_an_unfollow_while_the_post_is_queued_is_respected(
    database: Database, author: int, fans: list[int]
) -> None:
    post = database.post(author)
    database.unfollow(fans[3], author)
    database.drain()
    assert database.entries(fans[3]) == []
    assert database.entries(fans[4]) == [post]
    database.assert_sound()


@pytest.mark.parametrize("place", [0, 1, 2, 6], ids=["in the chunk", "its end", "next", "last"])
def test_an_unfollow_during_a_chunk_leaves_no_entry(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor, place: int
) -> None:
    """The chunk holds the author's lock; the unfollow waits and then removes what it brought."""
    database.post(author)
    follower = actors.member(fans[place])
    chunk_in_flight(worker)
    pending = follower.start_blocked(UNFOLLOW, author, by=worker)
    worker.commit()
    pending.result(60)
    assert database.feed(fans[place]) == []
    database.drain()
    assert database.entries(fans[place]) == []
    database.assert_sound()


def test_a_chunk_that_meets_an_unfollow_in_flight_waits_and_leaves_them_out(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    database.post(author)
    follower = actors.member(fans[0])
    follower.begin()
    follower.do(UNFOLLOW, author)
    pending = worker.start_blocked(WORK, by=follower)
    follower.commit()
    pending.result(60)
    database.drain()
    assert database.entries(fans[0]) == []
    database.assert_sound()


@pytest.mark.parametrize("new", ["behind the mark", "ahead of it"])
def test_who_arrives_between_chunks_sees_the_post_once(
    database: Database, author: int, fans: list[int], new: str
) -> None:
    """Behind the mark only the backfill brings it; ahead of it both do, and one row results."""
    if new == "behind the mark":
        arrival = fans[0]
        database.unfollow(arrival, author)
    else:
        arrival = database.user("arrival")
    post = database.post(author)
    assert database.work() == "fan_out"
    assert database.work() == "fan_out"
    database.follow(arrival, author)
    assert database.feed(arrival) == [post]
    database.drain()
    assert database.entries(arrival) == [post]
    database.assert_sound()


@pytest.mark.parametrize("place", [0, 6], ids=["behind the mark", "ahead of it"])
def test_unfollow_and_follow_again_during_the_job_sees_the_post_once(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor, place: int
) -> None:
    post = database.post(author)
    follower = actors.member(fans[place])
    chunk_in_flight(worker)
    pending = follower.start(UNFOLLOW, author)
    again = follower.start(FOLLOW, author)
    database.wait_blocked(follower.pid, by=worker.pid)
    worker.commit()
    pending.result(60)
    again.result(60)
    assert database.feed(fans[place]) == [post]
    database.drain()
    assert database.entries(fans[place]) == [post]
    database.assert_sound()


def test_a_job_in_one_workers_hands_is_not_taken_by_another(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    """The other worker does not wait either: it looks for other work and finds none."""
    post = database.post(author)
    chunk_in_flight(worker)
    assert database.work("another") is None
    worker.commit()
    database.drain()
    assert all(database.entries(fan) == [post] for fan in fans)
    database.assert_sound()


def test_two_workers_share_two_jobs(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    """One has a chunk of the first job in flight; the other takes the other author's."""
    rival = database.user("rival")
    database.follow(fans, rival)
    database.post(author)
    database.post(rival)
    chunk_in_flight(worker)
    assert database.work("another") == "fan_out"
    by_author = dict(
        database.run(
            "select p.author_id, count(*) from app.feed_entries e"
            " join app.posts p on p.id = e.post_id group by p.author_id"
        )
    )
    assert by_author == {rival: 2}, "the first worker's chunk is not committed yet"
    worker.commit()
    database.assert_sound()


def test_two_posts_of_one_author_are_fanned_out_by_two_workers(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    """Chunks of one author take turns."""
    posts = [database.post(author), database.post(author)]
    other = actors.worker()
    chunk_in_flight(worker)
    pending = other.start_blocked(WORK, by=worker)
    worker.commit()
    pending.result(60)
    database.drain()
    assert all(database.entries(fan) == posts for fan in fans)
    database.assert_sound()


def test_a_post_waits_for_a_chunk_of_its_author_and_then_goes_through(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    first = database.post(author)
    poster = actors.member(author)
    chunk_in_flight(worker)
    pending = poster.start_blocked(POST, "second", by=worker)
    worker.commit()
    ((second,),) = pending.result(60)
    database.drain()
    assert all(database.entries(fan) == [first, second] for fan in fans)
    database.assert_sound()


def test_a_chunk_whose_session_ends_is_done_again_from_its_start(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    """pg_terminate_backend in the middle of the second chunk."""
    post = database.post(author)
    assert database.work() == "fan_out"
    chunk_in_flight(worker)
    database.run("select pg_terminate_backend(%s)", [worker.pid])
    database.wait_for(
        "select not exists (select from pg_stat_activity where pid = %s)", [worker.pid]
    )
    with pytest.raises(errors.OperationalError):
        worker.commit()
    assert database.run("select progress, chunks, attempts, state from app.jobs") == [
        (fans[1], 1, 0, "queued")
    ]
    assert database.drain(fold=False) == ["fan_out"] * 3
    assert all(database.entries(fan) == [post] for fan in fans)
    database.assert_sound()


def test_a_purge_during_which_a_follower_leaves_and_another_comes(
    database: Database, actors: Stage, author: int, fans: list[int], worker: Actor
) -> None:
    """Deletion of a post of a large author, a chunk of its clean-up in flight."""
    post = database.post(author)
    database.drain()
    database.delete_post(post)
    assert all(database.feed(fan) == [] for fan in fans)
    chunk_in_flight(worker, "post_purge")
    leaving, coming = actors.member(fans[6]), actors.member(database.user("coming"))
    away = leaving.start_blocked(UNFOLLOW, author, by=worker)
    here = coming.start_blocked(FOLLOW, author, by=worker)
    worker.commit()
    away.result(60)
    here.result(60)
    database.drain()
    assert database.run("select * from app.feed_entries") == []
    database.assert_sound()


def test_an_unfollow_during_a_backfill_chunk_waits_and_removes_what_it_brought(
    database: Database, actors: Stage, author: int, worker: Actor
) -> None:
    database.set(backfill_sync_limit=1, backfill_chunk_size=3)
    database.posts(author, 8)
    database.drain()
    reader = database.user("reader")
    database.follow(reader, author)
    follower = actors.member(reader)
    chunk_in_flight(worker, "follow_backfill")
    pending = follower.start_blocked(UNFOLLOW, author, by=worker)
    worker.commit()
    pending.result(60)
    assert database.entries(reader) == []
    database.drain()
    assert database.entries(reader) == []
    database.assert_sound()


def test_follow_unfollow_follow_while_backfills_are_queued(
    database: Database, actors: Stage, author: int, worker: Actor
) -> None:
    """Two jobs for the same pair, one of them from before the unfollow: the rows are the same."""
    database.set(backfill_sync_limit=1, backfill_chunk_size=3)
    posts = database.posts(author, 8)
    database.drain()
    reader = database.user("reader")
    database.follow(reader, author)
    assert database.work() == "follow_backfill"
    database.unfollow(reader, author)
    database.follow(reader, author)
    assert len(database.jobs("follow_backfill")) == 2
    database.drain()
    assert database.entries(reader) == posts
    database.assert_sound()


def test_a_post_deleted_during_a_backfill_chunk_leaves_no_ghost(
    database: Database, actors: Stage, author: int, worker: Actor
) -> None:
    """Neither for the reader it is being brought to nor for those who have it."""
    database.set(backfill_sync_limit=1, backfill_chunk_size=3)
    posts = database.posts(author, 8)
    database.drain()
    reader = database.user("reader")
    database.follow(reader, author)
    deleter = actors.member(author)
    chunk_in_flight(worker, "follow_backfill")
    pending = deleter.start_blocked(DELETE_POST, posts[6], by=worker)
    worker.commit()
    pending.result(60)
    database.drain()
    assert database.entries(reader) == [p for p in posts if p != posts[6]]
    database.assert_sound()


def test_new_posts_during_a_backfill_are_there_once_and_nothing_is_evicted(
    database: Database, actors: Stage, author: int, worker: Actor
) -> None:
    database.set(backfill_sync_limit=1, backfill_chunk_size=3)
    old = database.posts(author, 8)
    database.drain()
    reader = database.user("reader")
    database.follow(reader, author)
    assert database.work() == "follow_backfill"
    new = database.posts(author, 3)
    database.drain()
    assert database.entries(reader) == old + new
    database.assert_sound()

"""An unfollow finds its rows by the author's posts: also where posts are being deleted, the account
of the author is going, or months are dropped at this moment.
"""

import pytest

from tests.support.actors import CLOSE_ACCOUNT, DELETE_POST, FOLLOW, UNFOLLOW, WORK, Stage
from tests.support.database import Database
from tests.support.horizon import assert_complete, horizon, old_months, old_post


@pytest.fixture
def author(database: Database) -> int:
    """Somebody with two posts, whose posts are delivered and purged by jobs, two at a time."""
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=2)
    author = database.user("author")
    database.posts(author, 2)
    return author


def first_post(database: Database, author: int) -> int:
    return database.value("select min(id) from app.posts where author_id = %s", [author])


@pytest.mark.parametrize("state", ["waiting", "half done", "dead"])
def test_an_unfollow_takes_a_deleted_post_along_whose_purge_has_not_come_to_it(
    database: Database, author: int, state: str
) -> None:
    fans = database.users(5)
    database.follow(fans, author)
    database.delete_post(first_post(database, author))
    if state == "half done":
        assert database.work() == "post_purge"
        assert [len(database.entries(fan)) for fan in fans] == [1, 1, 2, 2, 2]
    elif state == "dead":
        database.run("update app.jobs set state = 'dead'")
    assert len(database.entries(fans[4])) == 2
    database.unfollow(fans[4], author)
    assert database.entries(fans[4]) == []
    database.run("update app.jobs set state = 'queued'")
    database.assert_sound()


def test_an_unfollow_takes_along_a_deleted_post_that_a_later_range_covers(
    database: Database, author: int
) -> None:
    """The newest post is deleted; one with a smaller id makes its author one who is pulled. The
    range begins below what is still in the entries.
    """
    fans = database.users(2)
    database.follow(fans, author)
    database.delete_post(database.value("select max(id) from app.posts"))
    database.delete_post(first_post(database, author))
    database.set(fan_out_pull_limit=1, fan_out_push_limit=1)
    late = old_post(database, author, "1 hour")
    assert database.run("select from_id from app.pull_ranges") == [(late,)]
    assert len(database.entries(fans[0])) == 2
    database.unfollow(fans[0], author)
    assert database.entries(fans[0]) == []
    assert_complete(database, fans)
    database.assert_sound()


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_an_unfollow_waits_for_a_deletion_in_flight_and_leaves_nothing(
    database: Database, actors: Stage, author: int, ends: str
) -> None:
    fan = database.user("fan")
    database.follow(fan, author)
    deleter = actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, first_post(database, author))
    pending = actors.member(fan).start_blocked(UNFOLLOW, author, by=deleter)
    deleter.do(ends)
    pending.result(60)
    assert database.entries(fan) == []
    database.assert_sound()


def test_an_unfollow_waits_for_the_last_chunk_of_a_purge(
    database: Database, actors: Stage, author: int
) -> None:
    """The job is gone with its commit, and so is what it stood for."""
    fan = database.user("fan")
    database.follow(fan, author)
    database.delete_post(first_post(database, author))
    worker = actors.worker()
    worker.begin()
    assert worker.do(WORK) == [("post_purge",)]
    pending = actors.member(fan).start_blocked(UNFOLLOW, author, by=worker)
    worker.commit()
    pending.result(60)
    assert database.entries(fan) == []
    assert database.jobs("post_purge") == []
    database.assert_sound()


def test_a_bulk_unfollow_takes_what_is_of_each_author_from_each_follower(
    database: Database, author: int
) -> None:
    """One statement for several of both; one author is pulled, one has a deletion waiting."""
    pulled, kept, *fans = database.users(6)
    everybody = [author, pulled, kept]
    for each in (pulled, kept):
        database.posts(each, 2)
    database.follow(fans, everybody)
    database.set(fan_out_pull_limit=3, fan_out_push_limit=1)
    database.post(pulled)
    database.set(fan_out_pull_limit=100)
    stays = database.values("select id from app.posts where author_id = %s order by id", [kept])
    database.delete_post(first_post(database, author))
    assert all(len(database.entries(fan)) == 6 for fan in fans)
    database.unfollow(fans[:3], [author, pulled])
    assert all(database.entries(fan) == stays for fan in fans[:3])
    assert len(database.entries(fans[3])) == 6
    assert_complete(database, fans)
    database.assert_sound()


@pytest.mark.parametrize("commits", ["before the chunk", "during the chunk"])
def test_a_follow_in_flight_when_an_account_is_closed_leaves_no_entry(
    database: Database, actors: Stage, author: int, commits: str
) -> None:
    """It was made before the account was hidden and is seen only after the job has removed all
    followers it saw. The posts keep their author until it is gone too.
    """
    database.set(account_purge_sync_limit=0)
    fan, *others = database.users(4)
    database.follow(others, author)
    follow, worker = actors.member(fan), actors.worker()
    follow.begin()
    follow.do(FOLLOW, author)
    # Closing waits for a follow under way, but not for one that looked for the account before and
    # refers to it afterwards. The mark alone makes that moment.
    database.run("update app.users set deleted_at = now() where id = %s", [author])
    database.run(
        "select app.job_add('account_purge', jsonb_build_object('user_id', %s::bigint))", [author]
    )
    assert [database.work() for _ in range(2)] == ["account_purge"] * 2
    assert database.run("select from app.follows") == []
    if commits == "before the chunk":
        follow.commit()
        assert database.work() == "account_purge"
    else:
        pending = worker.start_blocked(WORK, by=follow)
        follow.commit()
        assert pending.result(60) == [("account_purge",)]
    database.drain()
    assert database.run("select from app.users where id = %s", [author]) == []
    assert database.run("select from app.feed_entries") == []
    database.assert_sound()


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_an_unfollow_after_months_were_dropped_under_a_follow(
    database: Database, actors: Stage, ends: str
) -> None:
    """The follow waits for the drop before it brings anything, so nothing lies below the horizon,
    where an unfollow would not look.
    """
    old_months(database, 3)
    author, fan = database.users(2)
    old_post(database, author, "80 days")
    post = database.post(author)
    dropper, hand = actors.superuser(), actors.member(fan)
    dropper.begin()
    dropper.do("select app.feed_partitions_drop(0)")
    pending = hand.start_blocked(FOLLOW, author, by=dropper)
    dropper.do(ends)
    pending.result(60)
    if ends == "commit":
        assert database.entries(fan) == [post]
        assert horizon(database) > 0
    assert_complete(database, fan)
    hand.do(UNFOLLOW, author)
    assert database.entries(fan) == []
    database.assert_sound()


@pytest.mark.parametrize(("posts", "followers"), [(1, 5), (20, 2), (100, 1)])
def test_a_chunk_of_an_account_is_bounded_by_entries_too(
    database: Database, author: int, posts: int, followers: int
) -> None:
    """At most fan_out_chunk_size follows and ten times as many entries, but at least one follow."""
    database.set(account_purge_sync_limit=0, fan_out_chunk_size=5, fan_out_sync_limit=100)
    author, *fans = database.users(8)
    database.posts(author, posts)
    database.follow(fans, author)
    database.run(CLOSE_ACCOUNT, [author])
    assert database.work() == "account_purge"
    left = "select count(*) from app.follows where followed_id = %s"
    assert database.value(left, [author]) == 7 - followers
    database.assert_sound()


@pytest.mark.parametrize(("posts", "followed"), [(1, 5), (20, 3), (50, 1), (60, 1)])
def test_a_chunk_of_what_a_closed_account_follows_is_bounded_by_their_posts(
    database: Database, posts: int, followed: int
) -> None:
    database.set(account_purge_sync_limit=0, fan_out_chunk_size=5)
    reader, *authors = database.users(8)
    for author in authors:
        database.posts(author, posts)
    database.follow(reader, authors)
    database.run(CLOSE_ACCOUNT, [reader])
    assert database.work() == "account_purge"
    left = "select count(*) from app.follows where follower_id = %s"
    assert database.value(left, [reader]) == 7 - followed
    database.assert_sound()


@pytest.mark.parametrize(("most", "chunks"), [(1, 5), (4, 3), (5, 2), (8, 2), (9, 1)])
def test_a_chunk_of_a_rebuild_is_bounded_by_posts(
    database: Database, most: int, chunks: int
) -> None:
    """Five authors, four of two posts, one of none: as many as it takes to have ``most``."""
    database.set(backfill_chunk_size=most, backfill_sync_limit=100)
    reader, *authors = database.users(6)
    for author in authors[:4]:
        database.posts(author, 2)
    database.follow(reader, authors)
    database.run("select app.feed_keep(%s, now())", [reader])
    database.run("delete from app.feed_entries")
    database.run(
        "update app.feed_states set delivered_from = 9007199254740992,"
        " complete_from = 9007199254740992"
    )
    database.run("select app.feed_keep(%s, now())", [reader])
    assert database.drain(fold=False) == ["feed_rebuild"] * chunks
    assert len(database.entries(reader)) == 8
    database.assert_sound()

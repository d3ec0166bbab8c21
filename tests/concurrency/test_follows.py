"""Follows and unfollows of the same people at once: exact, and nobody waits for a counter."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.support.actors import FOLLOW, UNFOLLOW, Actor, Stage
from tests.support.client import Member
from tests.support.database import Database
from tests.support.servers import Served


def test_two_who_follow_each_other_do_not_wait_for_each_other(
    database: Database, actors: Stage
) -> None:
    """A follows B, and while that is not committed B follows A.

    Each changes both counter rows. Row locks taken in the order of the statements would deadlock
    here; taken in id order one would wait. Neither happens: the second appends deltas.
    """
    a, b = database.users(2)
    ann, bob = actors.members([a, b])
    ann.begin()
    ann.do(FOLLOW, b)
    bob.begin()
    bob.do(FOLLOW, a)
    assert database.counts(a) == (0, 0, 0)
    bob.commit()
    assert database.counts(a) == (1, 0, 0)
    assert database.counts(b) == (0, 1, 0)
    ann.commit()
    assert database.counts(a) == database.counts(b) == (1, 1, 0)
    assert database.run("select user_deltas > 0 from dba.counter_deltas") == [(True,)]
    database.assert_sound()


def test_follow_loops_in_both_directions_end_exact(database: Database, actors: Stage) -> None:
    """A follows and unfollows B while B follows and unfollows A, rounds in step, 40 times."""
    a, b = database.users(2)
    ann, bob = actors.members([a, b])
    step = threading.Barrier(2, timeout=60)

    def loop(actor: Actor, other: int) -> None:
        for _ in range(40):
            step.wait()
            actor.do(FOLLOW, other)
            step.wait()
            actor.do(UNFOLLOW, other)
        actor.do(FOLLOW, other)

    with ThreadPoolExecutor(2) as threads:
        for pending in [threads.submit(loop, ann, b), threads.submit(loop, bob, a)]:
            pending.result(60)
    assert database.counts(a) == database.counts(b) == (1, 1, 0)
    database.assert_sound()


def test_thirty_two_follow_one_user_and_none_waits(database: Database, actors: Stage) -> None:
    """All 32 transactions are open at once after their follow, which a row lock would not allow.

    The figure that a profile shows is exact after each commit, long before anything is folded.
    """
    celebrity, *fans = database.users(33)
    clients = actors.members(fans)
    for client in clients:
        client.begin()
        client.do(FOLLOW, celebrity)
    assert database.counts(celebrity) == (0, 0, 0)
    for number, client in enumerate(clients, 1):
        client.commit()
        assert database.counts(celebrity) == (number, 0, 0)
    waiting = database.value("select count(*) from app.user_counter_deltas")
    assert waiting == 31, "one follow found the row free, the others appended"
    database.assert_sound()
    assert (
        database.value(
            "select followers_count from app.user_counters where user_id = %s", [celebrity]
        )
        == 32
    )


def test_thirty_two_clients_follow_and_unfollow_one_user_over_http(rest: Served) -> None:
    """As fast as 32 threads can; each ends following."""
    celebrity = rest.signup()
    fans = rest.signups(32)

    def storm(fan: Member) -> None:
        for _ in range(3):
            fan.follow(celebrity)
            fan.unfollow(celebrity)
        fan.follow(celebrity)

    with ThreadPoolExecutor(32) as threads:
        for pending in [threads.submit(storm, fan) for fan in fans]:
            pending.result(120)
    assert celebrity.profile()["followers_count"] == 32
    assert all(fan.profile()["following_count"] == 1 for fan in fans)
    rest.database.assert_sound()


def test_a_fold_between_follows_in_flight_waits_for_none_and_loses_none(
    database: Database, actors: Stage
) -> None:
    """One follow holds the counter row, one is committed as a delta, one is a delta in flight. The
    fold passes the row over and leaves the deltas; the next fold takes them.
    """
    celebrity, *fans = database.users(5)
    first, second, third, fourth = actors.members(fans)
    first.begin()
    first.do(FOLLOW, celebrity)
    second.do(FOLLOW, celebrity)
    third.begin()
    third.do(FOLLOW, celebrity)
    database.run("select app.job_add('counters_fold')")
    assert database.work() == "counters_fold"
    assert database.run("select user_deltas from dba.counter_deltas") == [(1,)]
    fourth.do(FOLLOW, celebrity)
    assert database.counts(celebrity) == (2, 0, 0)
    first.commit()
    database.drain()
    assert database.counts(celebrity) == (3, 0, 0)
    third.commit()
    assert database.counts(celebrity) == (4, 0, 0)
    database.assert_sound()


def test_nobody_waits_for_a_fold(database: Database, actors: Stage) -> None:
    """While the fold holds the counter row, a follow appends, and the sum is right throughout."""
    celebrity, a, b = database.users(3)
    database.run(
        "insert into app.user_counter_deltas (user_id, followers) values (%s, 0)", [celebrity]
    )
    worker = actors.worker()
    database.run("select app.job_add('counters_fold')")
    worker.begin()
    worker.do("select app.job_work('test')")
    actors.member(a).do(FOLLOW, celebrity)
    assert database.counts(celebrity) == (1, 0, 0)
    worker.commit()
    actors.member(b).do(FOLLOW, celebrity)
    assert database.counts(celebrity) == (2, 0, 0)
    database.assert_sound()


def test_the_same_follow_twice_at_once_is_one(database: Database, actors: Stage) -> None:
    """The second waits for the first, then finds nothing to do."""
    a, b = database.users(2)
    post = database.post(b)
    one, two = actors.member(a), actors.member(a)
    one.begin()
    one.do(FOLLOW, b)
    pending = two.start_blocked(FOLLOW, b, by=one)
    one.commit()
    pending.result(60)
    assert database.counts(a) == (0, 1, 0)
    assert database.entries(a) == [post]
    database.assert_sound()


def test_a_follow_whose_twin_rolls_back_counts(database: Database, actors: Stage) -> None:
    a, b = database.users(2)
    post = database.post(b)
    one, two = actors.member(a), actors.member(a)
    one.begin()
    one.do(FOLLOW, b)
    pending = two.start_blocked(FOLLOW, b, by=one)
    one.rollback()
    pending.result(60)
    assert database.counts(a) == (0, 1, 0)
    assert database.entries(a) == [post]
    database.assert_sound()


def test_follow_unfollow_follow_in_flight_ends_with_the_follow(
    database: Database, actors: Stage
) -> None:
    """An unfollow is not committed when the next follow of the same two comes: it waits, then
    inserts anew, and its backfill comes after the unfollow's clean-up.
    """
    a, b = database.users(2)
    post = database.post(b)
    database.follow(a, b)
    one, two = actors.member(a), actors.member(a)
    one.begin()
    one.do(UNFOLLOW, b)
    pending = two.start_blocked(FOLLOW, b, by=one)
    one.commit()
    pending.result(60)
    assert database.counts(a) == (0, 1, 0)
    assert database.entries(a) == [post]
    database.assert_sound()


def test_an_unfollow_that_rolls_back_leaves_everything_to_the_follow_behind_it(
    database: Database, actors: Stage
) -> None:
    a, b = database.users(2)
    post = database.post(b)
    database.follow(a, b)
    one, two = actors.member(a), actors.member(a)
    one.begin()
    one.do(UNFOLLOW, b)
    pending = two.start_blocked(FOLLOW, b, by=one)
    one.rollback()
    pending.result(60)
    assert database.counts(b) == (1, 0, 1)
    assert database.entries(a) == [post]
    database.assert_sound()


def test_an_unfollow_that_comes_before_the_follow_commits_finds_nothing(
    database: Database, actors: Stage
) -> None:
    a, b = database.users(2)
    post = database.post(b)
    one, two = actors.member(a), actors.member(a)
    one.begin()
    one.do(FOLLOW, b)
    two.do(UNFOLLOW, b)
    one.commit()
    assert database.entries(a) == [post]
    assert database.counts(b) == (1, 0, 1)
    database.assert_sound()


def test_two_unfollow_the_same_at_once_and_the_counter_sinks_by_one(
    database: Database, actors: Stage
) -> None:
    """The second waits for the row, finds it gone and changes nothing."""
    a, b = database.users(2)
    database.follow(a, b)
    one, two = actors.member(a), actors.member(a)
    one.begin()
    one.do(UNFOLLOW, b)
    pending = two.start_blocked(UNFOLLOW, b, by=one)
    one.commit()
    pending.result(60)
    assert database.counts(a) == database.counts(b) == (0, 0, 0)
    database.assert_sound()


def test_bulk_follows_in_opposite_order_do_not_wait(database: Database, actors: Stage) -> None:
    """A follows X then Y, B follows Y then X, in one transaction each, interleaved."""
    a, b, x, y = database.users(4)
    ann, bob = actors.members([a, b])
    ann.begin()
    bob.begin()
    ann.do(FOLLOW, x)
    bob.do(FOLLOW, y)
    ann.do(FOLLOW, y)
    bob.do(FOLLOW, x)
    ann.commit()
    bob.commit()
    assert database.counts(x) == database.counts(y) == (2, 0, 0)
    database.assert_sound()


def test_follows_of_more_than_a_thousand_at_once_in_opposite_order_do_not_deadlock(
    database: Database, actors: Stage
) -> None:
    """A statement with more than 1,000 followed takes the one lock of all authors.

    Two such statements meet: the second waits for the first, and for nothing else.
    """
    a, b, *others = database.users(1003)
    many = "insert into app.follows (follower_id, followed_id) select %s, u from unnest(%s) u"
    ann, bob = actors.superuser(), actors.superuser()
    ann.begin()
    ann.do(many, a, others)
    pending = bob.start_blocked(many, b, others[::-1], by=ann)
    ann.commit()
    pending.result(60)
    assert database.counts(a) == database.counts(b) == (0, 1001, 0)
    database.assert_sound()

"""Replies to one post by many at once, beside its deletion, and the same request twice."""

import json

import pytest
from psycopg import errors

from tests.support.actors import DELETE_POST, POST, REPLY, WORK, Actor, Stage
from tests.support.database import Database


def test_twenty_reply_to_one_post_and_none_waits(database: Database, actors: Stage) -> None:
    """All transactions are open at once after their reply; the count is exact after each."""
    author, *others = database.users(21)
    post = database.post(author)
    repliers = actors.members(others)
    for replier in repliers:
        replier.begin()
        replier.do(REPLY, "me too", post)
    for number, replier in enumerate(repliers, 1):
        replier.commit()
        assert database.replies_count(post) == number
    assert database.run("select post_deltas > 0 from dba.counter_deltas") == [(True,)]
    database.assert_sound()


def test_replies_to_two_posts_in_opposite_order_do_not_wait(
    database: Database, actors: Stage
) -> None:
    """A replies to P then Q, B to Q then P, in one transaction each, interleaved."""
    author, a, b = database.users(3)
    p, q = database.post(author), database.post(author)
    ann, bob = actors.members([a, b])
    ann.begin()
    bob.begin()
    ann.do(REPLY, "1", p)
    bob.do(REPLY, "2", q)
    ann.do(REPLY, "3", q)
    bob.do(REPLY, "4", p)
    ann.commit()
    bob.commit()
    assert database.replies_count(p) == database.replies_count(q) == 2
    database.assert_sound()


def test_bulk_replies_in_opposite_order_do_not_deadlock(database: Database, actors: Stage) -> None:
    """One statement each, over the same 50 posts, the second from the last to the first."""
    author, a, b = database.users(3)
    posts = database.posts(author, 50)
    bulk = (
        "insert into app.posts (author_id, content, parent_id)"
        " select %s, 'x', p from unnest(%s) with ordinality u (p, n) order by n"
    )
    ann, bob = actors.superuser(), actors.superuser()
    ann.begin()
    bob.begin()
    ann.do(bulk, a, posts)
    bob.do(bulk, b, posts[::-1])
    ann.commit()
    bob.commit()
    assert all(database.replies_count(post) == 2 for post in posts)
    database.assert_sound()


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_deletion_waits_for_replies_in_flight_and_keeps_them(
    database: Database, actors: Stage, ends: str
) -> None:
    author, a, b = database.users(3)
    post = database.post(author)
    one, two, deleter = *actors.members([a, b]), actors.member(author)
    one.begin()
    two.begin()
    one.do(REPLY, "first", post)
    two.do(REPLY, "second", post)
    pending = deleter.start_blocked(DELETE_POST, post)
    one.commit()
    two.do(ends)
    pending.result(60)
    replies = database.run("select author_id, parent_id, is_reply from app.posts order by id")
    assert replies == [(a, None, True), (b, None, True)][: 2 if ends == "commit" else 1]
    assert database.feed(a, "public") == [], "an orphaned reply is no top-level post"
    database.assert_sound()


def test_a_reply_that_meets_the_deletion_is_refused_in_words(
    database: Database, actors: Stage
) -> None:
    author, a = database.users(2)
    post = database.post(author)
    replier, deleter = actors.member(a), actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, post)
    pending = replier.start_blocked(REPLY, "too late", post, by=deleter)
    deleter.commit()
    with pytest.raises(errors.DatabaseError) as refusal:
        pending.result(60)
    assert refusal.value.sqlstate == "PGRST" and "gone_meanwhile" in str(refusal.value)
    assert database.counts(a) == (0, 0, 0)
    database.assert_sound()


def test_replies_are_deleted_and_written_at_once(database: Database, actors: Stage) -> None:
    """One reply goes while another comes: neither waits, and the count is exact."""
    author, a, b = database.users(3)
    post = database.post(author)
    old = database.post(a, "old", parent=post)
    ann, bob = actors.members([a, b])
    ann.begin()
    ann.do(DELETE_POST, old)
    bob.begin()
    bob.do(REPLY, "new", post)
    bob.commit()
    assert database.replies_count(post) == 2
    ann.commit()
    assert database.replies_count(post) == 1
    database.assert_sound()


def test_a_reply_and_its_parent_are_deleted_at_once(database: Database, actors: Stage) -> None:
    """The parent's deletion waits for the reply's row, which it wants to orphan."""
    author, a = database.users(2)
    post = database.post(author)
    reply = database.post(a, "reply", parent=post)
    replier, deleter = actors.member(a), actors.member(author)
    replier.begin()
    replier.do(DELETE_POST, reply)
    pending = deleter.start_blocked(DELETE_POST, post, by=replier)
    replier.commit()
    pending.result(60)
    assert database.run("select * from app.posts") == []
    assert database.counts(author) == database.counts(a) == (0, 0, 0)
    database.assert_sound()


def test_a_parent_deletion_in_flight_and_a_deletion_of_the_reply(
    database: Database, actors: Stage
) -> None:
    """The other way round: the reply has lost its parent by the time it goes."""
    author, a = database.users(2)
    post = database.post(author)
    reply = database.post(a, "reply", parent=post)
    replier, deleter = actors.member(a), actors.member(author)
    deleter.begin()
    deleter.do(DELETE_POST, post)
    pending = replier.start_blocked(DELETE_POST, reply, by=deleter)
    deleter.commit()
    pending.result(60)
    assert database.run("select * from app.posts") == []
    database.assert_sound()


def test_a_fold_of_reply_counts_and_the_posts_deletion(database: Database, actors: Stage) -> None:
    author = database.user()
    post = database.post(author)
    database.run("insert into app.post_counter_deltas (post_id, replies) values (%s, 0)", [post])
    worker, deleter = actors.worker(), actors.member(author)
    database.run("select app.job_add('counters_fold')")
    worker.begin()
    assert worker.do(WORK) == [("counters_fold",)]
    pending = deleter.start_blocked(DELETE_POST, post, by=worker)
    worker.commit()
    pending.result(60)
    database.assert_sound()


def test_posts_deleted_in_the_opposite_order_of_a_fold(database: Database, actors: Stage) -> None:
    """A DELETE visits rows as they lie in the table, a fold by id: it leaves out what is held."""
    author = database.user()
    first, second = database.posts(author, 2)
    for post in (first, second):
        database.run(
            "insert into app.post_counter_deltas (post_id, replies) values (%s, 0)", [post]
        )
    deleter, worker = actors.member(author), actors.worker()
    deleter.begin()
    deleter.do(DELETE_POST, second)
    database.run("select app.job_add('counters_fold')")
    worker.begin()
    assert worker.do(WORK) == [("counters_fold",)]
    pending = deleter.start_blocked(DELETE_POST, first, by=worker)
    worker.commit()
    pending.result(60)
    deleter.commit()
    assert database.run("select * from app.posts") == []
    database.assert_sound()


def with_key(actor: Actor, key: str) -> Actor:
    """Let this actor's requests bear an Idempotency-Key."""
    headers = json.dumps({"idempotency-key": key})
    actor.do("select set_config('request.headers', %s, false)", headers)
    return actor


def test_the_same_idempotency_key_at_once_makes_one_post(database: Database, actors: Stage) -> None:
    """The second request waits for the first to commit and gets its post."""
    a = database.user()
    one = with_key(actors.member(a), "k1")
    two = with_key(actors.member(a), "k1")
    one.begin()
    ((post,),) = one.do(POST, "once")
    pending = two.start_blocked(POST, "once", by=one)
    one.commit()
    assert pending.result(60) == [(post,)]
    assert database.values("select id from app.posts") == [post]
    database.assert_sound()


def test_the_second_of_a_key_posts_where_the_first_rolls_back(
    database: Database, actors: Stage
) -> None:
    a = database.user()
    one = with_key(actors.member(a), "k1")
    two = with_key(actors.member(a), "k1")
    one.begin()
    one.do(POST, "once")
    pending = two.start_blocked(POST, "once", by=one)
    one.rollback()
    ((post,),) = pending.result(60)
    assert database.values("select id from app.posts") == [post]
    database.assert_sound()


def test_the_same_key_at_once_with_another_body_is_refused(
    database: Database, actors: Stage
) -> None:
    a = database.user()
    one = with_key(actors.member(a), "k1")
    two = with_key(actors.member(a), "k1")
    one.begin()
    one.do(POST, "this")
    pending = two.start_blocked(POST, "that", by=one)
    one.commit()
    with pytest.raises(errors.DatabaseError, match="idempotency_key_reused"):
        pending.result(60)
    assert database.values("select content from app.posts") == ["this"]


def test_the_same_key_of_two_users_has_nothing_in_common(database: Database, actors: Stage) -> None:
    a, b = database.users(2)
    one = with_key(actors.member(a), "k1")
    two = with_key(actors.member(b), "k1")
    one.begin()
    ((first,),) = one.do(POST, "mine")
    ((second,),) = two.do(POST, "also mine")
    one.commit()
    assert first != second
    database.assert_sound()

"""Accounts that go while others follow, post, reply, log in and fold."""

import pytest
from psycopg import errors

from tests.support.actors import (
    CLOSE_ACCOUNT,
    FOLLOW,
    POST,
    REPLY,
    UNFOLLOW,
    WORK,
    Actor,
    Stage,
)
from tests.support.database import Database

SYNC, BY_JOB = 500, 0


@pytest.fixture(params=[SYNC, BY_JOB], ids=["within the request", "by a job"])
def tier(request: pytest.FixtureRequest, database: Database) -> int:
    """Both ways of deleting an account."""
    database.set(account_purge_sync_limit=request.param, fan_out_chunk_size=2)
    return request.param


def gone(database: Database, *user_ids: int) -> None:
    """See that nothing but posts without an author is left of these accounts."""
    database.assert_sound()
    ids = list(user_ids)
    assert database.run("select * from app.users where id = any (%s)", [ids]) == []
    assert database.run("select * from app.user_counters where user_id = any (%s)", [ids]) == []
    assert database.run("select * from app.posts where author_id = any (%s)", [ids]) == []
    assert database.run("select * from app.feed_entries where user_id = any (%s)", [ids]) == []
    assert (
        database.run(
            "select e.* from app.feed_entries e join app.posts p on p.id = e.post_id"
            " where p.author_id is null"
        )
        == []
    )


def test_two_who_follow_each_other_delete_their_accounts_at_once(
    database: Database, actors: Stage, tier: int
) -> None:
    """The second waits for the rows that both touch, and then has less to delete."""
    a, b, fan = database.users(3)
    database.follow([a, b, fan], [a, b, fan])
    database.post(a)
    database.post(b)
    one, two = actors.superuser(), actors.superuser()
    one.begin()
    one.do(CLOSE_ACCOUNT, a)
    if tier == SYNC:
        pending = two.start_blocked(CLOSE_ACCOUNT, b, by=one)
    else:
        pending = two.start(CLOSE_ACCOUNT, b)
    one.commit()
    pending.result(60)
    gone(database, a, b)
    assert database.counts(fan) == (0, 0, 0)


@pytest.mark.parametrize("held", ["first", "second"])
def test_two_deletions_that_are_half_way_through_their_locks_do_not_deadlock(
    database: Database, actors: Stage, held: str
) -> None:
    """Somebody holds one of the two rows that A and B share, (A, B) or (B, A). A's deletion stops
    there with whatever it has locked so far; B's deletion comes and stops behind; then all go on.
    """
    a, b = database.users(2)
    database.follow([a, b], [a, b])
    pair = (a, b) if held == "first" else (b, a)
    holder, one, two = actors.superuser(), actors.superuser(), actors.superuser()
    holder.begin()
    holder.do(
        "select from app.follows where follower_id = %s and followed_id = %s for update", *pair
    )
    first = one.start_blocked(CLOSE_ACCOUNT, a, by=holder)
    second = two.start_blocked(CLOSE_ACCOUNT, b)
    holder.commit()
    first.result(60)
    second.result(60)
    gone(database, a, b)


def test_a_ring_of_followers_deletes_all_its_accounts_at_once(
    database: Database, actors: Stage
) -> None:
    """Eight accounts that all follow each other, all stopped at their first shared row."""
    users = database.users(8)
    database.follow(users, users)
    holder = actors.superuser()
    holder.begin()
    holder.do("select from app.follows order by follower_id, followed_id for update")
    closing = [actors.superuser() for _ in users]
    pending = [
        actor.start_blocked(CLOSE_ACCOUNT, user) for actor, user in zip(closing, users, strict=True)
    ]
    holder.commit()
    for one in pending:
        one.result(60)
    gone(database, *users)


def fold_in_flight(database: Database, worker: Actor) -> None:
    """Have the worker fold and not commit."""
    database.run("select app.job_add('counters_fold')")
    worker.begin()
    assert worker.do(WORK) == [("counters_fold",)]


def delta(database: Database, user: int) -> None:
    """Append a change of nothing, so that a fold comes by this user's counter row."""
    database.run("insert into app.user_counter_deltas (user_id) values (%s)", [user])


def test_a_deletion_waits_for_a_fold_of_its_counters(
    database: Database, actors: Stage, tier: int
) -> None:
    a, b = database.users(2)
    database.follow([a, b], [a, b])
    delta(database, a)
    worker, closing = actors.worker(), actors.superuser()
    fold_in_flight(database, worker)
    if tier == SYNC:
        pending = closing.start_blocked(CLOSE_ACCOUNT, a, by=worker)
    else:
        pending = closing.start(CLOSE_ACCOUNT, a)
    worker.commit()
    pending.result(60)
    gone(database, a)
    assert database.counts(b) == (0, 0, 0)


def test_a_fold_passes_over_rows_that_a_deletion_holds_and_drops_their_deltas_later(
    database: Database, actors: Stage
) -> None:
    """It never waits, so it is in nobody's cycle: the deletion may hold what it likes."""
    a, b = database.users(2)
    database.follow([a, b], [a, b])
    post = database.post(b)
    delta(database, a)
    delta(database, b)
    database.run("insert into app.post_counter_deltas (post_id, replies) values (%s, 0)", [post])
    closing, worker = actors.superuser(), actors.worker()
    closing.begin()
    closing.do("select from app.user_counters where user_id = %s for update", b)
    closing.do("select from app.posts where id = %s for no key update", post)
    database.run("select app.job_add('counters_fold')")
    assert worker.do(WORK) == [("counters_fold",)]
    assert database.values("select user_id from app.user_counter_deltas") == [b]
    assert database.values("select post_id from app.post_counter_deltas") == [post]
    closing.do(CLOSE_ACCOUNT, b)
    closing.commit()
    gone(database, b)
    assert database.counts(a) == (0, 0, 0)


CHANGE_PASSWORD = "select api.password_change('the old one', 'the new one')"
LOG_IN = "select api.login('somebody', 'the old one')::jsonb ? 'token'"


@pytest.fixture
def somebody(database: Database) -> int:
    """A user with the password "the old one"."""
    user: int = database.user("somebody")
    database.run("select app.jwt_secret_set(repeat('k', 40))")
    database.run(
        "insert into app.credentials (user_id, password_hash)"
        " values (%s, app.password_hash('the old one'))",
        [user],
    )
    return user


def test_a_change_of_password_ends_a_session_that_a_login_in_flight_starts(
    database: Database, actors: Stage, somebody: int
) -> None:
    logging_in, changing = actors.superuser(), actors.member(somebody)
    changing.do("select set_config('request.jwt.claims', '{\"jti\": \"own\"}', false)")
    logging_in.begin()
    assert logging_in.do(LOG_IN) == [(True,)]
    pending = changing.start_blocked(CHANGE_PASSWORD, by=logging_in)
    logging_in.commit()
    pending.result(60)
    assert database.run("select * from app.sessions") == []


def test_a_login_that_a_change_of_password_overtakes_is_refused(
    database: Database, actors: Stage, somebody: int
) -> None:
    """The hash was right when it was read; bcrypt took long; it is not right any more."""
    logging_in, changing = actors.superuser(), actors.member(somebody)
    changing.do("select set_config('request.jwt.claims', '{\"jti\": \"own\"}', false)")
    changing.begin()
    changing.do(CHANGE_PASSWORD)
    pending = logging_in.start_blocked(LOG_IN, by=changing)
    changing.commit()
    assert pending.result(60) == [(False,)]
    assert database.run("select * from app.sessions") == []


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_deletion_that_meets_a_follow_in_flight_takes_it_along(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    """Of the one who goes, in both roles: whom they follow and who follows them."""
    a, b, c = database.users(3)
    database.post(a)
    incoming, outgoing, closing = actors.member(b), actors.member(a), actors.superuser()
    incoming.begin()
    incoming.do(FOLLOW, a)
    outgoing.begin()
    outgoing.do(FOLLOW, c)
    pending = closing.start_blocked(CLOSE_ACCOUNT, a)
    incoming.do(ends)
    outgoing.do(ends)
    pending.result(60)
    gone(database, a)
    assert database.counts(b) == database.counts(c) == (0, 0, 0)
    assert database.feed(b, "timeline") == []


def test_a_follow_that_meets_a_deletion_in_flight_finds_nobody(
    database: Database, actors: Stage
) -> None:
    """The check saw the account, the row did not live to be referenced: the API answers 404."""
    a, b = database.users(2)
    follower, closing = actors.member(b), actors.superuser()
    closing.begin()
    closing.do(CLOSE_ACCOUNT, a)
    pending = follower.start_blocked(FOLLOW, a, by=closing)
    closing.commit()
    with pytest.raises(errors.DatabaseError) as refusal:
        pending.result(60)
    assert refusal.value.sqlstate == "PGRST" and "user_not_found" in str(refusal.value)
    gone(database, a)
    assert database.counts(b) == (0, 0, 0)


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_deletion_that_meets_an_unfollow_in_flight_counts_it_once(
    database: Database, actors: Stage, tier: int, ends: str
) -> None:
    a, b, c = database.users(3)
    database.follow([a, b, c], [a, b, c])
    leaving, closing = actors.member(b), actors.superuser()
    leaving.begin()
    leaving.do(UNFOLLOW, a)
    if tier == SYNC:
        pending = closing.start_blocked(CLOSE_ACCOUNT, a, by=leaving)
        leaving.do(ends)
    else:
        closing.do(CLOSE_ACCOUNT, a)
        worker = actors.worker()
        pending = worker.start_blocked(WORK, by=leaving)
        leaving.do(ends)
    pending.result(60)
    gone(database, a)
    assert database.counts(b) == database.counts(c) == (1, 1, 0)


@pytest.mark.parametrize("sync_limit", [100, 0], ids=["within the post", "by a job"])
def test_a_deletion_that_meets_a_post_in_flight_keeps_the_post_and_its_entries_go(
    database: Database, actors: Stage, tier: int, sync_limit: int
) -> None:
    database.set(fan_out_sync_limit=sync_limit)
    a, fan = database.users(2)
    database.follow(fan, a)
    poster, closing = actors.member(a), actors.superuser()
    poster.begin()
    ((post,),) = poster.do(POST, "my last words")
    pending = closing.start_blocked(CLOSE_ACCOUNT, a, by=poster)
    poster.commit()
    pending.result(60)
    assert database.feed(fan) == []
    gone(database, a)
    assert database.run("select author_id, content from app.posts where id = %s", [post]) == [
        (None, "my last words")
    ]
    assert database.feed(fan, "public") == [post]


def test_a_post_that_meets_its_authors_deletion_is_refused(
    database: Database, actors: Stage
) -> None:
    """The API answers 409 in words."""
    a = database.user()
    poster, closing = actors.member(a), actors.superuser()
    closing.begin()
    closing.do(CLOSE_ACCOUNT, a)
    pending = poster.start_blocked(POST, "too late", by=closing)
    closing.commit()
    with pytest.raises(errors.DatabaseError) as refusal:
        pending.result(60)
    assert refusal.value.sqlstate == "PGRST" and "gone_meanwhile" in str(refusal.value)
    gone(database, a)


def test_a_deletion_during_a_chunk_of_ones_fan_out_leaves_no_entry(
    database: Database, actors: Stage, tier: int
) -> None:
    """The author goes while the chunk of a worker is in flight, and others are still to come."""
    database.set(fan_out_sync_limit=0)
    author, *fans = database.users(8)
    database.follow(fans, author)
    post = database.post(author)
    worker, closing = actors.worker(), actors.superuser()
    worker.begin()
    assert worker.do(WORK) == [("fan_out",)]
    if tier == SYNC:
        pending = closing.start_blocked(CLOSE_ACCOUNT, author, by=worker)
    else:
        pending = closing.start(CLOSE_ACCOUNT, author)
    worker.commit()
    pending.result(60)
    gone(database, author)
    assert database.run("select post_id from app.feed_entries") == []
    assert database.run("select id, author_id from app.posts") == [(post, None)]
    assert all(database.counts(fan) == (0, 0, 0) for fan in fans)


def test_a_deletion_of_a_follower_during_a_chunk_that_serves_them(
    database: Database, actors: Stage, tier: int
) -> None:
    database.set(fan_out_sync_limit=0)
    author, *fans = database.users(6)
    database.follow(fans, author)
    post = database.post(author)
    worker, closing = actors.worker(), actors.superuser()
    worker.begin()
    assert worker.do(WORK) == [("fan_out",)]
    if tier == SYNC:
        pending = closing.start_blocked(CLOSE_ACCOUNT, fans[0], by=worker)
    else:
        pending = closing.start(CLOSE_ACCOUNT, fans[0])
    worker.commit()
    pending.result(60)
    gone(database, fans[0])
    assert all(database.entries(fan) == [post] for fan in fans[1:])
    assert database.counts(author) == (4, 0, 1)


def test_a_chunk_that_meets_a_followers_deletion_in_flight_leaves_them_out(
    database: Database, actors: Stage
) -> None:
    database.set(fan_out_sync_limit=0, fan_out_chunk_size=2)
    author, *fans = database.users(6)
    database.follow(fans, author)
    post = database.post(author)
    worker, closing = actors.worker(), actors.superuser()
    closing.begin()
    closing.do(CLOSE_ACCOUNT, fans[0])
    pending = worker.start_blocked(WORK, by=closing)
    closing.commit()
    pending.result(60)
    gone(database, fans[0])
    assert all(database.entries(fan) == [post] for fan in fans[1:])


def test_others_act_while_chunks_of_a_large_account_go(database: Database, actors: Stage) -> None:
    """Between and during the chunks of an account_purge: hidden at once, nobody is held up who
    has nothing to do with it, and an unfollow that meets a chunk waits for it.
    """
    database.set(account_purge_sync_limit=0, fan_out_chunk_size=2)
    celebrity, newcomer, *fans = database.users(9)
    database.follow(fans, celebrity)
    database.follow(celebrity, fans)
    post = database.post(celebrity)
    database.run(CLOSE_ACCOUNT, [celebrity])
    assert database.feed(fans[0]) == []
    assert database.feed(fans[0], "public") == [post]
    worker = actors.worker()
    worker.begin()
    assert worker.do(WORK) == [("account_purge",)]
    with pytest.raises(errors.DatabaseError, match="user_not_found"):
        actors.member(newcomer).do(FOLLOW, celebrity)
    pending = actors.member(fans[0]).start_blocked(UNFOLLOW, celebrity, by=worker)
    actors.member(fans[1]).do(FOLLOW, fans[2])
    worker.commit()
    pending.result(60)
    gone(database, celebrity)
    assert database.counts(fans[0]) == (0, 0, 0)
    assert database.counts(fans[2]) == (1, 0, 0)


def test_a_reply_in_flight_to_a_post_of_an_account_that_goes(
    database: Database, actors: Stage, tier: int
) -> None:
    """A reply does not hold the deletion up, nor the other way round, and the count is exact."""
    a, b = database.users(2)
    post = database.post(a)
    replier, closing = actors.member(b), actors.superuser()
    replier.begin()
    ((reply,),) = replier.do(REPLY, "still there?", post)
    pending = closing.start(CLOSE_ACCOUNT, a)
    replier.commit()
    pending.result(60)
    gone(database, a)
    assert database.replies_count(post) == 1
    assert database.run("select parent_id from app.posts where id = %s", [reply]) == [(post,)]


def test_a_login_during_the_deletion_gets_no_session(
    database: Database, actors: Stage, tier: int
) -> None:
    """The password is right and the account still there; before the session begins it is gone."""
    database.run("select app.jwt_secret_set(repeat('s', 32))")
    a, fan = database.user("ann"), database.user()
    database.follow(fan, a)
    database.run("insert into app.credentials values (%s, app.password_hash('password'))", [a])
    login, closing = actors.superuser(), actors.superuser()
    closing.begin()
    closing.do(CLOSE_ACCOUNT, a)
    pending = login.start_blocked("select api.login('ann', 'password')", by=closing)
    closing.commit()
    ((answer,),) = pending.result(60)
    assert answer["code"] == "invalid_credentials"
    assert database.run("select * from app.sessions") == []
    gone(database, a)


def test_a_session_that_would_begin_during_the_deletion_does_not(
    database: Database, actors: Stage, tier: int
) -> None:
    """Whoever asks for it: the session looks for itself whether its account is still there."""
    database.run("select app.jwt_secret_set(repeat('s', 32))")
    a, fan = database.users(2)
    database.follow(fan, a)
    starting, closing = actors.superuser(), actors.superuser()
    closing.begin()
    closing.do(CLOSE_ACCOUNT, a)
    pending = starting.start_blocked("select app.session_start(%s)", a, by=closing)
    closing.commit()
    assert pending.result(60) == [(None,)]
    assert database.run("select * from app.sessions") == []

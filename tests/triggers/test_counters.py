"""followers, following, posts, replies: exact after every kind of statement, never below zero."""

import random

import pytest

from tests.support.database import Database


def test_a_new_user_counts_nothing(database: Database) -> None:
    assert database.counts(database.user()) == (0, 0, 0)


def test_a_follow_counts_on_both_sides(database: Database) -> None:
    a, b = database.users(2)
    database.follow(a, b)
    assert database.counts(a) == (0, 1, 0)
    assert database.counts(b) == (1, 0, 0)
    database.unfollow(a, b)
    assert database.counts(a) == database.counts(b) == (0, 0, 0)
    database.assert_sound()


def test_a_post_and_a_reply_count(database: Database) -> None:
    a, b = database.users(2)
    post = database.post(a)
    reply = database.post(b, "reply", parent=post)
    nested = database.post(a, "reply to the reply", parent=reply)
    assert database.counts(a) == (0, 0, 2)
    assert database.counts(b) == (0, 0, 1)
    assert database.replies_count(post) == 1, "direct replies only"
    assert database.replies_count(reply) == 1
    database.delete_post(nested)
    assert database.replies_count(reply) == 0
    assert database.counts(a) == (0, 0, 1)
    database.assert_sound()


def test_one_statement_that_follows_in_both_directions_at_once(database: Database) -> None:
    """Everybody follows everybody: 20 users, 380 follows, one statement."""
    users = database.users(20)
    database.follow(users, users)
    assert all(database.counts(user) == (19, 19, 0) for user in users)
    database.assert_sound()


def test_one_statement_that_unfollows_everybody(database: Database) -> None:
    users = database.users(20)
    database.follow(users, users)
    database.run("delete from app.follows")
    assert all(database.counts(user) == (0, 0, 0) for user in users)
    database.assert_sound()


def test_a_statement_that_changes_nothing_changes_no_counter(database: Database) -> None:
    a, b = database.users(2)
    database.follow(a, b)
    database.run(
        "insert into app.follows (follower_id, followed_id) values (%s, %s) on conflict do nothing",
        [a, b],
    )
    database.run("delete from app.follows where follower_id = 0")
    database.run("insert into app.posts (author_id, content) select 1, 'x' where false")
    database.run("delete from app.posts")
    assert database.counts(b) == (1, 0, 0)
    database.assert_sound()


def test_a_statement_that_rolls_back_leaves_no_trace(database: Database) -> None:
    a, b = database.users(2)
    with database.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("insert into app.follows (follower_id, followed_id) values (%s, %s)", [
            a, b,
        ])  # fmt: skip
        connection.execute("insert into app.posts (author_id, content) values (%s, 'x')", [a])
    assert database.counts(a) == database.counts(b) == (0, 0, 0)
    database.assert_sound()


def test_a_savepoint_that_rolls_back_within_a_transaction_that_commits(database: Database) -> None:
    a, b, c = database.users(3)
    with database.superuser() as connection, connection.transaction():
        connection.execute(
            "insert into app.follows (follower_id, followed_id) values (%s, %s)", [a, b]
        )
        with connection.transaction(force_rollback=True):
            connection.execute(
                "insert into app.follows (follower_id, followed_id) values (%s, %s)", [a, c]
            )
    assert database.counts(a) == (0, 1, 0)
    assert database.counts(c) == (0, 0, 0)
    database.assert_sound()


def test_a_transaction_with_many_statements_about_the_same_users(database: Database) -> None:
    """Its own earlier changes of a counter row are no reason to append."""
    a, b = database.users(2)
    with database.superuser() as connection, connection.transaction():
        for _ in range(5):
            connection.execute(
                "insert into app.follows (follower_id, followed_id) values (%s, %s)", [a, b]
            )
            connection.execute("insert into app.posts (author_id, content) values (%s, 'x')", [a])
            connection.execute("delete from app.follows where follower_id = %s", [a])
    assert database.counts(a) == (0, 0, 5)
    assert database.run("select user_deltas from dba.counter_deltas") == [(0,)]
    database.assert_sound()


def test_rows_that_come_by_copy_count(database: Database) -> None:
    users = database.users(10)
    with database.superuser() as connection, connection.cursor() as cursor:
        with cursor.copy("copy app.follows (follower_id, followed_id) from stdin") as copy:
            for user in users[1:]:
                copy.write_row((user, users[0]))
        with cursor.copy("copy app.posts (author_id, content) from stdin") as copy:
            for user in users:
                copy.write_row((user, "copied"))
    assert database.counts(users[0]) == (9, 0, 1)
    database.assert_sound()


def test_a_bulk_of_replies_to_many_posts(database: Database) -> None:
    a, b = database.users(2)
    posts = database.posts(a, 30)
    database.run(
        "insert into app.posts (author_id, content, parent_id)"
        " select %s, 'x', p from unnest(%s) p, generate_series(1, 3)",
        [b, posts],
    )
    assert {database.replies_count(post) for post in posts} == {3}
    assert database.counts(b) == (0, 0, 90)
    database.assert_sound()


def test_one_statement_that_deletes_posts_together_with_their_replies(database: Database) -> None:
    """Parent and reply go at once: there is no counter left to count down."""
    a, b = database.users(2)
    top = database.post(a)
    middle = database.post(b, "reply", parent=top)
    leaf = database.post(a, "reply to the reply", parent=middle)
    database.run("delete from app.posts where id = any (%s)", [[top, middle]])
    assert database.run("select id, parent_id, is_reply from app.posts") == [(leaf, None, True)]
    assert database.counts(a) == (0, 0, 1)
    assert database.counts(b) == (0, 0, 0)
    database.assert_sound()


def test_one_statement_that_posts_and_replies_to_it(database: Database) -> None:
    """The parent is a row of the same statement."""
    a = database.user()
    with pytest.raises(Exception, match="post_not_found"):
        database.run(
            "insert into app.posts (id, author_id, content, parent_id)"
            " values (4097, %(a)s, 'x', 4096), (4096, %(a)s, 'y', null)",
            {"a": a},
        )
    database.run(
        "insert into app.posts (id, author_id, content, parent_id)"
        " values (4096, %(a)s, 'y', null), (4097, %(a)s, 'x', 4096)",
        {"a": a},
    )
    assert database.replies_count(4096) == 1
    assert database.counts(a) == (0, 0, 2)
    database.assert_sound()


def test_a_deleted_parent_leaves_its_replies_and_their_authors_counts(database: Database) -> None:
    """Edge case: the parent goes, the replies stay replies without one."""
    a, b = database.users(2)
    post = database.post(a)
    reply = database.post(b, "reply", parent=post)
    database.delete_post(post)
    assert database.run("select parent_id, is_reply from app.posts where id = %s", [reply]) == [
        (None, True)
    ]
    assert database.counts(b) == (0, 0, 1)
    database.delete_post(reply)
    assert database.counts(b) == (0, 0, 0)
    database.assert_sound()


def test_a_bulk_unfollow_and_an_account_deletion_end_at_zero(database: Database) -> None:
    users = database.users(15)
    database.follow(users, users)
    database.unfollow(users[:5], users)
    database.run("delete from app.users where id = any (%s)", [users[10:]])
    for user in users[:5]:
        assert database.counts(user) == (5, 0, 0)
    for user in users[5:10]:
        assert database.counts(user) == (4, 9, 0)
    database.run("delete from app.follows")
    assert all(database.counts(user) == (0, 0, 0) for user in users[:10])
    database.assert_sound()


def test_a_follow_and_an_unfollow_in_one_statement(database: Database) -> None:
    """Two data-modifying CTEs: both triggers see the same counters."""
    a, b, c = database.users(3)
    database.follow(a, b)
    database.run(
        "with gone as (delete from app.follows where follower_id = %(a)s)"
        " insert into app.follows (follower_id, followed_id) values (%(a)s, %(c)s)",
        {"a": a, "c": c},
    )
    assert database.counts(a) == (0, 1, 0)
    assert database.counts(b) == (0, 0, 0)
    assert database.counts(c) == (1, 0, 0)
    database.assert_sound()


def test_thousands_of_follows_of_one_user_in_one_statement(database: Database) -> None:
    celebrity = database.user()
    fans = database.users(3000)
    database.follow(fans, celebrity)
    assert database.counts(celebrity) == (3000, 0, 0)
    database.unfollow(fans[:2999], celebrity)
    assert database.counts(celebrity) == (1, 0, 0)
    database.assert_sound()


def test_a_random_workload_ends_equal_to_a_recount(database: Database) -> None:
    """400 random steps with a fixed seed, folds and drains in between."""
    dice = random.Random(20_20)
    users, posts = database.users(8), []
    for step in range(400):
        a, b = dice.sample(users, 2)
        match dice.randrange(9):
            case 0 | 1:
                database.run(
                    "insert into app.follows (follower_id, followed_id) values (%s, %s)"
                    " on conflict do nothing", [a, b],
                )  # fmt: skip
            case 2:
                database.unfollow(a, b)
            case 3:
                database.unfollow(dice.sample(users, 3), dice.sample(users, 3))
            case 4 | 5:
                posts.append(database.post(a, f"post {step}"))
            case 6 if posts:
                posts.append(database.post(a, f"reply {step}", parent=dice.choice(posts)))
            case 7 if posts:
                database.delete_post(posts.pop(dice.randrange(len(posts))))
            case 8 if step % 50 == 0:
                users.remove(a)
                database.run("delete from app.users where id = %s", [a])
                users.append(database.user())
                database.drain()
    database.assert_sound()

"""What a change of a profile writes, and what a password costs."""

from tests.support.actors import Stage
from tests.support.database import Database


def test_two_who_change_different_columns_of_a_profile_lose_nothing(
    database: Database, actors: Stage
) -> None:
    user = database.user("before")
    one, two = actors.member(user), actors.member(user)
    one.begin()
    one.do("update api.users set description = 'mine' where id = %s", user)
    pending = two.start_blocked(
        "update api.users set username = 'after' where id = %s", user, by=one
    )
    one.commit()
    pending.result(60)
    assert database.run("select username, description from app.users") == [("after", "mine")]


def test_a_username_may_change_in_case_alone(database: Database, actors: Stage) -> None:
    user = database.user("before")
    actors.member(user).do("update api.users set username = 'Before' where id = %s", user)
    assert database.values('select username collate "C" from app.users') == ["Before"]


def test_any_password_costs_one_hash_whoever_it_is_for(database: Database) -> None:
    """Counted by PostgreSQL as calls of bcrypt: known and unknown users, all kinds of passwords."""
    user = database.user()
    database.run(
        "insert into app.credentials (user_id, password_hash)"
        " values (%s, app.password_hash('the right one'))",
        [user],
    )
    for user_id in (user, None):
        for password in ("the right one", "the wrong one", "x" * 73, ""):
            with database.superuser() as connection:
                connection.execute("set track_functions = 'all'")
                connection.execute("begin")
                connection.execute("select app.password_matches(%s, %s)", [user_id, password])
                calls = connection.execute(
                    "select calls from pg_stat_xact_user_functions where funcname = 'crypt'"
                ).fetchall()
                connection.execute("rollback")
            assert calls == [(1,)], (user_id, password)

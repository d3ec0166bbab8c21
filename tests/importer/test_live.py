"""An import beside other writes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from microblog.importer import Imported
from tests.importer.conftest import Graph
from tests.support.database import Database

Run = Callable[[Graph], tuple[Imported, str]]
Write = Callable[[bytes | str, bytes | str], Graph]

NUMBER = 40
MEMBERS = "username\n" + "".join(f"user_{node}\n" for node in range(NUMBER))
EDGES = "".join(
    f"{i} {j}\n" for i in range(NUMBER) for j in range(NUMBER) if (i + j) % 3 and i != j
)


def test_people_who_follow_and_post_during_an_import_lose_nothing(
    database: Database, run: Run, graph: Write
) -> None:
    people = [database.user(f"USER_{node}") for node in range(0, NUMBER, 2)]
    strangers = database.users(4)
    files = graph(MEMBERS, EDGES)

    def live(stranger: int) -> None:
        with database.as_member(stranger) as connection:
            for person in people:
                connection.execute("insert into api.follows (followed_id) values (%s)", [person])
                connection.execute("insert into api.posts (content) values ('meanwhile')")
        with database.as_member(people[0]) as connection:
            connection.execute("insert into api.follows (followed_id) values (%s)", [stranger])

    with ThreadPoolExecutor() as pool:
        lives = [pool.submit(live, stranger) for stranger in strangers]
        imports = [pool.submit(run, files) for _ in range(3)]
        for future in (*lives, *imports):
            future.result()

    assert sum(future.result()[0].users_made for future in imports) == NUMBER - len(people)
    assert sum(future.result()[0].follows_made for future in imports) == EDGES.count("\n")
    assert database.value("select count(*) from app.follows") == EDGES.count("\n") + len(
        strangers
    ) * len(people) + len(strangers)
    database.assert_sound()


def test_an_import_that_loses_a_deadlock_is_run_again(
    database: Database, run: Run, graph: Write
) -> None:
    a, b, c = (database.user(name) for name in "abc")
    follow = "insert into app.follows (follower_id, followed_id) values (%s, %s)"
    database.run(f"alter database {database.name} set deadlock_timeout = '3s'")

    with database.superuser() as live, ThreadPoolExecutor() as pool:
        # Only the import looks for a deadlock while this one waits.
        live.execute("set deadlock_timeout = '5min'")
        with live.transaction():
            live.execute(follow, [b, c])
            # It makes a → b, then waits for the b → c above ...
            importing = pool.submit(run, graph("username\na\nb\nc\n", "0 1\n1 2\n"))
            database.wait_for(
                "select exists (select from pg_stat_activity where datname = current_database()"
                " and query like '%%app.import_graph%%' and wait_event_type = 'Lock'"
                " and pid <> pg_backend_pid())"
            )
            # ... and this waits for its a → b: one has to give way, and it is the import.
            live.execute(follow, [a, b])
        imported, _ = importing.result()

    assert imported == Imported(3, 2, 0, 0)
    assert database.value("select count(*) from app.follows") == 2
    database.assert_sound()


def test_a_user_who_is_being_deleted_is_waited_for_and_made_anew(
    database: Database, run: Run, graph: Write
) -> None:
    old = database.user("ann")

    with database.superuser() as live, ThreadPoolExecutor() as pool:
        with live.transaction():
            live.execute("delete from app.users where id = %s", [old])
            importing = pool.submit(run, graph("username\nann\nbob\n", "1 0\n"))
            database.wait_for(
                "select exists (select from pg_stat_activity where datname = current_database()"
                " and query like '%%app.import_graph%%' and wait_event_type = 'Lock'"
                " and pid <> pg_backend_pid())"
            )
        imported, _ = importing.result()

    assert imported == Imported(2, 1, 2, 1)
    assert database.value("select count(*) from app.users where id = %s", [old]) == 0
    database.assert_sound()

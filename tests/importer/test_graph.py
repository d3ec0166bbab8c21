"""What an import makes of good files."""

import csv
from collections import Counter
from collections.abc import Callable

from microblog.importer import Imported
from tests.importer.conftest import Graph
from tests.support.database import Database

Run = Callable[[Graph], tuple[Imported, str]]
Write = Callable[[bytes | str, bytes | str], Graph]

COUNTS = (
    "select u.username, c.followers_count::bigint, c.following_count::bigint"
    " from app.users u join app.user_counts c on c.user_id = u.id order by u.id"
)
FOLLOWS = (
    "select a.username, b.username from app.follows f"
    " join app.users a on a.id = f.follower_id join app.users b on b.id = f.followed_id"
    " order by f.follower_id, f.followed_id"
)
EVERYTHING = (
    "select 'user', u.id, 0::bigint, u.created_at from app.users u"
    " union all select 'follow', f.follower_id, f.followed_id, f.created_at from app.follows f"
    " union all select 'entry', e.user_id, e.post_id, null from app.feed_entries e"
    " order by 1, 2, 3"
)


def degrees(graph: Graph) -> list[tuple[str, int, int]]:
    """Return (username, followers, following) of each member, counted off the files."""
    with graph.members.open(newline="") as file:
        names = [row["Handle"] for row in csv.DictReader(file)]
    edges = {tuple(map(int, line.split())) for line in graph.edges.read_text().splitlines()}
    followers = Counter(followed for _, followed in edges)
    following = Counter(follower for follower, _ in edges)
    return [(name, followers[node], following[node]) for node, name in enumerate(names)]


def test_the_congress_graph_arrives_whole_and_its_counters_equal_the_files(
    database: Database, run: Run, congress: Graph
) -> None:
    imported, printed = run(congress)

    assert imported == Imported(475, 13289, 475, 13289)
    assert "imported: 475 users and 13,289 follows" in printed
    assert database.run(COUNTS) == degrees(congress)
    database.assert_sound()


def test_a_live_database_gets_the_posts_of_the_followed_into_the_feeds_of_the_followers(
    database: Database, run: Run, congress: Graph
) -> None:
    database.set(backfill_sync_limit=2, backfill_chunk_size=3, fan_out_sync_limit=5)
    bystander = database.user("bystander")
    authors = [database.user(name) for name in ("senatorbaldwin", "SENJOHNBARRASSO")]
    for author in (*authors, bystander):
        database.posts(author, 8)
    database.follow(bystander, authors)

    imported, _ = run(congress)

    assert imported == Imported(475, 13289, 473, 13289)
    assert database.jobs("follow_backfill"), "eight posts are more than are brought at once"
    database.assert_sound()
    assert database.value("select count(*) from app.follows") == 13289 + 2
    for author in authors:
        database.post(author, "after the import")
    database.assert_sound()


def test_importing_the_same_files_again_changes_nothing(
    database: Database, run: Run, congress: Graph
) -> None:
    database.posts(database.user("SenatorBaldwin"), 3)
    run(congress)
    database.drain()
    before = database.run(EVERYTHING)

    imported, printed = run(congress)

    assert imported == Imported(475, 13289, 0, 0)
    assert "there already, or repeated in the file: 475 users and 13,289 follows" in printed
    assert database.run(EVERYTHING) == before
    assert database.jobs("follow_backfill") == []
    database.assert_sound()


def test_an_existing_username_is_the_same_person_whatever_the_case(
    database: Database, run: Run, graph: Write
) -> None:
    alice = database.user("Alice")

    imported, _ = run(graph("username\nALICE\nbob\n", "1 0\n"))

    assert imported == Imported(2, 1, 1, 1)
    assert database.values("select username from app.users order by id") == ["Alice", "bob"]
    assert database.counts(alice) == (1, 0, 0)


def test_the_views_are_refreshed_after_an_import(
    database: Database, run: Run, graph: Write
) -> None:
    database.run("update app.view_refreshes set refreshed_at = now() + interval '1 hour'")

    run(graph("username\nalice\nbob\n", "1 0\n"))

    assert database.values("select distinct age >= lifetime from dba.views") == [True]


def test_the_name_of_a_deleted_account_belongs_to_a_new_user(
    database: Database, run: Run, graph: Write
) -> None:
    old = database.user("alice")
    database.run("update app.users set deleted_at = now() where id = %s", [old])

    run(graph("username\nalice\nbob\n", "1 0\n"))

    assert database.counts(old) == (0, 0, 0)
    assert database.run(FOLLOWS) == [("bob", "alice")]


def test_a_follow_repeated_in_the_file_is_made_once(
    database: Database, run: Run, graph: Write
) -> None:
    imported, printed = run(graph("username\na\nb\n", "0 1\n1 0\n0 1\n0 1\n"))

    assert imported == Imported(2, 4, 2, 2)
    assert "there already, or repeated in the file: 0 users and 2 follows" in printed
    database.assert_sound()


def test_comments_empty_lines_tabs_windows_line_ends_and_a_byte_order_mark_are_read(
    database: Database, run: Run, graph: Write
) -> None:
    members = b'\xef\xbb\xbfState,"Handle"\r\n"W,I",ann\r\nNY,"bob"\r\n'
    edges = b"# who follows whom\r\n\r\n0\t1\r\n   # indented\n  1   0  \n"

    imported, _ = run(graph(members, edges))

    assert imported == Imported(2, 2, 2, 2)
    assert database.run(FOLLOWS) == [("ann", "bob"), ("bob", "ann")]


def test_the_last_line_needs_no_end_and_a_graph_needs_no_edges(
    database: Database, run: Run, graph: Write
) -> None:
    assert run(graph("username\nann\nbob", "0 1"))[0] == Imported(2, 1, 2, 1)
    assert run(graph("username\ncy\n", ""))[0] == Imported(1, 0, 1, 0)
    assert run(graph("username\n", "# nobody\n"))[0] == Imported(0, 0, 0, 0)


def test_node_numbers_follow_the_rows_over_many_blocks(
    database: Database, run: Run, graph: Write
) -> None:
    number = 12_000
    members = "username\n" + "".join(f"user_{node}\n" for node in range(number))
    edges = "".join(f"{node} {node - 1}\n" for node in range(1, number))

    imported, _ = run(graph(members, edges))

    assert imported == Imported(number, number - 1, number, number - 1)
    wrong = database.run(
        "select a.username, b.username from app.follows f"
        " join app.users a on a.id = f.follower_id join app.users b on b.id = f.followed_id"
        " where substr(a.username, 6)::integer <> substr(b.username, 6)::integer + 1"
    )
    assert wrong == []
    database.assert_sound()

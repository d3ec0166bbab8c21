"""What the proxy may ask of the database, past what the proxy itself lets through."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import DatabaseError

from tests.support.cluster import Cluster
from tests.support.database import Database

MOST_BYTES = 60_000
ASK = """
    select app.feed_answers(
      %s, array_fill('GET'::text, array[cardinality(%s::text[])]), %s, %s, %s,
      array_fill('1'::text, array[cardinality(%s::text[])]), %s,
      array_fill('203.0.113.7'::text, array[cardinality(%s::text[])]), %s, %s
    )
"""


class Question(NamedTuple):
    """A question as the proxy asks it."""

    token: str
    path: str
    cursor: str = ""
    limit: str = ""
    tags: str = ""
    with_page: bool = True


def answers(
    database: Database, questions: list[Question], most_bytes: int = MOST_BYTES
) -> list[str | None]:
    tokens, paths, cursors, limits, tags, with_pages = (
        list(column) for column in zip(*questions, strict=True)
    )
    values = [
        tokens, tokens, paths, cursors, limits, tokens, tags, tokens, with_pages, most_bytes,
    ]  # fmt: skip
    return database.value(ASK, values)


def answer(database: Database, path: str, cursor: str = "", limit: str = "") -> str | None:
    (one,) = answers(database, [Question("", path, cursor, limit)])
    return one


def told(one: str) -> dict[str, str]:
    """The headers of an answer."""
    return {
        name: value
        for header in json.loads(one.partition("\n")[0])
        for name, value in header.items()
    }


@pytest.mark.parametrize("path", ["feed_timeline", "feed_following", "feed_mine", "me", "", "x'"])
def test_without_a_token_there_is_the_public_feed_alone(
    module_database: Database, path: str
) -> None:
    assert answer(module_database, f"/rpc/{path}") is None
    public = answer(module_database, "/rpc/feed_public")
    assert isinstance(json.loads(public.partition("\n")[2]), list)
    assert told(public)["Content-Type"] == "application/json; charset=utf-8"
    assert told(public)["ETag"].startswith('"1-')


@pytest.mark.parametrize(
    ("cursor", "limit"),
    [("x", ""), ("-1", ""), ("1" * 19, ""), ("", "0"), ("", "101"), ("", "1e1")],
)
def test_what_is_no_cursor_or_limit_is_left_to_postgrest(
    module_database: Database, cursor: str, limit: str
) -> None:
    assert answer(module_database, "/rpc/feed_public", cursor, limit) is None


@pytest.fixture(scope="module")
def town(cluster: Cluster) -> Iterator[tuple[Database, list[str]]]:
    """Three who follow each other and have posts, unlimited; and their tokens."""
    with cluster.clone() as database:
        database.run("update app.rate_limits set is_enabled = false")
        database.value("select app.jwt_secret_set(%s)", ["a key of this test, long enough for it"])
        users = database.users(3)
        for number in range(30):
            database.post(users[number % 3], f"post {number} of {users[number % 3]}")
        for follower, followed in zip(users, users[1:] + users[:1], strict=True):
            database.follow(follower, followed)
        yield (
            database,
            [database.value("select app.session_start(%s) ->> 'token'", [user]) for user in users],
        )


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, None, "forged"]),
            st.sampled_from(["feed_timeline", "feed_following", "feed_mine", "feed_public", "me"]),
            st.sampled_from(["", "first", "x"]),
            st.sampled_from(["", "2", "101"]),
            st.sampled_from(["", "own", "*", '"1-other"']),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
@example([(who, "feed_timeline", "", "", "", True) for who in (0, 1, None, "forged", 2, 0)])
@example([(0, "feed_mine", "", "", "own", False), (1, "feed_mine", "", "", "own", False)])
@settings(max_examples=60, deadline=None, database=None)
def test_questions_asked_together_are_answered_as_each_alone(
    town: tuple[Database, list[str]],
    asked: list[tuple[int | str | None, str, str, str, str, bool]],
) -> None:
    database, tokens = town
    questions = []
    for who, name, cursor, limit, tags, with_page in asked:
        token = tokens[who] if isinstance(who, int) else f"{tokens[0]}x" if who else ""
        plain = Question(token, f"/rpc/{name}")
        if cursor == "first" or tags == "own":
            (page,) = answers(database, [plain])
            rows = json.loads(page.partition("\n")[2]) if page else []
            cursor = str(rows[0]["id"]) if rows and cursor == "first" else ""
            tags = told(page)["ETag"] if page and tags == "own" else ""
        questions.append(plain._replace(cursor=cursor, limit=limit, tags=tags, with_page=with_page))
    alone = [answers(database, [question])[0] for question in questions]
    assert answers(database, questions) == alone


def test_answers_end_where_pages_become_too_many(town: tuple[Database, list[str]]) -> None:
    """And one that is too large by itself is left to PostgREST."""
    database, tokens = town
    questions = [Question(token, "/rpc/feed_timeline") for token in tokens * 2]
    whole = answers(database, questions)
    sizes = [len(one.partition("\n")[2].encode()) for one in whole]
    for most in (0, sizes[0] - 1, sizes[0], sum(sizes[:3]), sum(sizes) - 1, sum(sizes)):
        fitting = [one if size <= most else None for one, size in zip(whole, sizes, strict=True)]
        fit = max(n for n in range(7) if sum(size for size in sizes[:n] if size <= most) <= most)
        assert answers(database, questions, most) == fitting[:fit]


def test_one_that_meets_its_limit_refuses_all_and_nothing_is_counted(
    town: tuple[Database, list[str]],
) -> None:
    database, tokens = town
    questions = [Question(token, "/rpc/feed_timeline") for token in tokens]
    counts = "select key, hit_count from app.rate_limit_buckets order by key"
    database.run("update app.rate_limits set is_enabled = name = 'feeds', quota = 2")
    try:
        assert None not in answers(database, [*questions, questions[0]])
        before = database.run(counts)
        assert [count for _, count in before] == [2, 1, 1]
        with pytest.raises(DatabaseError, match="Too many requests by user"):
            answers(database, questions)
        assert database.run(counts) == before
        assert None not in answers(database, questions[1:])
    finally:
        database.run("update app.rate_limits set is_enabled = false")

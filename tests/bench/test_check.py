"""Answers are compared with the definition of a timeline, and a wrong one is caught."""

import json
from typing import Any

import pytest

from microblog.bench import check
from microblog.bench.generators import Sample
from tests.support.database import Database


class Town:
    """A reader who follows an author of 30 posts, and a stranger."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reader, self.author, self.stranger = (database.user() for _ in range(3))
        database.follow(self.reader, self.author)
        self.posts = [database.post(self.author) for _ in range(30)]
        self.foreign = database.post(self.stranger)
        with database.superuser() as connection:
            self.begun = check.newest_post(connection)

    def say(self, ids: list[int], cursor: str = "") -> str:
        """Return what is wrong with a page of these posts; empty where nothing is."""
        return self.judge(json.dumps(self.page(ids)), cursor)

    def page(self, ids: list[int]) -> list[dict[str, Any]]:
        """Return these posts as pages show them."""
        with self.database.superuser() as connection:
            found = connection.execute(
                "select c.id, c.content, c.author from app.post_cards c where c.id = any (%s)",
                [ids],
            ).fetchall()
        cards = {row[0]: {"id": row[0], "content": row[1], "author": row[2]} for row in found}
        return [cards[one] for one in ids]

    def judge(self, body: str, cursor: str = "", check_as: str = "timeline", path: str = "") -> str:
        sample = Sample(user=self.reader, check=check_as, path=path, cursor=cursor, body=body)
        with self.database.superuser() as connection:
            return "".join(check.wrong(connection, [sample], self.begun))


@pytest.fixture
def town(database: Database) -> Town:
    return Town(database)


def test_a_page_as_defined_is_right(town: Town) -> None:
    newest = town.posts[::-1]
    assert town.say(newest[:20]) == ""
    assert town.say(newest[20:], cursor=str(newest[19])) == "", "the last page, which is not full"


def test_a_page_that_lacks_a_post_is_wrong(town: Town) -> None:
    newest = town.posts[::-1]
    assert "1 missing" in town.say(newest[:5] + newest[6:21])
    assert "1 missing" in town.say(newest[1:21]), "the newest"
    assert "missing" in town.say([])
    assert "1 missing" in town.say(newest[20:29], cursor=str(newest[19])), "the oldest"


def test_a_page_with_a_post_of_a_stranger_is_wrong(town: Town) -> None:
    ids = sorted([*town.posts[-19:], town.foreign], reverse=True)
    assert "1 that do not belong there" in town.say(ids)
    assert str(town.foreign) in town.say(ids)


def test_a_page_out_of_order_or_with_a_repeat_is_wrong(town: Town) -> None:
    newest = town.posts[::-1]
    assert "not newest first" in town.say([newest[1], newest[0], *newest[2:20]])
    assert "not newest first" in town.say([newest[0], newest[0], *newest[1:19]])


@pytest.mark.parametrize(
    "change",
    [
        {"content": "Saw a heron"},
        {"content": None},
        {"author": {"id": 0, "username": "nobody"}},
        {"author": None},
    ],
)
def test_a_page_with_a_text_or_an_author_that_is_not_the_post_s_is_wrong(
    town: Town, change: dict[str, Any]
) -> None:
    page = town.page(town.posts[:-21:-1])
    mangled = [*page[:7], {**page[7], **change}, *page[8:]]
    assert f"post {page[7]['id']} is" in town.judge(json.dumps(mangled))
    assert town.judge(json.dumps(page)) == ""


def test_a_name_that_is_not_the_author_s_is_wrong(town: Town) -> None:
    page = town.page(town.posts[:-21:-1])
    page[0]["author"] = {**page[0]["author"], "username": "somebody_else"}
    assert "somebody_else" in town.judge(json.dumps(page))


def test_other_pages_have_definitions_of_their_own(town: Town) -> None:
    own = town.database.post(town.reader)
    reply = town.database.post(town.author, parent=town.posts[0])
    with town.database.superuser() as connection:
        town.begun = check.newest_post(connection)
    newest = town.posts[::-1]

    def say(kind: str, ids: list[int], path: str = "") -> str:
        return town.judge(json.dumps(town.page(ids)), check_as=kind, path=path)

    assert say("timeline", [own, *newest[:19]]) == ""
    assert say("following", newest[:20]) == ""
    assert "do not belong" in say("following", [own, *newest[:19]])
    assert say("pull", [reply, own, *newest[:18]]) == ""
    assert "missing" in say("pull", [own, *newest[:19]])
    assert say("public", [own, town.foreign, *newest[:18]]) == ""
    assert "missing" in say("public", [own, *newest[:19]])
    path = f"/posts?author_id=eq.{town.author}&order=id.desc&limit=3"
    assert say("author", [reply, *newest[:2]], path) == ""
    assert "missing" in say("author", [reply, newest[0]], path), "fewer than asked for"
    assert "missing" in say("author", [reply, *newest[1:3]], path)
    assert "do not belong" in say("author", [own, *newest[:2]], path)


def test_a_page_may_name_its_authors_by_id_alone(town: Town) -> None:
    page = town.page(town.posts[:-21:-1])
    for post in page:
        post["author_id"] = post.pop("author")["id"]
    assert town.judge(json.dumps(page), check_as="pull") == ""
    page[3]["author_id"] = town.stranger
    assert f"post {page[3]['id']} is" in town.judge(json.dumps(page), check_as="pull")


def test_a_profile_is_recounted(town: Town) -> None:
    with town.database.superuser() as connection:
        row = connection.execute(
            "select to_json(u) from app.user_counts c"
            " join lateral (select a.id, a.username, a.description, c.followers_count,"
            " c.following_count, c.posts_count from app.users a where a.id = c.user_id) u on true"
            " where c.user_id = %s",
            [town.author],
        ).fetchone()
    assert row is not None
    profile = row[0]

    def say(told: Any, path: str) -> str:
        return town.judge(json.dumps(told), check_as="profile", path=path)

    path = f"/users?id=eq.{town.author}"
    assert say([profile], path) == ""
    assert say([{**profile, "followers_count": 2}], path).endswith("recounted: followers_count")
    assert say([{**profile, "username": "x"}], path).endswith("recounted: username")
    assert "not a profile" in say([], path)
    assert "not a profile" in say({"id": town.author}, path)
    assert "recounted: id" in say(profile, "/rpc/me"), "somebody else's"


@pytest.mark.parametrize("body", ["", "<html>", '{"code": "401"}', '[{"name": 1}]', "[1]"])
def test_what_is_no_page_is_wrong(town: Town, body: str) -> None:
    assert "not a list of posts" in town.judge(body)


def test_posts_that_came_meanwhile_may_be_there_or_not(town: Town) -> None:
    newest = town.posts[::-1]
    late = [town.database.post(town.author) for _ in range(2)]
    assert town.say(newest[:20]) == "", "read before"
    assert town.say([late[1], late[0], *newest[:18]]) == "", "read after"
    foreign = town.database.post(town.stranger)
    assert "1 that do not belong there" in town.say([foreign, *newest[:19]])

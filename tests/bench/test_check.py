"""Answers are compared with the definition of a timeline, and a wrong one is caught."""

import json

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
        body = json.dumps([{"id": one} for one in ids])
        return self.judge(body, cursor)

    def judge(self, body: str, cursor: str = "") -> str:
        sample = Sample(user=self.reader, check="timeline", cursor=cursor, body=body)
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

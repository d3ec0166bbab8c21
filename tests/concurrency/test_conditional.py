"""Writes that are not committed yet while a page is read, in every order of commits."""

from collections.abc import Iterator

import pytest

from tests.support.actors import (
    CLOSE_ACCOUNT,
    DELETE_POST,
    POST,
    REPLY,
    UNFOLLOW,
    Actor,
    Stage,
)
from tests.support.client import Member, expect
from tests.support.database import Database
from tests.support.servers import Served, serve_api

RENAME = "update api.users set username = %s where id = %s"


@pytest.fixture
def served(database: Database) -> Iterator[Served]:
    """The stack before the database that the actors use."""
    with serve_api(database) as api:
        yield api


class Page:
    """A reader's page with its tag."""

    def __init__(self, reader: Member, name: str) -> None:
        self.reader, self.name = reader, name
        self.full = expect(200, reader.page(name))

    def unchanged(self) -> bool:
        """Ask with the tag; a 304 only while a full answer is the same, and then always."""
        headers = {"If-None-Match": self.full.headers["ETag"]}
        answer = self.reader.get(f"/rpc/{self.name}", headers=headers)
        full = expect(200, self.reader.page(self.name))
        assert (answer.status_code == 304) == (full.content == self.full.content)
        return answer.status_code == 304


WRITES = {
    "post": (POST, ["new"]),
    "reply": (REPLY, ["an answer", "{post}"]),
    "delete": (DELETE_POST, ["{post}"]),
    "rename": (RENAME, ["other_name", "{author}"]),
    "account": (CLOSE_ACCOUNT, ["{author}"]),
}


def write(actor: Actor, kind: str, author: int, post: int) -> None:
    query, parameters = WRITES[kind]
    actor.do(query, *(p.format(post=post, author=author) for p in parameters))


@pytest.mark.parametrize("name", ["feed_timeline", "feed_following"])
@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("pulled", [False, True])
def test_a_write_in_flight_changes_nothing_until_it_commits(
    served: Served, actors: Stage, kind: str, name: str, pulled: bool
) -> None:
    database = served.database
    if pulled:
        database.set(fan_out_pull_limit=0, fan_out_push_limit=0)
    reader, author = served.signups(2)
    reader.follow(author)
    post = author.write("seen")["id"]
    before = Page(reader, name)
    writer = actors.superuser() if kind == "account" else actors.member(author.id)
    writer.begin()
    write(writer, kind, author.id, post)
    during = Page(reader, name)
    assert before.unchanged() and during.unchanged()
    assert during.full.headers["ETag"] == before.full.headers["ETag"]
    writer.commit()
    assert not before.unchanged() and not during.unchanged()
    assert Page(reader, name).unchanged()


def test_what_is_rolled_back_leaves_the_tag_good(served: Served, actors: Stage) -> None:
    reader, author = served.signups(2)
    reader.follow(author)
    post = author.write("seen")["id"]
    page = Page(reader, "feed_timeline")
    writer = actors.member(author.id)
    for kind in ("reply", "post", "rename"):
        writer.begin()
        write(writer, kind, author.id, post)
        assert page.unchanged()
        writer.rollback()
        assert page.unchanged()


@pytest.mark.parametrize("first", [0, 1])
def test_two_replies_commit_in_either_order(served: Served, actors: Stage, first: int) -> None:
    """The one that found the counter busy leaves a delta; pages made between the commits differ."""
    reader, one, two = served.signups(3)
    reader.follow(one)
    post = one.write("seen")["id"]
    writers = actors.members([one.id, two.id])
    for number, writer in enumerate(writers):
        writer.begin()
        writer.do(REPLY, f"answer {number}", post)
    pages = [Page(reader, "feed_timeline")]
    for writer in (writers[first], writers[1 - first]):
        writer.commit()
        assert not any(page.unchanged() for page in pages)
        pages.append(Page(reader, "feed_timeline"))
        assert pages[-1].unchanged()
    served.drain()
    assert Page(reader, "feed_timeline").full.content == pages[-1].full.content


def test_what_comes_back_to_what_it_was_is_unchanged_again(served: Served) -> None:
    """A reply that comes and goes: the page is the first again, and so is its tag."""
    reader, author = served.signups(2)
    reader.follow(author)
    post = author.write("seen")["id"]
    page = Page(reader, "feed_timeline")
    reply = author.write("answer", post)["id"]
    assert not page.unchanged()
    author.erase(reply)
    assert page.unchanged()


def test_an_entry_that_arrives_late_in_the_middle_changes_the_page(
    served: Served, actors: Stage
) -> None:
    """A post with an older id, delivered after a newer one was read."""
    database = served.database
    reader, author, other = served.signups(3)
    reader.follow(author)
    reader.follow(other)
    slow = actors.member(other.id)
    slow.begin()
    slow.do(POST, "older, and later")
    author.write("newer")
    page = Page(reader, "feed_timeline")
    database.set(fan_out_sync_limit=0)
    slow.commit()
    assert not page.unchanged()


def test_an_unfollow_takes_the_tag_with_it(served: Served, actors: Stage) -> None:
    reader, author = served.signups(2)
    reader.follow(author)
    author.write("seen")
    page = Page(reader, "feed_timeline")
    leaver = actors.member(reader.id)
    leaver.begin()
    leaver.do(UNFOLLOW, author.id)
    assert page.unchanged()
    leaver.commit()
    assert not page.unchanged()

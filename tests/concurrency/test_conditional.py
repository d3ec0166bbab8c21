"""Writes that are not committed yet while a page is read, in every order of commits."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.actors import (
    CLOSE_ACCOUNT,
    DEADLINE,
    DELETE_POST,
    POST,
    REPLY,
    UNFOLLOW,
    Actor,
    Stage,
    stage,
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


@pytest.fixture(scope="module")
def shared(api: Served) -> Served:
    """The stack before a database that several tests use, where no job comes in between."""
    api.database.pause_schedules()
    return api


@pytest.fixture
def everybody(shared: Served) -> Iterator[Stage]:
    """Sessions in threads before that database."""
    with stage(shared.database) as made:
        yield made


class Page:
    """A reader's page with its tag."""

    def __init__(self, reader: Member, address: str) -> None:
        self.reader, self.address = reader, f"/rpc/{address}"
        self.full = expect(200, reader.get(self.address))

    def unchanged(self) -> bool:
        """Ask with the tag; a 304 only while a full answer is the same, and then always."""
        headers = {"If-None-Match": self.full.headers["ETag"]}
        answer = self.reader.get(self.address, headers=headers)
        full = expect(200, self.reader.get(self.address))
        assert (answer.status_code == 304) == (full.content == self.full.content)
        return answer.status_code == 304


WRITES = {
    "post": (POST, ["new"]),
    "reply": (REPLY, ["an answer", "{post}"]),
    "rename": (RENAME, ["renamed_{author}", "{author}"]),
    "delete": (DELETE_POST, ["{post}"]),
    "account": (CLOSE_ACCOUNT, ["{author}"]),
}
LIMITS = {"fan_out_pull_limit": 50_000, "fan_out_push_limit": 40_000}
PAGES = (
    "feed_timeline",
    "feed_following",
    "feed_mine",
    "feed_public",
    "replies?post_id={asked}",
    "thread?post_id={asked}",
)


def write(actor: Actor, kind: str, author: int, post: int) -> None:
    query, parameters = WRITES[kind]
    actor.do(query, *(p.format(post=post, author=author) for p in parameters))


CASES = [
    pytest.param(
        address, kind, pulled, id=f"{address.partition('?')[0]}-{kind}{'-pulled' * pulled}"
    )
    for address in PAGES
    for kind in WRITES
    for pulled in ((False, True) if address in PAGES[:2] else (False,))
    # One's own page goes with one's own account; answers to a post are no posts.
    if (address, kind) != ("feed_mine", "account") and ("asked" not in address or kind != "post")
]


@pytest.mark.parametrize(("address", "kind", "pulled"), CASES)
def test_a_write_in_flight_changes_nothing_until_it_commits(
    shared: Served, everybody: Stage, address: str, kind: str, pulled: bool
) -> None:
    limits = {"fan_out_pull_limit": 0, "fan_out_push_limit": 0} if pulled else LIMITS
    shared.database.set(**limits)
    other, author = shared.signups(2)
    other.follow(author)
    reader = author if address == "feed_mine" else other
    asked = other.write("asked")["id"]
    post = author.write("seen", asked if "asked" in address else None)["id"]
    address = address.format(asked=asked)
    before = Page(reader, address)
    # A reply by somebody else: it shows on none of these pages but in the count.
    who = other if kind == "reply" else author
    writer = everybody.superuser() if kind == "account" else everybody.member(who.id)
    writer.begin()
    write(writer, kind, author.id, post)
    during = Page(reader, address)
    assert before.unchanged() and during.unchanged()
    assert during.full.headers["ETag"] == before.full.headers["ETag"]
    writer.commit()
    assert not before.unchanged() and not during.unchanged()
    assert Page(reader, address).unchanged()


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


class Watch:
    """What several readers have seen of a page that only grows: the newest id, by address."""

    def __init__(self, author: Member, addresses: list[str]) -> None:
        self.author = author
        self.newest = dict.fromkeys(addresses, 0)
        self.states: dict[str, int] = {}  # of a tag: the newest id of the page it came with
        self.unchanged = 0
        self.lock = threading.Lock()

    def read(self, address: str, chance: random.Random) -> None:
        """Ask with tags of the past; a 304 must not name a page older than one seen by then."""
        with self.lock:
            floor, known = self.newest[address], list(self.states)
        tags = ", ".join(chance.sample(known, min(len(known), 5)) + known[-3:])
        answer = self.author.get(address, headers={"If-None-Match": tags} if tags else {})
        tag = answer.headers["ETag"]
        if answer.status_code == 304:
            with self.lock:
                self.unchanged += 1
                assert self.states[tag] >= floor, f"{address}: {tag} is older than what was seen"
            return
        newest = max((row["id"] for row in expect(200, answer).json()), default=0)
        assert newest >= floor
        with self.lock:
            self.states[tag] = newest
            self.newest[address] = max(newest, self.newest[address])


def test_no_304_is_older_than_a_page_that_was_seen_before_it_was_asked_for(shared: Served) -> None:
    """While posts and replies are being written, over all pages that have tags of their own."""
    shared.database.set(**LIMITS)
    author, writer = shared.signups(2)
    author.follow(writer)
    asked = author.write("asked")["id"]
    addresses = [
        f"/rpc/{name}{'&' if '?' in name else '?'}limit=100".format(asked=asked)
        for name in PAGES[:-1]
    ]
    watch, done = Watch(author, addresses), threading.Event()

    def write_all() -> None:
        try:
            for number in range(25):
                writer.write(f"post {number}")
                author.write(f"mine {number}")
                writer.write(f"reply {number}", asked)
        finally:
            done.set()

    def read_all(seed: int) -> None:
        chance = random.Random(seed)
        while not done.is_set():
            for address in addresses:
                watch.read(address, chance)

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read_all, seed) for seed in range(3)]
        pool.submit(write_all).result(DEADLINE)
        for reader in readers:
            reader.result(DEADLINE)
    assert watch.unchanged > 0
    assert min(watch.newest.values()) > asked

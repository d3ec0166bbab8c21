"""The same people, who ask each time with every tag they were ever given."""

from itertools import islice

import httpx
from hypothesis.stateful import invariant

from tests.properties.machine import Microblog
from tests.support.client import Member, expect
from tests.support.servers import Served

EARLIER = 8  # tags of each page that are tried again, newest first


class Conditional(Microblog):
    """A 304 is given exactly where the full answer, asked for in the same state, is the one that
    the tag came with; byte for byte, and with the same next page.
    """

    def __init__(self, api: Served) -> None:
        super().__init__(api)
        self.pages: dict[tuple[int, str], dict[str, httpx.Response]] = {}
        self.given = self.withheld = self.by_proxy = 0

    @invariant()
    def look_around(self) -> None:
        """After every step, one member in turn, instead of reading everything."""
        if not self.members:
            return
        self.turn += 1
        members = list(self.members.values())
        member = members[self.turn % len(members)]
        middle = self.written[len(self.written) // 2] if self.written else 1
        for path in (
            "/rpc/feed_timeline?limit=3",
            "/rpc/feed_following",
            "/rpc/feed_mine?limit=2",
            "/rpc/feed_public?limit=4",
            f"/rpc/feed_timeline?limit=2&cursor={middle}",
            f"/rpc/replies?post_id={middle}&limit=2",
            f"/rpc/thread?post_id={middle}",
            "/rpc/me",
            f"/users?id=eq.{member.id}",
            f"/posts?author_id=eq.{member.id}&order=id.desc&limit=3",
            f"/follows?followed_id=eq.{member.id}",
            f"/rpc/followers?user_id={member.id}&limit=1",
        ):
            self.ask_again(member, path)
        other = members[(self.turn + 1) % len(members)]
        if other.id != member.id:
            self.ask_with_tags_of(other, member, "/rpc/feed_timeline?limit=3")

    def ask_again(self, member: Member, path: str) -> None:
        full = member.get(path)
        if full.status_code == 404:
            answer = member.get(path, headers={"If-None-Match": "*"})
            assert answer.status_code == 404
            return
        tag = expect(200, full).headers["ETag"]
        earlier = self.pages.setdefault((member.id, path), {})
        known = earlier.pop(tag, full)
        for old in islice(reversed(earlier), EARLIER):
            answer = member.get(path, headers={"If-None-Match": old})
            assert same(expect(200, answer), full) and answer.headers["ETag"] == tag
            self.withheld += 1
        earlier[tag] = full
        answer = expect(304, member.get(path, headers={"If-None-Match": tag}))
        assert answer.content == b""
        self.given += 1
        self.by_proxy += "server" not in answer.headers
        assert same(known, full), f"{path} of {member.username}: {tag} is of two pages"
        assert same(expect(200, member.get(path)), full)

    def ask_with_tags_of(self, other: Member, member: Member, path: str) -> None:
        """Tags of somebody else are nothing to this member, whatever the rows."""
        for tag in self.pages.get((other.id, path), {}):
            expect(200, member.get(path, headers={"If-None-Match": tag}))


def same(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether two answers are the same page with the same successor."""
    return one.content == other.content and one.headers.get("Link") == other.headers.get("Link")

"""The same people, who ask each time with tags that they and others were ever given."""

from dataclasses import dataclass
from itertools import islice

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.properties.machine import NTH_LAST, Microblog
from tests.support.client import Member, expect
from tests.support.servers import Served

EARLIER = 5  # tags of each page that are tried again, newest first
ASKED_A_STEP = 5

PRIVATE = ("/rpc/feed_timeline", "/rpc/feed_following", "/rpc/feed_mine", "/rpc/me")
PAGED = {
    # path and what it needs; columns that may be selected
    "/rpc/feed_timeline?": "id,content,replies_count",
    "/rpc/feed_following?": "id,author",
    "/rpc/feed_mine?": "content,created_at",
    "/rpc/feed_public?": "id,author->>username",
    "/rpc/replies?post_id={post}&": "id,replies_count",
    "/rpc/followers?user_id={user}&": "id,username",
    "/rpc/following?user_id={user}&": "username",
}
WHOLE = (
    "/rpc/me",
    "/rpc/thread?post_id={post}",
    "/users?id=eq.{user}",
    "/posts?author_id=eq.{user}&order=id.desc&limit=3",
    "/posts?id=eq.{post}&select=content,author_id",
    "/follows?followed_id=eq.{user}",
    "/rpc/user_cached?user_id={user}",
    "/rpc/feed_public_cached?limit=2",
    "/rpc/users_popular",
)
ACCEPTED = (None, "application/json", "application/vnd.pgrst.array+json", "text/csv")


@dataclass(frozen=True)
class Question:
    """What is asked again and again. The numbers say of which post, user and caller, while there
    are such; without a caller there is no token.
    """

    address: str
    post: int
    user: int
    caller: int | None
    accept: str | None
    method: str


@st.composite
def questions(draw: st.DrawFn) -> Question:
    address = draw(st.sampled_from([*PAGED, *WHOLE, *PAGED]))
    if address in PAGED:
        parameters = {
            "limit": st.sampled_from([None, 1, 2, 4]),
            "cursor": st.sampled_from([None, None, "{post}"]),
            "select": st.sampled_from([None, None, PAGED[address]]),
        }
        drawn = {name: draw(values) for name, values in parameters.items()}
        address += "&".join(f"{name}={value}" for name, value in drawn.items() if value is not None)
    is_private = address.startswith(PRIVATE)
    return Question(
        address,
        draw(NTH_LAST),
        draw(st.integers(0, 4)),
        draw(st.integers(0, 4) if is_private else st.sampled_from([None, 0, 1, 2])),
        draw(st.sampled_from(ACCEPTED)),
        draw(st.sampled_from(["GET", "GET", "GET", "HEAD"])),
    )


POOL = st.lists(questions(), min_size=10, max_size=20)
Key = tuple[int | None, str, str | None, str]  # caller, address, Accept, method


class Conditional(Microblog):
    """A 304 is given exactly where the full answer, asked for in the same state, is the one that
    the tag came with; byte for byte, and with the same next page.
    """

    def __init__(self, api: Served) -> None:
        super().__init__(api)
        self.pool: list[Question] = []
        self.asked: dict[tuple[Question, int | None], str] = {}
        self.pages: dict[Key, dict[str, httpx.Response]] = {}
        self.given = self.withheld = self.by_proxy = self.foreign = self.direct = 0

    @initialize(pool=POOL)
    def choose(self, pool: list[Question]) -> None:
        self.pool = pool

    @rule(
        nth=st.integers(0, 4), how=st.sampled_from(["upper", "lower", "title", "another", "back"])
    )
    def rename(self, nth: int, how: str) -> None:
        """In case only, too, which no comparison of names sees; and back to an earlier name."""
        if not self.members:
            return
        person = list(self.members.values())[nth % len(self.members)]
        name = {
            "upper": person.username.upper(),
            "lower": person.username.lower(),
            "title": person.username.title(),
            "another": f"Another_{person.id}",
            "back": f"Person_{person.id}",
        }[how]
        expect(204, person.patch(f"/users?id=eq.{person.id}", json={"username": name}))
        person.username = self.model.people[person.id].username = name

    @invariant()
    def look_around(self) -> None:
        """After every step some of the questions in turn, instead of everything."""
        if self.members and self.pool:
            for _ in range(ASKED_A_STEP):
                self.turn += 1
                self.ask_again(self.pool[self.turn % len(self.pool)])

    def send(self, caller: Member | None, key: Key, tags: str | None) -> httpx.Response:
        _, address, accept, method = key
        headers = {"Accept": accept or "*/*"} | ({"If-None-Match": tags} if tags else {})
        token = caller and caller.token
        return self.api.request(method, address, token, headers=headers)

    def ask_again(self, question: Question) -> None:
        members = list(self.members.values())
        caller = None if question.caller is None else members[question.caller % len(members)]
        user = members[question.user % len(members)].id
        caller_id = caller and caller.id
        address = self.asked.setdefault(
            (question, caller_id),
            question.address.format(
                post=self.post(question.post) if self.written else 1, user=user
            ),
        )
        key = (caller_id, address, question.accept, question.method)
        full = self.send(caller, key, None)
        if full.status_code >= 400 or "ETag" not in full.headers:
            again = self.send(caller, key, "*")
            assert again.status_code == full.status_code, f"{key}: a star made it another"
            return
        if "X-Cache" in full.headers:
            self.ask_for_a_copy(caller, key, full)
            return
        if "server" not in full.headers:
            self.ask_postgrest(caller, key, full)
        tag = full.headers["ETag"]
        earlier = self.pages.setdefault(key, {})
        known = earlier.pop(tag, full)
        for old in islice(reversed(earlier), EARLIER):
            answer = self.send(caller, key, old)
            assert same(expect(200, answer), full) and answer.headers["ETag"] == tag
            self.withheld += 1
        earlier[tag] = full
        answer = expect(304, self.send(caller, key, tag))
        assert answer.content == b""
        self.given += 1
        self.by_proxy += answer.headers["X-Conditional"] == "short"
        assert same(known, full), f"{key}: {tag} is of two pages"
        assert same(expect(200, self.send(caller, key, None)), full)
        if address.startswith(PRIVATE):
            for other, pages in self.pages.items():
                if other[0] != caller_id and other[1:] == key[1:]:
                    self.ask_with_tags_of_somebody_else(caller, key, pages)

    def ask_postgrest(self, caller: Member | None, key: Key, full: httpx.Response) -> None:
        """What the database gave the proxy itself is what PostgREST would have answered."""
        _, address, accept, method = key
        headers = {"Accept": accept or "*/*", "Accept-Profile": "api"}
        usual = self.api.request(method, address, caller and caller.token, headers=headers)
        assert "server" in expect(200, usual).headers
        assert same(full, usual)
        for name in ("ETag", "Content-Type", "Content-Range", "X-Next-Cursor"):
            assert full.headers.get(name) == usual.headers.get(name), name
        self.direct += 1

    def ask_with_tags_of_somebody_else(
        self, caller: Member | None, key: Key, pages: dict[str, httpx.Response]
    ) -> None:
        """They are nothing to this caller, whatever the rows."""
        for tag in islice(reversed(pages), EARLIER):
            expect(200, self.send(caller, key, tag))
            self.foreign += 1

    def ask_for_a_copy(self, caller: Member | None, key: Key, full: httpx.Response) -> None:
        """A tag of a shared answer is of this very copy, until its lifetime ends."""
        answer = self.send(caller, key, full.headers["ETag"])
        if answer.status_code == 304:
            assert answer.headers["X-Cache"] == "hit" and answer.content == b""
            again = self.send(caller, key, None)
            if again.headers["ETag"] == full.headers["ETag"]:
                assert same(again, full)
        else:
            assert expect(200, answer).headers["X-Cache"] == "miss"
            assert answer.headers["ETag"] != full.headers["ETag"]


def same(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether two answers are the same page with the same successor."""
    return one.content == other.content and one.headers.get("Link") == other.headers.get("Link")

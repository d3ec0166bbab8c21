"""Several people at once over HTTP, in any order, beside the model."""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from itertools import count, cycle
from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from tests.properties.model import FEEDS, WHITE_SPACE, Model
from tests.support.client import Member, expect, refused
from tests.support.horizon import (
    NEVER,
    forget,
    horizon,
    no_old_months,
    old_months,
    old_posts,
    partitions,
)
from tests.support.paging import ids, walk
from tests.support.servers import Served

MOST_PEOPLE = 7
MONTHS = 4  # before this one, each a partition of feed entries when a run begins
CONTENT = st.text(alphabet="aZ7é😀\u0301<'\\" + WHITE_SPACE, min_size=0, max_size=6)
# So small that a handful of people crosses every tier: sync and by job, one chunk and several.
LIMITS = st.fixed_dictionaries(
    {
        "fan_out_sync_limit": st.integers(0, 3),
        "fan_out_chunk_size": st.integers(1, 3),
        "fan_out_pull_limit": st.integers(0, 6),
        "fan_out_push_limit": st.integers(0, 3),
        "backfill_sync_limit": st.integers(0, 3),
        "backfill_chunk_size": st.integers(1, 3),
        "account_purge_sync_limit": st.integers(0, 8),
    }
)
AGES = st.lists(st.integers(0, 31 * (MONTHS + 1)), max_size=3)  # of posts, in days
# For each of the first people: whom they follow, by position, how often they have posted today, and
# how many days ago before.
FIRST_PEOPLE = 5
Graph = list[tuple[set[int], int, list[int]]]
GRAPH = st.lists(
    st.tuples(
        st.sets(st.integers(0, FIRST_PEOPLE - 1), min_size=1, max_size=FIRST_PEOPLE),
        st.integers(0, 4),
        AGES,
    ),
    min_size=FIRST_PEOPLE,
    max_size=FIRST_PEOPLE,
)
NTH_LAST = st.integers(0, 50)  # which of the posts there ever were, counted from the newest
PAGE_SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=3)
RETURN_ROW = {"Prefer": "return=representation"}
# Posts that may be missing from a reader's timeline for now: those that jobs in the queue have yet
# to bring, if they are of the part that is kept. Never those that readers merge in.
AWAITED = """
select w.id
from (
  select (j.args ->> 'post_id')::bigint as id
  from app.jobs j
  where j.kind = 'fan_out' and coalesce(j.progress, 0) < %(reader)s
  union
  select p.id
  from app.jobs j
  join app.posts p on p.author_id = (j.args ->> 'followed_id')::bigint
  where j.kind = 'follow_backfill'
    and (j.args ->> 'follower_id')::bigint = %(reader)s
    and not p.is_reply
    and not app.is_pulled(p.author_id, p.id)
) w, app.feed_horizon h, app.feed_states s
where s.user_id = %(reader)s and w.id >= greatest(h.post_id, s.complete_from)
"""
# Whether followers have a post when it is written: of a small author, or one that they merge in.
AT_ONCE = """
select app.is_pulled(%(author)s, %(post)s)
  or c.followers_count <= app.setting('fan_out_sync_limit')
from app.user_counts c
where c.user_id = %(author)s
"""


class Reached(StrEnum):
    """What the search is there to come by; ``Microblog.reached`` counts it."""

    PULLED = "an author is merged in from a post on"
    DELIVERED = "an author is delivered again from a post on"
    AWAY = "a timeline is dropped"
    BACK = "a timeline is whole again after a return"
    DROPPED = "a month is dropped"
    PAGED = "a timeline is paged to its end"
    CROSSED = "a timeline is paged to its end across the horizon"


def no_server_error(answer: httpx.Response) -> None:
    """Fail on any 5xx, whatever the call was."""
    if answer.status_code >= 500:
        answer.read()
        raise AssertionError(f"{answer.request.url}: {answer.status_code} {answer.text}")


class Microblog(RuleBasedStateMachine):
    """Each rule sends real requests, changes the model alike, and compares what came back."""

    people: Bundle[Member] = Bundle("people")
    ghosts: Bundle[Member] = Bundle("ghosts")

    def __init__(self, api: Served, reached: Counter[str] | None = None) -> None:
        super().__init__()
        self.api = api
        self.reached: Counter[str] = Counter() if reached is None else reached
        self.model = Model()
        self.members: dict[int, Member] = {}
        self.written: list[int] = []  # all posts there ever were
        self.names = count(1)
        self.turn = 0
        self.purging = False
        self.chunks: Counter[str] = Counter()  # worked, by kind of job
        self.ranges: dict[tuple[int, int], int] = {}  # author and first post: the end
        self.away: set[int] = set()
        forget_everything(api)
        self.months = len(old_months(api.database, MONTHS))

    def recorded(self, row: dict[str, Any]) -> None:
        """Take a post that the server made into the model."""
        self.model.write(row["id"], row["author_id"], row["content"], row["parent_id"])
        self.written.append(row["id"])

    def post(self, nth_last: int) -> int:
        """Return the id of a post, which may have been deleted."""
        return self.written[-1 - nth_last % len(self.written)]

    # -- accounts --------------------------------------------------------------------------------

    def signed_up(self) -> Member:
        member = self.api.signup(f"Person_{next(self.names)}")
        self.members[member.id] = member
        self.model.join(member.id, member.username)
        return member

    @initialize(target=people, limits=LIMITS, graph=GRAPH, follow_first=st.booleans())
    def begin(self, limits: dict[str, int], graph: Graph, follow_first: bool) -> Any:
        """Some people who follow each other and have posted, before or after."""
        self.api.database.set(**limits)
        members = [self.signed_up() for _ in graph]

        def follow() -> None:
            for member, (followed, _, _) in zip(members, graph, strict=True):
                self.follow_several_in_one_request(member, [members[i] for i in followed])

        def write() -> None:
            written = []
            for member, (_, posts, ages) in zip(members, graph, strict=True):
                if posts:
                    self.write_several_in_one_request(member, [None] * posts)
                written += [(member.id, days) for days in ages]
            self.write_in_the_past(written)

        for act in (follow, write) if follow_first else (write, follow):
            act()
        return multiple(*members)

    @precondition(lambda self: len(self.model.people) < MOST_PEOPLE)
    @rule(target=people)
    def sign_up(self) -> Member:
        return self.signed_up()

    @rule(person=people, description=st.text(alphabet="aé😀", max_size=3))
    def change_profile(self, person: Member, description: str) -> None:
        name = f"Renamed_{next(self.names)}"
        body = {"username": name, "description": description}
        expect(204, person.patch(f"/users?id=eq.{person.id}", json=body))
        self.model.people[person.id].username = name
        self.model.people[person.id].description = description
        person.username = name

    @rule(person=people)
    def log_out_everywhere_and_in_again(self, person: Member) -> None:
        expect(204, person.post("/rpc/logout", json={"all": True}))
        refused(401, "session_ended", person.get("/rpc/me"))
        person.token = expect(200, self.api.login(person.username.upper())).json()["token"]

    @rule(target=ghosts, person=consumes(people))
    def delete_account(self, person: Member) -> Member:
        expect(204, person.post("/rpc/account_delete", json={"password": person.password}))
        self.model.leave(person.id)
        del self.members[person.id]
        self.purging = True
        refused(401, "session_ended", person.get("/rpc/feed_timeline"))
        refused(401, "invalid_credentials", self.api.login(person.username))
        assert expect(200, self.api.get(f"/users?id=eq.{person.id}")).json() == []
        for other in self.members.values():
            self.check_meanwhile(other)
        self.check_public()
        return person

    @rule(ghost=ghosts, person=people)
    def follow_somebody_who_left(self, ghost: Member, person: Member) -> None:
        refused(404, "user_not_found", person.post("/follows", json={"followed_id": ghost.id}))
        refused(404, "user_not_found", person.page("followers", user_id=ghost.id))

    # -- posts -----------------------------------------------------------------------------------

    @rule(person=people, content=CONTENT, times=st.integers(1, 2))
    def write(self, person: Member, content: str, times: int) -> None:
        """Post, perhaps once more with the same Idempotency-Key, which must change nothing."""
        headers = RETURN_ROW | {"Idempotency-Key": f"key {next(self.names)}"}
        trimmed = content.strip(WHITE_SPACE)
        rows = []
        for _ in range(times):
            answer = person.post("/posts", json={"content": content}, headers=headers)
            if not trimmed:
                refused(400, "content_empty", answer)
                return
            rows += expect(201, answer).json()
        assert len({row["id"] for row in rows}) == 1
        assert rows[0]["content"] == trimmed
        assert rows[0]["author_id"] == person.id
        self.recorded(rows[0])
        for feed in ("feed_timeline", "feed_mine"):
            assert rows[0]["id"] in ids(expect(200, person.page(feed, limit=100)).json())
        self.check_followers_have(rows[0]["id"], person)

    @precondition(lambda self: self.written)
    @rule(person=people, nth_last=NTH_LAST)
    def reply(self, person: Member, nth_last: int) -> None:
        parent = self.post(nth_last)
        body = {"content": f"to {parent}", "parent_id": parent}
        answer = person.post("/posts", json=body, headers=RETURN_ROW)
        if parent not in self.model.posts:
            refused(404, "post_not_found", answer)
            return
        (row,) = expect(201, answer).json()
        assert (row["author_id"], row["parent_id"]) == (person.id, parent)
        self.recorded(row)

    @rule(person=people, nths=st.lists(st.one_of(st.none(), NTH_LAST), min_size=1, max_size=6))
    def write_several_in_one_request(self, person: Member, nths: list[int | None]) -> None:
        parents = [None if n is None or not self.written else self.post(n) for n in nths]
        body = [{"content": f"bulk {n}", "parent_id": p} for n, p in enumerate(parents)]
        answer = person.post("/posts", json=body, headers=RETURN_ROW)
        if any(p is not None and p not in self.model.posts for p in parents):
            refused(404, "post_not_found", answer)
            return
        rows = expect(201, answer).json()
        assert [(r["content"], r["parent_id"]) for r in rows] == [
            (b["content"], b["parent_id"]) for b in body
        ]
        for row in rows:
            assert row["author_id"] == person.id
            self.recorded(row)

    @precondition(lambda self: self.written)
    @rule(person=people, nth_last=NTH_LAST)
    def write_with_an_id_taken_earlier(self, person: Member, nth_last: int) -> None:
        """A post takes its id first and its place among the author's posts later."""
        taken = self.post(nth_last) - 1
        if taken not in self.written:
            self.api.database.run(
                "insert into app.posts (id, author_id, content) values (%s, %s, 'late')",
                [taken, person.id],
            )
            self.model.write(taken, person.id, "late", None)
            self.written.append(taken)

    @rule(person=people, other=people, ages=AGES)
    def write_in_past_months(self, person: Member, other: Member, ages: list[int]) -> None:
        """As an import or a clock that was behind may do; in any month, dropped ones included."""
        self.write_in_the_past(list(zip(cycle([person.id, other.id]), ages)))
        self.check_meanwhile(person)
        self.check_public()

    def write_in_the_past(self, written: list[tuple[int, int]]) -> None:
        for post, author in old_posts(self.api.database, written):
            self.model.write(post, author, "old", None)
            self.written.append(post)

    @precondition(lambda self: self.written)
    @rule(nth_last=NTH_LAST, person=people)
    def delete_a_post(self, nth_last: int, person: Member) -> None:
        """Somebody else tries first; the author does wherever there is one."""
        post = self.post(nth_last)
        known = self.model.posts.get(post)
        if known is None:
            refused(404, "post_not_found", person.delete(f"/posts?id=eq.{post}"))
            return
        if known.author != person.id:
            refused(403, "not_yours", person.delete(f"/posts?id=eq.{post}"))
        if known.author in self.members:
            self.members[known.author].erase(post)
            self.model.erase(post)
            for member in self.members.values():
                self.check_meanwhile(member)
            self.check_public()

    @rule(person=people, kept=st.integers(0, 3))
    def delete_all_but_the_newest_posts(self, person: Member, kept: int) -> None:
        doomed = self.model.feed("feed_mine", person.id)[kept:]
        answer = person.delete(f"/posts?id=in.({','.join(map(str, doomed))})")
        if not doomed:
            refused(404, "post_not_found", answer)
            return
        expect(204, answer)
        for post in doomed:
            self.model.erase(post)
        self.check_public()

    # -- follows ---------------------------------------------------------------------------------

    @rule(person=people, other=people)
    def follow(self, person: Member, other: Member) -> None:
        answer = person.post("/follows", json={"followed_id": other.id})
        if person.id == other.id:
            refused(400, "self_follow", answer)
            return
        expect(201, answer)
        self.model.people[person.id].following.add(other.id)

    @rule(person=people, other=people)
    def unfollow(self, person: Member, other: Member) -> None:
        person.unfollow(other)
        self.model.people[person.id].following.discard(other.id)
        self.check_meanwhile(person)

    @rule(person=people, other=people)
    def follow_unfollow_follow(self, person: Member, other: Member) -> None:
        if person.id != other.id:
            self.follow(person, other)
            self.unfollow(person, other)
            self.follow(person, other)

    @rule(person=people, others=st.lists(people, min_size=1, max_size=5))
    def follow_several_in_one_request(self, person: Member, others: list[Member]) -> None:
        """The same one twice included."""
        wanted = [other.id for other in others if other.id != person.id]
        answer = person.post("/follows", json=[{"followed_id": i} for i in wanted])
        if not wanted:
            refused(400, "body_empty", answer)
            return
        expect(201, answer)
        self.model.people[person.id].following.update(wanted)

    @rule(person=people, others=st.lists(people, min_size=1, max_size=5))
    def unfollow_several_in_one_request(self, person: Member, others: list[Member]) -> None:
        listed = ",".join(str(other.id) for other in others)
        expect(204, person.delete(f"/follows?followed_id=in.({listed})"))
        self.model.people[person.id].following.difference_update(o.id for o in others)
        self.check_meanwhile(person)

    def pulled(self) -> list[Member]:
        """Return who is merged in by readers, as of the last look."""
        return [
            self.members[author]
            for (author, _), end in sorted(self.ranges.items())
            if end == NEVER and author in self.members
        ]

    @precondition(lambda self: self.pulled())
    @rule(nth=st.integers(0, MOST_PEOPLE), kept=st.integers(0, 2))
    def lose_followers_and_write(self, nth: int, kept: int) -> None:
        """So few are left that the next post is delivered again, if the limits say so."""
        author = self.pulled()[nth % len(self.pulled())]
        for follower in self.model.followers(author.id)[kept:]:
            self.unfollow(self.members[follower], author)
        self.write(author, "to a few", 1)

    # -- the operator ----------------------------------------------------------------------------

    @rule(limits=LIMITS)
    def change_limits(self, limits: dict[str, int]) -> None:
        self.api.database.set(**limits)

    @rule(away=st.lists(people, min_size=1, max_size=3), back=st.booleans())
    def drop_timelines_of_people_away_for_long(self, away: list[Member], back: bool) -> None:
        """They read on nevertheless, and have a timeline again after they log in."""
        forget(self.api.database, [member.id for member in away])
        for member in away:
            self.check_whole_feeds(member, cycle([4]))
            if back:
                self.log_out_everywhere_and_in_again(member)
                self.check_whole_feeds(member, cycle([3]))  # behind it the rebuild is queued

    @precondition(lambda self: self.months)
    @rule(passed=st.integers(1, 2))
    def let_retention_pass(self, passed: int) -> None:
        """The oldest months are dropped, as the job does it; nobody notices."""
        kept = max(self.months - passed, 0)
        before = set(partitions(self.api.database))
        dropped = self.api.database.value("select app.feed_partitions_drop(%s)", [kept])
        gone = before - set(partitions(self.api.database))
        assert len(gone) == dropped == self.months - kept
        self.months = kept
        self.reached[Reached.DROPPED] += dropped
        for member in self.members.values():
            self.check_meanwhile(member)

    @rule(chunks=st.integers(1, 4))
    def work_a_little(self, chunks: int) -> None:
        for _ in range(chunks):
            self.chunks[self.api.database.work() or "nothing"] += 1

    @rule(sizes=PAGE_SIZES)
    def drain(self, sizes: list[int]) -> None:
        """Empty the queue; from then on every page is exactly what the definition says."""
        self.chunks.update(self.api.drain())
        self.api.database.assert_sound()
        self.purging = False
        pages = cycle(sizes)
        self.check_posts(walk(self.api, "feed_public", None, pages), "feed_public", None)
        for member in self.members.values():
            self.check_whole_feeds(member, pages)
            self.check_people(member, pages)
            self.check_profile(member)
            self.note_pages(member, max(sizes))

    def teardown(self) -> None:
        """End every run with the full comparison."""
        try:
            if self.members:
                self.drain([7])
        finally:
            no_old_months(self.api.database)

    # -- reading, whatever waits in the queue ----------------------------------------------------

    @precondition(lambda self: self.written)
    @rule(nth_last=NTH_LAST, sizes=PAGE_SIZES)
    def read_a_thread(self, nth_last: int, sizes: list[int]) -> None:
        post = self.post(nth_last)
        answer = self.api.get(f"/rpc/thread?post_id={post}&limit=100")
        if post not in self.model.posts:
            refused(404, "post_not_found", answer)
            refused(404, "post_not_found", self.api.page("/rpc/replies", post_id=post))
            return
        thread = expect(200, answer).json()
        assert bare(thread["post"]) == self.model.card(post)
        assert ids(thread["ancestors"]) == self.model.ancestors(post)
        assert ids(thread["replies"]) == self.model.replies(post)
        rows = walk(self.api, "replies", None, cycle(sizes), post_id=post)
        assert [bare(row) for row in rows] == [self.model.card(i) for i in self.model.replies(post)]

    @precondition(lambda self: self.written)
    @rule(nth_last=NTH_LAST, person=people)
    def page_from_a_cursor(self, nth_last: int, person: Member) -> None:
        """Any post serves, also one that is deleted, is a reply, or is not in the feed."""
        post = self.post(nth_last)
        answer = expect(200, person.page("feed_mine", cursor=str(post), limit=100))
        assert ids(answer.json()) == [
            i for i in self.model.feed("feed_mine", person.id) if i < post
        ]

    @invariant()
    def look_around(self) -> None:
        """After every step, one member in turn."""
        if not self.members:
            return
        self.note_tiers()
        self.turn += 1
        members = list(self.members.values())
        member = members[self.turn % len(members)]
        self.check_meanwhile(member)
        self.check_posts(walk(self.api, "feed_mine", member.token, 100), "feed_mine", member.id)
        self.check_people(member, cycle([100]))
        if not self.purging:
            self.check_profile(member)

    # -- comparing -------------------------------------------------------------------------------

    def check_meanwhile(self, member: Member) -> None:
        """Feeds are what they are defined to be, less what is known to be on its way."""
        awaited = set(self.api.database.values(AWAITED, {"reader": member.id}))
        for feed in ("feed_timeline", "feed_following"):
            rows = walk(self.api, feed, member.token, 100)
            shown = ids(rows)
            defined = self.model.feed(feed, member.id)
            late = awaited - set(shown) - set(self.model.feed("feed_mine", member.id))
            assert shown == [i for i in defined if i not in late], f"{feed} of {member.username}"
            assert [bare(row) for row in rows] == [self.model.card(i) for i in shown]

    def check_followers_have(self, post: int, author: Member) -> None:
        """A post just written is in the timelines where it has to be at once."""
        if self.api.database.value(AT_ONCE, {"author": author.id, "post": post}):
            for follower in self.model.followers(author.id):
                page = expect(200, self.members[follower].page("feed_following", limit=100))
                assert post in ids(page.json()), f"{post}, to be shown to {follower} at once"

    def check_whole_feeds(self, member: Member, pages: Iterator[int]) -> None:
        """Three feeds are what they are defined to be: one's queue is empty, or not needed."""
        for feed in FEEDS:
            self.check_posts(walk(self.api, feed, member.token, pages), feed, member.id)

    def check_public(self) -> None:
        self.check_posts(walk(self.api, "feed_public", None, 100), "feed_public", None)

    def check_posts(self, rows: list[dict[str, Any]], feed: str, user_id: int | None) -> None:
        expected = self.model.feed(feed, user_id)
        assert ids(rows) == expected, f"{feed} of {user_id}"
        assert [bare(row) for row in rows] == [self.model.card(i) for i in expected]

    def check_people(self, member: Member, pages: Iterator[int]) -> None:
        for name, expected in (
            ("followers", self.model.followers(member.id)),
            ("following", self.model.following(member.id)),
        ):
            rows = walk(self.api, name, None, pages, user_id=member.id)
            assert ids(rows) == expected, f"{name} of {member.username}"
            for row in rows:
                assert row["username"] == self.model.people[row["id"]].username

    def check_profile(self, member: Member) -> None:
        expected = self.model.profile(member.id)
        assert bare(member.profile()) == expected
        assert bare(expect(200, member.get("/rpc/me")).json()) == expected

    # -- noting what was reached -----------------------------------------------------------------

    def note_tiers(self) -> None:
        """Count authors who changed sides since the step before, and timelines come and gone."""
        ranges = {
            (author, first): end
            for author, first, end in self.api.database.run(
                "select author_id, from_id, to_id from app.pull_ranges"
            )
        }
        away = set(
            self.api.database.values(
                "select user_id from app.feed_states where complete_from = %s", [NEVER]
            )
        )
        self.reached.update(
            {
                Reached.PULLED: len(ranges.keys() - self.ranges.keys()),
                Reached.DELIVERED: sum(
                    end < self.ranges.get(key, 0) == NEVER for key, end in ranges.items()
                ),
                Reached.AWAY: len(away - self.away),
                Reached.BACK: len((self.away - away) & self.members.keys()),
            }
        )
        self.ranges, self.away = ranges, away

    def note_pages(self, member: Member, largest: int) -> None:
        """Count timelines that took several pages, none of more than ``largest`` rows."""
        timeline = self.model.feed("feed_timeline", member.id)
        if len(timeline) > largest:
            self.reached[Reached.PAGED] += 1
            self.reached[Reached.CROSSED] += (
                timeline[-1] < horizon(self.api.database) <= timeline[0]
            )


def bare(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without its time, which the model does not know."""
    return {name: value for name, value in row.items() if name != "created_at"}


def forget_everything(api: Served) -> None:
    """Empty every table that requests and jobs fill; settings, schedules and the key stay."""
    tables = api.database.value(
        "select string_agg(format('app.%I', tablename), ', ') from pg_tables"
        " where schemaname = 'app'"
        " and tablename not in ('settings', 'job_schedules', 'secrets', 'feed_horizon',"
        " 'cached_calls', 'view_refreshes')"
    )
    api.database.run(f"truncate {tables} restart identity")
    api.database.pause_schedules()  # the months pass when a rule says so

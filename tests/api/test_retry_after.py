"""`Retry-After` is true to the second, through the proxy, for every kind of request.

Windows of 20 seconds have slots of one, so that time passes exactly by making buckets older by so
many slots. What is left to the real clock is a part of a second, and a test begins anew where it
did not end in the second in which it began.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from math import floor

import httpx
import pytest

from microblog.stack.process import wait_for
from tests.support.client import PASSWORD, Member, expect, refused
from tests.support.cluster import Cluster
from tests.support.database import Database
from tests.support.places import Place, limits_told, now
from tests.support.servers import Served, serve_api

WINDOW = 20  # seconds
GONE_AFTER = WINDOW + 1  # seconds until a call has left the window
_names = count(1)


@pytest.fixture(scope="module")
def short(cluster: Cluster) -> Iterator[Served]:
    """The public contract, where all limits are of 20 seconds and nobody is exempt."""
    with cluster.clone() as database:
        database.run("delete from app.rate_limit_exemptions")
        database.run("update app.rate_limits set window_seconds = %s", [WINDOW])
        with serve_api(database) as served:
            yield served


@dataclass
class Scene:
    """A member at an address, with three others whom they may follow."""

    database: Database
    place: Place
    member: Member
    others: list[int]

    def key(self, rule: str) -> str:
        """What the rule counts this member's requests by."""
        if rule == "login":
            return f"name {self.member.username}"
        by_user = ("feeds", "posts", "follows", "own_password")
        return f"user {self.member.id}" if rule in by_user else self.place.address

    def fill(self, rule: str, *calls: tuple[int, int]) -> None:
        """Have calls counted, as (seconds ago, how many)."""
        self.database.run(
            "insert into app.rate_limit_buckets"
            " select l.id, l.window_seconds, %s, floor(date_part('epoch', clock_timestamp())),"
            "   l.quota, %s, %s::bigint[] from app.rate_limits l where l.name = %s",
            [
                self.key(rule),
                sum(n for _, n in calls),
                [sum(n for ago, n in calls if ago >= slot) for slot in range(1, 22)],
                rule,
            ],
        )

    def pass_time(self, seconds: int) -> None:
        self.database.run(
            "update app.rate_limit_buckets set slot = slot - %s where key = any (%s)",
            [seconds, self.keys()],
        )

    def forget(self) -> None:
        self.database.run("delete from app.rate_limit_buckets where key = any (%s)", [self.keys()])

    def keys(self) -> list[str]:
        return [self.key(rule) for rule in ("address", "feeds", "login")]


@pytest.fixture
def scene(short: Served) -> Iterator[Scene]:
    with Place(short) as place:
        member = place.signup(f"patient_{next(_names)}")
        yield Scene(short.database, place, member, short.database.users(3))


Ask = Callable[[Scene], httpx.Response]


def read(method: str, path: str) -> Ask:
    return lambda scene: scene.place.request(method, path, scene.member.token)


def read_without_token(path: str) -> Ask:
    return lambda scene: scene.place.get(path)


def conditional(scene: Scene) -> httpx.Response:
    """The timeline, by somebody who has it: the page of nobody's posts and its tag never change."""
    headers = {"If-None-Match": scene.database.value("select current_setting('test.tag')")}
    return scene.member.get("/rpc/feed_timeline", headers=headers)


def login(scene: Scene) -> httpx.Response:
    return scene.place.login(scene.member.username.upper())


def login_with_token(scene: Scene) -> httpx.Response:
    body = {"username": scene.member.username, "password": PASSWORD}
    return scene.member.post("/rpc/login", json=body)


def password_change(scene: Scene) -> httpx.Response:
    body = {"current_password": "wrong horse", "new_password": PASSWORD}
    return scene.member.post("/rpc/password_change", json=body)


def signup(scene: Scene) -> httpx.Response:
    body = {"username": f"newcomer_{next(_names)}", "password": PASSWORD}
    return scene.place.post("/rpc/signup", json=body)


def post(rows: int) -> Ask:
    body = [{"content": f"post {n}"} for n in range(rows)]
    return lambda scene: scene.member.post("/posts", json=body)


def follow(scene: Scene) -> httpx.Response:
    return scene.member.post("/follows", json=[{"followed_id": other} for other in scene.others])


def unfollow(scene: Scene) -> httpx.Response:
    params = {"followed_id": f"in.({','.join(map(str, scene.others))})"}
    return scene.member.delete("/follows", params=params)


def describe(scene: Scene) -> httpx.Response:
    body = {"description": "Waits."}
    return scene.member.patch("/users", params={"id": f"eq.{scene.member.id}"}, json=body)


# What is asked, the calls counted before (seconds ago, how many), the wait and the limit that are
# told, and the status once it gets through.
CASES: dict[str, tuple[Ask, dict[str, list[tuple[int, int]]], int, str, int]] = {
    "address": (read("GET", "/rpc/me"), {"address": [(15, 300)]}, 6, "address", 200),
    "address, spread": (
        read("GET", "/rpc/me"), {"address": [(18, 1), (9, 99), (0, 200)]}, 3, "address", 200,
    ),
    "anonymous": (read_without_token("/posts"), {"anonymous": [(12, 60)]}, 9, "anonymous", 200),
    "feed": (read("GET", "/rpc/feed_timeline"), {"feeds": [(14, 100)]}, 7, "feeds", 200),
    "HEAD": (read("HEAD", "/rpc/feed_timeline"), {"feeds": [(19, 100)]}, 2, "feeds", 200),
    "conditional read": (conditional, {"feeds": [(11, 100)]}, 10, "feeds", 304),
    "login, address": (login, {"passwords": [(8, 25)]}, 13, "passwords", 200),
    "login, name": (login, {"login": [(6, 10)]}, 15, "login", 200),
    "login, name for longer": (
        login, {"passwords": [(16, 25)], "login": [(10, 10)]}, 11, "login", 200,
    ),
    "login, address for longer": (
        login, {"passwords": [(10, 25)], "login": [(16, 10)]}, 11, "passwords", 200,
    ),
    "login, all calls of the address": (
        login, {"address": [(17, 300)], "login": [(13, 10)]}, 8, "login", 200,
    ),
    "login, calls without a token": (
        login, {"anonymous": [(17, 60)], "login": [(13, 10)]}, 8, "login", 200,
    ),
    "login, with a token": (
        login_with_token, {"passwords": [(16, 25)], "login": [(10, 10)]}, 11, "login", 200,
    ),
    "login, the last place of the address": (
        login, {"login": [(16, 10)], "passwords": [(13, 24)]}, 8, "passwords", 200,
    ),
    "own password": (
        password_change, {"own_password": [(9, 10)]}, 12, "own_password", 403,
    ),
    "signup": (signup, {"signup": [(5, 5)]}, 16, "signup", 201),
    "post": (post(1), {"posts": [(7, 10)]}, 14, "posts", 201),
    "posts, for all rows": (post(3), {"posts": [(17, 1), (15, 4), (8, 5)]}, 6, "posts", 201),
    "posts, some of which fit": (post(4), {"posts": [(18, 1), (12, 1), (3, 6)]}, 9, "posts", 201),
    "posts, of the address": (post(3), {"address": [(4, 300)]}, 17, "address", 201),
    "follows": (follow, {"follows": [(16, 1), (13, 48)]}, 8, "follows", 201),
    "unfollow": (unfollow, {"follows": [(18, 1), (12, 48)]}, 9, "follows", 204),
    "profile": (describe, {"address": [(18, 300)]}, 3, "address", 204),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_request_gets_through_when_it_was_told_and_no_second_earlier(
    scene: Scene, case: str
) -> None:
    ask, counted, wait, limit, status = CASES[case]
    database, member = scene.database, scene.member
    if ask is conditional:
        tag = expect(200, member.get("/rpc/feed_timeline")).headers["ETag"]
        database.run("select set_config('test.tag', %s, false)", [tag])

    def is_true() -> bool:
        database.unfollow(member.id, scene.others)
        if ask is unfollow:
            database.follow(member.id, scene.others)
        wait_for(lambda: now(database) % 1 < 0.5, 30, "a second to begin")
        second = floor(now(database))
        scene.forget()
        for rule, calls in counted.items():
            scene.fill(rule, *calls)
        refusal = ask(scene)
        told = int(refusal.headers.get("Retry-After", 1))
        scene.pass_time(told - 1)
        early = ask(scene)
        scene.pass_time(1)
        late = ask(scene)
        if floor(now(database)) != second:
            return False
        expect(429, refusal)
        assert told == wait
        assert limits_told(refusal)["name"] == limit
        assert limits_told(refusal)["remaining"] == 0
        assert expect(429, early).headers["Retry-After"] == "1"
        expect(status, late)
        return True

    wait_for(is_true, 120, "a look within one second")


@pytest.mark.parametrize(
    "body",
    [
        {"password": PASSWORD},
        {"username": "nobody_at_all", "password": PASSWORD},
        {"username": 7, "password": None},
        {},
        [],
    ],
)
def test_a_refused_login_is_a_429_whatever_it_asks_for(scene: Scene, body: object) -> None:
    scene.fill("passwords", (2, 25))
    answer = scene.place.post("/rpc/login", json=body)
    refused(429, "rate_limited", answer)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_refused_login_tries_no_password_and_uses_up_nothing_of_its_name(scene: Scene) -> None:
    """Whoever tries one meets others at bcrypt, who have every place."""
    database, name = scene.database, f"name {scene.member.username}"
    used = "select hits_in_window from dba.rate_limit_keys where key = %s"
    places = database.value("select app.setting('login_concurrency') + app.setting('login_queue')")
    with database.superuser() as others:
        others.execute("select pg_advisory_lock(1, n) from generate_series(1, %s) n", [places])
        refused(503, "busy", login(scene))
        assert database.value(used, [name]) == 1
        database.run("delete from app.rate_limit_buckets where key = %s", [scene.place.address])
        scene.fill("passwords", (2, 25))
        refused(429, "rate_limited", login(scene))
    sessions = "select count(*) from app.sessions where user_id = %s"
    assert database.value(used, [name]) == 1
    assert database.value(sessions, [scene.member.id]) == 1


def test_a_refused_login_with_a_token_that_has_ended_is_refused_for_its_limit(
    scene: Scene,
) -> None:
    """It never comes to where a login says its name."""
    expect(204, scene.member.post("/rpc/logout"))
    refused(401, "session_ended", login_with_token(scene))
    scene.forget()
    scene.fill("anonymous", (2, 60))
    refused(429, "rate_limited", login_with_token(scene))

"""Pages of feeds that the database gives the proxy itself, without PostgREST: the same answers."""

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from microblog.page_cache import Proxy
from microblog.stack.process import wait_for
from microblog.stack.proxy import PLACES
from tests.support.actors import DEADLINE
from tests.support.client import USUAL, Api, Member, expect, is_direct, refused
from tests.support.database import Database
from tests.support.horizon import forget
from tests.support.servers import Served, serve_api

FEEDS = ("feed_timeline", "feed_following", "feed_mine", "feed_public")
# What differs between any two answers, what only says who wrote this one, and what USUAL asks for.
BESIDE = {
    "date",
    "x-request-id",
    "server",
    "transfer-encoding",
    "content-length",
    "content-profile",
}


def proxy_threads(api: Served) -> int:
    """Threads of the API's proxy."""
    info = Proxy(api.admin).ask("show info")
    (threads,) = re.findall(r"^Nbthread: (\d+)$", info, re.MULTILINE)
    return int(threads)


def told(answer: httpx.Response) -> dict[str, str]:
    """The headers that belong to the page."""
    return {name: value for name, value in answer.headers.items() if name not in BESIDE}


def direct(api: Api, path: str, token: str | None, **headers: str) -> httpx.Response:
    """Ask until the database had the time to answer: on a busy machine it is not always given."""
    given: list[httpx.Response] = []

    def came() -> bool:
        given.append(api.get(path, token, headers=headers))
        return is_direct(expect(200, given[-1]))

    wait_for(came, DEADLINE, "a page from the database")
    return given[-1]


def same_both_ways(api: Api, path: str, token: str | None) -> httpx.Response:
    """Ask on both ways for a page of a feed that nobody changes; returns it."""
    page = direct(api, path, token)
    usual = expect(200, api.get(path, token, headers=USUAL))
    assert not is_direct(usual)
    assert page.content == usual.content
    assert told(page) == told(usual)
    assert page.headers["Content-Length"] == str(len(usual.content))
    return page


@pytest.fixture(scope="module")
def town(api: Served) -> tuple[Member, Member, Member]:
    """A reader who has posts and follows somebody, one who has neither, and that author."""
    reader, nobody, author = api.signups(3)
    reader.follow(author)
    asked = author.write('Grüße, "Welt" \\ 🙂')
    reader.write("another\nline")
    reader.write("an answer", asked["id"])
    for number in range(30):
        author.write(f"post {number}")
    return reader, nobody, author


@pytest.mark.parametrize("name", FEEDS)
def test_a_page_is_the_same_byte_for_byte_with_the_same_headers(
    api: Served, town: tuple[Member, Member, Member], name: str
) -> None:
    for member in town:
        path = f"/rpc/{name}"
        whole = same_both_ways(api, f"{path}?limit=100", member.token)
        ids = [row["id"] for row in whole.json()]
        page = same_both_ways(api, path, member.token)
        assert page.json() == whole.json()[:20]
        assert page.headers.get("X-Next-Cursor") == (str(ids[19]) if len(ids) > 20 else None)
        for cursor in ids[-1:] + ids[7:8]:
            below = same_both_ways(api, f"{path}?cursor={cursor}&limit=9", member.token)
            assert below.json() == [row for row in whole.json() if row["id"] < cursor][:9]
        same_both_ways(api, f"{path}?cursor=1", member.token)  # nothing is older
        same_both_ways(api, f"{path}?cursor=", member.token)
    if name == "feed_public":
        same_both_ways(api, f"/rpc/{name}?limit=3", None)


def test_accept_says_json_in_the_ways_that_browsers_and_clients_do(
    api: Served, town: tuple[Member, Member, Member]
) -> None:
    usual = api.get("/rpc/feed_timeline", town[0].token, headers=USUAL)
    for accept in ("application/json", "*/*", "application/json, text/plain, */*"):
        page = direct(api, "/rpc/feed_timeline", town[0].token, Accept=accept)
        assert page.content == usual.content


@pytest.mark.parametrize(
    ("query", "options", "status"),
    [
        ("?select=id", {}, 200),
        ("?select=*", {}, 200),
        ("?cursor=%31", {}, 200),
        ("?cursor=5&cursor=7", {}, 200),
        ("", {"headers": {"Accept": "text/csv"}}, 200),
        ("", {"headers": {"Accept": "application/vnd.pgrst.array+json"}}, 200),
        ("", {"headers": {"Accept": "image/png"}}, 415),
        ("", {"headers": {"Accept-Profile": "app"}}, 406),
        ("", {"method": "HEAD"}, 200),
        ("", {"method": "POST", "json": {"limit": 3}}, 200),
        ("", {"content": b"{}", "headers": {"Content-Type": "application/json"}}, 200),
    ],
    ids=str,
)
def test_what_is_asked_in_another_way_is_for_postgrest(
    api: Served,
    town: tuple[Member, Member, Member],
    query: str,
    options: dict[str, Any],
    status: int,
) -> None:
    direct(api, "/rpc/feed_timeline", town[0].token)  # the database is asked at the moment
    options = {"method": "GET", **options}
    method = options.pop("method")
    answer = api.request(method, f"/rpc/feed_timeline{query}", town[0].token, **options)
    assert not is_direct(expect(status, answer))


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "post_id=1"])
def test_a_refusal_is_the_one_that_postgrest_would_give(
    api: Served, town: tuple[Member, Member, Member], query: str
) -> None:
    path = f"/rpc/feed_timeline?{query}"
    answer, usual = (api.get(path, town[0].token, headers=headers) for headers in ({}, USUAL))
    assert 400 <= answer.status_code == usual.status_code < 500
    assert answer.content == usual.content


def test_a_feed_of_ones_own_needs_a_token_and_a_session_that_lives(own_api: Served) -> None:
    reader = own_api.signup()
    reader.write("here")
    direct(own_api, "/rpc/feed_timeline", reader.token)
    for name in FEEDS[:-1]:
        refused(401, "token_required", own_api.get(f"/rpc/{name}"))
    expect(204, reader.post("/rpc/logout", json={}))
    for name in FEEDS:
        refused(401, "session_ended", reader.get(f"/rpc/{name}"))


def test_posts_of_a_closed_account_have_no_name_and_a_feed_leaves_them_out(
    own_api: Served,
) -> None:
    """While a job still has to remove them: only row security hides the account."""
    reader, gone = own_api.signups(2)
    reader.follow(gone)
    gone.write("here")
    reader.write("mine")
    own_api.database.set(account_purge_sync_limit=0)
    expect(204, gone.post("/rpc/account_delete", json={"password": gone.password}))
    public = same_both_ways(own_api, "/rpc/feed_public", reader.token).json()
    assert [row["author"] and row["author"]["id"] for row in public] == [reader.id, None]
    timeline = same_both_ways(own_api, "/rpc/feed_timeline", reader.token).json()
    assert [row["content"] for row in timeline] == ["mine"]


def test_a_timeline_goes_on_below_what_is_kept(own_api: Served) -> None:
    reader, author = own_api.signups(2)
    reader.follow(author)
    author.write("before")
    forget(own_api.database, reader.id)
    page = same_both_ways(own_api, "/rpc/feed_timeline", reader.token)
    assert [row["content"] for row in page.json()] == ["before"]


@pytest.fixture
def abroad(own_api: Served) -> Iterator[Served]:
    """The API of a database whose operator writes times in another way."""
    database = own_api.database
    database.run(f"alter database {database.name} set timezone = 'Asia/Tokyo'")
    database.run(f"alter database {database.name} set datestyle = 'German'")
    with serve_api(database) as api:
        yield api


def test_times_are_written_in_the_same_way_whatever_the_database_is_set_to(abroad: Served) -> None:
    author = abroad.signup()
    author.write("here")
    (row,) = same_both_ways(abroad, "/rpc/feed_mine", author.token).json()
    assert row["created_at"].endswith("+00:00")


@pytest.fixture
def verbose(own_api: Served) -> Member:
    """Whose 100 posts make the largest page there is: 200 characters of four bytes each."""
    author = own_api.signup()
    for number in range(100):
        author.write(f"{number:03}" + "🙂" * 197)
    return author


def test_a_page_as_large_as_the_proxys_buffer_comes_whole(own_api: Served, verbose: Member) -> None:
    """Without a wait for the proxy to read on: no question is given up. And who reads slowly."""
    before = Proxy(own_api.admin).answered()["feeds_fallback"]
    page = same_both_ways(own_api, "/rpc/feed_mine?limit=60", verbose.token)
    assert 50_000 < len(page.content) < 60_000
    largest = expect(200, verbose.get("/rpc/feed_mine?limit=100"))
    assert len(largest.content) > 80_000
    assert not is_direct(largest)
    assert Proxy(own_api.admin).answered()["feeds_fallback"] == before
    base = own_api.http.base_url
    with socket.create_connection((base.host, base.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lines = ["GET /rpc/feed_mine?limit=60 HTTP/1.0", f"Authorization: Bearer {verbose.token}"]
        head = "\r\n".join([*lines, "", ""])
        slow.sendall(head.encode())
        read = b""
        while piece := slow.recv(4096):
            read += piece
    assert read.partition(b"\r\n\r\n")[2] == page.content


def test_each_page_is_counted_once_on_either_way_and_a_limit_holds(own_api: Served) -> None:
    """The proxy's own address is exempt in tests, so this one takes a rule by user."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run(
        "update app.rate_limits set quota = case name when 'feeds' then 6 else 100000 end"
    )
    reader = own_api.signup()
    answers = [
        expect(200, reader.get("/rpc/feed_timeline", headers=headers))
        for headers in ({}, USUAL) * 3
    ]
    left = [answer.headers["X-RateLimit-Remaining"] for answer in answers]
    assert left == ["5", "4", "3", "2", "1", "0"]
    assert any(map(is_direct, answers))
    for name in ("X-RateLimit-Limit", "RateLimit-Policy"):
        assert len({answer.headers[name] for answer in answers}) == 1
    answer = reader.get("/rpc/feed_timeline")
    refused(429, "rate_limited", answer)
    assert int(answer.headers["Retry-After"]) > 0
    (counted,) = own_api.database.values(
        "select hit_count from app.rate_limit_buckets where key = %s and quota = 6",
        [f"user {reader.id}"],
    )
    assert counted == 6


def test_who_met_a_limit_is_asked_about_no_more_for_a_while(own_api: Served) -> None:
    """The database makes the page before it counts: a flood of refusals would be dear.

    What only the question reads is locked, so that one that is asked has no answer.
    """
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run(
        "update app.rate_limits set quota = case name when 'feeds' then 3 else 100000 end"
    )
    reader, other = own_api.signups(2)
    for member in (reader, other):
        direct(own_api, "/rpc/feed_timeline", member.token)

    def is_the_reader_alone_left() -> bool:
        """Not on a machine so busy that the reader's question had no answer in time."""
        refused(429, "rate_limited", reader.get("/rpc/feed_timeline"))
        counts = [Proxy(own_api.admin).answered()["feeds_fallback"]]
        with own_api.database.superuser() as holder, holder.transaction():
            holder.execute("lock table app.secrets in access exclusive mode")
            for member in (reader, other):
                member.get("/rpc/feed_timeline")
                counts.append(Proxy(own_api.admin).answered()["feeds_fallback"])
        return [count - counts[0] for count in counts] == [0, 0, 1]

    wait_for(lambda: reader.get("/rpc/feed_timeline").status_code == 429, DEADLINE, "the limit")
    wait_for(is_the_reader_alone_left, DEADLINE, "a question that is not asked, and one that is")


def test_who_met_a_limit_leaves_the_neighbours_alone(own_api: Served) -> None:
    """At the same address, on the same connection, at once; one of three tries is enough."""
    own_api.database.run("update app.rate_limits set quota = 3 where name = 'feeds'")
    neighbour, *readers = own_api.signups(4)
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run(
        "insert into app.rate_limit_exemptions (user_id) values (%s)", [neighbour.id]
    )
    direct(own_api, "/rpc/feed_timeline", neighbour.token)

    def is_the_neighbour_asked_about(reader: Member) -> bool:
        answers = [reader.get("/rpc/feed_timeline") for _ in range(4)]
        refused(429, "rate_limited", answers[-1])
        return is_direct(expect(200, neighbour.get("/rpc/feed_timeline")))

    assert any(is_the_neighbour_asked_about(reader) for reader in readers)


def test_of_an_address_that_met_its_limit_nobody_is_asked_about(own_api: Served) -> None:
    """However many tokens there are: what is left of the question is PostgREST's."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    members = own_api.signups(3)
    for member in members:
        direct(own_api, "/rpc/feed_timeline", member.token)
    own_api.database.run(
        "update app.rate_limits set quota = case name when 'address' then 1 else 100000 end"
    )

    def is_nobody_asked_about() -> bool:
        """Not on a machine so busy that the question of the first had no answer in time."""
        members[0].get("/rpc/feed_timeline")
        before = Proxy(own_api.admin).answered()["feeds_fallback"]
        with own_api.database.superuser() as holder, holder.transaction():
            holder.execute("lock table app.secrets in access exclusive mode")
            for member in members:
                refused(429, "rate_limited", member.get("/rpc/feed_timeline"))
        return Proxy(own_api.admin).answered()["feeds_fallback"] == before

    wait_for(lambda: members[0].get("/rpc/feed_timeline").status_code == 429, DEADLINE, "the limit")
    wait_for(is_nobody_asked_about, DEADLINE, "questions that are not asked")


def test_of_many_at_once_the_quota_gets_through_and_not_one_more(own_api: Served) -> None:
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run(
        "update app.rate_limits set quota = case name when 'feeds' then 50 else 100000 end"
    )
    reader = own_api.signup()
    reader.write("here")

    def ask(_: int) -> tuple[int, bool]:
        answer = reader.get("/rpc/feed_timeline")
        return answer.status_code, is_direct(answer)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(100)))
    assert Counter(status for status, _ in answers) == {200: 50, 429: 50}
    assert any(came_direct for status, came_direct in answers if status == 200)


def test_who_hangs_up_is_counted_all_the_same(own_api: Served) -> None:
    """The question goes to its end, and what it counted stays."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run("update app.rate_limits set quota = 100000")
    reader = own_api.signup()
    direct(own_api, "/rpc/feed_timeline", reader.token)
    made = own_api.database.value("select pg_get_functiondef('app.feed_body'::regproc)")
    own_api.database.run(re.sub(r"\bbegin\b", "begin perform pg_sleep(0.1);", made, count=1))
    buckets = "select hit_count from app.rate_limit_buckets where key = %s"
    (before,) = own_api.database.values(buckets, [f"user {reader.id}"])
    base = own_api.http.base_url
    lines = ["GET /rpc/feed_timeline HTTP/1.1", "Host: x", f"Authorization: Bearer {reader.token}"]
    head = "\r\n".join([*lines, "", ""])
    asking = (
        "select count(*) from pg_stat_activity"
        " where usename = 'proxy' and datname = current_database() and wait_event = 'PgSleep'"
    )
    for number in range(1, 4):
        with socket.create_connection((base.host, base.port)) as gone:
            gone.sendall(head.encode())
            wait_for(lambda: own_api.database.value(asking) > 0, DEADLINE, "a page being made")
        wait_for(
            lambda number=number: (
                own_api.database.values(buckets, [f"user {reader.id}"]) == [before + number]
            ),
            DEADLINE,
            "the count of a page that nobody waits for",
        )


def test_web_pages_of_the_list_may_read_a_page_that_came_directly(
    api: Served, town: tuple[Member, Member, Member]
) -> None:
    origin = "http://localhost:3000"
    page = direct(api, "/rpc/feed_timeline", town[0].token, Origin=origin)
    usual = api.get("/rpc/feed_timeline", town[0].token, headers={"Origin": origin} | USUAL)
    assert page.headers["Access-Control-Allow-Origin"] == origin
    assert told(page) == told(usual)


def test_no_rule_no_header(own_api: Served) -> None:
    own_api.database.run("update app.rate_limits set is_enabled = false")
    reader = own_api.signup()
    page = same_both_ways(own_api, "/rpc/feed_timeline", reader.token)
    assert not any("ratelimit" in name for name in page.headers)


@pytest.fixture
def patient(database: Database) -> Iterator[Served]:
    """An API whose proxy gives the database time, which that takes."""
    for limit in ("lock_timeout", "statement_timeout"):
        database.run(f"alter role proxy in database {database.name} set {limit} = '10min'")
    with serve_api(database, MICROBLOG_FEED_SECONDS=str(DEADLINE)) as api:
        yield api


def in_line(api: Served, ask: Callable[[int], httpx.Response], number: int) -> list[httpx.Response]:
    """Have so many ask at once, and wait in line for places: what a question reads is locked.

    Returns the answers, to none of which the proxy had to say that there was no answer.
    """
    waiting = (
        "select count(*) from pg_stat_activity"
        " where usename = 'proxy' and datname = current_database() and wait_event_type = 'Lock'"
    )
    before = Proxy(api.admin).answered()["feeds_fallback"]
    with ThreadPoolExecutor(number) as pool:
        with api.database.superuser() as holder, holder.transaction():
            holder.execute("lock table app.secrets in access exclusive mode")
            asked = [pool.submit(ask, n) for n in range(number)]
            places = PLACES * proxy_threads(api)
            assert places < number
            wait_for(lambda: api.database.value(waiting) == places, DEADLINE, "all places taken")
        answers = [one.result(DEADLINE) for one in asked]
    assert Proxy(api.admin).answered()["feeds_fallback"] == before
    return answers


def test_more_than_there_are_places_wait_for_their_turns_and_get_their_own_pages(
    patient: Served,
) -> None:
    """Those in line are asked about together: in fewer statements than there are questions."""
    members = patient.signups(4)
    for member in members:
        member.write(f"of {member.id}")
    pages = [direct(patient, "/rpc/feed_timeline", member.token).content for member in members]
    statements = (
        "select calls from extensions.pg_stat_statements"
        " where dbid = (select oid from pg_database where datname = current_database())"
        " and query like '%app.feed_answers($1%'"
    )
    (before,) = patient.database.values(statements)
    answers = in_line(patient, lambda n: members[n % 4].get("/rpc/feed_timeline"), 60)
    for number, answer in enumerate(answers):
        assert is_direct(expect(200, answer))
        assert answer.content == pages[number % 4]
    (after,) = patient.database.values(statements)
    assert after - before < 45


def test_who_waited_with_somebody_who_met_a_limit_is_answered_and_counted_once(
    patient: Served,
) -> None:
    members = patient.signups(4)
    for member in members:
        direct(patient, "/rpc/feed_timeline", member.token)
    patient.database.run("delete from app.rate_limit_exemptions")
    patient.database.run(
        "update app.rate_limits set quota = case name when 'feeds' then 17 else 100000 end"
    )
    # The first asks for 20 of these, the others for less than they may.
    whose = [0] * 20 + [1, 2, 3] * 12
    answers = in_line(patient, lambda n: members[whose[n * 23 % 56]].get("/rpc/feed_timeline"), 56)
    got = Counter((whose[n * 23 % 56], answer.status_code) for n, answer in enumerate(answers))
    assert got == {(0, 200): 17, (0, 429): 3, (1, 200): 12, (2, 200): 12, (3, 200): 12}
    for number, counted in enumerate((17, 12, 12, 12)):
        assert patient.database.values(
            "select hit_count from app.rate_limit_buckets where key = %s and quota = 17",
            [f"user {members[number].id}"],
        ) == [counted]


def test_large_pages_that_wait_come_a_few_at_a_time(patient: Served) -> None:
    """As many as fit the proxy's buffer; the others are the next."""
    members = patient.signups(2)
    for member in members:
        for number in range(30):
            member.write(f"{number:03}" + "🙂" * 197)
    path = "/rpc/feed_mine?limit=30"
    pages = [direct(patient, path, member.token).content for member in members]
    assert 2 * len(pages[0]) < 60_000 < 3 * len(pages[0])
    answers = in_line(patient, lambda n: members[n % 2].get(path), 40)
    for number, answer in enumerate(answers):
        assert is_direct(expect(200, answer))
        assert answer.content == pages[number % 2]


def test_after_a_crowd_that_went_away_pages_come_from_the_database_again(own_api: Served) -> None:
    """Each leaves a place in the line, or a question under way, that nobody gives back.

    Others may be asked about together with it, and get their pages all the same.
    """
    reader = own_api.signup()
    reader.write("here")
    direct(own_api, "/rpc/feed_timeline", reader.token)
    base = own_api.http.base_url
    lines = ["GET /rpc/feed_timeline HTTP/1.1", "Host: x", f"Authorization: Bearer {reader.token}"]
    head = "\r\n".join([*lines, "", ""])
    waiting = (
        "select count(*) from pg_stat_activity"
        " where usename = 'proxy' and datname = current_database() and wait_event_type = 'Lock'"
    )
    with own_api.database.superuser() as holder, holder.transaction():
        holder.execute("lock table app.secrets in access exclusive mode")
        crowd = [socket.create_connection((base.host, base.port)) for _ in range(100)]
        for one in crowd:
            one.sendall(head.encode())
        wait_for(lambda: own_api.database.value(waiting) > 0, DEADLINE, "questions under way")
        for one in crowd[::2]:
            one.close()
    for one in crowd[1::2]:
        assert one.recv(12) == b"HTTP/1.1 200"
        one.close()
    direct(own_api, "/rpc/feed_timeline", reader.token)
    ways = [is_direct(expect(200, reader.get("/rpc/feed_timeline"))) for _ in range(20)]
    assert sum(ways) >= 15, "on a busy machine some may get no answer in time"


def test_the_feeds_go_on_while_postgrest_is_away(own_api: Served) -> None:
    """And what is not asked of the database is a 503, until PostgREST is back."""
    reader = own_api.signup()
    reader.write("here")
    page = direct(own_api, "/rpc/feed_timeline", reader.token)
    rest, _ = own_api.processes
    rest.stop()
    wait_for(lambda: reader.get("/rpc/me").status_code == 503, DEADLINE, "PostgREST to be away")
    assert direct(own_api, "/rpc/feed_timeline", reader.token).content == page.content


def test_a_page_that_takes_too_long_stops_nobody_else_s(own_api: Served) -> None:
    """Its reader is left to PostgREST for a while, which makes the page as well."""
    reader, other = own_api.signups(2)
    for member in (reader, other):
        member.write("here")
        direct(own_api, "/rpc/feed_timeline", member.token)
    made = own_api.database.value("select pg_get_functiondef('app.feed_body'::regproc)")
    late = f"begin perform pg_sleep({DEADLINE}) where app.current_user_id() = {reader.id};"
    own_api.database.run(re.sub(r"\bbegin\b", late, made, count=1))
    # One connection, and so one thread of the proxy, serves all of these.
    assert not is_direct(expect(200, reader.get("/rpc/feed_timeline")))
    assert sum(is_direct(expect(200, other.get("/rpc/feed_timeline"))) for _ in range(5)) >= 4
    assert not is_direct(expect(200, reader.get("/rpc/feed_timeline")))

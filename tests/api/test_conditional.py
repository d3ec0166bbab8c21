"""Conditional requests (RFC 9110, 13): a page that the client has is not sent again."""

import signal
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from microblog.page_cache import Proxy
from microblog.stack import secret_files
from microblog.stack.process import wait_for
from tests.support.actors import DEADLINE
from tests.support.client import Api, Member, expect, refused
from tests.support.database import Database
from tests.support.horizon import forget
from tests.support.servers import Served
from tests.support.tokens import claims_of, forged

PRIVATE = ("feed_timeline", "feed_following", "feed_mine")


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until the database had the time to answer: on a busy machine it is not always given."""
    given: list[httpx.Response] = []

    def is_answered() -> bool:
        given.append(ask())
        return given[-1].headers.get("X-Conditional") != "fallback"

    wait_for(is_answered, DEADLINE, "an answer of the database")
    return given[-1]


def asked(answer: httpx.Response) -> bool:
    """Whether the proxy made this answer itself, having asked the database."""
    is_short = answer.headers["X-Conditional"] == "short"
    assert is_short == ("server" not in answer.headers)
    return is_short


@pytest.fixture
def pair(api: Served) -> tuple[Member, Member]:
    """A reader of somebody who has posted, and that author."""
    reader, author = api.signups(2)
    reader.follow(author)
    for number in range(4):
        author.write(f"post {number}")
    return reader, author


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_that_is_unchanged_is_answered_without_a_body(
    api: Served, pair: tuple[Member, Member], name: str, method: str
) -> None:
    reader = pair[1] if name == "feed_mine" else pair[0]
    page = expect(200, reader.page(name))
    headers = {"If-None-Match": page.headers["ETag"]}
    answer = answered(lambda: api.request(method, f"/rpc/{name}", reader.token, headers=headers))
    assert expect(304, answer).content == b""
    assert answer.headers["ETag"] == page.headers["ETag"]
    assert answer.headers["Cache-Control"] == page.headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Accept", "Origin"} <= set(answer.headers["Vary"].split(", "))
    assert answer.headers["X-Request-Id"]
    assert asked(answer)
    again = expect(200, reader.page(name))  # on the connection that a 304 without a body left
    assert again.content == page.content


def test_pages_for_everybody_and_threads_have_tags_too(
    api: Served, pair: tuple[Member, Member]
) -> None:
    reader, author = pair
    post = author.write("asked")["id"]
    author.write("answered", post)
    for path in ("feed_public?limit=5", f"replies?post_id={post}", f"thread?post_id={post}"):
        for token in (reader.token, None):
            tag = expect(200, api.get(f"/rpc/{path}", token)).headers["ETag"]
            unchanged = {"If-None-Match": tag}
            answer = answered(
                lambda path=path, token=token, unchanged=unchanged: api.get(
                    f"/rpc/{path}", token, headers=unchanged
                )
            )
            assert expect(304, answer).content == b""
            assert asked(answer) == path.startswith("feed_public")
            author.write("another", post) if "feed" not in path else author.write("new")
            again = expect(200, api.get(f"/rpc/{path}", token, headers=unchanged))
            assert again.headers["ETag"] != tag


@pytest.mark.parametrize(
    "form", ["{}", "W/{}", '"other", {}', '{}, "other"', '"a,b" , W/{},"c"', "*"]
)
def test_if_none_match_is_a_list_of_tags_strong_or_weak_or_a_star(
    pair: tuple[Member, Member], form: str
) -> None:
    reader, _ = pair
    tag = reader.page("feed_timeline").headers["ETag"]
    expect(304, reader.get("/rpc/feed_timeline", headers={"If-None-Match": form.format(tag)}))


@pytest.mark.parametrize("form", ['"other"', "{inner}", '"x{inner}"', '"{inner}x"', "W/", '""'])
def test_what_only_looks_like_the_tag_is_another(pair: tuple[Member, Member], form: str) -> None:
    reader, _ = pair
    inner = reader.page("feed_timeline").headers["ETag"].strip('"')
    headers = {"If-None-Match": form.format(inner=inner)}
    expect(200, reader.get("/rpc/feed_timeline", headers=headers))


def test_a_tag_is_of_one_address_one_form_and_one_reader(pair: tuple[Member, Member]) -> None:
    """The same rows, written out otherwise or for somebody else, are another representation."""
    reader, author = pair
    twin = reader.api.signup()
    twin.follow(author)
    forms = [
        ("/rpc/feed_timeline", {}),
        ("/rpc/feed_following", {}),
        ("/rpc/feed_timeline?limit=20", {}),
        ("/rpc/feed_timeline?select=id", {}),
        ("/rpc/feed_timeline", {"Accept": "application/vnd.pgrst.array+json"}),
        ("/rpc/feed_timeline", {"Accept": "text/csv"}),
    ]
    answers = [expect(200, reader.get(path, headers=headers)) for path, headers in forms]
    answers.append(expect(200, twin.get("/rpc/feed_timeline")))
    tags = [answer.headers["ETag"] for answer in answers]
    assert len(set(tags)) == len(tags)
    for tag in tags[1:]:
        expect(200, reader.get("/rpc/feed_timeline", headers={"If-None-Match": tag}))
    assert twin.get("/rpc/feed_timeline", headers={"If-None-Match": tags[0]}).status_code == 200


def test_a_forged_token_or_a_dead_one_gets_no_304(pair: tuple[Member, Member]) -> None:
    reader, _ = pair
    tag = reader.page("feed_timeline").headers["ETag"]
    head, claims, _ = reader.token.split(".")
    for tags in (tag, "*"):
        headers = {"If-None-Match": tags}
        for token in (f"{head}.{claims}.x", f"{reader.token}.x", f"{head}.{claims}"):
            answer = reader.api.get("/rpc/feed_timeline", token, headers=headers)
            refused(401, "token_invalid", answer)
    expect(204, reader.post("/rpc/logout", json={}))
    for tags in (tag, "*"):
        headers = {"If-None-Match": tags}
        refused(401, "session_ended", reader.get("/rpc/feed_timeline", headers=headers))


def is_let_in(database: Database, token: str) -> bool:
    """Whether the proxy would be given a page of this token's timeline; and a 304, just the same.

    Asked without the proxy, which refuses other roles before it asks.
    """
    page, unchanged = database.values(
        "select unnest(app.feed_answers(array_fill(%s::text, '{2}'), '{GET,GET}',"
        " '{/rpc/feed_timeline,/rpc/feed_timeline}', array['', ''], array['', ''], '{1,1}',"
        " array['', '*'], '{::1,::1}', '{t,t}', 60000)) is not null",
        [token],
    )
    assert page == unchanged
    return page


def test_a_session_that_is_over_gets_no_304_though_it_is_still_there(own_api: Served) -> None:
    """Nor where its token says the same time: PostgREST lets that pass for half a minute."""
    key = secret_files.read(own_api.database.settings, secret_files.JWT_SECRET)
    reader = own_api.signup()
    headers = {"If-None-Match": reader.page("feed_timeline").headers["ETag"]}
    claims = claims_of(reader)
    assert is_let_in(own_api.database, forged(claims, key))
    (end,) = own_api.database.values(
        "update app.sessions set expires_at = date_trunc('second', now()) where jti = %s"
        " returning extract(epoch from expires_at)::bigint",
        [claims["jti"]],
    )
    token = forged(claims | {"exp": end}, key)
    assert not is_let_in(own_api.database, token)
    refused(401, "session_ended", own_api.get("/rpc/feed_timeline", token, headers=headers))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sub": "other"}, "session_ended"),
        ({"exp": 3600}, "session_ended"),
        ({"aud": "another"}, "token_invalid"),
        ({"aud": None}, "session_ended"),
        ({"role": "postgres"}, "token_invalid"),
        ({"role": None}, "token_invalid"),
    ],
    ids=str,
)
def test_a_token_of_the_real_key_with_another_claim_gets_no_304(
    own_api: Served, change: dict[str, Any], code: str
) -> None:
    """The session is the reader's, and so would the page be. None leaves the claim out."""
    key = secret_files.read(own_api.database.settings, secret_files.JWT_SECRET)
    reader, other = own_api.signups(2)
    headers = {"If-None-Match": reader.page("feed_timeline").headers["ETag"]}
    claims = claims_of(reader)
    assert is_let_in(own_api.database, forged(claims, key))
    ((name, value),) = change.items()
    if name == "sub":
        value = str(other.id)
    elif name == "exp":
        value += claims["exp"]
    claims[name] = value
    if value is None:
        del claims[name]
    token = forged(claims, key)
    assert not is_let_in(own_api.database, token)
    refused(401, code, own_api.get("/rpc/feed_timeline", token, headers=headers))


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=-1"])
def test_what_would_be_refused_is_refused(pair: tuple[Member, Member], query: str) -> None:
    reader, _ = pair
    for headers in ({}, {"If-None-Match": "*"}):
        expect(400, reader.get(f"/rpc/feed_timeline?{query}", headers=headers))


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?cursor=%00", {}, 400),
        ("?select=description", {}, 400),
        ("?post_id=1", {}, 404),
        ("", {"Accept": "image/png"}, 415),
        ("", {"Accept-Profile": "app"}, 406),
    ],
)
def test_a_tag_or_a_star_turns_no_refusal_into_a_304(
    pair: tuple[Member, Member], query: str, headers: dict[str, str], status: int
) -> None:
    reader, _ = pair
    tag = expect(200, reader.get("/rpc/feed_timeline")).headers["ETag"]
    for tags in ("*", tag):
        asking = {"If-None-Match": tags, **headers}
        assert reader.get(f"/rpc/feed_timeline{query}", headers=asking).status_code == status
    expect(304, reader.get("/rpc/feed_timeline", headers={"If-None-Match": tag}))


def test_of_two_cursors_the_page_and_its_tag_know_the_same(pair: tuple[Member, Member]) -> None:
    """PostgREST takes the last; the rows below the first stay as they are when a post is new."""
    reader, author = pair
    newest = max(row["id"] for row in reader.page("feed_timeline").json())
    path = f"/rpc/feed_timeline?cursor={newest + 1}&cursor="
    page = expect(200, reader.get(path))
    headers = {"If-None-Match": page.headers["ETag"]}
    assert not asked(expect(304, reader.get(path, headers=headers)))
    author.write("new")
    again = expect(200, reader.get(path, headers=headers))
    assert again.json()[0]["content"] == "new"


def test_a_304_counts_like_any_request_and_a_limit_holds(own_api: Served) -> None:
    """The proxy's own address is exempt in tests, so this one takes a rule by user."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run(
        "update app.rate_limits set quota = case name when 'feeds' then 4 else 100000 end"
    )
    reader = own_api.signup()
    left, ways = [], set()
    tag = ""
    for _ in range(4):
        answer = reader.get("/rpc/feed_timeline", headers={"If-None-Match": tag} if tag else {})
        expect(304 if tag else 200, answer)
        tag = answer.headers["ETag"]
        left.append(answer.headers["X-RateLimit-Remaining"])
        ways.add(answer.headers.get("X-Conditional"))
    assert left == ["3", "2", "1", "0"]
    assert "short" in ways
    answer = reader.get("/rpc/feed_timeline", headers={"If-None-Match": tag})
    refused(429, "rate_limited", answer)
    assert int(answer.headers["Retry-After"]) > 0
    assert own_api.database.value("select max(hit_count) from app.rate_limit_buckets") >= 4


def test_a_page_below_the_horizon_has_a_tag_that_the_page_itself_checks(own_api: Served) -> None:
    reader, author = own_api.signups(2)
    reader.follow(author)
    author.write("before")
    forget(own_api.database, reader.id)
    page = expect(200, reader.page("feed_timeline"))
    headers = {"If-None-Match": page.headers["ETag"]}
    answer = answered(lambda: reader.get("/rpc/feed_timeline", headers=headers))
    assert asked(expect(304, answer))
    author.write("after")
    expect(200, reader.get("/rpc/feed_timeline", headers=headers))


def test_a_connection_that_nothing_was_asked_on_for_a_while_is_still_good(own_api: Served) -> None:
    """For longer than a step of a question may take, which HAProxy holds against idle ones too."""
    reader = own_api.signup()
    reader.write("here")
    headers = {"If-None-Match": reader.page("feed_timeline").headers["ETag"]}
    sessions = "from pg_stat_activity where usename = 'proxy' and datname = current_database()"

    def pids() -> set[int]:
        return set(own_api.database.values(f"select pid {sessions}"))

    def are_idle() -> bool:
        idle = "select state_change < now() - interval '0.5 s'"
        return all(own_api.database.values(f"{idle} {sessions}"))

    assert asked(answered(lambda: reader.get("/rpc/feed_timeline", headers=headers)))
    before = pids()
    answers = []
    for _ in range(5):
        wait_for(are_idle, DEADLINE, "connections that nothing was asked on")
        answers.append(reader.get("/rpc/feed_timeline", headers=headers))
        before |= pids()  # another thread of the proxy has connections of its own
    assert pids() == before
    assert sum(map(asked, answers)) >= 3, "on a busy machine one may get no answer in time"


def test_without_the_database_at_hand_the_answer_is_the_same(own_api: Served) -> None:
    """The connections that the proxy keeps are cut: it goes on, and takes new ones."""
    reader = own_api.signup()
    reader.write("here")
    headers = {"If-None-Match": reader.page("feed_timeline").headers["ETag"]}

    def ask() -> httpx.Response:
        return expect(304, reader.get("/rpc/feed_timeline", headers=headers))

    assert asked(answered(ask))
    cut = own_api.database.values(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where usename = 'proxy' and datname = current_database()"
    )
    assert cut == [True] * len(cut) and cut
    own_api.database.run("alter role proxy nologin")
    try:
        for _ in range(len(cut) + 3):
            assert ask().headers["X-Conditional"] == "fallback"
    finally:
        own_api.database.run("alter role proxy login")
    assert asked(answered(ask))


def test_while_the_database_answers_no_question_the_answer_is_the_same(own_api: Served) -> None:
    """What only the question reads is locked: more ask at once than there are connections for it,
    and each that has one waits to the end of its time.
    """
    reader = own_api.signup()
    reader.write("here")
    headers = {"If-None-Match": reader.page("feed_timeline").headers["ETag"]}

    def ask() -> httpx.Response:
        return reader.get("/rpc/feed_timeline", headers=headers)

    answered(ask)
    missed = Proxy(own_api.admin).answered()["conditional_fallback"]
    with ThreadPoolExecutor(40) as pool, own_api.database.superuser() as holder:
        with holder.transaction():
            holder.execute("lock table app.secrets in access exclusive mode")
            answers = [pool.submit(ask) for _ in range(80)]
            for answer in answers:
                told = expect(304, answer.result(DEADLINE)).headers
                assert (told["X-Conditional"], told["ETag"]) == (
                    "fallback",
                    headers["If-None-Match"],
                )
            changed = reader.get("/rpc/feed_timeline", headers={"If-None-Match": '"x"'})
            assert expect(200, changed).headers["X-Conditional"] == "fallback"
        assert Proxy(own_api.admin).answered()["conditional_fallback"] == missed + 81
        assert asked(expect(304, answered(ask)))


def test_a_question_that_was_given_up_is_not_counted(own_api: Served) -> None:
    """PostgREST counts the request; the question is ended while it still waits for a lock."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run("update app.rate_limits set quota = 100000")
    for limit in ("lock_timeout", "statement_timeout"):
        own_api.database.run(
            f"alter role proxy in database {own_api.database.name} set {limit} = '10min'"
        )
    reader = own_api.signup()
    headers = {"If-None-Match": reader.page("feed_timeline").headers["ETag"]}
    assert asked(answered(lambda: reader.get("/rpc/feed_timeline", headers=headers)))
    buckets = "select hit_count from app.rate_limit_buckets where key = %s"
    (before,) = own_api.database.values(buckets, [f"user {reader.id}"])
    asking = (
        "select count(*) from pg_stat_activity"
        " where usename = 'proxy' and datname = current_database() and state = 'active'"
    )
    with own_api.database.superuser() as holder, holder.transaction():
        holder.execute("lock table app.secrets in access exclusive mode")
        answer = reader.get("/rpc/feed_timeline", headers=headers)
        assert expect(304, answer).headers["X-Conditional"] == "fallback"
        wait_for(lambda: own_api.database.value(asking) == 0, DEADLINE, "the question's end")
    assert own_api.database.values(buckets, [f"user {reader.id}"]) == [before + 1]


def test_clients_that_go_away_leave_their_places_and_a_proxy_that_stops_waits_for_none(
    own_api: Served,
) -> None:
    reader = own_api.signup()
    headers = {"If-None-Match": reader.page("feed_timeline").headers["ETag"]}

    def ask() -> httpx.Response:
        return reader.get("/rpc/feed_timeline", headers=headers)

    assert asked(answered(ask))
    host, port = own_api.http.base_url.host, own_api.http.base_url.port
    lines = ["GET /rpc/feed_timeline HTTP/1.1", f"Host: {host}"]
    lines += [f"Authorization: Bearer {reader.token}", f"If-None-Match: {headers['If-None-Match']}"]
    waiting = (
        "select count(*) from pg_stat_activity"
        " where usename = 'proxy' and datname = current_database() and wait_event_type = 'Lock'"
    )
    with own_api.database.superuser() as holder, holder.transaction():
        holder.execute("lock table app.secrets in access exclusive mode")
        gone = [socket.create_connection((host, port)) for _ in range(100)]
        for one in gone:
            one.sendall("\r\n".join([*lines, "", ""]).encode())
        wait_for(lambda: own_api.database.value(waiting) > 0, DEADLINE, "questions under way")
        for one in gone:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
    assert asked(answered(ask))
    *_, haproxy = own_api.processes
    own_api.http.close()
    haproxy.send(signal.SIGUSR1)
    wait_for(lambda: haproxy.returncode is not None, 10, "the proxy's end, before it is forced")


def test_people_who_ask_at_once_are_each_told_of_their_own_page(own_api: Served) -> None:
    """On connections that they share, one after the other."""
    readers = own_api.signups(6)
    for number, reader in enumerate(readers):
        reader.write(f"of {number}")
    tags = [reader.page("feed_timeline").headers["ETag"] for reader in readers]
    assert len(set(tags)) == len(readers)

    def ask(number: int) -> httpx.Response:
        """Ask with one's own tag, or, every third time, with somebody else's."""
        reader = number % len(readers)
        tag = tags[(reader + (number % 3 == 0)) % len(readers)]
        return readers[reader].get("/rpc/feed_timeline", headers={"If-None-Match": tag})

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(300)))
    for number, answer in enumerate(answers):
        expect(200 if number % 3 == 0 else 304, answer)
        assert answer.headers["ETag"] == tags[number % len(readers)]
    assert sum(answer.headers["X-Conditional"] == "short" for answer in answers) > 100


def test_it_is_told_and_counted_how_a_condition_was_answered(own_api: Served) -> None:
    reader = own_api.signup()
    post = reader.write("here")["id"]
    ways = {
        "/rpc/feed_timeline": "short",
        "/rpc/feed_public": "short",
        f"/rpc/replies?post_id={post}": "full",
        "/rpc/me": "full",
    }
    for path, way in ways.items():
        page = expect(200, reader.get(path))
        assert "X-Conditional" not in page.headers
        for tag, told, status in ((page.headers["ETag"], way, 304), ('"x"', "changed", 200)):
            headers = {"If-None-Match": tag}
            answer = answered(lambda path=path, headers=headers: reader.get(path, headers=headers))
            assert expect(status, answer).headers["X-Conditional"] == told
    refusal = reader.get("/rpc/feed_timeline?limit=0", headers={"If-None-Match": "*"})
    assert "X-Conditional" not in expect(400, refusal).headers
    counted = Proxy(own_api.admin).answered()
    # On a busy machine some are asked for once more, or come from PostgREST.
    again = counted.pop("feeds_fallback") - counted.pop("conditional_fallback")
    assert counted.pop("feeds_direct") + again == 4
    expected = {"conditional_short": 2, "conditional_full": 2, "conditional_changed": 4}
    assert counted == expected


def test_posts_of_a_closed_account_lose_their_name_on_the_short_way_too(own_api: Served) -> None:
    """While a job still has to remove the rest: only row security hides it."""
    reader, gone = own_api.signups(2)
    gone.write("here")
    own_api.database.set(account_purge_sync_limit=0)

    def ask() -> httpx.Response:
        return reader.get("/rpc/feed_public", headers=headers)

    headers = {"If-None-Match": reader.page("feed_public").headers["ETag"]}
    assert asked(expect(304, answered(ask)))
    expect(204, gone.post("/rpc/account_delete", json={"password": gone.password}))
    page = expect(200, ask())
    assert [row["author"] for row in page.json()] == [None]
    headers = {"If-None-Match": page.headers["ETag"]}
    assert asked(expect(304, answered(ask)))


def test_postgrest_without_the_proxy_has_no_tags(rest: Api) -> None:
    """What a page depends on besides its rows is known to the proxy alone."""
    reader = rest.signup()
    answer = expect(200, reader.get("/rpc/feed_timeline", headers={"If-None-Match": "*"}))
    assert "ETag" not in answer.headers

"""Whatever is asked: no server error, nothing private in an answer."""

import json
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import grammar
from tests.fuzz.conftest import Callers
from tests.fuzz.wire import Answer, Request
from tests.properties.profiles import chosen
from tests.support.client import expect

# Requests are short: six for each example of the profile.
EXAMPLES = settings(chosen(), max_examples=6 * chosen().max_examples)


@pytest.mark.parametrize("asked", [grammar.requests(), grammar.questions()], ids=["any", "reads"])
def test_any_request_is_answered_or_refused_in_words(
    callers: Callers, asked: st.SearchStrategy[Request]
) -> None:
    callers.statuses.clear()

    @EXAMPLES
    @given(asked, st.booleans())
    def whatever(request: Request, as_member: bool) -> None:
        callers.ask(request, as_member)

    whatever()
    assert {200, 400} <= set(callers.statuses), "nothing but refusals, or none"
    callers.rules.check_statements()


@pytest.mark.parametrize("path", grammar.SHORT)
def test_a_path_that_no_limit_counts_answers_odd_queries_as_its_function_does(
    callers: Callers, path: str
) -> None:
    """It is free, so it must do nothing but what it is there for, whatever is added to it."""
    plain = callers.ask(Request("GET", path.encode()), as_member=False)
    assert plain.status == 200

    @EXAMPLES
    @given(grammar.queries(), st.sampled_from(["GET", "HEAD", "POST", "DELETE"]), st.booleans())
    def whatever(query: bytes, method: str, as_member: bool) -> None:
        answer = callers.ask(Request(method, path.encode() + b"?" + query), as_member)
        through = callers.ask(Request(method, f"/rpc{path}?".encode() + query), as_member)
        assert answer.status == through.status
        if answer.status == 200 and method != "HEAD":
            assert set(answer.json()) == set(plain.json())

    whatever()


def test_every_path_of_the_document_is_among_those_asked(callers: Callers) -> None:
    document = expect(200, callers.member.get("/")).json()
    assert set(document["paths"]) - {"/"} == set(grammar.TABLES + grammar.CALLS)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, {}), (503, {}), (400, {"more": "x"}), (400, {"message": ""}),
        (400, {"message": "permission denied for table credentials"}),
        (400, {"details": "$2a$04$......................"}),
        (400, {"message": "column deleted_at does not exist"}),
        (404, {"hint": 'SELECT 1 FROM "api"."posts"'}),
        (400, {"details": "connection to server at 127.0.0.1 failed"}),
        (429, {"details": "127.0.1.7 has asked 4 times"}), (400, {"hint": "Use 10.1.2.3:5432."}),
        (429, {"details": "2001:DB8:0:7::/64 has asked 4 times"}), (400, {"hint": "from [::1]:80"}),
        (400, {"details": "host=::ffff:192.168.0.1."}), (400, {"hint": "fe80::1%eth0"}),
        (429, {"details": "address:2001:db8::/64"}), (429, {"details": "address:127.0.1.30"}),
        (400, {"message": "2001:db8:1:2:3:4:5:6 is refused"}),
        # The documents mention these, answers do not.
        (429, {"message": "no quota is left"}), (400, {"message": "role proxy may not do that"}),
        (400, {"details": "PL/pgSQL function app.page_limit(integer) line 10 at RAISE"}),
        (400, {"message": "could not open file /var/lib/x"}),
    ],
)  # fmt: skip
def test_the_rules_see_what_they_are_there_for(
    callers: Callers, status: int, said: dict[str, str | None]
) -> None:
    error = {"code": "x", "message": "m", "details": None, "hint": None}
    fine = Answer(400, {"x-request-id": "1"}, json.dumps(error).encode())
    callers.rules.check(Request("GET", b"/users"), fine)
    bad = Answer(status, {"x-request-id": "1"}, json.dumps(error | said).encode())
    with pytest.raises(AssertionError):
        callers.rules.check(Request("GET", b"/users"), bad)


@pytest.mark.parametrize(
    "said",
    [
        {"message": "Too many requests by address."}, {"code": "rate_limits_unavailable"},
        {"message": "expired at 2026-11-26T12:30:00.123456+00:00", "details": "12:30:00, 1::text"},
        {"details": "300.1.1.1, 1.2.3, 1.2.3.4.5, a::b::c, id::date, ::, 00:11:22:33:44:55"},
        {"hint": "Perhaps you meant the function api.feed_public, or users(username,created_at)"},
        # What the client asked for is repeated.
        {"details": "unexpected 10.9.8.7 near fe80::9 in author.password_hash"},
    ],
)  # fmt: skip
def test_the_rules_let_ordinary_words_pass(callers: Callers, said: dict[str, str]) -> None:
    error = {"code": "x", "message": "m", "details": None, "hint": None} | said
    headers = {"x-request-id": "1", "date": "Sat, 21 Nov 2026 12:30:00 GMT"}
    request = Request("GET", b"/users?select=10.9.8.7,FE80%3A%3A9,password_hash")
    callers.rules.check(request, Answer(400, headers, json.dumps(error).encode()))


@pytest.mark.parametrize(
    ("target", "prefer", "content_range", "is_fine"),
    [
        (b"/users?limit=1&a=%3B", b"", "0-0/*", True), (b"/users?limit=1;a=b", b"", "0-0/*", False),
        (b"/users", b"", "0-0/7", False), (b"/users", b"count=planned", "0-0/7", True),
        (b"/users", b'a="b, count=exact"', "*/7", False),
    ],
)  # fmt: skip
def test_the_rules_see_what_went_around_the_proxy(
    callers: Callers, target: bytes, prefer: bytes, content_range: str, is_fine: bool
) -> None:
    request = Request("GET", target, ((b"Prefer", prefer),))
    answer = Answer(200, {"x-request-id": "1", "content-range": content_range}, b"[]")
    with nullcontext() if is_fine else pytest.raises(AssertionError):
        callers.rules.check(request, answer)


def test_the_rules_see_what_runs_too_long(callers: Callers) -> None:
    """The timeout is that of the roles; a statement of theirs is found with the time it took."""
    rules = callers.rules
    assert rules.timeout == 5
    rules.check(Request("GET", b"/up"), Answer(200, {"x-request-id": "1"}, b"{}", 5.9))
    with pytest.raises(AssertionError):
        rules.check(Request("GET", b"/up"), Answer(200, {"x-request-id": "1"}, b"{}", 6.1))
    with callers.api.database.as_anon() as connection:
        connection.execute("select pg_sleep(0.3)")
    assert rules.slowest() >= 0.3

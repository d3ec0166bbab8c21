"""Two users, and nobody, at every endpoint with every verb: what is not one's own stays as it is.

The endpoints come from the catalog and from PostgREST's OpenAPI, what is expected of them from the
table in ``rules``; each request is sent to the public door and past it, to PostgREST itself. HEAD
and OPTIONS are sent to the public door alone, HEAD with all that GET is sent with. An OPTIONS that
is no preflight goes through to PostgREST: it may be answered, and like all others it must change
nothing and show nothing. Preflights are in tests/stack/test_proxy.py.
"""

import json
from typing import Any

import httpx
import pytest

from tests.security.attacks import VERBS, Attempt, Endpoint, attempts, in_catalog, in_openapi
from tests.security.rules import MALFORMED, RULES, malformed, rule
from tests.security.victim import OF_EVERYBODY, OWNER, Victim, belongings
from tests.support.client import Member
from tests.support.servers import Served

BY_THE_PROXY = {"/up", "/health"}
CASES = [(path, verb) for path in RULES for verb in VERBS]
AT_BOTH_DOORS = [
    (door, path, verb)
    for door in ("api", "module_rest")
    for path, verb in CASES
    if door == "api" or (path not in BY_THE_PROXY and verb not in ("HEAD", "OPTIONS"))
]
at_both_doors = pytest.mark.parametrize(
    ("door", "path", "verb"), AT_BOTH_DOORS, indirect=["door"], scope="module"
)


@pytest.fixture(scope="module")
def door(request: pytest.FixtureRequest) -> Served:
    """The public door, and PostgREST without it."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def endpoints(api: Served) -> dict[str, Endpoint]:
    extra = {path: Endpoint(path) for path in {"/"} | BY_THE_PROXY}
    return in_catalog(api.database) | extra


@pytest.fixture(scope="module")
def victim(api: Served) -> Victim:
    return Victim(api)


def permitted(attempt: Attempt, answer: httpx.Response, statuses: set[int]) -> None:
    """Have one of these statuses, or be malformed where that is expected, in the expected words."""
    shown = f"{attempt}: {answer.status_code} {answer.text[:500]}"
    if answer.status_code == 400:
        codes = malformed(attempt.path, attempt.verb)
        assert codes, shown
        assert attempt.verb == "HEAD" or answer.json()["code"] in codes, shown
    else:
        allowed = {200} if attempt.verb == "OPTIONS" else statuses
        assert answer.status_code in allowed, shown


def reveals_nothing(attempt: Attempt, answer: httpx.Response, marks: list[str]) -> None:
    """Show none of the marks, save what the request itself brought."""
    brought = json.dumps([attempt.params, attempt.body], ensure_ascii=False)
    shown = f"{answer.text} {answer.headers}"
    seen = [mark for mark in marks if mark in shown and mark not in brought]
    assert not seen, f"{attempt} shows {seen}: {shown[:500]}"


def has_session(served: Served, member: Member) -> bool:
    query = "select exists (select from app.sessions where user_id = %s)"
    return served.database.value(query, [member.id])


# -- the table -----------------------------------------------------------------------------------


def test_every_endpoint_has_its_rules_and_no_rule_is_stale(
    api: Served, endpoints: dict[str, Endpoint]
) -> None:
    described = in_openapi(api, None) | in_openapi(api, api.signup().token)
    assert described | BY_THE_PROXY == set(endpoints)
    assert {path for path, _ in MALFORMED} <= set(RULES)
    assert set(RULES) == set(endpoints), "say in tests/security/rules.py who may do what"


def test_of_every_table_it_is_said_whose_its_rows_are(api: Served) -> None:
    tables = api.database.values(
        "select relname from pg_class where relnamespace = 'app'::regnamespace"
        " and relkind in ('r', 'p') and not relispartition"
    )
    assert set(tables) == set(OWNER) | OF_EVERYBODY, "say in tests/security/victim.py whose"


# -- three callers -------------------------------------------------------------------------------


@at_both_doors
def test_without_a_token_nothing_is_changed_and_nothing_private_is_read(
    door: Served, endpoints: dict[str, Endpoint], victim: Victim, path: str, verb: str
) -> None:
    expected = rule(path, verb)
    marks = victim.private + ([] if expected.is_public else victim.public)
    before = belongings(door.database)
    for attempt in attempts(endpoints[path], verb, victim, as_owner=False):
        answer = attempt.send(door, None)
        permitted(attempt, answer, expected.anon)
        reveals_nothing(attempt, answer, marks)
        assert belongings(door.database) == before, attempt


@at_both_doors
def test_a_member_neither_reads_nor_changes_what_is_somebody_else_s(
    door: Served, endpoints: dict[str, Endpoint], victim: Victim, path: str, verb: str
) -> None:
    expected = rule(path, verb)
    marks = victim.private + ([] if expected.is_public else victim.public)
    member = door.signup()
    before = belongings(door.database, but_of=member.id)
    for attempt in attempts(endpoints[path], verb, victim, as_owner=False):
        answer = attempt.send(door, member.token)
        permitted(attempt, answer, expected.other)
        reveals_nothing(attempt, answer, marks)
        assert belongings(door.database, but_of=member.id) == before, attempt
        if not has_session(door, member):
            member = door.signup()
            before = belongings(door.database, but_of=member.id)


@pytest.mark.parametrize(("path", "verb"), CASES)
def test_the_same_requests_do_what_they_say_when_they_are_the_owner_s(
    api: Served, endpoints: dict[str, Endpoint], path: str, verb: str
) -> None:
    """So that the refusals above are for whose it is, not for how it was asked.

    And what one may do to one's own is done to nobody else's.
    """
    expected = rule(path, verb).owner
    owner = Victim(api)
    token = owner.member.token
    answered: list[Any] = []
    before = belongings(api.database, but_of=owner.member.id)
    for attempt in attempts(endpoints[path], verb, owner, as_owner=True):
        answer = attempt.send(api, token)
        ended = answer.status_code == 401 and not has_session(api, owner.member)
        permitted(attempt, answer, expected | ({401} if ended else set()))
        answered.append(answer.status_code)
        assert before <= belongings(api.database, but_of=owner.member.id), attempt
    if any(status < 300 for status in expected):
        assert any(status < 300 for status in answered), answered

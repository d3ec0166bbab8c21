"""Rate limits of logins, of passwords that are tried with a token, and of sign-ups."""

import pytest

from tests.api.rate_limits.asking import Place, numbers, told
from tests.support.client import PASSWORD, Member, refused
from tests.support.servers import Served


def test_failed_logins_count_by_username_wherever_they_come_from(
    limited: Served, member: Member
) -> None:
    body = {"username": member.username, "password": "wrong horse battery"}
    for left in reversed(range(10)):
        answer = Place(limited)("POST", "/rpc/login", json=body)
        refused(401, "invalid_credentials", answer)
        assert told(answer)[:3] == ("login", 10, left)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    right = {"username": member.username.upper(), "password": PASSWORD}
    refused(429, "rate_limited", Place(limited)("POST", "/rpc/login", json=right))


@pytest.mark.parametrize(
    ("letter", "instead"),
    [("l", "\uff4c"), ("l", "\N{SOFT HYPHEN}l"), ("l", "l\N{ZERO WIDTH JOINER}"), ("l", "\u24db")],
    ids=ascii,
)
def test_no_other_spelling_of_a_username_has_tries_of_its_own(
    limited: Served, member: Member, letter: str, instead: str
) -> None:
    """Names that the collation takes for this one: they are nobody's, whatever the password."""
    spelled = member.username.replace(letter, instead, 1)
    is_equal = "select username = %s from app.users where id = %s"
    assert limited.database.value(is_equal, [spelled, member.id])
    right = Place(limited)(
        "POST", "/rpc/login", json={"username": spelled, "password": member.password}
    )
    refused(401, "invalid_credentials", right)
    body = {"username": f"nobody_{next(numbers)}", "password": member.password}
    nobody = Place(limited)("POST", "/rpc/login", json=body)
    assert right.json() == nobody.json()


def test_failed_logins_count_by_address(here: Place) -> None:
    for n in range(25):
        body = {"username": f"nobody_{n}", "password": "wrong horse battery"}
        refused(401, "invalid_credentials", here("POST", "/rpc/login", json=body))
    answer = here("POST", "/rpc/login", json={"username": "else", "password": PASSWORD})
    refused(429, "rate_limited", answer)
    assert told(answer)[0] == "passwords"


@pytest.mark.parametrize("call", ["password_change", "account_delete"])
def test_passwords_tried_with_a_token_count(limited: Served, member: Member, call: str) -> None:
    body = {"password_change": {"current_password": "wrong", "new_password": PASSWORD},
            "account_delete": {"password": "wrong"}}[call]  # fmt: skip
    for _ in range(10):
        refused(403, "wrong_password", Place(limited)("POST", f"/rpc/{call}", member, json=body))
    answer = Place(limited)("POST", f"/rpc/{call}", member, json=body)
    refused(429, "rate_limited", answer)
    assert told(answer)[0] == "own_password"


def test_sign_ups_count_even_those_that_fail(here: Place) -> None:
    here.signup()
    for _ in range(4):
        refused(400, "username_invalid", here("POST", "/rpc/signup", json={"username": "a b"}))
    answer = here("POST", "/rpc/signup", json={"username": "fresh", "password": PASSWORD})
    refused(429, "rate_limited", answer)
    assert told(answer)[0] == "signup"

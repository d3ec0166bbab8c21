"""Tokens: only those that login and sign-up gave out, unchanged, of a session that goes on."""

import base64
import time
from typing import Any

import httpx
import pytest

from microblog.stack import secret_files
from tests.support.client import PASSWORD, Member, expect, refused
from tests.support.refusals import told
from tests.support.servers import Served
from tests.support.tokens import claims_of, forged, part

INVALID = 'Bearer error="invalid_token"'
HOUR = 3600  # seconds


@pytest.fixture(scope="module")
def secret(api: Served) -> str:
    return secret_files.read(api.database.settings, secret_files.JWT_SECRET)


@pytest.fixture(scope="module")
def member(api: Served) -> Member:
    return api.signup()


@pytest.fixture(scope="module")
def other(api: Served) -> Member:
    return api.signup()


def invalid(answer: httpx.Response) -> None:
    """A token that never was one: refused in words, which say nothing of what was wrong."""
    told(401, "token_invalid", answer, "whole and unchanged", "/rpc/login", "Bearer <token>")
    assert answer.headers["WWW-Authenticate"] == INVALID
    assert answer.headers["Content-Type"].startswith("application/json")


def ended(answer: httpx.Response) -> None:
    """A token of this server's, of no session that goes on."""
    told(401, "session_ended", answer, "Log in again", "/rpc/login")
    assert answer.headers["WWW-Authenticate"] == INVALID


# -- the real one --------------------------------------------------------------------------------


def test_a_token_says_no_more_than_it_must(member: Member, secret: str) -> None:
    claims = claims_of(member)
    assert set(claims) == {"role", "aud", "sub", "jti", "iat", "exp"}
    assert (claims["role"], claims["aud"]) == ("member", "microblog")
    assert claims["sub"] == str(member.id)
    assert claims["exp"] - claims["iat"] == HOUR
    assert expect(200, member.api.get("/rpc/me", forged(claims, secret))).json()["id"] == member.id


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_regardless_of_case_and_spaces(member: Member, scheme: str) -> None:
    header = {"Authorization": f"{scheme} {member.token}"}
    assert expect(200, member.api.get("/rpc/me", headers=header)).json()["id"] == member.id


@pytest.mark.parametrize("value", ["Bearer", "Basic YTpi", "Token x", "x", "Digest a=b"])
def test_another_scheme_is_no_token(api: Served, value: str) -> None:
    answer = api.get("/rpc/me", headers={"Authorization": value})
    told(401, "token_required", answer, "needs a token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


# -- forged by somebody without the key ----------------------------------------------------------


def jwk(secret: str) -> dict[str, str]:
    key = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
    return {"kty": "oct", "k": key, "alg": "HS256"}


MINE = "a key of the forger's own, 32 bytes or more"
HEADERS: list[dict[str, Any]] = [
    {"alg": "HS256", "typ": "JWT"},
    {"alg": "HS256", "jwk": jwk(MINE)},
    {"alg": "HS256", "kid": "../../../../dev/null"},
    {"alg": "HS256", "kid": "' union select 'key' --"},
    {"alg": "HS256", "jku": "http://127.0.0.1:9/jwks.json"},
    {"alg": "HS256", "x5u": "http://127.0.0.1:9/cert.pem"},
    {"alg": "RS256"},
    {"alg": "ES256"},
    {"alg": "hs256"},
    {"alg": ""},
    {"alg": None},
    {"alg": ["none"]},
    {},
]


@pytest.mark.parametrize("header", HEADERS, ids=str)
@pytest.mark.parametrize("key", [MINE, "", "\0"], ids=["own", "empty", "NUL"])
def test_a_token_of_another_key_is_refused(
    member: Member, header: dict[str, Any], key: str
) -> None:
    invalid(member.api.get("/rpc/me", forged(claims_of(member), key, header)))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_a_signature_is_refused(member: Member, alg: str) -> None:
    _, payload, signature = member.token.split(".")
    head = part({"alg": alg, "typ": "JWT"})
    for token in (f"{head}.{payload}.", f"{head}.{payload}", f"{head}.{payload}.{signature}"):
        invalid(member.api.get("/rpc/me", token))


def test_a_token_that_was_changed_is_refused(member: Member, other: Member) -> None:
    head, payload, signature = member.token.split(".")
    claims = claims_of(member)
    for token in (
        f"{head}.{part(claims | {'sub': str(other.id)})}.{signature}",
        f"{head}.{part(claims | {'exp': claims['exp'] + HOUR})}.{signature}",
        f"{head}.{other.token.split('.')[1]}.{signature}",
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{payload}.{signature[:-1]}",
        f"{head}.{payload}.",
        f"{head}.{payload}",
        member.token + "A",
        member.token + ".A",
        member.token + " x",
        member.token + ", Bearer " + other.token,
    ):
        invalid(member.api.get("/rpc/me", token))


@pytest.mark.parametrize(
    "token",
    ["x", "a.b.c", "..", ".", "a.b.c.d.e", "é", "%00", "null", "{}", "[].[].[]"]
    + [f"{part([1])}.{part([1])}.x", f"{part('a')}.{part(None)}.{part(1)}"]
    + [f"{part({'alg': 'dir', 'enc': 'A256GCM'})}..{part('iv')}.{part('text')}.{part('tag')}"]
    + ["x" * 4000, ".".join(["eyJ" * 1000] * 3), "x." * 5000],
    ids=lambda token: token[:12],
)
def test_what_is_no_token_is_refused(api: Served, token: str) -> None:
    """Among it a JWE, which is encrypted and not signed, and tokens of several kilobytes."""
    header = {"Authorization": f"Bearer {token}".encode()}
    for path in ("/rpc/me", "/rpc/feed_public", "/"):
        invalid(api.http.get(path, headers=header))


def test_a_token_larger_than_the_proxy_reads_is_refused_by_it(api: Served) -> None:
    for size in (66_000, 200_000):
        answer = api.get("/rpc/me", "x" * size)
        assert answer.status_code in (400, 431), answer.text


def test_a_refused_token_has_no_body_for_head(api: Served) -> None:
    answer = api.request("HEAD", "/rpc/feed_public", "x")
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["WWW-Authenticate"] == INVALID


def test_a_page_of_an_allowed_origin_may_read_the_refusal(api: Served, member: Member) -> None:
    """Both at the door and after PostgREST."""
    for token in ("x", forged(claims_of(member), MINE)):
        answer = api.get("/rpc/me", token, headers={"Origin": "http://localhost:3000"})
        invalid(answer)
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert answer.headers["X-Request-Id"]


# -- signed by somebody who has the key ----------------------------------------------------------


@pytest.mark.parametrize(
    "role",
    ["postgres", "microblog_owner", "authenticator", "worker", "monitor", "anon", "none", "nobody"]
    + ["MEMBER", "member ", "", 1, True, None, ["member"], {"member": "member"}]
    + ['member"; set role postgres; --', "é"],
    ids=str,
)
def test_no_role_but_members_can_be_taken(member: Member, secret: str, role: object) -> None:
    """The answer does not tell which roles there are."""
    token = forged(claims_of(member) | {"role": role}, secret)
    for path in ("/rpc/me", "/rpc/feed_public"):
        invalid(member.api.get(path, token))
    invalid(member.api.post("/posts", token, json={"content": "x"}))


def test_behind_the_door_no_role_reaches_anything_either(rest: Served) -> None:
    """PostgREST alone, without the proxy: PostgreSQL refuses the role."""
    member = rest.signup()
    key = secret_files.read(rest.database.settings, secret_files.JWT_SECRET)
    for role in ("postgres", "microblog_owner", "authenticator", "worker", "monitor", "none"):
        answer = rest.get("/rpc/feed_public", forged(claims_of(member) | {"role": role}, key))
        refused(403, "42501", answer)


CLAIMS_MISSING = ["role", "aud", "sub", "jti", "exp"]


@pytest.mark.parametrize("name", CLAIMS_MISSING)
def test_a_token_without_one_of_its_claims_is_refused(
    member: Member, secret: str, name: str
) -> None:
    claims = claims_of(member)
    del claims[name]
    (invalid if name == "role" else ended)(member.api.get("/rpc/me", forged(claims, secret)))


@pytest.mark.parametrize("claims", [{}, {"role": "member"}, {"sub": "1"}], ids=str)
def test_a_token_with_hardly_any_claims_is_refused(
    api: Served, secret: str, claims: dict[str, Any]
) -> None:
    answer = api.get("/rpc/feed_public", forged(claims, secret))
    (ended if "role" in claims else invalid)(answer)


@pytest.mark.parametrize(
    "change",
    [{"aud": "another"}, {"aud": ["another"]}, {"aud": 1}, {"aud": ""}, {"sub": 1}, {"jti": 1}]
    + [{"jti": {}}, {"exp": "tomorrow"}, {"exp": True}, {"exp": []}, {"nbf": "x"}, {"iat": "x"}],
    ids=str,
)
def test_a_claim_of_another_value_or_type_is_refused(
    member: Member, secret: str, change: dict[str, Any]
) -> None:
    invalid(member.api.get("/rpc/me", forged(claims_of(member) | change, secret)))


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_the_future_is_refused(member: Member, secret: str, claim: str) -> None:
    later = forged(claims_of(member) | {claim: int(time.time()) + HOUR}, secret)
    invalid(member.api.get("/rpc/me", later))


@pytest.mark.parametrize("exp", [-1, 0, 1, 1.5, 1_600_000_000])
def test_an_expired_token_is_refused_and_says_so(member: Member, secret: str, exp: float) -> None:
    token = forged(claims_of(member) | {"exp": exp}, secret)
    for path in ("/rpc/me", "/rpc/feed_public"):
        answer = member.api.get(path, token)
        told(401, "token_expired", answer, "expired", "Log in again", "/rpc/login")
        assert answer.headers["WWW-Authenticate"].startswith(INVALID + ", error_description=")


@pytest.mark.parametrize("shift", [1, -1, 0.5, HOUR, 10**9, 10**40])
def test_a_token_lives_exactly_as_long_as_its_session(
    member: Member, secret: str, shift: float
) -> None:
    """The key alone makes no token last longer, or another one of the same session."""
    claims = claims_of(member)
    ended(member.api.get("/rpc/me", forged(claims | {"exp": claims["exp"] + shift}, secret)))


def test_nobody_takes_another_s_name_or_session(member: Member, other: Member, secret: str) -> None:
    mine, theirs = claims_of(member), claims_of(other)
    nobody = "00000000-0000-0000-0000-000000000000"
    for change in (
        {"sub": theirs["sub"]},
        {"jti": theirs["jti"]},
        {"jti": theirs["jti"], "exp": theirs["exp"]},
        {"sub": "1' or '1'='1"},
        {"sub": mine["sub"] + " "},
        {"sub": "0" + mine["sub"]},
        {"sub": "-1"},
        {"jti": nobody},
        {"jti": ""},
        {"jti": mine["jti"].upper()},
        {"jti": "' or true --"},
    ):
        ended(member.api.get("/rpc/me", forged(mine | change, secret)))
    assert expect(200, member.get("/rpc/me")).json()["id"] == member.id


# -- of a session that has ended -----------------------------------------------------------------


def test_an_expired_session_is_dead_even_where_its_token_is_not(api: Served, secret: str) -> None:
    member = api.signup()
    claims = claims_of(member)
    (end,) = api.database.values(
        "update app.sessions set expires_at = date_trunc('second', now()) where jti = %s"
        " returning extract(epoch from expires_at)::bigint",
        [claims["jti"]],
    )
    later = forged(claims | {"exp": int(time.time()) + HOUR}, secret)
    # PostgREST lets a token pass for half a minute after its end.
    just_now = forged(claims | {"exp": end}, secret)
    for token in (member.token, later, just_now):
        ended(api.get("/rpc/me", token))


def test_revoked_tokens_are_refused_on_every_path(api: Served) -> None:
    """After a logout, a change of password elsewhere, and the end of the account."""
    member = api.signup()
    elsewhere = expect(200, api.login(member.username)).json()["token"]
    change = {"current_password": PASSWORD, "new_password": PASSWORD + "!"}
    expect(204, member.post("/rpc/password_change", json=change))
    expect(200, member.get("/rpc/me"))
    logged_out = expect(200, api.login(member.username, PASSWORD + "!")).json()["token"]
    expect(204, api.post("/rpc/logout", logged_out))
    expect(204, member.post("/rpc/account_delete", json={"password": PASSWORD + "!"}))
    for token in (elsewhere, logged_out, member.token):
        for path in ("/rpc/me", "/rpc/feed_public", "/posts?limit=1", "/"):
            ended(api.get(path, token))
        ended(api.post("/posts", token, json={"content": "x"}))
        ended(api.post("/rpc/login", token, json={"username": "x", "password": "y"}))


def test_the_lifetime_of_a_session_is_a_setting(own_api: Served) -> None:
    own_api.database.set(session_lifetime=60)
    claims = claims_of(own_api.signup())
    assert claims["exp"] - claims["iat"] == 60

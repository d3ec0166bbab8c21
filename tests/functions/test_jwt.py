"""Tokens, checked from outside: the signature by another implementation of HMAC, the claims."""

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import errors

from tests.support.database import Database

SECRET = "a secret of at least thirty-two bytes, with ümlauts"


def decoded(part: str) -> bytes:
    """base64url without padding, RFC 7515 appendix C."""
    assert "=" not in part and "+" not in part and "/" not in part and "\n" not in part
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims_of(token: str, secret: str = SECRET) -> dict[str, Any]:
    """Check the signature of a token; return its claims."""
    header, payload, signature = token.split(".")
    assert json.loads(decoded(header)) == {"alg": "HS256", "typ": "JWT"}
    expected = hmac.digest(secret.encode(), f"{header}.{payload}".encode(), hashlib.sha256)
    assert hmac.compare_digest(decoded(signature), expected)
    return json.loads(decoded(payload))


@pytest.fixture
def signing(database: Database) -> Database:
    """A database that knows the secret."""
    database.run("select app.jwt_secret_set(%s)", [SECRET])
    return database


def test_a_token_is_signed_as_the_standard_says(signing: Database) -> None:
    a = signing.user("ann")
    (session,) = signing.values("select app.session_start(%s)", [a])
    claims = claims_of(session["token"])
    ((jti, expires_at),) = signing.run("select jti, expires_at from app.sessions")
    assert claims == {
        "role": "member",
        "aud": "microblog",
        "sub": str(a),
        "jti": jti,
        "iat": claims["iat"],
        "exp": int(expires_at.timestamp()),
    }
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(datetime.now(UTC).timestamp() - claims["iat"]) < 300
    assert session["user"]["id"] == a and session["user"]["username"] == "ann"
    assert session["token_type"] == "Bearer"
    assert datetime.fromisoformat(session["expires_at"]) == expires_at


def test_two_sessions_have_two_ids(signing: Database) -> None:
    a = signing.user()
    tokens = [signing.value("select app.session_start(%s)", [a])["token"] for _ in range(2)]
    assert len({claims_of(token)["jti"] for token in tokens}) == 2


def test_the_lifetime_is_a_setting(signing: Database) -> None:
    signing.set(session_lifetime=60)
    token = signing.value("select app.session_start(%s)", [signing.user()])["token"]
    claims = claims_of(token)
    assert claims["exp"] - claims["iat"] == 60
    left = signing.value("select expires_at - now() from app.sessions")
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)


@pytest.mark.parametrize("length", range(60))
def test_every_length_of_payload_encodes_without_padding_and_line_breaks(
    signing: Database, length: int
) -> None:
    payload = {"x": "ÿ" * length}
    token = signing.value("select app.jwt_sign(%s::json)", [json.dumps(payload)])
    assert claims_of(token) == payload


def test_base64url_equals_pythons_for_random_bytes(signing: Database) -> None:
    for size in (*range(20), 57, 58, 76, 77, 1000):
        data = secrets.token_bytes(size)
        text = signing.value("select app.base64url(%s)", [data])
        assert text == base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_changed_secret_signs_from_then_on(signing: Database) -> None:
    other = "another secret of at least thirty-two bytes"
    signing.run("select app.jwt_secret_set(%s)", [other])
    token = signing.value("select app.jwt_sign('{}')")
    assert claims_of(token, other) == {}
    with pytest.raises(AssertionError):
        claims_of(token)


def test_a_change_tells_when_the_last_token_of_any_key_before_expires(signing: Database) -> None:
    change = "select extract(epoch from app.jwt_secret_set(%s) - now())"
    signing.set(session_lifetime=7200)
    assert 7200 <= signing.value(change, ["k" * 32]) <= 7220
    signing.value("select app.session_start(%s)", [signing.user()])
    signing.set(session_lifetime=60)
    assert 7100 <= signing.value(change, ["l" * 32]) <= 7220
    signing.run("delete from app.sessions")
    assert 60 <= signing.value(change, ["m" * 32]) <= 80


def test_setting_the_same_secret_again_is_no_change(signing: Database) -> None:
    before = signing.run("select xmin::text, changed_at from app.secrets where name = 'jwt'")
    signing.run("select app.jwt_secret_set(%s)", [SECRET])
    assert (
        signing.run("select xmin::text, changed_at from app.secrets where name = 'jwt'") == before
    )


def test_a_secret_under_32_bytes_is_refused(signing: Database) -> None:
    with pytest.raises(errors.CheckViolation):
        signing.run("select app.jwt_secret_set(%s)", ["x" * 31])


def test_without_a_secret_nothing_is_signed(signing: Database) -> None:
    signing.run("delete from app.secrets")
    with pytest.raises(errors.DatabaseError, match="no_signing_key"):
        signing.run("select app.session_start(%s)", [signing.user()])
    assert signing.run("select * from app.sessions") == []

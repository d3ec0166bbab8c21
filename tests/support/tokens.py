"""Tokens made outside the database: what a forger, or a thief of the key, would send."""

import base64
import hmac
import json
from typing import Any

from tests.support.client import Member


def part(value: object) -> str:
    """Encode one part of a token: JSON as base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(
    claims: dict[str, Any],
    secret: str,
    header: dict[str, Any] | None = None,
    digest: str = "sha256",
) -> str:
    """Sign claims with HMAC, by default as HS256."""
    signed = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.digest(secret.encode(), signed.encode(), digest)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def claims_of(token: str | Member) -> dict[str, Any]:
    """Return a token's claims, whoever signed it."""
    payload = (token if isinstance(token, str) else token.token).split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

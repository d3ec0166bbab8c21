"""Changes a running stack's secrets without refusing a request.

The key of the tokens: PostgREST honours the new one first, then the database signs with it, and
the old one is honoured until the last token it signed has expired. The password of
``authenticator``: connections that are open stay so, and new ones read it from its file.

A rotation that breaks off leaves nothing that does not work, and the next one finishes it.
"""

import base64
import hmac
import http.client
import json
import signal
import time

from microblog import migrate
from microblog.errors import StackError
from microblog.stack import pooler, rest, secret_files
from microblog.stack.process import wait_for
from microblog.stack.stack import Stack

RELOAD_TIMEOUT = 30.0  # seconds for each program to take over what it was told to read anew


def rotate(stack: Stack, at_once: bool = False) -> None:
    """Replace every secret of a running stack by a new one.

    ``at_once`` forgets the old key too, which ends every session. Raises StackError where the
    stack does not run, NotReadyError where a program does not take over its new secret.
    """
    with stack.exclusive():
        if not stack.supervisor.running():
            raise StackError(
                f"stack {stack.settings.stack} does not run",
                "Start it: microblog up",
            )
        _rotate_key(stack, at_once)
        _rotate_password(stack)


def _rotate_key(stack: Stack, at_once: bool) -> None:
    settings = stack.settings
    key = secret_files.next_key(settings)
    secret_files.write_keys(settings)
    stack.reload_secrets()
    for name, port in _instances(stack):
        wait_for(lambda port=port: honours(port, key), RELOAD_TIMEOUT, f"{name}: the new key")
    until = migrate.install_jwt_secret(settings, key)
    stack.say("tokens: signed with a new key")
    secret_files.retire_key(settings, until)
    if at_once:
        secret_files.forget_retired(settings)
        stack.reload_secrets()
        stack.say("tokens: those of the old key are refused")
    else:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(until))
        stack.say(f"tokens: those of the old key are honoured until {moment} UTC")


def _rotate_password(stack: Stack) -> None:
    settings = stack.settings
    password = secret_files.generate()
    migrate.install_password(settings, password)
    secret_files.write_password(settings, password)
    if settings.pooled:
        stack.supervisor.signal_program("pgbouncer", signal.SIGHUP)
        wait_for(lambda: pooler.ready(settings), RELOAD_TIMEOUT, "pgbouncer: the new password")
    stack.say("authenticator: logs in with a new password")


def _instances(stack: Stack) -> list[tuple[str, int]]:
    """List the PostgREST instances that run, with their ports."""
    named = ((f"postgrest-{n}", port) for n, port in enumerate(stack.settings.rest_ports, 1))
    return [(name, port) for name, port in named if stack.supervisor.pid(name) is not None]


def honours(port: int, key: str) -> bool:
    """Tell whether a PostgREST instance takes a token, of nobody in particular, of this key."""
    status = rest.http_status(port, "/rpc/up", token=_token(key))
    return status in (http.client.OK, http.client.TOO_MANY_REQUESTS)


def _token(key: str) -> str:
    """Sign a token that says no more than for whom it is (RFC 7519) and lasts for a minute."""
    claims = {"aud": "microblog", "exp": int(time.time()) + 60}
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims)]
    signature = hmac.digest(key.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _base64url(signature)])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

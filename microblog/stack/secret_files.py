"""A stack's passwords and keys: made once, kept in files only the service user can read.

They are handed to programs as file names, so that none shows in a list of processes or a log.

    jwt                signs new tokens
    jwt.next           signs them from the end of a rotation on, and is honoured already
    jwt.until-SECONDS  signed them before; honoured up to that time (seconds since 1970)
    jwks.json          all of these, as PostgREST reads them: a JWK Set (RFC 7517, 5)
    authenticator      the password that PostgREST logs in with, to PostgreSQL or PgBouncer
    pgpass             the same as libpq's password file, read anew for each connection
    userlist.txt       the same as PgBouncer reads it
"""

import base64
import json
import os
import secrets
import time
from pathlib import Path
from urllib.parse import quote

from microblog.settings import Settings
from microblog.stack.privileges import service_user

JWT_SECRET = "jwt"  # noqa: S105 - the name of a file
JWT_NEXT = "jwt.next"
JWT_RETIRED = "jwt.until-"
JWK_SET = "jwks.json"
AUTHENTICATOR_PASSWORD = "authenticator"  # noqa: S105
PASSFILE = "pgpass"
USERLIST = "userlist.txt"


def write_private(settings: Settings, path: Path, text: str) -> bool:
    """Write a file only the service user can read, whole or not at all; tell whether it changed."""
    if path.exists() and path.read_text() == text:
        return False
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    service_user(settings.root).own(draft)
    draft.replace(path)
    return True


def generate() -> str:
    """Return a new secret: 48 random bytes as text."""
    return secrets.token_urlsafe(48)


def prepare(settings: Settings) -> None:
    """Make the secrets that are missing and the files that are derived from them."""
    folder = settings.secrets_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    service_user(settings.root).own(folder)
    for name in (JWT_SECRET, AUTHENTICATOR_PASSWORD):
        if not (folder / name).exists():
            write_private(settings, folder / name, generate())
    write_keys(settings)
    write_password(settings, read(settings, AUTHENTICATOR_PASSWORD))


def read(settings: Settings, name: str) -> str:
    """Read one secret, without surrounding space."""
    return (settings.secrets_dir / name).read_text().strip()


# -- the keys of tokens --------------------------------------------------------------------------


def retired(settings: Settings) -> dict[Path, int]:
    """Return the files of the keys that sign no more, each with the time until it is honoured."""
    found = {}
    for path in settings.secrets_dir.glob(JWT_RETIRED + "*"):
        until = path.name.removeprefix(JWT_RETIRED)
        if until.isdecimal():
            found[path] = int(until)
    return found


def expired(settings: Settings, now: float | None = None) -> list[Path]:
    """List the retired keys whose tokens have all expired; ``now`` is in seconds since 1970."""
    moment = time.time() if now is None else now
    return [path for path, until in retired(settings).items() if until <= moment]


def write_keys(settings: Settings) -> bool:
    """Forget the keys that are past their time and write the JWK Set of the others.

    Tells whether PostgREST has to read it anew.
    """
    for path in expired(settings):
        path.unlink(missing_ok=True)
    folder = settings.secrets_dir
    paths = [folder / JWT_SECRET, folder / JWT_NEXT, *sorted(retired(settings))]
    keys = [path.read_text().strip() for path in paths if path.exists()]
    text = json.dumps({"keys": [_jwk(key) for key in dict.fromkeys(keys)]}) + "\n"
    return write_private(settings, folder / JWK_SET, text)


def _jwk(secret: str) -> dict[str, str]:
    """Return a secret as a JSON Web Key (RFC 7518, 6.4). Tokens name no key, so none has an id."""
    encoded = base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()
    return {"kty": "oct", "use": "sig", "alg": "HS256", "k": encoded}


def next_key(settings: Settings) -> str:
    """Return the key that is to sign next, the one of a rotation that broke off or a new one."""
    path = settings.secrets_dir / JWT_NEXT
    if not path.exists():
        write_private(settings, path, generate())
    return read(settings, JWT_NEXT)


def retire_key(settings: Settings, until: int) -> None:
    """Let the next key take the place of the present one, which is honoured until then."""
    folder = settings.secrets_dir
    while (folder / f"{JWT_RETIRED}{until}").exists():
        until += 1  # another rotation within the same second
    write_private(settings, folder / f"{JWT_RETIRED}{until}", read(settings, JWT_SECRET))
    (folder / JWT_NEXT).replace(folder / JWT_SECRET)
    write_keys(settings)


def forget_retired(settings: Settings) -> None:
    """Forget every retired key, whatever tokens it signed."""
    for path in retired(settings):
        path.unlink(missing_ok=True)
    write_keys(settings)


# -- the password of authenticator ---------------------------------------------------------------


def write_password(settings: Settings, password: str) -> None:
    """Write the password of ``authenticator`` to the files that programs read it from."""
    folder = settings.secrets_dir
    write_private(settings, folder / AUTHENTICATOR_PASSWORD, password)
    write_private(settings, folder / USERLIST, f'"authenticator" "{password}"\n')
    write_private(settings, folder / PASSFILE, f"*:*:*:authenticator:{password}\n")


def service_uri(settings: Settings) -> str:
    """Return the URI by which PostgREST logs in, pooled or direct; the password is in a file."""
    port = settings.pooler_port if settings.pooled else settings.pg_port
    passfile = quote(str(settings.secrets_dir / PASSFILE))
    return f"postgresql://authenticator@127.0.0.1:{port}/{settings.database}?passfile={passfile}"


def rest_uri(settings: Settings, dbname: str | None = None, port: int | None = None) -> str:
    """Return a URI with the password in it, for a connection that is opened right away."""
    password = read(settings, AUTHENTICATOR_PASSWORD)
    port = port or (settings.pooler_port if settings.pooled else settings.pg_port)
    return f"postgresql://authenticator:{password}@127.0.0.1:{port}/{dbname or settings.database}"

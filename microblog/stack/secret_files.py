"""A stack's passwords and keys: made once, kept in files only the service user can read.

They are handed to programs as file names, so that none shows in a list of processes or a log.
"""

import secrets
from pathlib import Path

from microblog.settings import Settings
from microblog.stack.privileges import service_user

JWT_SECRET = "jwt"  # noqa: S105 - the name of a file
AUTHENTICATOR_PASSWORD = "authenticator"  # noqa: S105
REST_URI = "rest_uri"
USERLIST = "userlist.txt"


def write_private(settings: Settings, path: Path, text: str) -> bool:
    """Write a file only the service user can read; tell whether it changed anything."""
    if path.exists() and path.read_text() == text:
        return False
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
    service_user(settings.root).own(path)
    return True


def prepare(settings: Settings) -> None:
    """Make the secrets that are missing and the files that are derived from them."""
    folder = settings.secrets_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    service_user(settings.root).own(folder)
    for name in (JWT_SECRET, AUTHENTICATOR_PASSWORD):
        if not (folder / name).exists():
            write_private(settings, folder / name, secrets.token_urlsafe(48))
    password = read(settings, AUTHENTICATOR_PASSWORD)
    write_private(settings, folder / REST_URI, rest_uri(settings))
    write_private(settings, folder / USERLIST, f'"authenticator" "{password}"\n')


def read(settings: Settings, name: str) -> str:
    """Read one secret, without surrounding space."""
    return (settings.secrets_dir / name).read_text().strip()


def rest_uri(settings: Settings, dbname: str | None = None, port: int | None = None) -> str:
    """Return the URI with the password by which PostgREST logs in, pooled or direct."""
    password = read(settings, AUTHENTICATOR_PASSWORD)
    port = port or (settings.pooler_port if settings.pooled else settings.pg_port)
    return f"postgresql://authenticator:{password}@127.0.0.1:{port}/{dbname or settings.database}"

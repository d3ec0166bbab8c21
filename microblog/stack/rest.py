"""PostgREST: the command and environment of one instance, and its readiness."""

import http.client
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from microblog.settings import Settings
from microblog.stack import binaries, secret_files

# From this version on PgBouncer keeps prepared statements apart in transaction mode.
POOLER_WITH_PREPARED_STATEMENTS = (1, 21)


@lru_cache
def pooler_version(program: Path) -> tuple[int, ...]:
    """Return PgBouncer's version."""
    return binaries.version_of(program)


@lru_cache
def version(program: Path) -> str:
    """Return PostgREST's version, as text."""
    return ".".join(map(str, binaries.version_of(program)))


def argv(settings: Settings) -> list[str]:
    """Return the command; all instances share the committed configuration file."""
    return [str(settings.postgrest), str(settings.root / "api" / "postgrest.conf")]


def environment(
    settings: Settings,
    port: int,
    admin_port: int,
    uri: str | None = None,
) -> dict[str, str]:
    """Return what api/postgrest.conf leaves open: ports, secrets and the way to the database.

    ``uri`` is a libpq URI, by default the stack's own. Made for a direct connection unless the
    stack is pooled and no ``uri`` is given.
    """
    pooled = settings.pooled and uri is None
    values = {
        "PGRST_DB_URI": uri or secret_files.service_uri(settings),
        "PGRST_DB_POOL": str(settings.rest_pool),
        "PGRST_DB_CHANNEL_ENABLED": "false" if pooled else "true",
        "PGRST_JWT_SECRET": f"@{settings.secrets_dir / secret_files.JWK_SET}",
        "PGRST_SERVER_HOST": "127.0.0.1",
        "PGRST_SERVER_PORT": str(port),
        "PGRST_ADMIN_SERVER_PORT": str(admin_port),
        "PGRST_OPENAPI_SERVER_PROXY_URI": settings.url,
        # For its Haskell runtime: one core for each instance (decision 0023).
        "GHCRTS": "-N1",
    }
    if pooled and pooler_version(settings.pgbouncer) < POOLER_WITH_PREPARED_STATEMENTS:
        values["PGRST_DB_PREPARED_STATEMENTS"] = "false"
    return values


def ready(admin_port: int) -> bool:
    """Tell whether the instance has a database connection and its schema cache."""
    return http_status(admin_port, "/ready") == http.HTTPStatus.OK


def http_status(
    port: int, path: str, host: str = "127.0.0.1", token: str | None = None
) -> int | None:
    """Return the status of a GET, None where nothing answers within two seconds."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(host, port, timeout=2)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()
    return None

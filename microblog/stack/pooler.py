"""PgBouncer: the file with this stack's ports, its command and its readiness."""

from pathlib import Path
from urllib.parse import quote

import psycopg

from microblog.settings import Settings
from microblog.stack import secret_files


def configuration(settings: Settings, pg_port: int | None = None) -> str:
    """Return the entry file: the committed pgbouncer.ini, then ports and paths of this stack.

    Every database of the cluster is reachable under its own name.
    """
    shared = settings.root / "pgbouncer" / "pgbouncer.ini"
    return f"""\
;; Generated at every start; change pgbouncer/pgbouncer.ini.
%include {shared}

[databases]
* = host=127.0.0.1 port={pg_port or settings.pg_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {settings.pooler_port}
auth_file = {settings.secrets_dir / secret_files.USERLIST}
"""


def argv(settings: Settings, configuration_file: Path) -> list[str]:
    """Return the command that runs it in the foreground; SIGINT stops it after its queries."""
    return [str(settings.pgbouncer), "-q", str(configuration_file)]


def ready(settings: Settings, dbname: str | None = None) -> bool:
    """Tell whether a query gets through it to the database."""
    uri = secret_files.rest_uri(settings, quote(dbname or settings.database), settings.pooler_port)
    try:
        with psycopg.connect(uri, connect_timeout=2, autocommit=True, prepare_threshold=None) as c:
            return c.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False

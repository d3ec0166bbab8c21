"""Deploys and reverts the schema with sqitch, and hands the database its secrets."""

import os
import subprocess
from collections.abc import Callable

import psycopg
from psycopg import sql

from microblog.errors import MigrationError
from microblog.settings import Settings
from microblog.stack import postgres, secret_files

Say = Callable[[str], None]
# A session whose statements neither the log nor the statistics keep, fast or slow, right or wrong.
UNRECORDED = (
    "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic"
    " -c log_error_verbosity=terse -c pg_stat_statements.track=none"
)


def _silent(_: str) -> None:
    """Say nothing."""


def deploy(
    settings: Settings, dbname: str | None = None, to: str | None = None, say: Say = _silent
) -> None:
    """Create the database where it is missing and deploy all changes, or those up to ``to``.

    ``to`` is a change, a tag (``@v1``) or any name sqitch takes. The cluster must run. Each line
    sqitch prints goes to ``say``. Raises MigrationError where a change fails or does not verify;
    the database is then as it was before this call.
    """
    dbname = dbname or settings.database
    if not postgres.database_exists(settings, dbname):
        postgres.create_database(settings, dbname)
        say(f"database {dbname}: created")
    if not (settings.root / "sqitch.plan").exists():
        raise MigrationError(f"{settings.root / 'sqitch.plan'} does not exist")
    _sqitch(settings, dbname, ["deploy", "--verify", *(["--to-change", to] if to else [])], say)
    install_secrets(settings, dbname)
    with postgres.connect(settings, dbname) as connection:
        connection.execute("notify pgrst, 'reload schema'")


def revert(
    settings: Settings, dbname: str | None = None, to: str | None = None, say: Say = _silent
) -> None:
    """Revert all changes, or those after ``to``. The data in what is dropped is lost.

    Raises MigrationError.
    """
    dbname = dbname or settings.database
    _sqitch(settings, dbname, ["revert", "-y", *(["--to-change", to] if to else [])], say)
    with postgres.connect(settings, dbname) as connection:
        connection.execute("notify pgrst, 'reload schema'")


def install_secrets(settings: Settings, dbname: str | None = None) -> None:
    """Give the database this stack's JWT secret and ``authenticator`` its password.

    Does what the deployed schema has a place for, and nothing where all is set already.
    """
    with postgres.connect(settings, dbname) as connection:
        known = connection.execute(
            "select to_regprocedure('app.jwt_secret_set(text)') is not null,"
            " to_regrole('authenticator') is not null"
        ).fetchone()
    has_jwt_secret, has_authenticator = known or (False, False)
    if has_jwt_secret:
        key = secret_files.read(settings, secret_files.JWT_SECRET)
        install_jwt_secret(settings, key, dbname)
    if has_authenticator and not _authenticator_can_log_in(settings, dbname):
        password = secret_files.read(settings, secret_files.AUTHENTICATOR_PASSWORD)
        install_password(settings, password, dbname)


def install_jwt_secret(settings: Settings, key: str, dbname: str | None = None) -> int:
    """Have the database sign with this key from now on.

    Returns when the last token of another key has expired, in seconds since 1970.
    """
    with postgres.connect(settings, dbname, options=UNRECORDED) as connection:
        query = "select ceil(extract(epoch from app.jwt_secret_set(%s)))::bigint"
        row = connection.execute(query, [key]).fetchone()
    assert row is not None  # noqa: S101 - a call without FROM has one row
    return int(row[0])


def install_password(settings: Settings, password: str, dbname: str | None = None) -> None:
    """Give ``authenticator`` this password; it leaves this process only as a SCRAM verifier."""
    with postgres.connect(settings, dbname, options=UNRECORDED) as connection:
        verifier = connection.pgconn.encrypt_password(
            password.encode(), b"authenticator", b"scram-sha-256"
        )
        connection.execute(
            sql.SQL("alter role authenticator password {}").format(verifier.decode())
        )


def _authenticator_can_log_in(settings: Settings, dbname: str | None) -> bool:
    uri = secret_files.rest_uri(settings, dbname, settings.pg_port)
    try:
        psycopg.connect(uri, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _sqitch(settings: Settings, dbname: str, arguments: list[str], say: Say) -> None:
    """Run sqitch to its end as the cluster's superuser, independent of anyone's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment = {
        **kept,
        "PATH": os.pathsep.join([str(settings.pg_bin), os.environ.get("PATH", os.defpath)]),
        "PGHOST": str(settings.socket_dir),
        "PGPORT": str(settings.pg_port),
        "SQITCH_USER_CONFIG": os.devnull,
        "SQITCH_SYSTEM_CONFIG": os.devnull,
        "SQITCH_FULLNAME": "pg-microblog",
        "SQITCH_EMAIL": "microblog@localhost",
        "LC_ALL": "C.UTF-8",
        "PERL_BADLANG": "0",
    }
    command = [str(settings.sqitch), *arguments, f"db:pg://postgres@/{dbname}"]
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=settings.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        for line in child.stdout or ():
            lines.append(line.rstrip())
            if line.strip():
                say(f"sqitch: {line.rstrip()}")
    if child.returncode != 0 and not _nothing_to_do(lines):
        raise MigrationError(
            f"sqitch {arguments[0]} of database {dbname} failed:\n" + "\n".join(lines[-40:])
        )


def _nothing_to_do(lines: list[str]) -> bool:
    """sqitch exits with 1 where everything is deployed, or nothing is."""
    said = " ".join(lines)
    return any(text in said for text in ("Nothing to deploy", "Nothing to revert", "No changes"))

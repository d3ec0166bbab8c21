"""The stack's own PostgreSQL cluster: configuration, first start, connections."""

import getpass
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from microblog.errors import StackError
from microblog.settings import SOCKET_PATH_LIMIT, Settings
from microblog.stack import proxy
from microblog.stack.privileges import service_user
from microblog.stack.sizing import memory_mb, sized

# Roles that log in over the socket by the name of their operating system user.
SOCKET_ROLES = ("postgres", "worker", "limiter", "proxy", "monitor")


def write_if_changed(path: Path, text: str) -> bool:
    """Write a configuration file; tell whether it changed."""
    if path.exists() and path.read_text() == text:
        return False
    path.write_text(text)
    return True


def configure(settings: Settings) -> None:
    """Write the cluster's configuration files into the stack's folder."""
    _check_socket_path(settings)
    state = settings.state
    state.mkdir(parents=True, exist_ok=True)
    write_if_changed(state / "postgresql.conf", configuration(settings))
    write_if_changed(state / "pg_hba.conf", HBA)
    write_if_changed(state / "pg_ident.conf", _ident_map(settings))


def configuration(settings: Settings) -> str:
    """Return postgresql.conf: the shared file, then what depends on machine and stack."""
    memory = settings.memory_mb or memory_mb()
    cores = os.cpu_count() or 1
    instances = max(settings.instances, settings.most_instances)
    values: dict[str, Any] = {
        **sized(memory, cores),
        # A PostgREST's backends, each with one that counts; the proxy's, and as many again while it
        # is replaced.
        "max_connections": max(100, instances * settings.rest_pool * 2 + 60)
        + 2 * proxy.PLACES * proxy.threads(),
        "listen_addresses": "127.0.0.1",
        "port": settings.pg_port,
        "unix_socket_directories": settings.socket_dir,
        "data_directory": settings.data_dir,
        "hba_file": settings.state / "pg_hba.conf",
        "ident_file": settings.state / "pg_ident.conf",
        "cluster_name": f"microblog-{settings.stack}",
    }
    if not settings.fsync:
        values |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    lines = [f"include = {_quoted(settings.root / 'postgres' / 'postgresql.conf')}"]
    lines += [f"{name} = {_quoted(value)}" for name, value in values.items()]
    return (
        "# Generated at every start; change postgres/postgresql.conf.\n" + "\n".join(lines) + "\n"
    )


HBA = """\
# Generated at every start. Over the socket the operating system says who it is; TCP: passwords.
local   all          all                 peer map=microblog
local   replication  all                 peer map=microblog
host    all          all  127.0.0.1/32   scram-sha-256
"""


def _ident_map(settings: Settings) -> str:
    """Let root, the service user and whoever started the stack log in as the socket roles."""
    people = {"root", service_user(settings.root).name, getpass.getuser()}
    people |= {os.environ[name] for name in ("SUDO_USER",) if os.environ.get(name)}
    rows = [f'microblog "{person}" {role}' for person in sorted(people) for role in SOCKET_ROLES]
    return "# Generated at every start.\n" + "\n".join(rows) + "\n"


def _quoted(value: object) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _check_socket_path(settings: Settings) -> None:
    path = settings.socket_dir / f".s.PGSQL.{settings.pg_port}"
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise StackError(f"the path of the socket is too long: {path}")


def initialise(settings: Settings) -> bool:
    """Make the cluster where there is none; tell whether one was made."""
    if (settings.data_dir / "PG_VERSION").exists():
        return False
    user = service_user(settings.root)
    for folder, mode in ((settings.socket_dir, 0o755), (settings.data_dir, 0o700)):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        user.own(folder)
    durable = [] if settings.fsync else ["--no-sync"]
    user.run(
        [
            settings.pg_bin / "initdb",
            f"--pgdata={settings.data_dir}",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--auth-local=peer",
            "--auth-host=scram-sha-256",
            *durable,
        ],
        cwd=settings.socket_dir,
        env=environment(settings),
    )
    # What runs is given on the command line; this one would only mislead.
    (settings.data_dir / "postgresql.conf").write_text("# Not used: see ../postgresql.conf\n")
    return True


def argv(settings: Settings) -> list[str]:
    """Return the command that runs the server in the foreground; SIGINT stops it fast."""
    return [
        str(settings.pg_bin / "postgres"),
        "-D",
        str(settings.data_dir),
        "-c",
        f"config_file={settings.state / 'postgresql.conf'}",
    ]


def environment(settings: Settings) -> dict[str, str]:
    """Return the small environment the server programs get."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "HOME": str(settings.state),
    }


def postmaster_pid(settings: Settings) -> int | None:
    """Return the process id in the cluster's lock file, None where there is none."""
    with suppress(OSError, ValueError, IndexError):
        return int((settings.data_dir / "postmaster.pid").read_text().split()[0])
    return None


def connect(
    settings: Settings, dbname: str | None = None, user: str = "postgres", **options: Any
) -> psycopg.Connection[Any]:
    """Connect over the socket in autocommit mode, by default as the cluster's superuser."""
    options.setdefault("autocommit", True)
    options.setdefault("connect_timeout", 10)
    return psycopg.connect(settings.socket_dsn(user, dbname), **options)


def ready(settings: Settings) -> bool:
    """Tell whether the server answers a query."""
    try:
        with connect(settings, "postgres", connect_timeout=2) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def database_exists(settings: Settings, name: str) -> bool:
    """Tell whether the cluster has a database of that name."""
    with connect(settings, "postgres") as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", [name])
        return found.fetchone() is not None


def create_database(settings: Settings, name: str, template: str = "template0") -> None:
    """Create a database; with ``template`` another than template0, a copy of that one."""
    statement = sql.SQL("create database {} template {}").format(
        sql.Identifier(name), sql.Identifier(template)
    )
    if template == "template0":
        statement += sql.SQL(" encoding 'UTF8' locale 'C.UTF-8'")
    with connect(settings, "postgres") as connection:
        connection.execute(statement)


def drop_database(settings: Settings, name: str) -> None:
    """Drop a database with the sessions in it; nothing happens where there is none."""
    with connect(settings, "postgres") as connection:
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )

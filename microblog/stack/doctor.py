"""Checks whether this machine has what the stack needs, and says how to get what it lacks."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import binaries
from microblog.stack.ports import is_free
from microblog.stack.privileges import service_user
from microblog.stack.stack import Stack

OLDEST_HAPROXY = (2, 6)
OLDEST_SQITCH = (1, 3)
OLDEST_PGBOUNCER = (1, 18)
EXTENSIONS = ("pg_stat_statements", "pgcrypto", "dblink")
LOWEST_DISK_MB = 1024


@dataclass(frozen=True)
class Finding:
    """One requirement: what was found, or why it matters and the command that mends it."""

    name: str
    ok: bool
    found: str
    why: str = ""
    mend: str = ""
    required: bool = True


def examine(settings: Settings) -> Iterator[Finding]:
    """Check everything, one finding after the other; nothing is changed and nothing raised."""
    yield _system()
    yield _python()
    yield _postgres()
    yield _extensions()
    yield _program("psql", "migrations are run through it", "postgresql-client")
    yield _program("sqitch", "it deploys the schema", "sqitch", OLDEST_SQITCH)
    yield _perl_driver()
    yield _postgrest(settings)
    yield _program("haproxy", "it is the public door", "haproxy", OLDEST_HAPROXY)
    yield _program(
        "pgbouncer",
        "`microblog up --pooled` goes through it",
        "pgbouncer",
        OLDEST_PGBOUNCER,
        required=settings.pooled,
    )
    yield _service_user(settings)
    yield _socket_path(settings)
    yield _disk(settings)
    yield from _ports(settings)


def _apt(package: str) -> str:
    if shutil.which("apt-get") is None:
        return "docker compose up --wait   (this system's packages are not known here)"
    return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install -y {package}"


def _system() -> Finding:
    name = platform.system()
    return Finding(
        "system",
        name == "Linux",
        f"{name} on {platform.machine()}",
        "the stack's processes are tied together by Linux's means",
        "docker compose up --wait",
    )


def _python() -> Finding:
    version = platform.python_version()
    in_venv = sys.prefix != sys.base_prefix
    return Finding(
        "Python",
        sys.version_info >= (3, 11) and in_venv,
        f"{version}, {sys.executable}",
        "version 3.11 or later in the project's .venv, which holds the locked packages",
        "bin/setup",
    )


def _guarded(name: str, why: str, mend: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except (StackError, OSError, subprocess.SubprocessError, IndexError) as error:
        message = error.message if isinstance(error, StackError) else str(error)
        return Finding(name, False, message, why, mend)


def _postgres() -> Finding:
    def look() -> str:
        folder = binaries.postgres_bin()
        return f"{_dotted(binaries.version_of(folder / 'postgres'))}, {folder}"

    return _guarded("PostgreSQL", "it holds the data and every rule", _apt("postgresql"), look)


def _extensions() -> Finding:
    def look() -> str:
        folder = binaries.postgres_bin()
        major = binaries.version_of(folder / "postgres")[0]
        share = binaries.postgres_share(folder, major) / "extension"
        missing = [name for name in EXTENSIONS if not (share / f"{name}.control").exists()]
        if missing:
            raise StackError(f"{', '.join(missing)} not in {share}")
        return ", ".join(EXTENSIONS)

    why = "passwords (pgcrypto), rate limits (dblink) and statistics need them"
    return _guarded("PostgreSQL's modules", why, _apt("postgresql-contrib"), look)


def _program(
    name: str,
    why: str,
    package: str,
    oldest: tuple[int, ...] = (),
    required: bool = True,
) -> Finding:
    try:
        path = binaries.program(name)
        version = binaries.version_of(path, "-v" if name == "haproxy" else "--version")
    except (StackError, OSError, subprocess.SubprocessError):
        return Finding(name, False, "not installed", why, _apt(package), required)
    found = f"{_dotted(version)}, {path}"
    if version < oldest:
        why = f"version {_dotted(oldest)} or later is needed: {why}"
    return Finding(name, version >= oldest, found, why, _apt(package), required)


def _perl_driver() -> Finding:
    done = None
    if shutil.which("perl"):
        done = subprocess.run(
            ["perl", "-MDBD::Pg", "-e", "print DBD::Pg->VERSION"],
            capture_output=True,
            text=True,
            check=False,
        )
    ok = done is not None and done.returncode == 0
    return Finding(
        "DBD::Pg",
        ok,
        done.stdout if done and ok else "not installed",
        "sqitch reaches PostgreSQL through this Perl module",
        _apt("libdbd-pg-perl"),
    )


def _postgrest(settings: Settings) -> Finding:
    def look() -> str:
        path = settings.postgrest
        return f"{_dotted(binaries.version_of(path))}, {path}"

    why = "it turns the schema api into HTTP"
    mend = "bin/setup, or put a postgrest program on PATH, or set MICROBLOG_POSTGREST"
    return _guarded("PostgREST", why, mend, look)


def _service_user(settings: Settings) -> Finding:
    def look() -> str:
        user = service_user(settings.root)
        return f"{user.name}, {user.advice or 'without any capability'}"

    why = "a stack started by root runs as an unprivileged user"
    return _guarded("service user", why, _apt("util-linux"), look)


def _socket_path(settings: Settings) -> Finding:
    why = "Linux limits the path of a socket to 107 bytes"
    mend = "move the project to a folder with a shorter path"
    return _guarded("socket folder", why, mend, lambda: str(settings.socket_dir))


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.root).free // 2**20
    return Finding(
        "free disk",
        free >= LOWEST_DISK_MB,
        f"{free} MB",
        f"the database needs at least {LOWEST_DISK_MB} MB to work in",
        "free some space, or move the project to a larger disk",
    )


def _ports(settings: Settings) -> Iterator[Finding]:
    """Check the ports, which are either free or this stack's own."""
    running = {row.name for row in Stack(settings).status() if row.pid}
    wanted = [
        ("haproxy", settings.port, "--port"),
        ("postgres", settings.pg_port, "--pg-port"),
        *[(f"postgrest-{i}", port, "--rest-port") for i, port in enumerate(settings.rest_ports, 1)],
    ]
    if settings.pooled:
        wanted.append(("pgbouncer", settings.pooler_port, "--pooler-port"))
    for name, port, flag in wanted:
        ours = name in running
        ok = ours or is_free(port)
        found = "in use by this stack" if ours else "free" if ok else "taken by another process"
        why = f"{name} is to listen there"
        yield Finding(f"port {port}", ok, found, why, f"microblog up {flag} N")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

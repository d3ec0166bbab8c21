"""HAProxy: its servers file, command and environment."""

import os
from collections.abc import Sequence
from pathlib import Path

from microblog.settings import Settings
from microblog.stack import rest

PLACES = 4  # groups of questions that a thread has under way, `most` in api/feeds.lua


def threads() -> int:
    """Return how many threads the proxy has: one for two cores, the others are PostgreSQL's.

    Requests wait in line in each thread by itself, and clients are not spread evenly over threads.
    """
    return max((os.cpu_count() or 1) // 2, 1)


def servers(instances: Sequence[tuple[int, int]], host: str = "127.0.0.1") -> str:
    """Return the second configuration file: the PostgREST instances as (port, admin port)."""
    lines = ["# Generated at every start.", backend("postgrest", instances, host)]
    for few in ("passwords", "bodies"):
        lines.append(f"backend {few} from rest")
        for number, (port, _) in enumerate(instances, 1):
            server = f"rest-{number} {host}:{port} track postgrest/rest-{number} maxconn 2"
            lines.append(f"  server {server}")
        lines.append("")
    return "\n".join(lines) + "\n"


def backend(name: str, instances: Sequence[tuple[int, int]], host: str = "127.0.0.1") -> str:
    """Return a backend of these PostgREST instances."""
    lines = [f"backend {name} from rest"]
    for number, (port, admin_port) in enumerate(instances, 1):
        lines.append(f"  server rest-{number} {host}:{port} check port {admin_port}")
    return "\n".join(lines) + "\n"


def argv(settings: Settings, servers_file: Path, shared: Path | None = None) -> list[str]:
    """Return the command that runs it in the foreground; SIGUSR1 stops it softly.

    ``shared`` is another configuration than the committed one.
    """
    shared = shared or settings.root / "api" / "haproxy.cfg"
    return [str(settings.haproxy), "-db", "-f", str(shared), "-f", str(servers_file)]


def admin_socket(settings: Settings) -> Path:
    """Where the stack's proxy takes commands."""
    return settings.socket_dir / "haproxy.sock"


def environment(
    settings: Settings,
    host: str,
    port: int,
    admin: Path | None = None,
    database: str | None = None,
) -> dict[str, str]:
    """Return the variables api/haproxy.cfg and the scripts beside it read.

    ``admin`` is the path of its admin socket; ``database`` is asked in place of the stack's own.
    """
    sockets = {} if admin is None else {"MICROBLOG_ADMIN": str(admin)}
    return {
        "MICROBLOG_BIND": f"{host}:{port}",
        "MICROBLOG_API": str(settings.root / "api"),
        "MICROBLOG_THREADS": str(threads()),
        "MICROBLOG_DATABASE_SOCKET": f"unix@{settings.socket_dir}/.s.PGSQL.{settings.pg_port}",
        "MICROBLOG_DATABASE": database or settings.database,
        "MICROBLOG_POSTGREST_VERSION": rest.version(settings.postgrest),
        **sockets,
    }


def configuration_files(settings: Settings) -> list[Path]:
    """List the committed files it reads."""
    folder = settings.root / "api"
    return [
        folder / "haproxy.cfg",
        folder / "cors_origins.lst",
        folder / "cache.map",
        *sorted(folder.glob("*.lua")),
        *sorted((folder / "errors").iterdir()),
    ]

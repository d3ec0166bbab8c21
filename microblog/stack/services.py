"""What a stack consists of: each process with its command, ports and sign of readiness."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from microblog.settings import Settings
from microblog.stack import pooler, postgres, proxy, rest, secret_files
from microblog.stack.supervisor import Program, fingerprint


@dataclass(frozen=True)
class Listener:
    """A port that a service listens on; ``flag`` is the option of ``microblog up`` for it."""

    service: str
    port: int
    flag: str
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """A process of the stack.

    ``ready`` tells whether it does its work, within ``timeout`` seconds after its start.
    """

    program: Program
    address: str
    ready: Callable[[], bool]
    timeout: float = 30.0

    @property
    def name(self) -> str:
        """The name it has under the supervisor."""
        return self.program.name


def listeners(settings: Settings) -> list[Listener]:
    """List the ports of every service; nothing of the stack needs to be there yet."""
    listed = [Listener("postgres", settings.pg_port, "--pg-port")]
    if settings.pooled:
        listed.append(Listener("pgbouncer", settings.pooler_port, "--pooler-port"))
    pairs = zip(settings.rest_ports, settings.rest_admin_ports, strict=True)
    for number, pair in enumerate(pairs, 1):
        listed += [Listener(f"postgrest-{number}", port, "--rest-port") for port in pair]
    listed.append(Listener("haproxy", settings.port, "--port", settings.host))
    return listed


def write_configuration(settings: Settings) -> None:
    """Write every generated file the services read."""
    postgres.configure(settings)
    secret_files.prepare(settings)
    state = settings.state
    instances = list(zip(settings.rest_ports, settings.rest_admin_ports, strict=True))
    postgres.write_if_changed(state / "servers.cfg", proxy.servers(instances))
    postgres.write_if_changed(state / "pgbouncer.ini", pooler.configuration(settings))


def services(settings: Settings, worker_ready: Callable[[str], bool]) -> list[Service]:
    """List the services in the order they start; the configuration must have been written."""
    listed = [_postgres(settings)]
    if settings.pooled:
        listed.append(_pooler(settings))
    listed += [_rest(settings, number) for number in range(1, settings.instances + 1)]
    listed += [_worker(settings, number, worker_ready) for number in range(1, settings.workers + 1)]
    listed.append(_proxy(settings))
    return listed


def _postgres(settings: Settings) -> Service:
    program = Program(
        "postgres",
        postgres.argv(settings),
        {"LC_ALL": "C.UTF-8"},
        stop_signal="INT",
        stop_wait=120,
        fingerprint=fingerprint(
            settings.state / "postgresql.conf",
            settings.state / "pg_hba.conf",
            settings.root / "postgres" / "postgresql.conf",
        ),
    )
    return Service(
        program,
        f"127.0.0.1:{settings.pg_port}",
        lambda: postgres.ready(settings),
        timeout=300.0,  # recovery after a crash replays up to max_wal_size
    )


def _pooler(settings: Settings) -> Service:
    entry = settings.state / "pgbouncer.ini"
    program = Program(
        "pgbouncer",
        pooler.argv(settings, entry),
        stop_signal="INT",
        fingerprint=fingerprint(
            entry,
            settings.root / "pgbouncer" / "pgbouncer.ini",
        ),
    )
    return Service(
        program,
        f"127.0.0.1:{settings.pooler_port}",
        lambda: pooler.ready(settings),
    )


def _rest(settings: Settings, number: int) -> Service:
    port, admin_port = settings.rest_ports[number - 1], settings.rest_admin_ports[number - 1]
    program = Program(
        f"postgrest-{number}",
        rest.argv(settings),
        rest.environment(settings, port, admin_port),
        fingerprint=fingerprint(settings.root / "api" / "postgrest.conf"),
    )
    return Service(
        program,
        f"127.0.0.1:{port}",
        lambda: rest.ready(admin_port),
    )


def _worker(settings: Settings, number: int, ready: Callable[[str], bool]) -> Service:
    name = f"worker-{number}"
    package = settings.root / "microblog"
    program = Program(
        name,
        [sys.executable, "-m", "microblog", "worker", "--stack", settings.stack, "--name", name],
        {
            "MICROBLOG_WORKER_DSN": settings.socket_dsn("worker"),
            "MICROBLOG_PROXIES": str(proxy.admin_socket(settings)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        stop_wait=30,
        fingerprint=fingerprint(
            package / "worker.py", package / "page_cache.py", package / "settings.py"
        ),
    )
    return Service(program, "", lambda: ready(name))


def _proxy(settings: Settings) -> Service:
    servers_file = settings.state / "servers.cfg"
    program = Program(
        "haproxy",
        proxy.argv(settings, servers_file),
        proxy.environment(settings, settings.host, settings.port, proxy.admin_socket(settings)),
        stop_signal="USR1",
        stop_wait=25,
        fingerprint=fingerprint(servers_file, *proxy.configuration_files(settings)),
    )
    host = settings.url.removeprefix("http://").rpartition(":")[0]
    return Service(
        program,
        settings.url,
        lambda: rest.http_status(settings.port, "/up", host) == 200,
    )

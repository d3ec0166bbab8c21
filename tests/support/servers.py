"""Real PostgREST and HAProxy processes in front of a test database."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from microblog.settings import Settings
from microblog.stack import proxy, rest, secret_files
from microblog.stack.ports import free_ports
from microblog.stack.process import Process
from tests.support.client import Api
from tests.support.database import Database


class Served(Api):
    """The API in front of ``database``; ``processes`` are what serves it.

    ``admin`` is HAProxy's admin socket, if there is HAProxy, and ``announced`` the port at which
    clients say where they come from, if there is one.
    """

    admin: Path
    announced: int

    def __init__(self, url: str, proxied: bool, database: Database, *processes: Process) -> None:
        super().__init__(url, proxied)
        self.database = database
        self.processes = processes

    def drain(self) -> list[str]:
        """Work until the queue is empty."""
        return self.database.drain()


@contextmanager
def postgrest(database: Database) -> Iterator[tuple[Process, int, int]]:
    """Run a PostgREST for this database; gives the process, its port and its admin port."""
    settings = database.settings
    port, admin_port = free_ports(2)
    uri = secret_files.rest_uri(settings, database.name, settings.pg_port)
    process = Process(
        "postgrest",
        rest.argv(settings),
        settings.log_dir / f"postgrest-{database.name}-{port}.log",
        env=rest.environment(settings, port, admin_port, uri),
    )
    with process:
        process.wait_ready(lambda: rest.ready(admin_port))
        yield process, port, admin_port


@contextmanager
def serve_rest(database: Database) -> Iterator[Served]:
    """Serve a database by PostgREST alone."""
    with postgrest(database) as (process, port, _):
        served = Served(f"http://127.0.0.1:{port}", False, database, process)
        # As the proxy would; the tests' address is exempt from rate limits.
        served.http.headers["X-Forwarded-For"] = "127.0.0.1"
        try:
            yield served
        finally:
            served.close()


def announcing(settings: Settings, port: int) -> Path:
    """Write the project's configuration with one port more, which takes the PROXY protocol."""
    folder = settings.root / "api"
    text = (folder / "haproxy.cfg").read_text()
    bind = '  bind "${MICROBLOG_BIND}"\n'
    for line, more in (
        ("  default-path config\n", f"  default-path origin {folder}\n"),
        (bind, f"{bind}  bind 127.0.0.1:{port} accept-proxy\n"),
    ):
        assert text.count(line) == 1, line
        text = text.replace(line, more)
    path = settings.state / f"haproxy-{port}.cfg"
    path.write_text(text)
    return path


@contextmanager
def serve_api(
    database: Database,
    instances: int = 1,
    hosts: tuple[str, ...] = ("127.0.0.1",),
    announced: bool = False,
    **variables: str,
) -> Iterator[Served]:
    """Serve a database as the stack does: HAProxy with the project's files before PostgREST.

    ``hosts`` are the addresses it listens on; with ``announced`` it has one more port, for clients
    that say where they come from by the PROXY protocol. ``variables`` are more of those that
    api/haproxy.cfg reads.
    """
    settings = database.settings
    with ExitStack() as stack:
        served_by = [stack.enter_context(postgrest(database)) for _ in range(instances)]
        public, second = free_ports(2)
        servers_file = settings.state / f"servers-{database.name}-{public}.cfg"
        admin = settings.socket_dir / f"haproxy-{public}.sock"
        servers_file.write_text(proxy.servers([ports for _, *ports in served_by]))
        process = Process(
            "haproxy",
            proxy.argv(settings, servers_file, announcing(settings, second) if announced else None),
            settings.log_dir / f"haproxy-{database.name}-{public}.log",
            env={
                **proxy.environment(settings, hosts[0], public, admin, database.name),
                "MICROBLOG_BIND": ",".join(f"{host}:{public}" for host in hosts),
                # Tests send much that is malformed, from one address.
                "MICROBLOG_UNASKED": "1000000",
                **variables,
            },
        )
        stack.enter_context(process)
        process.wait_ready(lambda: rest.http_status(public, "/up") == 200)
        processes = [rest_process for rest_process, *_ in served_by]
        served = Served(f"http://127.0.0.1:{public}", True, database, *processes, process)
        served.admin = admin
        if announced:
            served.announced = second
        try:
            yield served
        finally:
            served.close()

"""Real processes for the tests of the stack: whole stacks, and HAProxy before an echo server."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from microblog.settings import ROOT, Settings
from microblog.stack import proxy, rest
from microblog.stack.ports import free_ports
from microblog.stack.process import Process
from tests.stack.stacks import StartedStack, new_stack

__all__ = ["new_stack"]

PARTS = ("api", "pgbouncer", "postgres", "sql", "microblog", "sqitch.conf", "sqitch.plan")


@pytest.fixture(scope="session")
def stack(new_stack: Callable[..., StartedStack]) -> StartedStack:
    """Return a running stack that tests share; each leaves it running, whatever it does to it."""
    return new_stack("main", instances=2)


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Copy the project's files to a folder with the given mode that lies where all can reach.

    Its name is short: sockets lie below it, and the system allows their paths few bytes.
    """

    def copy(mode: int) -> Path:
        folder = tmp_path_factory.mktemp("co")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part)
            else:
                shutil.copy(source, folder / part)
        folder.chmod(mode)
        return folder

    return copy


class Echo(BaseHTTPRequestHandler):
    """Answers every request with what arrived; stands where PostgREST would, for the proxy."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": {
                name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers
            },
            "body_size": len(body),
            "server": self.server.server_address[1],
        }
        content = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


class EchoServer(ThreadingHTTPServer):
    """Takes it lightly when a health check hangs up early."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Print nothing where the other side broke off."""
        if not isinstance(sys.exception(), ConnectionError):
            raise


@pytest.fixture(scope="session")
def echo() -> Iterator[tuple[int, int]]:
    """Run two echo servers and return their ports; both also answer /ready."""
    with ExitStack() as cleanup:
        ports = []
        for _ in range(2):
            server = cleanup.enter_context(EchoServer(("127.0.0.1", 0), Echo))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            cleanup.callback(server.shutdown)
            ports.append(server.server_address[1])
        yield ports[0], ports[1]


@pytest.fixture
def run_proxy(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Run HAProxy with the committed configuration before given instances; return its address."""
    with ExitStack() as cleanup:

        def run(*instances: tuple[int, int], ready: str = "/up", admin: Path | None = None) -> str:
            (port,) = free_ports(1)
            servers = tmp_path / f"servers-{port}.cfg"
            servers.write_text(proxy.servers(instances))
            process = Process(
                "haproxy",
                proxy.argv(Settings(), servers),
                tmp_path / f"haproxy-{port}.log",
                env={
                    **os.environ,
                    **proxy.environment(Settings(), "127.0.0.1", port, admin),
                    # No database belongs to it; a stack that runs here has one.
                    "MICROBLOG_DATABASE_SOCKET": "",
                },
            )
            cleanup.enter_context(process)
            process.wait_ready(lambda: rest.http_status(port, ready) is not None)
            return f"http://127.0.0.1:{port}"

        yield run


@pytest.fixture
def door(run_proxy: Callable[..., str], echo: tuple[int, int]) -> Iterator[httpx.Client]:
    """Return a client of the proxy with the echo servers behind it."""
    base = run_proxy(*((port, port) for port in echo))
    with httpx.Client(base_url=base) as client:
        yield client

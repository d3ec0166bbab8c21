"""Who waits where: few at an instance, the rest in the proxy; slow clients hold no place."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from microblog.settings import Settings
from microblog.stack.process import wait_for

PLACES = 2 * Settings().rest_pool  # at an instance
CROWD = PLACES + 10
PAGE = b"x" * 150_000  # a page of a hundred posts


class Instance(ThreadingHTTPServer):
    """Stands where PostgREST would; answers `/rpc/feed_public` once it is ``released``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.held = self.most = 0

    def hold(self) -> None:
        with self.lock:
            self.held += 1
            self.most = max(self.most, self.held)
        self.released.wait(30)
        with self.lock:
            self.held -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Instance

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/rpc/feed_public":
            self.server.hold()
        body = PAGE if self.path == "/rpc/thread" else b"[]"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def instance() -> Iterator[Instance]:
    server = Instance()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def admin(tmp_path: Path) -> Path:
    return tmp_path / "admin.sock"


@pytest.fixture
def base(run_proxy: Callable[..., str], instance: Instance, admin: Path) -> str:
    port = instance.server_address[1]
    return run_proxy((port, port), admin=admin)


@pytest.fixture
def slow(base: str) -> Iterator[Callable[[bytes], socket.socket]]:
    """Open a connection with the least of a buffer, and send a part of a request."""
    with ExitStack() as cleanup:

        def send(data: bytes) -> socket.socket:
            connection = cleanup.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)  # not loopback's
            connection.settimeout(10)
            connection.connect(("127.0.0.1", httpx.URL(base).port or 0))
            connection.sendall(data)
            return connection

        yield send


def told(admin: Path, name: str) -> int:
    """A figure of the backend, as the proxy tells it; qcur are requests that wait for a place."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(admin))
        connection.sendall(b"show stat postgrest 2 -1\n")  # 2: backends
        head, row = connection.makefile().read().strip().splitlines()
    return int(dict(zip(head.split(","), row.split(","), strict=True))[name])


def test_more_requests_than_places_wait_in_the_proxy_and_are_all_answered(
    base: str, instance: Instance, admin: Path
) -> None:
    with ThreadPoolExecutor(CROWD) as pool:
        asked = [
            pool.submit(httpx.get, f"{base}/rpc/feed_public", timeout=30) for _ in range(CROWD)
        ]
        wait_for(lambda: told(admin, "qcur") == CROWD - PLACES)
        assert instance.held == PLACES
        instance.released.set()
        assert [one.result().status_code for one in asked] == [200] * CROWD
    assert instance.most == PLACES


@pytest.mark.parametrize("size", [100, 60_000])
def test_who_sends_slowly_keeps_no_place(
    base: str, slow: Callable[[bytes], socket.socket], size: int
) -> None:
    head = f"POST /posts HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    for _ in range(CROWD):
        slow(head.encode() + b"x" * (size // 2))
    assert httpx.get(f"{base}/up", timeout=30).status_code == 200
    assert httpx.post(f"{base}/posts", content=b"x" * 100, timeout=30).status_code == 200


def test_who_reads_slowly_keeps_no_place(base: str, slow: Callable[[bytes], socket.socket]) -> None:
    readers = [slow(b"GET /rpc/thread HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(CROWD)]
    for reader in readers:
        assert reader.recv(12) == b"HTTP/1.1 200"
    assert httpx.get(f"{base}/up", timeout=30).status_code == 200

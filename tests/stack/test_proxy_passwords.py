"""How many calls with a password the proxy lets in at a time, before a server that holds them."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from microblog.stack.process import wait_for

CALLS = ["/rpc/login", "/rpc/signup", "/rpc/password_change", "/rpc/account_delete"]
LET_IN = 2  # at a time, to one instance
WAITING = 14  # in the proxy


class Holding(ThreadingHTTPServer):
    """Stands where PostgREST would; answers calls with a password once they are ``released``."""

    daemon_threads = True

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
    server: Holding

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "POST" and self.path in CALLS:
            self.server.hold()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_OPTIONS = answer

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def holding() -> Iterator[Holding]:
    server = Holding()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def base(run_proxy: Callable[..., str], holding: Holding) -> str:
    port = holding.server_address[1]
    return run_proxy((port, port))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as executor:
        yield executor


def crowd(
    pool: ThreadPoolExecutor, base: str, path: str, number: int
) -> list[Future[httpx.Response]]:
    """Send calls with a password at once; returns when all are answered but those with a place."""
    sent = [pool.submit(httpx.post, base + path, json={}, timeout=30) for _ in range(number)]
    refused = number - LET_IN - WAITING
    wait_for(lambda: sum(one.done() for one in sent) == refused, 20, "the refusals")
    return sent


@pytest.mark.parametrize("path", CALLS)
def test_few_passwords_are_let_in_some_wait_and_the_others_are_refused_at_once(
    pool: ThreadPoolExecutor, base: str, holding: Holding, path: str
) -> None:
    sent = crowd(pool, base, path, LET_IN + WAITING + 5)
    assert holding.held == LET_IN
    for other in CALLS:
        answer = httpx.post(base + other, json={}, headers={"Origin": "http://localhost:3000"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json()["code"] == "busy"
        assert "again in a second" in answer.json()["hint"]
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    for method, other in (("GET", "/rpc/feed_public"), ("POST", "/posts"), ("GET", path)):
        assert httpx.request(method, base + other).status_code == 200
    preflight = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    assert httpx.options(base + path, headers=preflight).status_code == 204

    holding.released.set()
    statuses = sorted(future.result(30).status_code for future in sent)
    assert statuses == [200] * (LET_IN + WAITING) + [503] * 5
    assert holding.most == LET_IN
    assert httpx.post(base + path, json={}).status_code == 200


def test_who_sends_slowly_takes_nobody_s_place(base: str, holding: Holding) -> None:
    """A body that never comes is given up, and until then its call is not let in."""
    holding.released.set()
    url = httpx.URL(base)
    head = b"POST /rpc/login HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
    slow = [socket.create_connection((url.host, url.port or 80), 30) for _ in range(8)]
    try:
        for connection in slow:
            connection.sendall(head)
        assert httpx.post(f"{base}/rpc/login", json={}).status_code == 200
        for connection in slow:
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
    finally:
        for connection in slow:
            connection.close()


def test_a_long_body_of_a_call_with_a_password_is_refused(base: str, holding: Holding) -> None:
    """All of it must fit where the proxy waits for it."""
    holding.released.set()
    assert httpx.post(f"{base}/rpc/login", content=b"x" * 12_288).status_code == 200
    assert httpx.post(f"{base}/rpc/login", content=b"x" * 12_289).status_code == 413
    assert httpx.post(f"{base}/posts", content=b"x" * 12_289).status_code == 200

"""The public door: what HAProxy changes, refuses and answers itself."""

import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from microblog.settings import ROOT, Settings
from microblog.stack import proxy
from microblog.stack.ports import free_ports
from microblog.stack.process import wait_for

ALLOWED = "http://localhost:3000"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def assert_error(answer: httpx.Response, status: int, code: str | None = None) -> None:
    """Have the four fields of every error, a message for a person, and an id to report."""
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/json")
    error = answer.json()
    assert list(error) == ["code", "message", "details", "hint"]
    assert error["code"] == (code or f"HTTP{status}")
    assert error["message"]
    assert error["hint"]
    assert UUID.fullmatch(answer.headers["x-request-id"])


def test_committed_configuration_is_valid_with_the_servers_file_of_docker() -> None:
    done = subprocess.run(
        [
            Settings().haproxy,
            "-c",
            "-f",
            ROOT / "api/haproxy.cfg",
            "-f",
            ROOT / "api/haproxy.servers.cfg",
        ],
        env=proxy.environment(Settings(), "127.0.0.1", 1),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_client_cannot_choose_its_address(door: httpx.Client, name: str) -> None:
    seen = door.get("/posts", headers=[(name, "203.0.113.9"), (name, "for=203.0.113.8")]).json()
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert "203.0.113" not in str(seen["headers"])


def test_each_request_gets_an_id_of_ours(door: httpx.Client) -> None:
    answers = [door.get("/posts", headers={"X-Request-Id": "mine"}) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(UUID.fullmatch(i) for i in ids)
    assert ids[0] != ids[1]
    assert [answer.json()["headers"]["x-request-id"] for answer in answers] == ids


@pytest.mark.parametrize(("path", "inner"), [("/up", "/rpc/up"), ("/health", "/rpc/health")])
def test_health_has_short_paths(door: httpx.Client, path: str, inner: str) -> None:
    assert door.get(path).json()["path"] == inner
    assert door.head(path).status_code == 200


@pytest.mark.parametrize(
    ("query", "header", "left"),
    [
        ("limit=5", "5", ""),
        ("cursor=9&limit=5", "5", "cursor=9"),
        ("limit=5&cursor=9", "5", "cursor=9"),
        ("cursor=9&limit=5&select=id", "5", "cursor=9&select=id"),
        ("limit=5&limit=6&user_id=1", "5", "user_id=1"),
        ("limit=", None, ""),
        ("limit&post_id=1", None, "post_id=1"),
        ("&cursor=9&&limit=5&", "5", "cursor=9&&"),
        ("limit=%35", "5", ""),
        ("limit=-1", "-1", ""),
        ("limit=abc", "abc", ""),
        ("limit=5%0d%0aX-Forwarded-For:%201.2.3.4", "5??X-Forwarded-For??1.2.3.4", ""),
        ("limit=5%00", "5?", ""),
        ("cursor=limit=6", None, "cursor=limit=6"),
        ("", None, ""),
    ],
)
def test_limit_of_a_function_becomes_a_header(
    door: httpx.Client, query: str, header: str | None, left: str
) -> None:
    for method in ("GET", "POST"):
        answer = door.request(
            method, f"/rpc/feed_public?{query}", headers={"X-Page-Limit": "99", "Range": "0-1"}
        )
        seen = answer.json()
        assert seen["headers"].get("x-page-limit") == header
        assert seen["path"].partition("?")[::2] == ("/rpc/feed_public", left)
        assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert "range" not in seen["headers"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/posts?limit=5"), ("GET", "/users?order=id&limit=5"), ("DELETE", "/posts?limit=5")],
)
def test_limit_of_anything_else_stays(door: httpx.Client, method: str, path: str) -> None:
    seen = door.request(method, path, headers={"X-Page-Limit": "99"}).json()
    assert seen["path"] == path
    assert "x-page-limit" not in seen["headers"]


@pytest.mark.parametrize("path", ["/posts", "/rpc/me", "/up"])
def test_client_cannot_say_how_a_page_is_written_out(door: httpx.Client, path: str) -> None:
    """That a page has not changed is found out by it."""
    assert "x-representation" not in door.get(path, headers={"X-Representation": "1"}).text


@pytest.mark.parametrize(
    "query",
    ["offset=5", "order=id", "id=lt.5", "and=(id.lt.5)", "columns=id", "xlimit=5", "limits=6"]
    + ["%6cimit=5", "limi%74=5", "limit%00=5", "%00", "limit+=5", "Limit=5", "=5", "a"]
    + ["cursor=1&offset=5", "offset=5&cursor=1", "cursor=1&=5"],
)
def test_other_parameters_of_a_function_are_refused(door: httpx.Client, query: str) -> None:
    for method in ("GET", "POST"):
        answer = door.request(method, f"/rpc/feed_public?{query}", headers={"Origin": ALLOWED})
        assert_error(answer, 400, "parameter_unknown")
        assert "cursor, limit, post_id, user_id and select" in answer.json()["message"]
        assert answer.headers["access-control-allow-origin"] == ALLOWED
    head = door.head(f"/rpc/feed_public?{query}")
    assert (head.status_code, head.content) == (400, b"")


@pytest.mark.parametrize(
    "address",
    ["/rpc/feed_public?cursor=1;order=content", "/rpc/feed_public?;", "/rpc/me?cursor=1;a&offset=5"]
    + ["/rpc/user_cached?user_id=1;select=x", "/up?a;b", "/?;", "/nosuch?a;b"],
)
def test_a_semicolon_separates_nothing(door: httpx.Client, address: str) -> None:
    """To PostgREST it does: what stands after it would be one more parameter."""
    for method in ("GET", "POST", "PATCH", "DELETE"):
        answer = door.request(method, address, headers={"Origin": ALLOWED})
        assert_error(answer, 400, "separator_not_supported")
        assert "%3B" in answer.json()["hint"]
        assert answer.headers["access-control-allow-origin"] == ALLOWED
    encoded = address.replace(";", "%3B")
    assert "separator_not_supported" not in door.get(encoded).text


def test_preferences_go_to_tables_and_not_to_functions(door: httpx.Client) -> None:
    for method in ("GET", "POST"):
        sent = [("Prefer", "count=exact"), ("Prefer", "return=representation")]
        assert "prefer" not in door.request(method, "/rpc/up", headers=sent).json()["headers"]
    seen = door.post("/posts", headers={"Prefer": "return=representation"}).json()
    assert seen["headers"]["prefer"] == "return=representation"


@pytest.mark.parametrize(
    "path",
    ["/users/5", "/users/", "//users", "/rpc/", "/rpc//me", "/rpc/me/", "/rpc/me/5", "/Users"]
    + ["/%75sers", "/rpc/%6ce", "/%72pc/me", "/users%00", "/rpc/me%00", "/users%2f5", "/é"]
    + ["/users;a", "/users.json", "/up/", "/a/me"],
)
def test_an_address_of_another_form_is_404(door: httpx.Client, path: str) -> None:
    address = str(door.base_url).rstrip("/") + path
    for method in ("GET", "POST", "PATCH", "DELETE"):
        answer = door.request(method, f"{address}?id=eq.5", headers={"Origin": ALLOWED})
        assert_error(answer, 404, "not_found")
        assert "/users?id=eq.5" in answer.json()["hint"]
        assert answer.headers["access-control-allow-origin"] == ALLOWED
    head = door.head(address)
    assert (head.status_code, head.content) == (404, b"")


def asked_raw(door: httpx.Client, method: str, target: str) -> tuple[int, dict]:
    """Send a target as it is, which HTTP libraries would not; status and body of the answer."""
    address = (door.base_url.host, door.base_url.port or 80)
    with socket.create_connection(address, 10) as client:
        client.sendall(
            f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        with http.client.HTTPResponse(client, method=method) as answer:
            answer.begin()
            return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("target", ["ftp://x/posts", "ws://x/rpc/login", "httpx://x/posts?id=eq.1"])
def test_an_address_of_another_scheme_is_refused(
    door: httpx.Client, method: str, target: str
) -> None:
    status, error = asked_raw(door, method, target)
    assert (status, error["code"]) == (400, "HTTP400")
    assert list(error) == ["code", "message", "details", "hint"]


@pytest.mark.parametrize("origin", ["http://x", "https://x", "HTTP://x"])
@pytest.mark.parametrize(
    ("target", "inner"),
    [
        ("/posts?id=eq.1", "/posts?id=eq.1"),
        ("/?", "/?"),
        ("/rpc/me", "/rpc/me"),
        ("/up", "/rpc/up"),
    ],
)
def test_of_a_whole_address_the_api_gets_the_path_alone(
    door: httpx.Client, origin: str, target: str, inner: str
) -> None:
    status, seen = asked_raw(door, "GET", origin + target)
    assert (status, seen["path"], seen["headers"]["host"]) == (200, inner, "x")


@pytest.mark.parametrize("path", ["/", "/users", "/rpc/me", "/rpc/password_change", "/x_1"])
def test_an_address_of_the_usual_form_reaches_the_api(door: httpx.Client, path: str) -> None:
    assert door.get(path).json()["path"] == path


def test_body_of_64_kilobytes_passes_and_a_byte_more_does_not(door: httpx.Client) -> None:
    assert door.post("/posts", content=b"x" * 65536).json()["body_size"] == 65536
    assert_error(door.post("/posts", content=b"x" * 65537), 413)


def test_body_without_a_length_is_limited_too(door: httpx.Client) -> None:
    assert_error(door.post("/posts", content=iter([b"x" * 10_000] * 20)), 413)
    assert door.post("/posts", content=iter([b"x" * 6000] * 2)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_body_that_nobody_asked_for_is_limited_too(door: httpx.Client, method: str) -> None:
    """It is here before the request goes on: PostgREST would read it to its end, however long."""
    address = (door.base_url.host, door.base_url.port or 80)
    with socket.create_connection(address, 10) as client, client.makefile("rb") as stream:
        head = f"{method} /posts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode())
        for _ in range(130):
            client.sendall(b"64\r\n" + b"x" * 100 + b"\r\n")
        assert stream.readline().startswith(b"HTTP/1.1 413 ")


def test_origin_of_the_list_may_read_the_answer(door: httpx.Client) -> None:
    answer = door.get("/posts", headers={"Origin": ALLOWED})
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    exposed = answer.headers["access-control-expose-headers"]
    for name in ("Link", "X-Next-Cursor", "Retry-After", "X-RateLimit-Reset", "X-Request-Id"):
        assert name in exposed.split(", ")
    assert "Origin" in answer.headers["vary"]
    assert "origin" not in answer.json()["headers"]


@pytest.mark.parametrize("origin", ["http://evil.example", ALLOWED + ".evil.example", "null"])
def test_other_origins_may_not(door: httpx.Client, origin: str) -> None:
    answer = door.get("/posts", headers={"Origin": origin})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "Origin" in answer.headers["vary"]


def test_preflight_is_answered_at_the_door(door: httpx.Client) -> None:
    asked = {"Access-Control-Request-Method": "PATCH", "Origin": ALLOWED}
    answer = door.options("/posts", headers=asked)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    methods = answer.headers["access-control-allow-methods"].split(", ")
    assert methods == ["GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    for name in ("Authorization", "Content-Type", "Prefer", "Idempotency-Key", "X-Client-Info"):
        assert name in allowed


def test_preflight_of_another_origin_is_refused_with_a_reason(door: httpx.Client) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Origin": "http://evil.example"}
    answer = door.options("/posts", headers=asked)
    assert_error(answer, 403)
    assert "cors_origins.lst" in answer.json()["hint"]
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_options_without_a_preflight_reaches_the_api(door: httpx.Client) -> None:
    assert door.options("/posts").json()["method"] == "OPTIONS"


def test_errors_of_the_door_can_be_read_by_allowed_pages(door: httpx.Client) -> None:
    answer = door.post("/posts", content=b"x" * 70_000, headers={"Origin": ALLOWED})
    assert_error(answer, 413)
    assert answer.headers["access-control-allow-origin"] == ALLOWED


class LateFailure(BaseHTTPRequestHandler):
    """Answers with a head, and only then with words of PostgreSQL's own."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/ready":
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = b'{"code": "42501", "message": "permission denied for table secrets"}'
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        time.sleep(0.3)
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_failure_is_told_in_our_words_however_late_its_own_arrive(
    run_proxy: Callable[..., str],
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), LateFailure) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            port = server.server_address[1]
            answer = httpx.get(f"{run_proxy((port, port))}/posts")
        finally:
            server.shutdown()
    assert_error(answer, 403, "42501")
    assert "secrets" not in answer.text


def test_requests_are_spread_over_the_instances(door: httpx.Client, echo: tuple[int, int]) -> None:
    wait_for(lambda: {door.get("/posts").json()["server"] for _ in range(4)} == set(echo))


def test_without_any_instance_the_answer_is_503(run_proxy: Callable[..., str]) -> None:
    dead, dead_admin = free_ports(2)
    base = run_proxy((dead, dead_admin))
    answer = httpx.get(f"{base}/rpc/feed_public")
    assert_error(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


def test_an_instance_that_is_gone_is_left_out(
    run_proxy: Callable[..., str], echo: tuple[int, int]
) -> None:
    (dead,) = free_ports(1)
    base = run_proxy((dead, dead), (echo[0], echo[0]))
    with httpx.Client(base_url=base) as client:
        assert {client.get("/posts").json()["server"] for _ in range(10)} == {echo[0]}


def test_malformed_request_is_refused_at_the_door(door: httpx.Client) -> None:
    """HAProxy answers what is no HTTP with its built-in page; nothing of it reaches the API."""
    with socket.create_connection((door.base_url.host, door.base_url.port or 80), 10) as client:
        client.sendall(b"GET /up HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
        with client.makefile("rb") as stream:
            assert stream.readline().startswith(b"HTTP/1.1 400 ")

"""Requests of any bytes, which HTTP libraries would not send, and their answers."""

import http.client
import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

DEADLINE = 60.0  # seconds; a request that hangs fails


@dataclass(frozen=True)
class Request:
    """One request, as it goes over the wire; ``target`` is path and query."""

    method: str = "GET"
    target: bytes = b"/"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | None = None

    @property
    def path(self) -> str:
        """What comes before the question mark."""
        return self.target.partition(b"?")[0].decode("latin-1")

    @property
    def query(self) -> bytes:
        """What comes after the question mark."""
        return self.target.partition(b"?")[2]

    def sent(self, name: bytes) -> bytes:
        """All values of a header, as one list."""
        return b", ".join(value for other, value in self.headers if other.lower() == name)

    @property
    def said(self) -> str:
        """All that the client said, encoded and decoded, in lower case: an answer may repeat it."""
        parts = [self.target, unquote_to_bytes(self.target.replace(b"+", b" ")), self.body or b""]
        parts += [value for _, value in self.headers]
        return b" ".join(parts).decode("utf-8", "replace").lower()

    @property
    def is_http(self) -> bool:
        """Whether the head is made of HTTP's characters and fits a buffer: no more is read."""
        values = [value for _, value in self.headers]
        printable = all(0x21 <= byte <= 0x7E and byte != 0x23 for byte in self.target) and all(
            byte >= 0x20 and byte != 0x7F for value in values for byte in value
        )
        return printable and len(self.target) + sum(map(len, values)) < 15_000


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float = 0.0
    text: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.body.decode("utf-8", "replace"))

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


def send(url: str, request: Request, source: str = "") -> Answer:
    """Send a request on a connection of its own, from an address of one's own, read the answer."""
    address = urlsplit(url)
    lines = [request.method.encode() + b" " + request.target + b" HTTP/1.1"]
    lines += [b"Host: " + address.netloc.encode(), b"Connection: close"]
    lines += [name + b": " + value for name, value in request.headers]
    if request.body is not None:
        lines.append(b"Content-Length: %d" % len(request.body))
    message = b"\r\n".join(lines) + b"\r\n\r\n" + (request.body or b"")
    began = time.monotonic()
    with socket.create_connection(
        (address.hostname, address.port), DEADLINE, (source, 0)
    ) as connection:
        connection.sendall(message)
        with http.client.HTTPResponse(connection, method=request.method) as response:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            body = response.read()
            return Answer(response.status, headers, body, time.monotonic() - began)

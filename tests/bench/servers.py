"""An HTTP server whose behaviour under load is known: what generators are tried on."""

import math
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any

from hdrh.histogram import HdrHistogram
from msgspec.structs import replace

from microblog.bench.generators import Job, Outcome
from microblog.bench.scenario import Call, Load, Users

TAG = '"a tag"'
STALL = {"stall": 0.6, "stall_after": 0.4}


@dataclass
class Asked:
    """A request as it arrived."""

    path: str
    headers: Message
    body: str


@dataclass
class Known:
    """What the server does: answers at once, but for a stall of all requests at one moment.

    ``/status/N`` is answered with that status (302 leads to ``/``), ``/close`` not at all,
    ``/tagged`` with 304 where the request has its tag, until ``changes_after`` requests have been
    seen.
    The first ``mute`` connections that ask are never answered.
    ``stall`` is how long it lasts and ``stall_after`` when it begins, in seconds from the first
    request. ``delay`` holds every request for so long. ``seen`` are the request lines, ``asked``
    the whole requests.
    """

    stall: float = 0.0
    stall_after: float = 0.0
    delay: float = 0.0
    changes_after: float = math.inf
    mute: int = 0
    port: int = 0
    seen: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    first: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        """Keep a request that comes within the stall until its end."""
        with self.lock:
            if self.first is None:
                self.first = time.monotonic()
        end = self.first + self.stall_after + self.stall
        now = time.monotonic()
        wait = end - now if self.first + self.stall_after <= now < end else 0.0
        if wait + self.delay:
            threading.Event().wait(wait + self.delay)


def _handler(known: Known) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        asked = False

        def do_GET(self, body: str = "") -> None:
            with known.lock:
                mute, known.mute = known.mute > 0 and not self.asked, known.mute - (not self.asked)
            self.asked = True
            if mute:
                known.over.wait()
                self.close_connection = True
                return
            known.hold()
            with known.lock:
                known.seen.append(self.requestline)
                known.asked.append(Asked(self.path, self.headers, body))
            if self.path == "/close":
                self.close_connection = True
                return
            status = int(self.path.removeprefix("/status/")) if "/status/" in self.path else 200
            page = b'[{"id": 3}]'
            if self.path == "/tagged" and self.headers["If-None-Match"] == TAG:
                status, page = (304, b"") if len(known.seen) <= known.changes_after else (200, page)
            # One write: a second small one would wait for the client's delayed acknowledgement.
            head = f"HTTP/1.1 {status} X\r\nX-Next-Cursor: 7\r\nETag: {TAG}\r\n"
            length = "" if status == 304 else f"Content-Length: {len(page)}\r\n"
            length += "Location: /\r\n" if status == 302 else ""
            self.wfile.write(f"{head}{length}\r\n".encode() + page)

        def do_POST(self) -> None:
            self.do_GET(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def log_message(self, *_: Any) -> None:
            return

    return Handler


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        return  # a generator that ends closes connections in the middle of an answer


@contextmanager
def serving(**behaviour: float) -> Iterator[Known]:
    """Run the server on a free port."""
    known = Known(**behaviour)  # type: ignore[arg-type]
    with _Server(("127.0.0.1", 0), _handler(known)) as server:
        known.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield known
        finally:
            known.over.set()
            server.shutdown()
            thread.join()


def job(known: Known, people: str, *calls: Call, **changes: Any) -> Job:
    """Return a short job for the server; ``changes`` are of the load, or of the job."""
    load = Load(name="load", calls=list(calls) or [Call(name="get", path="/")], clients=4)
    made = Job(
        load=load,
        users=Users(),
        host="127.0.0.1",
        port=known.port,
        dsn="",
        actors=people,
        user_count=10,
        seconds=changes.pop("seconds", 1.0),
        seed=1,
        samples=changes.pop("samples", 0),
    )
    return replace(made, load=replace(load, **changes))


def slow(outcome: Outcome) -> float:
    """Share of answers that took more than 200 ms."""
    return share_above(outcome.all_latencies(), 200_000)


def share_above(taken: HdrHistogram, micros: int) -> float:
    """Share of latencies that are longer."""
    late = sum(
        item.count_at_value_iterated_to
        for item in taken.get_recorded_iterator()
        if item.value_iterated_to > micros
    )
    return float(late / taken.get_total_count())


def in_histogram(outcome: Outcome) -> int:
    """How many latencies there are."""
    return int(outcome.all_latencies().get_total_count())

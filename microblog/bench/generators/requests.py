"""Makes the bytes of HTTP requests from a scenario's templates."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microblog.bench.generators import actors
from microblog.bench.generators.job import Job
from microblog.bench.scenario import PLACEHOLDERS, Call

WORDS = ["heron", "river", "morning", "train", "coffee", "garden", "music", "winter", "stone"]
PARTS = re.compile("({(?:" + "|".join(PLACEHOLDERS) + ")})")


@dataclass(slots=True)
class Request:
    """One request about to be sent; ``data`` is all of it."""

    call: Call
    user: int
    path: str
    cursor: str
    data: bytes

    @property
    def changes_follows(self) -> bool:
        """Whether the user's timeline may be another one afterwards."""
        return self.call.method != "GET" and self.call.path.startswith("/follows")


class Requests:
    """Draws requests as the mix and the users' popularity say; the same for the same seed."""

    def __init__(self, job: Job, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.calls = job.load.calls
        self.walks = [any("{cursor}" in part for part in (c.path, c.body)) for c in self.calls]
        self._people = actors.read(Path(job.actors))
        self._celebrity = job.celebrity
        self._authors = actors.read(Path(job.authors)) if job.authors else []
        self._who = actors.draw(len(self._people), job.users, random)
        self._which = actors.choices([call.weight for call in self.calls], random)
        self._others = actors.numbers(1, job.user_count, random)
        self._posts = actors.numbers(*job.posts, random)
        self._who_writes = actors.numbers(0, len(self._authors) - 1, random)
        self._words = actors.numbers(0, len(WORDS) - 1, random)
        self._templates = [(PARTS.split(c.path), PARTS.split(c.body)) for c in self.calls]
        self._host = f"{job.host}:{job.port}"
        self._places: dict[int, tuple[str, int]] = {}  # by user: the next page's cursor, its number
        self.deepest = 0

    def next(self) -> Request:
        """Return the request that is sent next."""
        position = next(self._which)
        call = self.calls[position]
        user, token = self._asking(call)
        cursor = self._places.get(user, ("", 0))[0] if self.walks[position] else ""
        path_parts, body_parts = self._templates[position]
        values = {"{user}": str(user), "{cursor}": cursor}
        path = "".join([self._fill(part, values) for part in path_parts])
        head = [f"{call.method} {path} HTTP/1.1", f"Host: {self._host}"]
        if not call.anonymous:
            head.append(f"Authorization: Bearer {token}")
        if call.if_none_match:
            head.append(f"If-None-Match: {call.if_none_match}")
        body = b""
        if call.body:
            body = "".join([self._fill(part, values) for part in body_parts]).encode()
            head.append("Content-Type: application/json")
        if call.method != "GET":
            head.append(f"Content-Length: {len(body)}")
        data = ("\r\n".join(head) + "\r\n\r\n").encode() + body
        return Request(call, user, path, cursor, data)

    def _asking(self, call: Call) -> tuple[int, str]:
        if call.by == "celebrity":
            return self._celebrity
        if call.by == "authors":
            return self._authors[next(self._who_writes)]
        return self._people[next(self._who)]

    def walked(self, request: Request, cursor: str) -> None:
        """Note where this user's page ended; the walk starts anew at its end."""
        page = self._places.get(request.user, ("", 0))[1] + 1
        self.deepest = max(self.deepest, page)
        if cursor and page < request.call.pages:
            self._places[request.user] = (cursor, page)
        else:
            self._places.pop(request.user, None)

    def _fill(self, part: str, values: dict[str, str]) -> str:
        if not part.startswith("{"):
            return part
        if part == "{other}":
            return str(next(self._others))
        if part == "{post}":
            return str(next(self._posts))
        if part == "{text}":
            return " ".join([WORDS[next(self._words)] for _ in range(8)])
        return values.get(part, part)

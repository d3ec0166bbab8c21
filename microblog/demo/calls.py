"""One HTTP call: sent, and shown as the curl line that sends the same."""

import http.client
import json
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from microblog.errors import StackError

TIMEOUT = 30.0  # seconds
SHOWN_HEADERS = ("Location", "Link", "X-Next-Cursor", "WWW-Authenticate")
SHOWN_ROWS = 3
SHOWN_TEXT = 120  # characters of a string


@dataclass(frozen=True)
class Answer:
    """What came back; ``body`` is the parsed JSON, None where the body is empty."""

    status: int
    reason: str
    headers: dict[str, str]
    body: Any

    def shown(self) -> str:
        """Return status, the headers that matter here, and the body, long parts cut short."""
        lines = [f"HTTP {self.status} {self.reason}".rstrip()]
        lines += [
            f"{name}: {self.headers[name.lower()]}"
            for name in SHOWN_HEADERS
            if name.lower() in self.headers
        ]
        if self.body is not None:
            lines.append(_json(self.body))
        return "\n".join(lines)


@dataclass(frozen=True)
class Call:
    """A request to the API; ``path`` begins with a slash and is encoded already."""

    method: str
    path: str
    body: Any = None
    token: str | None = None
    prefer: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that are sent."""
        headers = {"Accept": "*/*"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.prefer:
            headers["Prefer"] = self.prefer
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def content(self) -> bytes | None:
        """Return the bytes that are sent as the body."""
        if self.body is None:
            return None
        return json.dumps(self.body, ensure_ascii=False).encode()

    def curl(self, url: str) -> str:
        """Return the line that sends this request; the token stands in it as ``$TOKEN``."""
        words = ["curl", "-i"]
        if self.method != "GET":
            words += ["-X", self.method]
        words.append(shlex.quote(url + self.path))
        for name, value in self.headers().items():
            if name == "Authorization":
                words += ["-H", '"Authorization: Bearer $TOKEN"']
            elif name != "Accept":  # curl sends this one by itself
                words += ["-H", shlex.quote(f"{name}: {value}")]
        content = self.content()
        if content is not None:
            words += ["-d", shlex.quote(content.decode())]
        return " ".join(words)

    def send(self, url: str) -> Answer:
        """Send the request; raise StackError where nothing answers."""
        address = urlsplit(url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=TIMEOUT
        )
        try:
            connection.request(self.method, self.path, self.content(), self.headers())
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise StackError(
                f"{self.method} {url}{self.path}: no answer ({error})",
                "Start the stack: microblog up",
            ) from error
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response.reason, headers, _parsed(content))


def _parsed(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def _json(value: Any) -> str:
    """Return JSON over several lines: of a list the first rows, of a long text the beginning."""
    if isinstance(value, list) and value:
        rows = [f"  {_row(row)}" for row in value[:SHOWN_ROWS]]
        if len(value) > SHOWN_ROWS:
            rows.append(f"  … {len(value) - SHOWN_ROWS} more")
        return "[\n" + ",\n".join(rows) + "\n]"
    if isinstance(value, dict):
        members = [f'  "{name}": {_member(member)}' for name, member in value.items()]
        return "{\n" + ",\n".join(members) + "\n}"
    return _row(value)


def _member(value: Any) -> str:
    return _json(value).replace("\n", "\n  ") if isinstance(value, list) else _row(value)


def _row(value: Any) -> str:
    return json.dumps(_cut(value), ensure_ascii=False)


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cut(member) for name, member in value.items()}
    if isinstance(value, str) and len(value) > SHOWN_TEXT:
        return value[:SHOWN_TEXT] + "…"
    return value

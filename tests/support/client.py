"""A small HTTP client for the API: sign up, and act as one of several members."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

PASSWORD = "correct horse battery"
USUAL = {"Accept-Profile": "api"}  # what makes no difference, but that PostgREST has to answer
_numbers = count(1)


class Api:
    """The API at ``url``. ``proxied``: HAProxy is in front, so a page's limit may go in the query.

    All requests go through one pool of kept connections; safe to use from several threads.
    ``address`` is where they come from: any of 127.0.0.0/8, as the proxy then sees it.
    """

    def __init__(self, url: str, proxied: bool, address: str | None = None) -> None:
        self.url = url
        self.proxied = proxied
        transport = httpx.HTTPTransport(
            local_address=address,
            trust_env=False,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
        )
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def request(
        self, method: str, path: str, token: str | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request, with a token if there is one; the answer whatever its status."""
        headers = dict(options.pop("headers", None) or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if method == "HEAD" and not self.proxied:
            headers["Connection"] = "close"  # what PostgREST does after a HEAD, without saying so
        return self.http.request(method, path, headers=headers, **options)

    def get(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", path, token, **options)

    def post(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a POST."""
        return self.request("POST", path, token, **options)

    def patch(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a PATCH."""
        return self.request("PATCH", path, token, **options)

    def delete(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a DELETE."""
        return self.request("DELETE", path, token, **options)

    def page(
        self,
        path: str,
        token: str | None = None,
        cursor: str | None = None,
        limit: object = None,
        **params: Any,
    ) -> httpx.Response:
        """Ask for one page of a paged call such as ``/rpc/feed_public``."""
        headers = {}
        if cursor is not None:
            params["cursor"] = cursor
        if limit is not None:
            if self.proxied:
                params["limit"] = limit
            else:
                headers["X-Page-Limit"] = str(limit)
        return self.get(path, token, params=params, headers=headers)

    def pages(
        self, path: str, token: str | None = None, limit: object = None, **params: Any
    ) -> Iterator[list[dict[str, Any]]]:
        """Read a paged call to its end by X-Next-Cursor, page by page."""
        cursor = None
        while True:
            answer = expect(200, self.page(path, token, cursor, limit, **params))
            yield answer.json()
            cursor = answer.headers.get("X-Next-Cursor")
            if cursor is None:
                return

    def signup(self, username: str | None = None, password: str = PASSWORD) -> "Member":
        """Create an account, by default one with a name that nobody has."""
        username = username or f"member_{next(_numbers)}"
        answer = expect(
            201, self.post("/rpc/signup", json={"username": username, "password": password})
        ).json()
        return Member(self, answer["user"]["id"], username, password, answer["token"])

    def signups(self, number: int) -> list["Member"]:
        """Create several accounts."""
        return [self.signup() for _ in range(number)]

    def login(self, username: str, password: str = PASSWORD) -> httpx.Response:
        """Ask for a token."""
        return self.post("/rpc/login", json={"username": username, "password": password})


@dataclass
class Member:
    """Somebody with an account and a token; each request is theirs."""

    api: Api
    id: int
    username: str
    password: str
    token: str

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.api.get(path, self.token, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a POST."""
        return self.api.post(path, self.token, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        """Send a PATCH."""
        return self.api.patch(path, self.token, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        """Send a DELETE."""
        return self.api.delete(path, self.token, **options)

    def write(
        self, content: str = "hello", parent_id: int | None = None, **headers: str
    ) -> dict[str, Any]:
        """Post or reply; returns the row. ``Idempotency_Key="…"`` becomes that header."""
        body: dict[str, Any] = {"content": content}
        if parent_id is not None:
            body["parent_id"] = parent_id
        sent = {"Prefer": "return=representation"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        (row,) = expect(201, self.post("/posts", json=body, headers=sent)).json()
        return row

    def erase(self, post_id: int) -> None:
        """Delete one's post."""
        expect(204, self.delete("/posts", params={"id": f"eq.{post_id}"}))

    def follow(self, other: "Member | int") -> None:
        """Follow somebody."""
        followed_id = other if isinstance(other, int) else other.id
        expect(201, self.post("/follows", json={"followed_id": followed_id}))

    def unfollow(self, other: "Member | int") -> None:
        """Unfollow somebody."""
        followed_id = other if isinstance(other, int) else other.id
        expect(204, self.delete("/follows", params={"followed_id": f"eq.{followed_id}"}))

    def page(
        self, name: str, cursor: str | None = None, limit: object = None, **params: Any
    ) -> httpx.Response:
        """Ask for one page: ``page("feed_timeline")``, ``page("replies", post_id=7)``."""
        return self.api.page(f"/rpc/{name}", self.token, cursor, limit, **params)

    def all(self, name: str, limit: object = None, **params: Any) -> list[dict[str, Any]]:
        """Read a paged call to its end; returns all its rows."""
        pages = self.api.pages(f"/rpc/{name}", self.token, limit, **params)
        return [row for page in pages for row in page]

    def ids(self, name: str, limit: object = None, **params: Any) -> list[int]:
        """Read a paged call to its end; returns the ids."""
        return [row["id"] for row in self.all(name, limit, **params)]

    def profile(self) -> dict[str, Any]:
        """One's profile as others see it."""
        (row,) = expect(200, self.get("/users", params={"id": f"eq.{self.id}"})).json()
        return row


def is_direct(answer: httpx.Response) -> bool:
    """Whether the proxy had this page of a feed from the database itself."""
    return "server" not in answer.headers


def expect(status: int, answer: httpx.Response) -> httpx.Response:
    """Return the answer if it has this status; an AssertionError with its body otherwise."""
    assert answer.status_code == status, (
        f"{answer.request.method} {answer.request.url}: {answer.status_code}, not {status}: "
        f"{answer.text[:1000]}"
    )
    return answer


def refused(status: int, code: str, answer: httpx.Response) -> dict[str, Any]:
    """Return the body of an error that has this status and code, and PostgREST's four fields."""
    body = expect(status, answer).json()
    assert set(body) == {"code", "message", "details", "hint"}, body
    assert body["code"] == code, body
    return body

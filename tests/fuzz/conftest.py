"""A served graph of some thousand users, and the two kinds of callers."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.fuzz.rules import Rules
from tests.fuzz.wire import Answer, Request, send
from tests.support.client import Member
from tests.support.graph import seed
from tests.support.servers import Served, serve_api

GOODBYES = ("/rpc/logout", "/rpc/account_delete")


class Callers:
    """Sends requests without and with a token, and checks every answer."""

    def __init__(self, api: Served) -> None:
        self.api = api
        self.rules = Rules(api.database)
        self.member: Member = api.signup()
        self.statuses: dict[int, int] = {}

    def ask(self, request: Request, as_member: bool, source: str = "") -> Answer:
        """Send, check, and count the answer's status; a member who has left is replaced."""
        if as_member and not any(name == b"Authorization" for name, _ in request.headers):
            token = (b"Authorization", b"Bearer " + self.member.token.encode())
            request = replace(request, headers=(*request.headers, token))
        answer = send(self.api.url, request, source)
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        self.rules.check(request, answer)
        if as_member and answer.status < 300 and request.path in GOODBYES:
            self.member = self.api.signup()
        return answer


@pytest.fixture(scope="package")
def served(cluster) -> Iterator[Served]:
    """The public contract before the graph."""
    with cluster.clone() as database:
        seed(database)
        with serve_api(database) as api:
            yield api


@pytest.fixture(scope="package")
def callers(served: Served) -> Callers:
    """Callers of the graph's API."""
    return Callers(served)

"""A HEAD does no harm to the request that comes after it on the same connection."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.client import Member, expect
from tests.support.servers import Served

CLIENTS, TIMES = 16, 40


def test_writes_right_after_heads_are_answered(api: Served) -> None:
    """PostgREST closes the connection of each HEAD without saying so: the proxy must not use it
    again, because a POST that meets the closing cannot be repeated.
    """
    members = api.signups(CLIENTS)

    def read_and_write(member: Member) -> None:
        for _ in range(TIMES):
            expect(200, api.request("HEAD", "/users", member.token, params={"id": "eq.1"}))
            expect(400, member.post("/posts", json={"content": " "}))

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(read_and_write, members))

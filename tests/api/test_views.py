"""Pages of materialised views over HTTP: their age is in the headers."""

import pytest

from microblog.stack.process import wait_for
from tests.support.client import Member, expect, refused
from tests.support.horizon import come_back, forget
from tests.support.servers import Served
from tests.support.views import refresh

PEOPLE, PAGE, FEED = "/rpc/users_popular", "/rpc/feed_public_cached", "/rpc/feed_timeline_cached"


@pytest.fixture(scope="module")
def back(api: Served) -> Member:
    """Somebody who was away when the views were made, which is said to be 100 seconds ago."""
    one, two = api.signups(2)
    one.follow(two)
    for number in range(3):
        two.write(f"post {number}")
    database = api.database
    database.pause_schedules()
    forget(database, one.id)
    refresh(database)
    database.run("update app.view_refreshes set refreshed_at = now() - interval '100 s'")
    come_back(database, one.id)
    return one


@pytest.mark.parametrize(
    ("call", "token"),
    [(PEOPLE, False), (PEOPLE, True), (PAGE, False), (FEED, True)],
    ids=["people", "people, with a token", "the public page", "a feed"],
)
def test_a_page_tells_its_age_and_leads_to_the_next(
    api: Served, back: Member, call: str, token: bool
) -> None:
    headers = {"Origin": "http://localhost:3000"}
    if token:
        headers["Authorization"] = f"Bearer {back.token}"
    for _ in range(2):
        answer = expect(200, api.http.get(f"{call}?limit=1", headers=headers))
        assert len(answer.json()) == 1
        assert 100 <= int(answer.headers["age"]) <= 160
        assert "Age" in answer.headers["access-control-expose-headers"].split(", ")
        assert answer.links["next"]["url"].startswith(f"{call}?cursor=")
        following = expect(200, api.http.get(answer.links["next"]["url"], headers=headers))
        assert following.json()[0]["id"] != answer.json()[0]["id"]


def test_a_row_of_the_most_followed(api: Served, back: Member) -> None:
    (first,) = expect(200, api.get(f"{PEOPLE}?limit=1")).json()
    assert set(first) == {"id", "username", "description", "followers_count"}
    assert first["followers_count"] == 1


def test_a_page_that_cannot_be_is_refused(api: Served, back: Member) -> None:
    for call in (PEOPLE, PAGE, FEED):
        refused(400, "limit_invalid", back.get(f"{call}?limit=0"))
        refused(400, "cursor_invalid", back.get(f"{call}?cursor=x"))


def test_a_feed_of_the_view_is_its_reader_s_alone(api: Served, back: Member) -> None:
    """No shared cache keeps it; the reader's own asks each time, and is told what is unchanged."""
    refused(401, "token_required", api.get(FEED))
    answer = expect(200, back.get(FEED))
    assert answer.headers["cache-control"] == "private, no-cache"
    assert {"Authorization", "Accept"} <= set(answer.headers["vary"].split(", "))
    assert "x-cache" not in answer.headers
    assert answer.json() == back.get("/rpc/feed_timeline").json() != []
    unchanged = back.get(FEED, headers={"If-None-Match": answer.headers["etag"]})
    assert int(expect(304, unchanged).headers["age"]) >= 100
    other = expect(200, api.signup().get(FEED))
    assert other.json() == []
    assert "age" not in other.headers


def test_what_is_shared_is_never_older_than_its_lifetime(api: Served, back: Member) -> None:
    """However old the view was when the proxy's copy was made."""
    refresh(api.database)
    api.database.run("update app.view_refreshes set refreshed_at = now() - interval '57 s'")
    path = f"{PAGE}?limit=2"
    first = expect(200, api.get(path))
    assert (first.headers["x-cache"], int(first.headers["age"]) >= 58) == ("miss", True)

    def ends() -> bool:
        """Whether the copy's time is over; as long as it is not, it tells a lawful age."""
        answer = expect(200, api.get(path))
        assert answer.headers["x-cache"] == "miss" or int(answer.headers["age"]) <= 61
        return answer.headers["x-cache"] == "miss"

    wait_for(ends, what="the end of the lifetime")

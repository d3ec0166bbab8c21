"""Pages from materialised views over HTTP: their age is in the headers."""

import pytest

from tests.support.client import expect, refused
from tests.support.servers import Served


@pytest.fixture(scope="module")
def refreshed(api: Served) -> Served:
    """Two people with posts; the views are made, and then said to be 100 seconds old."""
    one, two = api.signup(), api.signup()
    one.follow(two)
    for author in (one, two, one):
        author.write("hello")
    database = api.database
    database.pause_schedules()
    database.run("update app.view_refreshes set refreshed_at = 'epoch'")
    database.run("select app.job_views_refresh('{}', null) from generate_series(1, 2)")
    database.run("update app.view_refreshes set refreshed_at = now() - interval '100 s'")
    return api


@pytest.mark.parametrize("call", ["feed_public_cached", "users_popular"])
@pytest.mark.parametrize("token", [False, True], ids=["without a token", "with one"])
def test_a_page_tells_its_age_and_leads_to_the_next(
    refreshed: Served, call: str, token: bool
) -> None:
    headers = {"Origin": "http://localhost:3000"}
    if token:
        headers["Authorization"] = f"Bearer {refreshed.signup().token}"
    answer = expect(200, refreshed.http.get(f"/rpc/{call}?limit=1", headers=headers))
    assert len(answer.json()) == 1
    assert 100 <= int(answer.headers["age"]) <= 160
    assert answer.headers["last-modified"].endswith(" GMT")
    assert answer.links["next"]["url"].startswith(f"/rpc/{call}?cursor=")
    following = expect(200, refreshed.http.get(answer.links["next"]["url"]))
    assert following.json()[0]["id"] != answer.json()[0]["id"]


def test_the_cached_page_is_the_exact_one_as_long_as_nothing_changes(refreshed: Served) -> None:
    exact = expect(200, refreshed.get("/rpc/feed_public?limit=100"))
    assert expect(200, refreshed.get("/rpc/feed_public_cached?limit=100")).json() == exact.json()
    assert "age" not in exact.headers


def test_a_row_of_the_most_followed(refreshed: Served) -> None:
    (first,) = expect(200, refreshed.get("/rpc/users_popular?limit=1")).json()
    assert set(first) == {"id", "username", "description", "followers_count"}
    assert first["followers_count"] == 1


@pytest.mark.parametrize("call", ["feed_public_cached", "users_popular"])
def test_a_page_that_cannot_be_is_refused(refreshed: Served, call: str) -> None:
    refused(400, "limit_invalid", refreshed.get(f"/rpc/{call}?limit=0"))
    refused(400, "cursor_invalid", refreshed.get(f"/rpc/{call}?cursor=x"))

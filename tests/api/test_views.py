"""Pages of the most followed over HTTP: their age is in the headers."""

import pytest

from tests.support.client import expect, refused
from tests.support.servers import Served

CALL = "/rpc/users_popular"


@pytest.fixture(scope="module")
def refreshed(api: Served) -> Served:
    """Two people, one followed; the view is made, and then said to be 100 seconds old."""
    one, two = api.signup(), api.signup()
    one.follow(two)
    database = api.database
    database.pause_schedules()
    database.run("update app.view_refreshes set refreshed_at = 'epoch'")
    database.run("select app.job_views_refresh('{}', null)")
    database.run("update app.view_refreshes set refreshed_at = now() - interval '100 s'")
    return api


@pytest.mark.parametrize("token", [False, True], ids=["without a token", "with one"])
def test_a_page_tells_its_age_and_leads_to_the_next(refreshed: Served, token: bool) -> None:
    headers = {"Origin": "http://localhost:3000"}
    if token:
        headers["Authorization"] = f"Bearer {refreshed.signup().token}"
    for _ in range(2):
        answer = expect(200, refreshed.http.get(f"{CALL}?limit=1", headers=headers))
        assert len(answer.json()) == 1
        assert 100 <= int(answer.headers["age"]) <= 160
        assert answer.links["next"]["url"].startswith(f"{CALL}?cursor=")
        following = expect(200, refreshed.http.get(answer.links["next"]["url"]))
        assert following.json()[0]["id"] != answer.json()[0]["id"]


def test_a_row_of_the_most_followed(refreshed: Served) -> None:
    (first,) = expect(200, refreshed.get(f"{CALL}?limit=1")).json()
    assert set(first) == {"id", "username", "description", "followers_count"}
    assert first["followers_count"] == 1


def test_a_page_that_cannot_be_is_refused(refreshed: Served) -> None:
    refused(400, "limit_invalid", refreshed.get(f"{CALL}?limit=0"))
    refused(400, "cursor_invalid", refreshed.get(f"{CALL}?cursor=x"))

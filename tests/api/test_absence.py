"""Back after days away, over HTTP: complete at once, whatever has happened meanwhile."""

import pytest

from tests.support.client import Member, expect
from tests.support.horizon import forget
from tests.support.servers import Served


@pytest.fixture
def away(api: Served) -> tuple[Member, list[Member]]:
    """Somebody who was away for long, and the two they follow, who have posted."""
    api.database.set(fan_out_sync_limit=0)
    reader, *authors = api.signups(3)
    for author in authors:
        reader.follow(author)
        author.write("before")
    api.drain()
    assert len(reader.ids("feed_timeline")) == 2
    forget(api.database, reader.id)
    for author in authors:
        author.write("meanwhile")
    return reader, authors


def log_in(api: Served, member: Member) -> None:
    member.token = expect(200, api.login(member.username)).json()["token"]


def contents(member: Member, limit: int = 1) -> list[str]:
    return [row["content"] for row in member.all("feed_timeline", limit)]


def test_who_comes_back_reads_a_complete_feed_before_any_job_has_run(
    api: Served, away: tuple[Member, list[Member]]
) -> None:
    reader, authors = away
    log_in(api, reader)
    assert contents(reader) == ["meanwhile"] * 2 + ["before"] * 2
    authors[0].write("after")
    assert contents(reader)[0] == "after", "also a post that for others is still queued"
    api.drain()
    assert contents(reader) == ["after"] + ["meanwhile"] * 2 + ["before"] * 2
    assert len(api.database.entries(reader.id)) == 5
    api.database.assert_sound()


def test_what_was_deleted_and_whom_one_leaves_is_gone_before_the_rebuild(
    api: Served, away: tuple[Member, list[Member]]
) -> None:
    reader, (one, two) = away
    newest = reader.ids("feed_timeline")[0]
    two.erase(newest)
    log_in(api, reader)
    assert newest not in reader.ids("feed_timeline")
    reader.unfollow(one)
    assert contents(reader) == ["before"]
    mine = reader.write("my own")
    assert reader.ids("feed_timeline")[0] == mine["id"]
    api.drain()
    assert contents(reader) == ["my own", "before"]
    api.database.assert_sound()


def test_a_page_begun_before_the_rebuild_goes_on_after_it(
    api: Served, away: tuple[Member, list[Member]]
) -> None:
    reader, _ = away
    log_in(api, reader)
    whole = reader.ids("feed_timeline", 100)
    first = reader.page("feed_timeline", limit=2)
    api.drain()
    rest = reader.page("feed_timeline", first.headers["X-Next-Cursor"], limit=2)
    assert [row["id"] for row in first.json() + rest.json()] == whole
    assert "X-Next-Cursor" not in rest.headers


def test_reading_writes_nothing(api: Served, away: tuple[Member, list[Member]]) -> None:
    """Activity is recorded by the login, not by the pages."""
    reader, _ = away
    log_in(api, reader)
    api.drain()
    state = "select xmin::text, active_until from app.feed_states where user_id = %s"
    before = api.database.run(state, [reader.id])
    assert before[0][1] is not None
    assert contents(reader)
    assert api.database.run(state, [reader.id]) == before


def test_who_follows_nobody_who_posts_has_an_empty_last_page(api: Served) -> None:
    reader, silent = api.signups(2)
    reader.follow(silent)
    for _ in range(2):
        answer = expect(200, reader.page("feed_timeline"))
        assert answer.json() == []
        assert "X-Next-Cursor" not in answer.headers
        forget(api.database, reader.id)

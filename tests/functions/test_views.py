"""The materialised views: what they hold, when they are refreshed, how old pages say they are."""

import pytest
from psycopg import errors

from tests.support.database import Database, Row
from tests.support.horizon import come_back, forget
from tests.support.views import (
    INACTIVE,
    POPULAR,
    PUBLIC,
    VIEWS,
    Kept,
    due,
    ids,
    page,
    refresh,
    walk,
)

each_view = pytest.mark.parametrize("kept", VIEWS, ids=lambda kept: kept.view)
PEOPLE = POPULAR.call
PAGE, EXACT_PAGE = PUBLIC.call, "feed_public"
FEED, EXACT_FEED = INACTIVE.call, "feed_timeline"


class Town:
    """Three people with posts: bob and eve follow ann, ann follows bob; eve was away for long."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.pause_schedules()
        self.ann, self.bob, self.eve = database.users(3)
        database.follow([self.bob, self.eve], self.ann)
        database.follow(self.ann, self.bob)
        for author in (self.eve, self.ann, self.bob, self.ann):
            database.post(author)
        forget(database, self.eve)

    def reader(self, kept: Kept) -> int | None:
        """Who reads a page from this view."""
        return self.eve if kept.is_own else None

    def shown(self, kept: Kept, size: int = 2) -> list[Row]:
        """All rows that its call shows, page by page."""
        return walk(self.database, kept.call, size, self.reader(kept))

    def first(self, kept: Kept, limit: int = 1) -> dict[str, str]:
        """The headers of the first page."""
        return page(self.database, kept.call, limit=limit, user=self.reader(kept))[1]


@pytest.fixture
def town(database: Database) -> Town:
    return Town(database)


def aged(database: Database, age: str) -> None:
    """Let the views be this old."""
    database.run("update app.view_refreshes set refreshed_at = now() - %s::interval", [age])


# -- what they have in common --------------------------------------------------------------------


@each_view
def test_what_changed_since_shows_after_the_next_refresh(
    database: Database, town: Town, kept: Kept
) -> None:
    refresh(database)
    before = town.shown(kept)
    assert len(before) >= 2
    new = kept.write(database, town.ann)
    assert town.shown(kept) == before
    refresh(database)
    assert set(ids(town.shown(kept))) == {*ids(before), new}


@each_view
def test_a_view_is_refreshed_when_its_lifetime_is_over_and_not_before(
    database: Database, town: Town, kept: Kept
) -> None:
    refresh(database)

    def refreshes(age: float) -> bool:
        """Let it be this many seconds old, run the job, and tell whether it refreshed it."""
        aged(database, f"{age} s")
        database.run("select app.job_add('views_refresh')")
        database.drain(fold=False)
        return database.value(
            "select refreshed_at > now() - interval '20 s' from app.view_refreshes"
            " where view_name = %s",
            [f"app.{kept.view}"],
        )

    assert not refreshes(kept.lifetime - 30)
    assert refreshes(kept.lifetime)
    database.set(**{kept.setting(database): 25})
    assert refreshes(26)


def test_a_schedule_runs_the_job(database: Database, town: Town) -> None:
    due(database)
    database.run("update app.job_schedules set next_run_at = now() where kind = 'views_refresh'")
    assert database.drain(fold=False) == ["views_refresh"] * (len(VIEWS) + 1)
    for kept in VIEWS:
        assert database.value(f"select count(*) from app.{kept.view}") > 0


@each_view
def test_a_page_says_how_old_it_is_beside_what_it_said_before(
    database: Database, town: Town, kept: Kept
) -> None:
    """And may be shared for what is left of the view's lifetime, where it may be shared at all."""
    refresh(database)
    aged(database, "20.4 s")
    headers = town.first(kept)
    assert {"X-Next-Cursor", "Link", "Age"} <= set(headers)
    age = int(headers["Age"])
    assert 21 <= age <= 50, "rounded up"
    if kept.is_own:
        assert "Cache-Control" not in headers
    else:
        assert headers["Cache-Control"] == f"s-maxage={kept.lifetime - age}, public"


@pytest.mark.parametrize("kept", [POPULAR, PUBLIC], ids=lambda kept: kept.view)
def test_while_a_refresh_is_due_a_page_is_shared_from_second_to_second(
    database: Database, town: Town, kept: Kept
) -> None:
    refresh(database)
    aged(database, f"{kept.lifetime} s")
    assert town.first(kept)["Cache-Control"] == "s-maxage=1, public"
    database.set(**{kept.setting(database): 0})
    assert town.first(kept)["Cache-Control"] == "no-store"


@each_view
def test_a_new_name_shows_at_once(database: Database, town: Town, kept: Kept) -> None:
    refresh(database)
    database.run("update app.users set username = 'Anna' where id = %s", [town.ann])
    assert "Anna" in str(town.shown(kept))


@each_view
@pytest.mark.parametrize("purged", [True, False], ids=["gone", "being deleted"])
def test_an_account_that_is_closed_is_gone_at_once(
    database: Database, town: Town, kept: Kept, purged: bool
) -> None:
    """From pages of the view as it is, and of one that is refreshed while a job goes on with it."""
    refresh(database)
    database.set(account_purge_sync_limit=500 if purged else 0)
    name = database.value("select username from app.users where id = %s", [town.ann])
    assert name in str(town.shown(kept))
    database.run("select app.account_close(%s)", [town.ann])
    for _ in range(2):
        assert name not in str(town.shown(kept))
        refresh(database)


@each_view
def test_an_unusable_cursor_or_limit_is_refused(database: Database, town: Town, kept: Kept) -> None:
    refresh(database)
    for cursor, limit, code in (("x", 1, "cursor_invalid"), (None, 101, "limit_invalid")):
        with pytest.raises(Exception, match=code):
            page(database, kept.call, cursor, limit, town.reader(kept))


def test_operators_see_the_age_of_each_view(database: Database, town: Town) -> None:
    refresh(database)
    with database.superuser() as connection:
        connection.execute("set role monitor")
        rows = connection.execute(
            "select view_name, extract(epoch from lifetime)::integer,"
            " age between '0 s' and '1 minute', took > '0 s', bytes > 8192 from dba.views"
        ).fetchall()
    assert set(rows) == {(f"app.{kept.view}", kept.lifetime, True, True, True) for kept in VIEWS}


def test_what_is_to_be_refreshed_at_once_is_not_made_younger(
    database: Database, town: Town
) -> None:
    """After a bulk load: it is due, and as old as it was or older."""
    refresh(database)
    database.run(
        "update app.view_refreshes set refreshed_at = '2020-01-01' where view_name ~ 'popular'"
    )
    before = dict(database.run("select view_name, refreshed_at from app.view_refreshes"))
    database.run("select app.views_expire()")
    after = dict(database.run("select view_name, refreshed_at from app.view_refreshes"))
    assert all(after[view] <= before[view] for view in before)
    for kept in VIEWS:
        assert database.value("select app.job_views_refresh('{}', null)"), kept


# -- the most followed ---------------------------------------------------------------------------


def test_before_the_first_refresh_nobody_is_listed(database: Database, town: Town) -> None:
    rows, headers = page(database, PEOPLE)
    assert rows == []
    assert set(headers) == {"Age", "Cache-Control"}


def test_the_most_followed_come_first(database: Database, town: Town) -> None:
    refresh(database)
    names = dict(database.run("select id, username from app.users"))
    for size in (1, 2, 100):
        rows = walk(database, PEOPLE, size)
        assert [(row[0], row[3]) for row in rows] == [(town.ann, 2), (town.bob, 1), (town.eve, 0)]
        assert [row[1] for row in rows] == [names[row[0]] for row in rows]


def test_only_so_many_have_a_rank(database: Database, town: Town) -> None:
    database.set(popular_users_ranks=2)
    refresh(database)
    assert len(walk(database, PEOPLE, 1)) == 2


# -- the public page -----------------------------------------------------------------------------


@pytest.fixture
def posts(database: Database, town: Town) -> list[int]:
    """Ten posts and replies in between; the view knows the newest four."""
    for _ in range(6):
        post = database.post(town.ann)
        database.post(town.bob, "a reply", parent=post)
    database.set(public_page_rows=4)
    refresh(database)
    kept = database.values("select post_id from app.public_page order by post_id desc")
    posts = ids(walk(database, EXACT_PAGE, 100))
    assert (len(posts), kept) == (10, posts[:4])
    return posts


def test_the_public_page_goes_on_below_the_view(database: Database, posts: list[int]) -> None:
    """Without a gap and without a repeat, whatever was deleted of it meanwhile."""
    for gone in (None, posts[1], posts[3], posts[4]):
        if gone:
            database.delete_post(gone)
        exact = walk(database, EXACT_PAGE, 100)
        for size in (1, 3, 4, 5, 100):
            assert walk(database, PAGE, size) == exact


def test_a_refresh_between_two_pages_shifts_nothing(
    database: Database, town: Town, posts: list[int]
) -> None:
    rows, headers = page(database, PAGE, limit=3)
    database.posts(town.bob, 3)
    refresh(database)
    following, _ = page(database, PAGE, headers["X-Next-Cursor"])
    assert ids(rows + following) == posts


def test_what_a_post_shows_is_as_it_is_now(database: Database, town: Town) -> None:
    refresh(database)
    newest = page(database, PAGE, limit=1)[0][0]
    database.post(town.eve, "a reply", parent=newest[0])
    database.post(town.eve, "not yet")
    (shown,), _ = page(database, PAGE, limit=1)
    assert (shown[0], shown[4]) == (newest[0], newest[4] + 1)


def test_what_lies_below_the_view_is_exact_and_is_shared_as_such(
    database: Database, posts: list[int]
) -> None:
    aged(database, "30 s")
    assert 30 <= int(page(database, PAGE, str(posts[3] + 1))[1]["Age"]) <= 59
    headers = page(database, PAGE, str(posts[3]))[1]
    assert headers == {"Cache-Control": "s-maxage=60, public"}


def test_before_the_first_refresh_the_public_page_is_exact(database: Database, town: Town) -> None:
    aged(database, "1 hour")
    rows, headers = page(database, PAGE)
    assert rows == page(database, EXACT_PAGE)[0] != []
    assert headers == {"Cache-Control": "s-maxage=60, public"}


def test_with_a_token_the_public_page_is_exact(
    database: Database, town: Town, posts: list[int]
) -> None:
    new = database.post(town.bob)
    rows, headers = page(database, PAGE, user=town.bob)
    assert ids(rows) == [new, *posts]
    assert headers == {}
    assert new not in ids(page(database, PAGE)[0])


# -- feeds of people who were away ---------------------------------------------------------------


@pytest.fixture
def away(database: Database, town: Town) -> int:
    """Eve, with 30 posts in her timeline, her own among them; the view is fresh."""
    for _ in range(9):
        for author in (town.ann, town.eve, town.ann, town.bob):
            database.post(author)
    refresh(database)
    assert len(walk(database, EXACT_FEED, 100, town.eve)) == 30
    return town.eve


def test_a_feed_goes_on_below_the_view(database: Database, town: Town, away: int) -> None:
    """Without a gap and without a repeat, whatever was deleted or unfollowed meanwhile."""
    posts = ids(walk(database, EXACT_FEED, 100, away))
    for change in (
        lambda: None,
        lambda: database.delete_post(posts[1]),
        lambda: database.delete_post(posts[20]),
        lambda: database.delete_post(posts[21]),
        lambda: database.unfollow(away, town.ann),
        lambda: database.run("delete from app.posts where author_id = %s", [away]),
    ):
        change()
        exact = walk(database, EXACT_FEED, 100, away)
        for size in (7, 20, 21, 22, 100):
            assert walk(database, FEED, size, away) == exact
            assert "Age" in page(database, FEED, limit=size, user=away)[1]
    assert exact == []


def test_a_feed_of_the_view_shows_nothing_that_is_new(
    database: Database, town: Town, away: int
) -> None:
    """Nor does it miss what it showed: only what is gone from the timeline goes from the page."""
    database.follow(away, town.bob)
    new = [database.post(author) for author in (town.ann, away)]
    rows = ids(page(database, FEED, limit=20, user=away)[0])
    exact = ids(walk(database, EXACT_FEED, 100, away))
    assert new == exact[1::-1]
    assert not set(new) & set(rows)
    assert set(rows) < set(exact)


def test_what_follows_the_first_page_is_exact(database: Database, away: int) -> None:
    headers = page(database, FEED, limit=20, user=away)[1]
    assert "Age" in headers
    rest, headers = page(database, FEED, headers["X-Next-Cursor"], user=away)
    assert len(rest) == 10
    assert headers == {}


def test_for_whoever_is_not_in_the_view_the_feed_is_exact(
    database: Database, town: Town, away: int
) -> None:
    for user in (town.ann, town.bob):
        database.post(user)
        rows, headers = page(database, FEED, user=user)
        assert rows == page(database, EXACT_FEED, user=user)[0] != []
        assert headers == {}


def test_before_the_first_refresh_a_feed_is_exact(database: Database, town: Town) -> None:
    rows, headers = page(database, FEED, user=town.eve)
    assert rows == page(database, EXACT_FEED, user=town.eve)[0] != []
    assert headers == {}


def test_who_came_back_has_the_view_until_the_next_refresh(
    database: Database, town: Town, away: int
) -> None:
    come_back(database, away)
    new = database.post(town.ann)
    rows, headers = page(database, FEED, user=away)
    assert new not in ids(rows)
    assert "Age" in headers
    refresh(database)
    rows, headers = page(database, FEED, user=away)
    assert rows == page(database, EXACT_FEED, user=away)[0]
    assert (rows[0][0], headers) == (new, {})


def test_the_view_has_those_who_were_there_last(database: Database, town: Town) -> None:
    forget(database, [town.ann, town.bob])
    for user, days in ((town.ann, 3), (town.bob, 1), (town.eve, 2)):
        database.run(
            "update app.feed_states set active_until = now() - %s * interval '1 day'"
            " where user_id = %s",
            [days, user],
        )
    for users, expected in (
        (0, set()),
        (2, {town.bob, town.eve}),
        (9, {town.ann, town.bob, town.eve}),
    ):
        database.set(inactive_feeds_users=users)
        refresh(database)
        assert set(database.values("select user_id from app.inactive_feeds")) == expected


def test_the_view_leaves_out_what_would_take_long_and_what_has_nothing(
    database: Database, town: Town
) -> None:
    newcomer = database.user()
    forget(database, [town.bob, newcomer])
    authors = database.users(3)
    database.follow(town.bob, authors)
    database.drain()
    for follows, expected in ((4, {town.bob, town.eve}), (3, {town.eve})):
        database.set(inactive_feeds_follows=follows)
        refresh(database)
        assert set(database.values("select user_id from app.inactive_feeds")) == expected


@pytest.mark.parametrize("posts", [1, 22])
def test_a_row_of_the_view_has_the_newest_21(database: Database, town: Town, posts: int) -> None:
    """However they are spread over authors, and replies not among them."""
    reader, *authors = database.users(23)
    database.follow(reader, authors)
    for author in authors:
        database.posts(author, posts)
        database.post(author, "a reply", parent=database.posts(author, 1)[0])
    forget(database, reader)
    refresh(database)
    kept = database.value("select post_ids from app.inactive_feeds where user_id = %s", [reader])
    assert kept == ids(page(database, EXACT_FEED, limit=21, user=reader)[0])


def test_nobody_reads_what_is_kept_for_another(database: Database, town: Town, away: int) -> None:
    with database.as_member(town.bob) as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("select from app.inactive_feeds")
        assert connection.execute("select app.inactive_feed()").fetchall() == [(None,)]
    with database.as_member(away) as connection:
        ((kept,),) = connection.execute("select app.inactive_feed()").fetchall()
        assert len(kept) == 21
    with database.superuser() as connection:
        connection.execute("set role member")
        assert connection.execute("select app.inactive_feed()").fetchall() == [(None,)]

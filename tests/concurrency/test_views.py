"""A refresh of a materialised view holds up nobody: not who reads it, not who posts."""

import pytest

from tests.support.actors import POST, WORK, Actor, Stage
from tests.support.database import Database
from tests.support.horizon import forget
from tests.support.views import VIEWS, Kept, due, refresh


class View:
    """A view that is due again, with people who read it and an author they see there."""

    def __init__(self, database: Database, actors: Stage, kept: Kept) -> None:
        self.database, self.actors, self.kept = database, actors, kept
        self.page = f"select id from api.{kept.call}(null, 100)"
        self.author, self.away = database.user("author"), database.user("away")
        database.follow(self.away, self.author)
        database.post(self.author)
        forget(database, self.away)
        refresh(database)
        self.old = set(self.reader().do(self.page))
        assert self.old
        database.run(
            "update app.view_refreshes set refreshed_at = 'epoch' where view_name = %s",
            [f"app.{kept.view}"],
        )
        database.run("select app.job_add('views_refresh')")

    def reader(self) -> Actor:
        """Somebody who reads it."""
        if self.kept.is_own:
            return self.actors.member(self.away)
        reader = self.actors.superuser()
        reader.do("set role anon")
        return reader

    def write(self) -> tuple[int]:
        """Write what the page shows after a refresh; returns its row."""
        return (self.kept.write(self.database, self.author),)

    def refreshing(self) -> Actor:
        """A worker whose transaction has refreshed the view and is not committed."""
        worker = self.actors.worker()
        worker.begin()
        assert worker.do(WORK) == [("views_refresh",)]
        return worker

    def is_due(self) -> bool:
        """Whether it is still to be refreshed."""
        return self.database.value(
            "select refreshed_at = 'epoch' from app.view_refreshes where view_name = %s",
            [f"app.{self.kept.view}"],
        )


@pytest.fixture(params=VIEWS, ids=lambda kept: kept.view)
def view(database: Database, actors: Stage, request: pytest.FixtureRequest) -> View:
    return View(database, actors, request.param)


def test_readers_and_authors_go_on_during_a_refresh(
    database: Database, actors: Stage, view: View
) -> None:
    """Nobody waits: a lock_timeout would say so. The page is the old one until the commit."""
    new = view.write()
    worker = view.refreshing()
    reader, poster = view.reader(), actors.member(view.author)
    for actor in (reader, poster):
        actor.do("set lock_timeout = '1ms'")
    assert set(reader.do(view.page)) == view.old
    ((latest,),) = poster.do(POST, "meanwhile")
    assert set(reader.do(view.page)) == view.old
    worker.commit()
    assert set(reader.do(view.page)) == {*view.old, new}
    assert latest in database.feed(view.author, "public")


def test_a_reader_in_the_middle_of_a_transaction_does_not_hold_up_a_refresh(
    database: Database, actors: Stage, view: View
) -> None:
    new = view.write()
    reader = view.reader()
    reader.begin()
    assert set(reader.do(view.page)) == view.old
    worker = actors.worker()
    worker.do("set lock_timeout = '1ms'")
    assert worker.do(WORK) == [("views_refresh",)]
    reader.commit()
    assert set(reader.do(view.page)) == {*view.old, new}
    assert database.value("select max(attempts) from app.jobs") == 0


def test_two_workers_do_not_refresh_the_same_view(
    database: Database, actors: Stage, view: View
) -> None:
    """The second passes over what the first has in hand, and neither waits nor fails."""
    worker = view.refreshing()
    second = actors.superuser()
    second.do("set lock_timeout = '1ms'")
    assert second.do("select app.job_views_refresh('{}', null)") == [(None,)]
    worker.commit()
    assert second.do("select app.job_views_refresh('{}', null)") == [(None,)]


@pytest.mark.parametrize("ends", ["rollback", "killed"])
def test_a_refresh_that_does_not_come_to_its_end_leaves_the_view_as_it_was(
    database: Database, view: View, ends: str
) -> None:
    """And as old as it was: it is done again."""
    new = view.write()
    worker = view.refreshing()
    if ends == "killed":
        database.run("select pg_terminate_backend(%s, 30000)", [worker.pid])
    else:
        worker.rollback()
    reader = view.reader()
    assert set(reader.do(view.page)) == view.old
    assert view.is_due()
    assert database.work() == "views_refresh"
    assert set(reader.do(view.page)) == {*view.old, new}


def test_a_refresh_does_not_wait_for_a_bulk_load(database: Database, actors: Stage) -> None:
    """Which has every table for itself: the job passes over the views until it is over."""
    due(database)
    loader, worker = actors.superuser(), actors.superuser()
    loader.begin()
    loader.do("select app.seed_begin()")
    worker.do("set lock_timeout = '1ms'")
    assert worker.do("select app.job_views_refresh('{}', null)") == [(None,)]
    loader.rollback()
    assert worker.do("select app.job_views_refresh('{}', null)") == [(1,)]

"""A refresh of a materialised view holds up nobody: not who reads it, not who posts."""

import pytest

from tests.support.actors import POST, WORK, Actor, Stage
from tests.support.database import Database

PAGE = "select id from api.users_popular(null, 100)"


@pytest.fixture
def author(database: Database) -> int:
    """Somebody listed, in a view that is due again."""
    author = database.user("author")
    database.run("update app.view_refreshes set refreshed_at = 'epoch'")
    database.run("select app.job_views_refresh('{}', null)")
    database.run("update app.view_refreshes set refreshed_at = 'epoch'")
    database.run("select app.job_add('views_refresh')")
    return author


def refreshing(actors: Stage) -> Actor:
    """A worker whose transaction has refreshed the view and is not committed."""
    worker = actors.worker()
    worker.begin()
    assert worker.do(WORK) == [("views_refresh",)]
    return worker


def test_readers_and_authors_go_on_during_a_refresh(
    database: Database, actors: Stage, author: int
) -> None:
    """Nobody waits: a lock_timeout would say so. The page is the old one until the commit."""
    new = database.user("new")
    worker = refreshing(actors)
    reader, poster = actors.member(author), actors.member(author)
    for actor in (reader, poster):
        actor.do("set lock_timeout = '1ms'")
    assert reader.do(PAGE) == [(author,)]
    ((latest,),) = poster.do(POST, "meanwhile")
    assert reader.do(PAGE) == [(author,)]
    worker.commit()
    assert reader.do(PAGE) == [(author,), (new,)]
    assert latest in database.feed(author, "public")


def test_a_reader_in_the_middle_of_a_transaction_does_not_hold_up_a_refresh(
    database: Database, actors: Stage, author: int
) -> None:
    new = database.user("new")
    reader = actors.member(author)
    reader.begin()
    assert reader.do(PAGE) == [(author,)]
    worker = actors.worker()
    worker.do("set lock_timeout = '1ms'")
    assert worker.do(WORK) == [("views_refresh",)]
    reader.commit()
    assert reader.do(PAGE) == [(author,), (new,)]
    assert database.value("select max(attempts) from app.jobs") == 0


def test_two_workers_do_not_refresh_the_same_view(
    database: Database, actors: Stage, author: int
) -> None:
    """The second passes over what the first has in hand, and neither waits nor fails."""
    worker = refreshing(actors)
    second = actors.superuser()
    second.do("set lock_timeout = '1ms'")
    assert second.do("select app.job_views_refresh('{}', null)") == [(None,)]
    worker.commit()
    assert second.do("select app.job_views_refresh('{}', null)") == [(None,)]


@pytest.mark.parametrize("ends", ["rollback", "killed"])
def test_a_refresh_that_does_not_come_to_its_end_leaves_the_view_as_it_was(
    database: Database, actors: Stage, author: int, ends: str
) -> None:
    """And as old as it was: it is done again."""
    new = database.user("new")
    worker = refreshing(actors)
    if ends == "killed":
        database.run("select pg_terminate_backend(%s, 30000)", [worker.pid])
    else:
        worker.rollback()
    reader = actors.member(author)
    assert reader.do(PAGE) == [(author,)]
    assert database.value("select refreshed_at = 'epoch' from app.view_refreshes")
    assert database.work() == "views_refresh"
    assert reader.do(PAGE) == [(author,), (new,)]

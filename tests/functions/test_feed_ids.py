"""Which posts are on a page: read with the owner's rights, so for the reader alone."""

from tests.support.database import Database

IDS = "select ids from app.feed_ids(9007199254740992, 21, %s)"


def test_a_reader_gets_what_is_theirs_and_goes_on_below_what_is_gone(database: Database) -> None:
    reader, other, author, rival = database.users(4)
    database.follow(reader, author)
    database.follow(other, rival)
    posts = [database.post(author), database.post(author)]
    own, _, _ = database.post(reader), database.post(rival), database.post(other)
    with database.as_member(reader) as connection:
        assert connection.execute(IDS, [True]).fetchone() == ([own, *reversed(posts)],)
        assert connection.execute(IDS, [False]).fetchone() == (posts[::-1],)
    with database.superuser() as connection:
        # As while a job still removes it: the post is gone, its entry is not.
        connection.execute("set session_replication_role = replica")
        connection.execute("delete from app.posts where id = %s", [posts[1]])
    assert database.feed(reader, "following", limit=1) == posts[:1]

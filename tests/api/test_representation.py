"""What a page's tag says of how the page is written out, beyond its rows.

A client keeps a page with its tag over deployments. Where the same rows come in other bytes, the
tag has to be another one: app.page_version for what the database does, the version of PostgREST
for the rest.
"""

import hashlib
from collections.abc import Iterator

import pytest

from tests.support.client import Member, expect
from tests.support.cluster import Cluster
from tests.support.database import Database
from tests.support.servers import Served, serve_api

PATHS = (
    "/rpc/feed_timeline?limit=2",
    "/rpc/feed_mine",
    "/rpc/feed_public?limit=1",
    "/rpc/replies?post_id={asked}&limit=2",
    "/rpc/thread?post_id={asked}&limit=2",
)
# app.page_version, and the digest of these pages. Where the digest is another one now, clients that
# have pages from before would be told that nothing changed: raise app.page_version, write both.
WRITTEN = ("1", "18e09d60b4b92fd3")
TIMES = ("2026-01-02 03:04:05.678+00", "2026-01-02 03:04:06+00", "2026-06-07 08:09:10.5+00")


@pytest.fixture
def town(cluster: Cluster) -> Iterator[Database]:
    """A database whose operator lives elsewhere and writes times in another way."""
    with cluster.clone() as database:
        database.run(f"alter database {database.name} set timezone = 'Asia/Tokyo'")
        database.run(f"alter database {database.name} set datestyle = 'German'")
        yield database


def posts(database: Database, author: int, other: int) -> int:
    """Write the same posts each time, with their ids; returns the one that is answered."""
    asked, *rest = (
        database.value("select app.post_id_at(%s)", [time]) + number
        for time in TIMES
        for number in (1, 2)
    )
    rows = [
        (asked, author, 'Grüße, "Welt" \\ 🙂', None),
        (rest[0], author, "another\nline", None),
        (rest[1], author, "an answer", asked),
        (rest[2], other, "of somebody who goes", asked),
        (rest[3], author, "one more", asked),
    ]
    for row in rows:
        database.run(
            "insert into app.posts (id, author_id, content, parent_id) values (%s, %s, %s, %s)", row
        )
    database.run("select app.account_close(%s)", [other])
    return asked


def test_pages_are_written_out_as_this_version_says(town: Database) -> None:
    """Whatever time zone the database has been given."""
    town.run("alter table app.users alter id restart 1")
    with serve_api(town) as api:
        author, other = api.signup("ann"), api.signup("bob")
        asked = posts(town, author.id, other.id)
        digest = hashlib.sha256()
        for path in PATHS:
            page = expect(200, author.get(path.format(asked=asked)))
            assert page.headers["ETag"], path
            told = (page.headers.get(name, "") for name in ("Link", "X-Next-Cursor"))
            digest.update("\n".join((page.text, *told)).encode())
        csv = author.get("/rpc/feed_mine?select=created_at", headers={"Accept": "text/csv"})
        assert "2026-01-02 03:04:05.678+00" in csv.text
    version = town.value("select app.page_version()")
    assert (version, digest.hexdigest()[:16]) == WRITTEN, "see WRITTEN above"


@pytest.fixture
def reader(own_api: Served) -> Member:
    reader = own_api.signup()
    reader.write("here")
    return reader


@pytest.mark.parametrize("name", ["feed_timeline", "feed_mine", "feed_public", "thread"])
def test_another_version_makes_every_tag_anew(reader: Member, name: str) -> None:
    """On either way, in the sessions that are open already."""
    (post,) = expect(200, reader.page("feed_mine")).json()
    path = f"/rpc/{name}" + (f"?post_id={post['id']}" if name == "thread" else "")
    headers = {"If-None-Match": expect(200, reader.get(path)).headers["ETag"]}
    expect(304, reader.get(path, headers=headers))
    reader.api.database.run(
        "create or replace function app.page_version() returns text"
        " language sql stable parallel safe return '0'"
    )
    again = expect(200, reader.get(path, headers=headers))
    assert again.headers["ETag"] != headers["If-None-Match"]
    expect(304, reader.get(path, headers={"If-None-Match": again.headers["ETag"]}))


def test_another_postgrest_makes_every_tag_anew(own_api: Served, reader: Member) -> None:
    tag = expect(200, reader.page("feed_timeline")).headers["ETag"]
    with serve_api(own_api.database, MICROBLOG_POSTGREST_VERSION="99.0") as newer:
        page = newer.get("/rpc/feed_timeline", reader.token, headers={"If-None-Match": tag})
        assert expect(200, page).headers["ETag"] != tag
        tag = page.headers["ETag"]
        again = newer.get("/rpc/feed_timeline", reader.token, headers={"If-None-Match": tag})
        expect(304, again)

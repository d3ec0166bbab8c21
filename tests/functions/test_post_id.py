"""Post ids: time, order and identity in 53 bits."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.actors import POST, stage
from tests.support.database import Database

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(module_database: Database) -> Database:
    return module_database


@pytest.mark.parametrize(
    "moment",
    [
        EPOCH,
        EPOCH + timedelta(milliseconds=1),
        datetime(2024, 2, 29, 12, 34, 56, 789000, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, 1000, tzinfo=UTC),
        datetime(2089, 9, 6, 15, 47, 35, 551000, tzinfo=UTC),
    ],
)
def test_the_time_of_a_post_is_read_off_its_id(shared: Database, moment: datetime) -> None:
    """To the millisecond, for the first and the last id of that millisecond."""
    (first,) = shared.values("select app.post_id_at(%s)", [moment])
    assert first == (moment - EPOCH) // timedelta(milliseconds=1) << 12
    assert shared.value("select app.post_created_at(%s)", [first]) == moment
    assert shared.value("select app.post_created_at(%s)", [first + 4095]) == moment
    assert shared.value("select app.post_created_at(%s)", [first + 4096]) > moment


def test_every_millisecond_of_a_day_survives_the_way_there_and_back(shared: Database) -> None:
    """Floating point stands in between: a sample of 100,000 milliseconds over 60 years."""
    assert (
        shared.values(
            """
        select m
        from (select (n * 18934567891::numeric)::bigint % 2000000000000 as m
              from generate_series(1, 100000) n) x
        where app.post_id_at(app.post_created_at(m << 12)) <> m << 12
        """
        )
        == []
    )


def test_it_fits_a_javascript_number_until_2089(shared: Database) -> None:
    last = shared.value("select app.post_id_at('2089-09-06 15:47:35.551+00') | 4095")
    assert last == 2**53 - 1


def test_a_fraction_of_a_millisecond_is_cut_off(shared: Database) -> None:
    assert shared.value(
        "select app.post_id_at('2026-01-01 00:00:00.001999+00')"
        " = app.post_id_at('2026-01-01 00:00:00.001+00')"
    )


def test_ids_ascend_with_time_and_none_comes_twice(shared: Database) -> None:
    """20,000 of one session, which is several a millisecond and past the end of the sequence."""
    ids = shared.values("select app.post_id_next() from generate_series(1, 20000)")
    assert len(set(ids)) == 20000
    milliseconds = [number >> 12 for number in ids]
    assert milliseconds == sorted(milliseconds)
    assert len(set(milliseconds)) < 20000, "some share a millisecond"
    assert all(0 < number < 2**53 for number in ids)


def test_sessions_at_once_get_different_ids(shared: Database) -> None:
    """As many as the sequence has numbers are different, wherever the clock stands."""

    def take(_: int) -> list[int]:
        with shared.superuser() as connection:
            rows = connection.execute("select app.post_id_next() from generate_series(1, 1024)")
            return [row[0] for row in rows]

    with ThreadPoolExecutor(4) as threads:
        ids = [number for part in threads.map(take, range(4)) for number in part]
    assert len({number & 4095 for number in ids}) == len(set(ids)) == 4096


def test_a_members_post_gets_its_id_from_the_clock(database: Database) -> None:
    author = database.user()
    before = database.value("select app.post_id_at(clock_timestamp())")
    with stage(database) as actors:
        ((post,),) = actors.member(author).do(POST, "hello")
    after = database.value("select app.post_id_at(clock_timestamp())") + 4095
    assert before <= post <= after
    created_at = database.value("select created_at from api.posts where id = %s", [post])
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=5)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_posts_of_one_millisecond_are_paged_without_gap_or_repeat(
    database: Database, limit: int
) -> None:
    """Eleven posts share a millisecond; a page ends between two of them, in every feed."""
    author, fan = database.users(2)
    database.follow(fan, author)
    moment = database.value("select app.post_id_at(now() - interval '1 minute')")
    posts = [moment + n for n in (0, 1, 2, 3, 5, 8, 13, 2000, 4093, 4094, 4095)]
    database.run(
        "insert into app.posts (id, author_id, content) select p, %s, 'x' from unnest(%s) p",
        [author, posts],
    )
    for reader, feed in (
        (author, "mine"), (author, "timeline"), (fan, "timeline"), (fan, "following"),
        (fan, "public"),
    ):  # fmt: skip
        read: list[int] = []
        with database.as_member(reader) as connection:
            while True:
                page = connection.execute(
                    f"select id from api.feed_{feed}(%s, %s)",
                    [str(read[-1]) if read else None, limit],
                ).fetchall()
                if not page:
                    break
                read += [row[0] for row in page]
        assert read == posts[::-1], feed
    times = database.values("select distinct created_at from api.posts")
    assert len(times) == 1

"""What a full pass compares with the definition before it measures."""

import pytest
from msgspec.structs import replace

from microblog.bench import bed
from microblog.bench.result import Data
from tests.seed.conftest import MIXED, fill
from tests.support.database import Database


@pytest.mark.parametrize(("most", "drift"), [(0, 3), (MIXED.follows, 2)], ids=["sample", "all"])
def test_the_audit_counts_what_is_not_as_defined(
    database: Database, monkeypatch: pytest.MonkeyPatch, most: int, drift: int
) -> None:
    """A missing row of a feed, and a counter, which the sample of users tells as well."""
    monkeypatch.setattr(bed, "AUDIT_ALL", most)
    fill(database)
    data = Data(
        preset="demo",
        seed=MIXED.seed,
        users=MIXED.users,
        follows=MIXED.follows,
        posts=MIXED.posts,
        feed_entries=0,
        bytes=0,
    )
    with database.superuser() as connection:
        made = bed.Bed(database.settings)
        made.connection = connection
        assert made.audited(data) == replace(data, audited=MIXED.users, drift=0)
        reader = MIXED.readers()[50][0]
        database.run(
            "delete from app.feed_entries where (user_id, post_id) ="
            " (select user_id, max(post_id) from app.feed_entries where user_id = %s group by 1)",
            [reader],
        )
        database.run("update app.user_counters set posts_count = -1 where user_id = %s", [reader])
        assert made.audited(data).drift == drift

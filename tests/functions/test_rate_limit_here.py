"""A page that the proxy asks for is counted by the rules that count any other request."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import DatabaseError

from tests.support.cluster import Cluster
from tests.support.database import Connection, Database, Row

ADDRESSES = ["203.0.113.7", "2001:db8::7", "::ffff:203.0.113.9"]
BUCKETS = """
    select rule_id, window_seconds, key, quota, hit_count
    from app.rate_limit_buckets
    order by rule_id, key
"""

rules = st.fixed_dictionaries(
    {
        "methods": st.sampled_from([["GET"], ["GET", "HEAD"], ["POST"]]),
        "path_pattern": st.sampled_from(["^/", "^/rpc/feed_", "^/rpc/feed_mine$", "^/posts$"]),
        "scope": st.sampled_from(["user", "address", "anonymous", "username"]),
        "quota": st.integers(1, 3),
        "window_seconds": st.sampled_from([60, 86400]),
        "counts_rows": st.booleans(),
        "is_enabled": st.booleans(),
        "is_dry_run": st.booleans(),
    }
)


PLAIN = {
    "methods": ["GET"],
    "path_pattern": "^/",
    "scope": "user",
    "quota": 3,
    "window_seconds": 60,
    "counts_rows": False,
    "is_enabled": True,
    "is_dry_run": False,
}
TIGHT_DRY = PLAIN | {"is_dry_run": True, "quota": 1}
TIGHT_ADDRESS = PLAIN | {"scope": "address", "quota": 1}
RULES = [PLAIN, PLAIN | {"is_enabled": False}, PLAIN | {"is_dry_run": True, "scope": "address"}]


@pytest.fixture(scope="module")
def readers(cluster: Cluster) -> Iterator[tuple[Database, list[int]]]:
    with cluster.clone() as database:
        yield database, database.users(2)


def counted(connection: Connection, statement: str, values: Any = None) -> list[Row]:
    """Count by a statement; returns what is counted, and undoes it."""
    with connection.transaction(force_rollback=True):
        connection.execute(statement, values)
        return connection.execute(BUCKETS).fetchall()


def usual(connection: Connection, values: list[Any]) -> tuple[str, list[str], set[int]]:
    """Return the call that the session that counts is given, the headers by rule, and their ids."""
    method, path, user_id, address = values
    lines = (
        connection.execute(
            "select app.rate_limit_rules('', %s, %s, %s, false, null)",
            [method, path, user_id is not None],
        )
        .fetchone()[0]
        .split("\n")
    )
    key = connection.execute("select app.rate_limit_address(%s)", [address]).fetchone()[0]
    (call,) = connection.execute(
        "select format(%s, %s::bigint, %s::text, '')", [lines[2], user_id, key]
    ).fetchone()
    return call, lines[7:], {int(rule_id) for rule_id in lines[5].strip("{}").split(",") if rule_id}


@given(
    st.lists(rules, max_size=5),
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from(["/rpc/feed_timeline", "/rpc/feed_mine", "/rpc/feed_public"]),
    st.sampled_from(ADDRESSES),
    st.sampled_from([None, 0, 1]),
    st.sampled_from([None, "address", "user"]),
    st.integers(0, 3),
)
@example(RULES, "GET", "/rpc/feed_timeline", ADDRESSES[0], 0, None, 0)
@example(RULES, "GET", "/rpc/feed_timeline", ADDRESSES[0], 0, "user", 0)
@example(RULES, "GET", "/rpc/feed_timeline", ADDRESSES[1], 1, "address", 0)
@example([TIGHT_DRY, PLAIN], "GET", "/rpc/feed_timeline", ADDRESSES[0], 0, None, 1)
@example([PLAIN, TIGHT_ADDRESS], "GET", "/rpc/feed_timeline", ADDRESSES[0], 0, None, 1)
@example([TIGHT_ADDRESS], "GET", "/rpc/feed_timeline", ADDRESSES[0], 0, "address", 1)
@settings(max_examples=60, deadline=None, database=None)
def test_the_same_rules_count_with_the_same_keys_and_refuse_the_same(
    readers: tuple[Database, list[int]],
    made: list[dict[str, Any]],
    method: str,
    path: str,
    address: str,
    who: int | None,
    exempt: str | None,
    before: int,
) -> None:
    """Whatever rule refuses, a dry run too, leaves the request to the usual way."""
    database, users = readers
    user_id = None if who is None else users[who]
    values = [method, path, user_id, address]
    with database.superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute("delete from app.rate_limits")
        by_id = {}
        for number, rule in enumerate(made):
            columns = ", ".join(rule)
            (rule_id,) = connection.execute(
                f"insert into app.rate_limits (name, {columns}) values (%s{', %s' * len(rule)})"
                " returning id",
                [f"rule_{number}", *rule.values()],
            ).fetchone()
            by_id[rule_id] = rule
        connection.execute("select set_config('microblog.user_id', %s, true)", [str(user_id or "")])
        (statement,) = connection.execute("select app.rate_limit_take()").fetchone()
        connection.execute(
            "prepare take (smallint[], integer[], integer[], text[], integer, double precision)"
            f" as {statement}"
        )
        call, headers, ids = usual(connection, values)
        expected, refusing = [], []
        if headers:
            for _ in range(before):
                connection.execute(call)
            expected = counted(connection, call)
            with connection.transaction(force_rollback=True):
                allowing = {row[0] for row in connection.execute(call)}
            refusing = [by_id[rule_id] for rule_id in sorted(ids - allowing)]
        if exempt:
            column, value = {
                "address": ("address", address.removeprefix("::ffff:")),
                "user": ("user_id", users[0]),
            }[exempt]
            connection.execute(
                f"insert into app.rate_limit_exemptions ({column}) values (%s)", [value]
            )
            if exempt == "address" or who == 0:
                expected, headers, refusing = connection.execute(BUCKETS).fetchall(), [], []
        here = "select app.rate_limit_hit_here(%s, %s, %s, %s)"
        if refusing:
            by = "user" if refusing[0]["scope"] == "user" and user_id is not None else "address"
            with pytest.raises(DatabaseError, match=f"Too many requests by {by}"):
                connection.execute(here, values)
            return
        assert counted(connection, here, values) == expected
        (told,) = connection.execute(here, values).fetchone()
    shown = [rule for rule in range(len(made)) if f'"rule_{rule}\\"' in (told or "")]
    tellable = [
        rule
        for rule, values in enumerate(made)
        if not values["is_dry_run"] and any(f'"rule_{rule}\\"' in line for line in headers)
    ]
    if not tellable:
        assert told is None
        return
    (rule,) = shown
    assert rule in tellable
    assert made[rule]["quota"] == min(made[rule]["quota"] for rule in tellable)
    names = [name for header in json.loads(told) for name in header]
    assert names == [name for header in json.loads(headers[0].replace("%", "")) for name in header]

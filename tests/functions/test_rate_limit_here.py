"""A page that the proxy asks for is counted by the rules that count any other request."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

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


def make_rules(connection: Connection, made: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Have these rules alone, and the usual way's statement prepared; returns them by id."""
    connection.execute("delete from app.rate_limits")
    by_id = {}
    for number, rule in enumerate(made):
        rule = rule | {"name": f"rule_{number}"}
        (rule_id,) = connection.execute(
            f"insert into app.rate_limits ({', '.join(rule)}) values (%s{', %s' * (len(rule) - 1)})"
            " returning id",
            list(rule.values()),
        ).fetchone()
        by_id[rule_id] = rule
    (statement,) = connection.execute("select app.rate_limit_take()").fetchone()
    connection.execute(
        "prepare take (smallint[], integer[], integer[], text[], integer, double precision)"
        f" as {statement}"
    )
    return by_id


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


class Request(NamedTuple):
    """A request as the proxy tells of it; who: one of the readers, or nobody."""

    method: str
    path: str
    who: int | None
    address: str


requests = st.builds(
    Request,
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from(["/rpc/feed_timeline", "/rpc/feed_mine", "/rpc/feed_public"]),
    st.sampled_from([None, 0, 1]),
    st.sampled_from(ADDRESSES),
)
FIRST = Request("GET", "/rpc/feed_timeline", 0, ADDRESSES[0])
SECOND = Request("GET", "/rpc/feed_timeline", 1, ADDRESSES[1])


@given(
    st.lists(rules, max_size=5),
    st.lists(requests, min_size=1, max_size=4),
    st.sampled_from([None, "address", "user"]),
    st.integers(0, 3),
)
@example(RULES, [FIRST], None, 0)
@example(RULES, [FIRST], "user", 0)
@example(RULES, [SECOND], "address", 0)
@example([TIGHT_DRY, PLAIN], [FIRST], None, 1)
@example([PLAIN, TIGHT_ADDRESS], [FIRST], None, 1)
@example([TIGHT_ADDRESS], [FIRST], "address", 1)
@example(RULES, [FIRST, SECOND, FIRST], None, 0)
@example([PLAIN], [FIRST, FIRST], None, 2)
@example([PLAIN | {"scope": "address"}, PLAIN], [FIRST, FIRST._replace(who=1)], None, 0)
@settings(max_examples=60, deadline=None, database=None)
def test_the_same_rules_count_with_the_same_keys_and_refuse_the_same(
    readers: tuple[Database, list[int]],
    made: list[dict[str, Any]],
    asked: list[Request],
    exempt: str | None,
    before: int,
) -> None:
    """Counted at once, as if one after the other; where a rule refuses one, a dry run too, none is.

    Whoever asks has them counted alone then, and whom a rule refuses goes the usual way.
    """
    database, users = readers
    values = [
        [one.method, one.path, None if one.who is None else users[one.who], one.address]
        for one in asked
    ]
    with database.superuser() as connection, connection.transaction(force_rollback=True):
        by_id = make_rules(connection, made)
        calls = [usual(connection, one) for one in values]
        for call, headers, _ in calls[:1] * before:
            if headers:
                connection.execute(call)
        if exempt:
            column, value = {
                "address": ("address", asked[0].address.removeprefix("::ffff:")),
                "user": ("user_id", users[0]),
            }[exempt]
            connection.execute(
                f"insert into app.rate_limit_exemptions ({column}) values (%s)", [value]
            )
        concerned = [
            bool(headers)
            and not (exempt == "address" and one.address == asked[0].address)
            and not (exempt == "user" and one.who == 0)
            for one, (_, headers, _) in zip(asked, calls, strict=True)
        ]
        refusing = set()
        with connection.transaction(force_rollback=True):
            for one, (call, _, ids), counts in zip(asked, calls, concerned, strict=True):
                if counts:
                    allowing = {row[0] for row in connection.execute(call)}
                    refusing |= {
                        "user"
                        if by_id[rule]["scope"] == "user" and one.who is not None
                        else "address"
                        for rule in ids - allowing
                    }
            expected = connection.execute(BUCKETS).fetchall()
        here = "select app.rate_limit_hit_here(%s, %s, %s::bigint[], %s)"
        columns = [list(column) for column in zip(*values, strict=True)]
        if refusing:
            with pytest.raises(
                DatabaseError, match=r"Too many requests by (user|address)"
            ) as caught:
                connection.execute(here, columns)
            assert any(f"by {what}" in str(caught.value) for what in refusing)
            return
        assert counted(connection, here, columns) == expected
        (told,) = connection.execute(here, columns).fetchone()
        keys = [
            connection.execute("select app.rate_limit_address(%s)", [one.address]).fetchone()[0]
            for one in asked
        ]
    left = {(rule, key): quota - hits for rule, _, key, quota, hits in expected}
    for one, (_, headers, ids), counts, key, shown in zip(
        asked, calls, concerned, keys, told, strict=True
    ):
        tellable = {}
        for rule in ids if counts else ():
            of_user = by_id[rule]["scope"] == "user" and one.who is not None
            if not by_id[rule]["is_dry_run"]:
                tellable[rule] = left[rule, f"user {users[one.who]}" if of_user else key]
        if not tellable:
            assert shown is None
            continue
        headers_shown = {
            name: value for header in json.loads(shown) for name, value in header.items()
        }
        assert int(headers_shown["X-RateLimit-Remaining"]) == min(tellable.values())
        (rule,) = (
            rule for rule in by_id if f'"{by_id[rule]["name"]}"' in headers_shown["RateLimit"]
        )
        assert tellable[rule] == min(tellable.values())
        assert list(headers_shown) == [
            name for header in json.loads(headers[0].replace("%", "")) for name in header
        ]

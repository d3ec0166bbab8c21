"""What the proxy may ask of the database, past what the proxy itself lets through."""

import json

import pytest

from tests.support.database import Database

ASK = "select app.feed_answer('', 'GET', %s, %s, %s, '1', '', '203.0.113.7', true)"


@pytest.mark.parametrize("path", ["feed_timeline", "feed_following", "feed_mine", "me", "", "x'"])
def test_without_a_token_there_is_the_public_feed_alone(
    module_database: Database, path: str
) -> None:
    assert module_database.value(ASK, [f"/rpc/{path}", "", ""]) is None
    headers, body = module_database.value(ASK, ["/rpc/feed_public", "", ""]).split("\n", 1)
    assert isinstance(json.loads(body), list)
    told = {name: value for header in json.loads(headers) for name, value in header.items()}
    assert told["Content-Type"] == "application/json; charset=utf-8"
    assert told["ETag"].startswith('"1-')


@pytest.mark.parametrize(
    ("cursor", "limit"),
    [("x", ""), ("-1", ""), ("1" * 19, ""), ("", "0"), ("", "101"), ("", "1e1")],
)
def test_what_is_no_cursor_or_limit_is_left_to_postgrest(
    module_database: Database, cursor: str, limit: str
) -> None:
    assert module_database.value(ASK, ["/rpc/feed_public", cursor, limit]) is None

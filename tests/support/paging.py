"""Reading a paged call to its end, with every promise of a page checked on the way."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.client import Api, expect

Row = dict[str, Any]


def check_page(answer: httpx.Response, size: int) -> tuple[list[Row], str | None]:
    """Check one page of at most ``size`` rows; return its rows and the cursor of the next.

    A page that has a successor is full, names the id of its last row as the cursor, and says the
    same in Link; a last page has neither header.
    """
    rows = expect(200, answer).json()
    cursor = answer.headers.get("X-Next-Cursor")
    link = answer.headers.get("Link")
    assert len(rows) <= size, f"{len(rows)} rows on a page of {size}"
    if cursor is None:
        assert link is None, f"Link without X-Next-Cursor: {link}"
        return rows, None
    assert len(rows) == size, f"{len(rows)} rows of {size}, yet more is said to follow"
    assert cursor == str(rows[-1]["id"])
    target, _, relation = (link or "").partition(">; ")
    assert relation == 'rel="next"', f"no next page in Link: {link!r}"
    query = parse_qs(urlsplit(target.removeprefix("<")).query)
    assert query["cursor"] == [cursor]
    assert query["limit"] == [str(size)]
    return rows, cursor


def walk(
    api: Api, name: str, token: str | None, sizes: Iterator[int] | int, **params: Any
) -> list[Row]:
    """Read the paged call ``/rpc/<name>`` to its end; return all rows.

    ``sizes`` gives the limit of each page, one number for all or one a page.
    """
    sizes = cycle([sizes]) if isinstance(sizes, int) else sizes
    rows: list[Row] = []
    cursor = None
    while True:
        size = next(sizes)
        answer = api.page(f"/rpc/{name}", token, cursor, size, **params)
        page, following = check_page(answer, size)
        assert page or cursor is None, "more was said to follow, and nothing did"
        rows += page
        cursor = following
        if cursor is None:
            return rows


def ids(rows: list[Row]) -> list[int]:
    """Return the rows' ids."""
    return [row["id"] for row in rows]

"""Rate limits as a client meets them. Each test comes from addresses of its own."""

from collections.abc import Iterator

import pytest

from tests.api.rate_limits.asking import Place
from tests.support.client import Member
from tests.support.servers import Served


@pytest.fixture(scope="module")
def limited(module_rest: Served) -> Iterator[Served]:
    """PostgREST with the limits as they are shipped, for everybody.

    Without the proxy, so that a test says itself which address a request comes from.
    """
    module_rest.database.run("delete from app.rate_limit_exemptions")
    yield module_rest


@pytest.fixture
def here(limited: Served) -> Place:
    return Place(limited)


@pytest.fixture
def member(limited: Served) -> Member:
    return Place(limited).signup()

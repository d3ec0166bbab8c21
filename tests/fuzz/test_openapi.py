"""schemathesis asks whatever the OpenAPI document allows, without and with a token."""

from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import given, settings

from tests.fuzz.conftest import Callers
from tests.fuzz.wire import Request
from tests.properties.profiles import chosen
from tests.support.client import expect

EXAMPLES = settings(chosen(), max_examples=max(4, chosen().max_examples // 10), database=None)
CALLERS = pytest.mark.parametrize("as_member", [False, True], ids=["anon", "member"])


def request_of(case: schemathesis.Case, url: str) -> Request:
    """Return what schemathesis would send."""
    prepared = case.as_transport_kwargs(base_url=url)
    print(prepared)
    return Request()


@CALLERS
def test_what_the_document_allows_is_answered_or_refused_in_words(
    callers: Callers, as_member: bool
) -> None:
    api = callers.api
    document = expect(200, api.get("/", callers.member.token if as_member else None)).json()
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:

        @EXAMPLES
        @given(operation.as_strategy())
        def whatever(case: schemathesis.Case) -> None:
            callers.ask(request_of(case, api.url), as_member)

        whatever()

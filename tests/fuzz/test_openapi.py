"""schemathesis asks whatever the OpenAPI document allows, without and with a token."""

import pytest
import requests
import schemathesis
from hypothesis import given, settings

from tests.fuzz.conftest import Callers
from tests.fuzz.wire import Request
from tests.properties.profiles import chosen
from tests.support.client import expect

EXAMPLES = settings(chosen(), max_examples=max(6, chosen().max_examples // 10), database=None)
OURS = {"authorization", "content-length", "connection"}


def request_of(case: schemathesis.Case, url: str) -> Request:
    """Return what schemathesis would send."""
    options = case.as_transport_kwargs(base_url=url)
    prepared = requests.Request(**options).prepare()
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    headers = tuple(
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in prepared.headers.items()
        if name.lower() not in OURS
    )
    return Request(prepared.method, prepared.path_url.encode(), headers, body)


@pytest.mark.parametrize("as_member", [False, True], ids=["anon", "member"])
def test_what_the_document_allows_is_answered_or_refused_in_words(
    callers: Callers, as_member: bool
) -> None:
    api = callers.api
    document = expect(200, api.get("/", callers.member.token if as_member else None)).json()
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {operation.path for operation in operations} == set(document["paths"])

    for operation in operations:

        @EXAMPLES
        @given(operation.as_strategy())
        def whatever(case: schemathesis.Case) -> None:
            callers.ask(request_of(case, api.url), as_member)

        whatever()
    callers.rules.check_statements()

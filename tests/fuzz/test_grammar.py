"""Whatever is asked: no server error, nothing private in an answer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import grammar
from tests.fuzz.conftest import Callers
from tests.fuzz.wire import Request
from tests.properties.profiles import chosen

# Requests are short: ten for each example of the profile.
EXAMPLES = settings(chosen(), max_examples=10 * chosen().max_examples)


def test_any_request_is_answered_or_refused_in_words(callers: Callers) -> None:
    @EXAMPLES
    @given(grammar.requests(), st.booleans())
    def whatever(request: Request, as_member: bool) -> None:
        callers.ask(request, as_member)

    whatever()
    print(callers.statuses)

"""Refusals that help: status, code, the four fields, and words that say what to do."""

import httpx

from tests.support.client import refused


def told(status: int, code: str, answer: httpx.Response, *words: str) -> dict[str, str]:
    """Return the body of a refusal whose message and hint are sentences and hold these words."""
    body = refused(status, code, answer)
    assert body["message"], body
    assert body["message"][0].isupper() or body["message"].startswith(("limit ", "cursor ")), body
    assert body["message"].endswith((".", "?")), body
    assert body["hint"], "nothing says what to do"
    said = f"{body['message']} {body['hint']}"
    for word in words:
        assert word in said, f"{word!r} is not said in {said!r}"
    return body

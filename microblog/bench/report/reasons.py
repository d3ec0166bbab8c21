"""Why a target is missed, where somebody has found out: ``bench/reasons.toml``."""

import tomllib
from functools import cache

from microblog.bench.scenario import BENCH

FILE = BENCH / "reasons.toml"


@cache
def known() -> dict[str, dict[str, str]]:
    """Return the reasons by scenario and by what is asked for there."""
    return tomllib.loads(FILE.read_text())


def why(scenario: str, asked: str) -> str:
    """Return the reason why this is missed, empty where none is known.

    ``asked`` is what the report says, "at least 0.90× constant answer"; the file may name its end.
    """
    for end, reason in known().get(scenario, {}).items():
        if asked.endswith(end):
            return reason
    return ""

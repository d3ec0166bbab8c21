"""How long Hypothesis searches: MICROBLOG_HYPOTHESIS=ci (the default), deep (`make fuzz`) or
unshrunk.
"""

import os

from hypothesis import HealthCheck, Phase, settings

SEARCHING = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
PROFILES = {
    # The same examples each time: what they reach is asserted, and a failure is the change's own.
    "ci": settings(SEARCHING, derandomize=True),
    "deep": settings(SEARCHING, max_examples=500, stateful_step_count=80),
    # Shows the first failure as it was found: to shrink it takes minutes.
    "unshrunk": settings(SEARCHING, phases=[Phase.reuse, Phase.generate]),
}


def chosen() -> settings:
    """Return the profile that the environment names."""
    return PROFILES[os.environ.get("MICROBLOG_HYPOTHESIS", "ci")]

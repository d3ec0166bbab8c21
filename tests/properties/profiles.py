"""How long Hypothesis searches: MICROBLOG_HYPOTHESIS=ci (the default), deep, unshrunk."""

import os

from hypothesis import HealthCheck, Phase, settings

COMMON = settings(
    deadline=None,
    print_blob=True,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
PROFILES = {
    "ci": settings(COMMON, max_examples=50, stateful_step_count=40),
    # Shows the first failure as it was found: shrinking it takes minutes.
    "unshrunk": settings(
        COMMON, max_examples=25, stateful_step_count=40, phases=[Phase.reuse, Phase.generate]
    ),
    "deep": settings(COMMON, max_examples=400, stateful_step_count=80),
}


def chosen() -> settings:
    """Return the profile that the environment names."""
    return PROFILES[os.environ.get("MICROBLOG_HYPOTHESIS", "ci")]

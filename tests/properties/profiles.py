"""How long Hypothesis searches: MICROBLOG_HYPOTHESIS=ci (the default), deep or unshrunk."""

import os

from hypothesis import HealthCheck, Phase, settings

CI = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
PROFILES = {
    "ci": CI,
    "deep": settings(CI, max_examples=500, stateful_step_count=80),
    # Shows the first failure as it was found: to shrink it takes minutes.
    "unshrunk": settings(CI, phases=[Phase.reuse, Phase.generate]),
}


def chosen() -> settings:
    """Return the profile that the environment names."""
    return PROFILES[os.environ.get("MICROBLOG_HYPOTHESIS", "ci")]

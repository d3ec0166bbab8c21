"""How long a run takes yet, and what it leaves out where time is short."""

from msgspec.structs import replace

from microblog.bench.run import Estimate
from tests.bench.measured import SCENARIOS


def test_an_estimate_learns_from_what_is_over() -> None:
    plan = [(replace(SCENARIOS[0], name=str(n)), 2, 30.0) for n in range(3)]
    estimate = Estimate(plan)
    assert estimate.turns == 12
    assert estimate.left() == "0 min over, about 6 min left"
    estimate.start -= 2 * 2 * 90
    estimate.done(1)
    assert estimate.left() == "6 min over, about 12 min left"


def test_what_has_no_time_for_one_round_is_left_out() -> None:
    plan = [(replace(SCENARIOS[0], name=str(n)), 2, 2.0) for n in range(6)]  # 8 s of load each
    plan.append((replace(SCENARIOS[5], name="short"), 1, 0.2))
    now = 100.0
    estimate = Estimate(plan, 165.0, lambda: now)
    ran = []
    for number, (scenario, _, _) in enumerate(plan, 1):
        if not estimate.fits(number):
            estimate.skip(number)
            continue
        ran.append(scenario.name)
        two_rounds = 17.0 if estimate.room() >= 17.0 else 8.5  # the second is left out
        now += 5.0 if scenario.name == "short" else two_rounds
        estimate.done(number)
    assert ran == ["0", "1", "2", "3", "short"]
    assert now <= 165.0
    assert estimate.room() == 165.0 - now

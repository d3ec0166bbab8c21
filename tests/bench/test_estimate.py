"""What a run reckons without measuring anything: how long it takes yet, what it leaves out, and
what share of answers was to be expected.
"""

from msgspec.structs import replace

from microblog.bench.run import Estimate, other_share
from microblog.bench.scenario import Load
from tests.bench.measured import PAGE, SCENARIOS


def test_the_share_of_304s_is_what_a_side_says() -> None:
    nine = Load(name="nine", calls=[replace(PAGE, conditional=0.9)])
    assert other_share(nine, (100, 5), (1100, 905)) == []
    assert other_share(nine, (100, 5), (1100, 1005)) == ["1000 of 1000 answers were a 304, not 90%"]
    assert other_share(nine, (100, 5), (100, 5)) != [], "none came through this door"
    assert other_share(Load(name="full", calls=[PAGE]), (0, 0), (10, 0)) == []


def test_an_estimate_learns_from_what_is_over() -> None:
    plan = [(replace(SCENARIOS[0], name=str(n)), 2, 30.0) for n in range(3)]
    estimate = Estimate(plan)
    assert estimate.turns == 12
    assert estimate.left() == "0 min over, about 6 min left"
    estimate.start -= 2 * 2 * 90
    estimate.done(1)
    assert estimate.left() == "6 min over, about 12 min left"


def test_what_would_not_be_over_in_time_is_left_out() -> None:
    plan = [(replace(SCENARIOS[0], name=str(n)), 2, 2.0) for n in range(6)]  # 8 s of load each
    plan.append((replace(SCENARIOS[5], name="short"), 1, 2.0))
    now = 100.0
    estimate = Estimate(plan, 160.0, lambda: now)
    ran = []
    for number, (scenario, _, _) in enumerate(plan, 1):
        if not estimate.fits(number):
            estimate.skip(number)
            continue
        ran.append(scenario.name)
        now += 5.0 if scenario.name == "short" else 17.0
        estimate.done(number)
    assert ran == ["0", "1", "2", "short"]
    assert now <= 160.0
    assert estimate.room() == 160.0 - now

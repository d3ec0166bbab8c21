"""A fit finds the exponent that is there, and says how sure it is; so does a comparison."""

import random
from math import atan, inf, pi, sqrt
from statistics import NormalDist

import pytest

from microblog.bench import fit

SIZES = [10.0, 30.0, 100.0, 300.0, 1000.0]


def noisy(rng: random.Random, exponent: float, noise: float, rounds: int) -> list[float]:
    return [3 * x**exponent * rng.lognormvariate(0, noise) for x in SIZES for _ in range(rounds)]


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_a_power_law_without_noise_is_found_exactly(exponent: float) -> None:
    found = fit.power_law(SIZES, [3 * x**exponent for x in SIZES])
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.low == pytest.approx(found.high, abs=1e-6)
    assert found.at(50) == pytest.approx(3 * 50**exponent)


def test_the_interval_holds_the_exponent_in_about_19_of_20_cases() -> None:
    x = [size for size in SIZES for _ in range(3)]
    held = 0
    for seed in range(400):
        found = fit.power_law(x, noisy(random.Random(seed), 0.7, 0.2, 3))
        held += found.low <= 0.7 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_a_flat_curve_is_not_taken_for_a_rising_one() -> None:
    x = [size for size in SIZES for _ in range(3)]
    flat = fit.power_law(x, noisy(random.Random(1), 0.0, 0.05, 3))
    rising = fit.power_law(x, noisy(random.Random(1), 0.3, 0.05, 3))
    assert flat.low < 0 < flat.high < 0.1 < rising.low
    assert rising.r2 > 0.9 > flat.r2


@pytest.mark.parametrize(
    ("x", "y"),
    [([1, 2], [1, 2]), ([5, 5, 5], [1, 2, 3]), ([1, 2, 3], [1, 0, 2]), ([1, 2, 3], [1, 2])],
)
def test_what_no_line_goes_through_is_refused(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match=r"a fit wants|a power law has"):
        fit.power_law(x, y)


def test_students_t_comes_down_to_the_normal_distribution() -> None:
    assert fit.t_quantile(4, 0.95) == 2.776
    assert fit.t_quantile(4.9, 0.99) == 4.604
    assert fit.t_quantile(31, 0.95) == pytest.approx(2.040, abs=0.01)
    assert fit.t_quantile(1e6, 0.99) == pytest.approx(NormalDist().inv_cdf(0.995), abs=1e-3)


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_beyond_each_quantile_of_students_t_lies_what_it_leaves(confidence: float) -> None:
    for degrees, t in enumerate(fit._T[confidence], 1):
        assert fit.t_beyond(t, degrees) == pytest.approx(1 - confidence, abs=1e-4)
        assert fit.t_beyond(-t, degrees) == fit.t_beyond(t, degrees)


def test_far_out_students_t_is_as_its_closed_forms_have_it() -> None:
    """Of one degree of freedom it is 2 atan(1 / t) / pi, of two 1 - t / sqrt(2 + t²)."""
    for t in (0.01, 0.5, 3.0, 40.0, 1e4):
        assert fit.t_beyond(t, 1) == pytest.approx(2 * atan(1 / t) / pi, rel=1e-9)
        assert fit.t_beyond(t, 2) == pytest.approx(
            2 / (sqrt(2 + t * t) * (sqrt(2 + t * t) + t)), rel=1e-9
        )
    assert fit.t_beyond(4.0, 1e6) == pytest.approx(2 * NormalDist().cdf(-4.0), rel=1e-3)
    assert (fit.t_beyond(0, 5), fit.t_beyond(1e200, 5)) == (1, 0)


def test_a_change_is_told_with_an_interval_that_holds_it() -> None:
    held = 0
    for seed in range(400):
        rng = random.Random(seed)
        before = [100 * rng.lognormvariate(0, 0.05) for _ in range(4)]
        after = [120 * rng.lognormvariate(0, 0.02) for _ in range(5)]
        found = fit.change(before, after)
        held += found.low <= 1.2 <= found.high
    assert held / 400 >= 0.98


def test_no_change_is_rarely_taken_for_one() -> None:
    taken = 0
    for seed in range(400):
        rng = random.Random(seed)
        a, b = ([rng.lognormvariate(3, 0.1) for _ in range(3)] for _ in range(2))
        taken += fit.change(a, b).beyond(0.0)
    assert taken / 400 <= 0.02


def test_a_change_that_is_sure_but_small_is_left_alone() -> None:
    found = fit.change([100.0, 100.1, 99.9], [101.0, 101.1, 100.9])
    assert found.low > 1
    assert not found.beyond(0.03)
    assert found.beyond(0.005)


def test_one_round_has_no_spread() -> None:
    with pytest.raises(ValueError, match="two rounds or more"):
        fit.change([1.0], [2.0, 2.1])


def test_the_interval_of_a_mean_holds_it_in_about_19_of_20_cases() -> None:
    for rounds in (2, 3, 5):
        held = 0
        for seed in range(400):
            rng = random.Random(seed)
            low, high = fit.interval([3 * rng.lognormvariate(0, 0.1) for _ in range(rounds)])
            held += low <= 3 <= high
        assert 0.92 <= held / 400 <= 0.98, rounds


def test_an_interval_is_wide_of_two_figures_and_none_of_one() -> None:
    low, high = fit.interval([0.9, 1.0])
    assert low < 0.5 and high > 1.8
    assert fit.interval([0.7, 0.7]) == (0.7, 0.7)
    assert fit.interval([1.0]) == fit.interval([]) == (-inf, inf)
    assert fit.interval([0.0, 0.0, 0.0]) == (0.0, 0.0)
    low, high = fit.interval([0.0, 800.0, 820.0])
    assert low < 0 and high > 820

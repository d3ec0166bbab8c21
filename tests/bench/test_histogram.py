"""Percentiles come out as the distributions they are drawn from say."""

from math import comb, log

import numpy as np
import pytest

from microblog.bench import histogram
from microblog.bench.generators import actors
from microblog.bench.scenario import Users


def test_percentiles_of_a_uniform_distribution() -> None:
    shown = histogram.latency(histogram.of(n / 1000 for n in range(1, 1001)))  # 1 to 1,000 ms
    for name, expected in {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99_9": 999}.items():
        assert getattr(shown, name) == pytest.approx(expected, rel=0.002), name
    assert shown.max == pytest.approx(1000, rel=0.001)
    assert shown.mean == pytest.approx(500.5, rel=0.002)


def test_percentiles_of_an_exponential_distribution() -> None:
    drawn = np.random.default_rng(7).exponential(0.010, 400_000)
    shown = histogram.latency(histogram.of(drawn))
    for name, share in {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}.items():
        assert getattr(shown, name) == pytest.approx(-10 * log(1 - share), rel=0.03), name


def test_one_slow_answer_in_a_thousand_shows_in_the_largest_alone() -> None:
    shown = histogram.latency(histogram.of([0.001] * 9_999 + [5.0]))
    assert shown.p99_9 == pytest.approx(1.0, rel=0.001)
    assert shown.max == pytest.approx(5000, rel=0.001)


def test_histograms_add_up_and_survive_their_encoding() -> None:
    fast, slow = histogram.of([0.001] * 50), histogram.of([0.1] * 50)
    total = histogram.added([histogram.encode(fast), "", histogram.encode(slow)])
    assert total.get_total_count() == 100
    again = histogram.latency(histogram.decode(histogram.encode(total)))
    assert (again.p50, again.p90) == (pytest.approx(1, rel=0.001), pytest.approx(100, rel=0.001))


def test_of_nothing_there_are_no_percentiles() -> None:
    assert histogram.latency(histogram.of([])).max == 0
    assert histogram.latency(histogram.decode("")).p99 == 0


def test_arrivals_are_a_poisson_process_of_the_rate_asked_for() -> None:
    times = actors.arrivals(1000, 60, True, np.random.default_rng(3))
    assert len(times) == pytest.approx(60_000, rel=0.02)
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(gaps.std(), rel=0.02), "gaps are exponential"
    again = actors.arrivals(1000, 60, True, np.random.default_rng(3))
    assert (times == again).all(), "the same seed draws the same load"


def test_constant_arrivals_are_evenly_spaced() -> None:
    times = actors.arrivals(100, 2, False, np.random.default_rng(3))
    assert len(times) == 200
    assert np.diff(times) == pytest.approx(0.01)


@pytest.mark.parametrize(("popularity", "share"), [("uniform", 0.01), ("zipf", 0.1928)])
def test_the_most_active_user_asks_as_often_as_the_law_says(popularity: str, share: float) -> None:
    """Of 100 users by Zipf's law the first has 1 / H(100) of the requests."""
    users = Users(popularity=popularity)  # type: ignore[arg-type]
    drawn = actors.draw(100, users, np.random.default_rng(5))
    first = sum(next(drawn) == 0 for _ in range(100_000))
    assert first / 100_000 == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize(
    ("name", "enough"), [("p50", 20), ("p90", 100), ("p95", 200), ("p99", 1000), ("p99_9", 10_000)]
)
def test_a_percentile_is_told_by_ten_answers_beyond_it(name: str, enough: int) -> None:
    assert histogram.tells(name, enough)
    assert not histogram.tells(name, enough - 1)
    assert histogram.tells("mean", 1) and histogram.tells("rate", 1)


def test_answers_above_a_bound_are_counted() -> None:
    found = histogram.of([0.010] * 70 + [0.050] * 10 + [0.051] * 20)
    assert histogram.above(found, 50) == 0.2
    assert histogram.above(found, 60) == 0
    assert histogram.above(found, 5) == 1
    assert histogram.above(histogram.empty(), 5) == 0


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_the_chance_of_a_count_is_that_of_the_binomial_distribution(share: float) -> None:
    each = [comb(195, k) * share**k * (1 - share) ** (195 - k) for k in range(196)]
    for found in (0, 1, 5, 10, 59, 100, 195):
        expected = sum(each[found:]) if found > 195 * share else sum(each[: found + 1])
        assert histogram.chance(found, 195, share) == pytest.approx(expected, rel=1e-9), found


def test_the_chance_of_a_count_is_known_of_very_many_answers() -> None:
    assert histogram.chance(10_000, 1_000_000, 0.01) == pytest.approx(0.5, abs=0.01)
    assert histogram.chance(10_232, 1_000_000, 0.01) == pytest.approx(0.01, abs=0.001)
    assert histogram.chance(900_000, 1_000_000, 0.01) == 0
    assert histogram.chance(0, 0, 0.01) == 1

"""Lines fitted to curves, and the intervals around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist, fmean, variance

import numpy as np

# Quantiles of Student's t for two-sided intervals, by degrees of freedom from 1.
_T = {
    0.95: (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
           2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
           2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
    0.99: (63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055,
           3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797,
           2.787, 2.779, 2.771, 2.763, 2.756, 2.750),
}  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """y = factor · x^exponent; ``low`` and ``high`` bound the exponent with 95 % confidence.

    ``r2`` is the share of the variation of log y that the line explains.
    """

    exponent: float
    low: float
    high: float
    factor: float
    r2: float

    def at(self, x: float) -> float:
        """Return the fitted y."""
        return self.factor * x**self.exponent


@dataclass(frozen=True)
class Change:
    """How much larger one set of figures is than another: 1.1 is 10 % more; with its interval.

    ``p`` is how likely so large a change, up or down, is by chance alone.
    """

    factor: float
    low: float
    high: float
    p: float

    def beyond(self, least: float) -> bool:
        """Whether the interval excludes "no change", and the change is at least this share."""
        return not self.low <= 1.0 <= self.high and abs(log(self.factor)) >= log(1 + least)


def middle(values: Sequence[float]) -> float:
    """Return the geometric mean, which is what ``change`` compares; all figures are above 0."""
    return exp(fmean(log(value) for value in values))


def t_quantile(degrees: float, confidence: float) -> float:
    """Return Student's t for a two-sided interval of 0.95 or 0.99; ``degrees`` is rounded down."""
    table = _T[confidence]
    if degrees < 1:
        return inf
    if degrees <= len(table):
        return table[int(degrees) - 1]
    return NormalDist().inv_cdf((1 + confidence) / 2) * (1 + 1.2 / degrees)


def t_beyond(t: float, degrees: float) -> float:
    """Return how likely Student's t is as far from 0 as this, to either side.

    By the regularised incomplete beta function: I_x(degrees / 2, 1 / 2).
    """
    return _beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def _beta(x: float, a: float, b: float) -> float:
    if not 0 < x < 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly
        return 1 - _beta(1 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    return front / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction 1 + d1 / (1 + d2 / (1 + …)), by Lentz's method."""
    value = upper = 1.0
    lower = 0.0
    for number in range(1, 1000):
        m = number // 2
        if number % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / (1 + d * lower)
        upper = 1 + d / upper
        value *= upper * lower
        if abs(upper * lower - 1) < 1e-12:
            break
    return value


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Bound the mean that more such figures would have, with 95 % confidence.

    By Student's t of the logarithms, as ``change`` does; of the figures themselves where one is 0
    or less, which has none. One figure tells no bounds.
    """
    if len(values) < 2:
        return -inf, inf
    if len(set(values)) == 1:
        return values[0], values[0]  # as it is, not by way of its logarithm
    has_logarithms = min(values) > 0
    found = [log(value) for value in values] if has_logarithms else list(values)
    half = t_quantile(len(found) - 1, 0.95) * sqrt(variance(found) / len(found))
    low, high = fmean(found) - half, fmean(found) + half
    return (exp(low), exp(high)) if has_logarithms else (low, high)


def power_law(x: Sequence[float], y: Sequence[float]) -> Fit:
    """Fit a power law to points by least squares of the logarithms; all figures are above 0.

    The interval comes from how the points scatter around the line, each as one that is independent
    of the others. Raises ValueError for fewer than three points or one x.
    """
    if len(x) != len(y) or len(x) < 3 or len(set(x)) < 2:
        raise ValueError("a fit wants three points or more, of two or more sizes")
    if min(*x, *y) <= 0:
        raise ValueError("a power law has no figures of 0 or less")
    log_x, log_y = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    spread = float(((log_x - log_x.mean()) ** 2).sum())
    exponent = float(((log_x - log_x.mean()) * (log_y - log_y.mean())).sum()) / spread
    offset = float(log_y.mean() - exponent * log_x.mean())
    rest = float(((log_y - offset - exponent * log_x) ** 2).sum())
    total = float(((log_y - log_y.mean()) ** 2).sum())
    degrees = len(x) - 2
    half = t_quantile(degrees, 0.95) * sqrt(rest / degrees / spread)
    return Fit(
        exponent=exponent,
        low=exponent - half,
        high=exponent + half,
        factor=exp(offset),
        r2=1 - rest / total if total else 1.0,
    )


def change(before: Sequence[float], after: Sequence[float]) -> Change:
    """Compare two sets of positive figures; interval of 99 %, by Welch's t of the logarithms.

    Raises ValueError where a set has fewer than two figures, or one that is not above 0.
    """
    if min(len(before), len(after)) < 2:
        raise ValueError("one figure has no spread: two rounds or more are compared")
    if min(*before, *after) <= 0:
        raise ValueError("a figure of 0 or less has no ratio")
    a, b = [log(value) for value in before], [log(value) for value in after]
    parts = [variance(values) / len(values) for values in (a, b)]
    shift = fmean(b) - fmean(a)
    error = sqrt(sum(parts))
    if error == 0:
        return Change(exp(shift), exp(shift), exp(shift), 0.0 if shift else 1.0)
    # Welch and Satterthwaite's degrees of freedom.
    degrees = error**4 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
    half = t_quantile(degrees, 0.99) * error
    p = t_beyond(shift / error, degrees)
    return Change(exp(shift), exp(shift - half), exp(shift + half), p)

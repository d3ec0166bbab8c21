"""How many followers each user has, and how that compares with a published network.

Followers: a double Pareto–lognormal variable (W. J. Reed, M. Jorgensen, "The double
Pareto-lognormal distribution", Communications in Statistics 33, 2004),

    X = s · exp(σ·Z + E₁/α − E₂/β),   Z normal, E₁ and E₂ exponential,

whose body is lognormal and whose upper tail is a power law with density exponent 1 + α. Beyond
``bend``, a tenth of the largest author, the tail goes on with the smaller exponent 1 + α₂, cut off
below the largest author. The scale s is solved for, so that the sum is the number of follows.

The source is H. Kwak, C. Lee, H. Park, S. Moon, "What is Twitter, a social network or a news
media?", WWW 2010: followers have exponent 2.276 up to 10⁵ and more people than that beyond.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microblog.seed.shape import BREAK_SHARE, OTHERS_CAP, RESERVED, Shape

TAIL = 1.276  # α: density exponent 2.276
HEAVY_TAIL = 0.8  # α₂: density exponent 1.8 beyond the bend
HEAD = 1.2  # β: how fast the numbers of the little followed rise from 0
SPREAD = 0.9  # σ
SOURCE_EXPONENT = 2.276
SOURCE_MEAN = 35.2  # 1.47·10⁹ relations of 41.7·10⁶ users
SOURCE_RECIPROCITY = 0.221  # of the pairs with a relation

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def follower_counts(shape: Shape, rng: np.random.Generator) -> Integers:
    """Return the number of followers of each user, by id − 1.

    The sum is ``shape.follows`` and the maximum ``shape.largest``, of user 1 alone. The readers
    that are reserved for benchmarks have no followers.
    """
    others = shape.users - RESERVED
    raw = np.exp(
        SPREAD * rng.standard_normal(others)
        + rng.standard_exponential(others) / TAIL
        - rng.standard_exponential(others) / HEAD
    )
    bend, cap = _bounds(shape)
    left = shape.follows - shape.largest
    low, high = 0.0, float(cap)
    for _ in range(100):
        scale = (low + high) / 2
        total = np.floor(_bent(raw * scale, bend, cap)).sum()
        low, high = (scale, high) if total <= left else (low, scale)
    exact = _bent(raw * low, bend, cap)
    counts = np.floor(exact).astype(np.int64)
    # The largest remainders take what rounding down left over.
    missing = left - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    followers = np.zeros(shape.users, dtype=np.int64)
    followers[0] = shape.largest
    followers[RESERVED:] = counts
    return followers


def _bounds(shape: Shape) -> tuple[float, float]:
    """Return where the tail bends and where it ends."""
    return shape.largest * BREAK_SHARE, shape.largest * OTHERS_CAP


def _bent(values: Floats, bend: float, cap: float) -> Floats:
    """Replace the tail beyond ``bend`` by a heavier one that ends at ``cap``; keeps the order."""
    bent = values.copy()
    beyond = values > bend
    share = 1 - (values[beyond] / bend) ** -TAIL  # uniform in 0–1 for a Pareto tail
    bent[beyond] = bend * (1 - share * (1 - (cap / bend) ** -HEAVY_TAIL)) ** (-1 / HEAVY_TAIL)
    return bent


def activity_weights(shape: Shape, rng: np.random.Generator) -> Floats:
    """Return how readily each user follows others, by id − 1; 0 for the reserved readers.

    Lognormal with a power-law tail as above, at most 200 times the median: few follow thousands.
    """
    weights = np.exp(
        0.9 * rng.standard_normal(shape.users) + rng.standard_exponential(shape.users) / 2.0
    )
    weights = np.minimum(weights, 200 * np.median(weights))
    for ids in shape.readers().values():
        weights[ids.start - 1 : ids.stop - 1] = 0
    return weights


# -- the fit -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """The distribution as it came out. Exponents are of the density; NaN without enough users.

    ``tail_range`` is where ``tail`` was estimated; ``heavy`` from its end on.
    """

    mean: float
    quantiles: dict[float, int]
    tail: float
    tail_error: float
    tail_range: tuple[int, int]
    tail_users: int
    heavy: float
    heavy_users: int


def fit(followers: Integers, shape: Shape) -> Fit:
    """Estimate the exponents of the follower counts by maximum likelihood."""
    bend, cap = (int(bound) for bound in _bounds(shape))
    start = max(min(int(np.quantile(followers, 0.95)), bend // 4), 10)
    tail, tail_error, tail_users = truncated_exponent(followers, start, bend)
    heavy, _, heavy_users = truncated_exponent(followers, bend, cap)
    levels = (0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999)
    return Fit(
        float(followers.mean()),
        {level: int(np.quantile(followers, level)) for level in levels},
        tail,
        tail_error,
        (start, bend),
        tail_users,
        heavy,
        heavy_users,
    )


def truncated_exponent(values: Integers, low: int, high: int) -> tuple[float, float, int]:
    """Return the density exponent of a power law on [low, high], its standard error and n.

    The maximum of the likelihood of a Pareto variable cut off at ``high`` (I. B. Aban,
    M. M. Meerschaert, A. K. Panorska, JASA 101, 2006), the integers taken half a step lower as in
    A. Clauset, C. R. Shalizi, M. E. J. Newman, SIAM Review 51, 2009. NaN below 5 values.
    """
    inside = values[(values >= low) & (values <= high)]
    if len(inside) < 5 or high <= low:
        return float("nan"), float("nan"), len(inside)
    start = low - 0.5
    mean_log = float(np.log(inside / start).mean())
    span = float(np.log((high + 0.5) / start))
    lowest, highest = -5.0, 20.0
    for _ in range(100):
        alpha = (lowest + highest) / 2 or 1e-9
        expected = 1 / alpha - span / np.expm1(alpha * span)
        lowest, highest = (alpha, highest) if expected > mean_log else (lowest, alpha)
    return 1 + alpha, abs(alpha) / float(np.sqrt(len(inside))), len(inside)

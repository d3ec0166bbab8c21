"""Who asks next: users drawn uniformly or by Zipf's law, the same for the same seed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from microblog.bench.scenario import Users

BLOCK = 8192  # numbers drawn at a time


def read(file: Path) -> list[tuple[int, str]]:
    """Read users with their tokens, from lines "id token"."""
    pairs = (line.split(" ", 1) for line in file.read_text().splitlines())
    return [(int(user), token) for user, token in pairs]


def draw(count: int, users: Users, random: np.random.Generator) -> Iterator[int]:
    """Yield positions below ``count`` for ever, as often as ``users`` says."""
    if users.popularity == "uniform":
        while True:
            yield from random.integers(0, count, BLOCK).tolist()
    weights = 1.0 / np.arange(1, count + 1) ** users.exponent
    bounds = np.cumsum(weights / weights.sum())
    while True:
        yield from np.minimum(np.searchsorted(bounds, random.random(BLOCK)), count - 1).tolist()


def numbers(low: int, high: int, random: np.random.Generator) -> Iterator[int]:
    """Yield integers from ``low`` to ``high``, both included, for ever."""
    while True:
        yield from random.integers(low, high + 1, BLOCK).tolist()


def choices(weights: list[float], random: np.random.Generator) -> Iterator[int]:
    """Yield positions in ``weights``, each as often as it weighs, for ever."""
    if len(weights) == 1:
        while True:
            yield 0
    bounds = np.cumsum(np.array(weights) / sum(weights))
    while True:
        drawn = np.searchsorted(bounds, random.random(BLOCK))
        yield from np.minimum(drawn, len(weights) - 1).tolist()


def arrivals(rate: float, seconds: float, poisson: bool, random: np.random.Generator) -> np.ndarray:
    """Return when requests are due, in seconds from the start: a Poisson process, or evenly."""
    if not poisson:
        return np.arange(0, seconds, 1 / rate)
    expected = rate * seconds
    gaps = random.exponential(1 / rate, int(expected + 6 * expected**0.5 + 20))
    times = np.cumsum(gaps)
    return times[times < seconds]

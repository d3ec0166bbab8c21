"""Latencies as HdrHistograms: 1 µs to 10 minutes, three significant digits."""

from collections.abc import Iterable
from math import exp, lgamma, log, log1p

import numpy as np
from hdrh.histogram import HdrHistogram

from microblog.bench.result import PERCENTILES, Latency

BEYOND = 10  # answers beyond a percentile; where there are fewer it is a matter of chance
LOWEST, HIGHEST, DIGITS = 1, 600_000_000, 3  # µs, µs, significant digits


def empty() -> HdrHistogram:
    """Return a histogram with nothing in it."""
    return HdrHistogram(LOWEST, HIGHEST, DIGITS)


def of(seconds: Iterable[float]) -> HdrHistogram:
    """Return the histogram of these latencies in seconds."""
    micros = np.clip(np.fromiter(seconds, float) * 1e6, LOWEST, HIGHEST).astype(np.int64)
    return of_counts(zip(*np.unique(micros, return_counts=True), strict=True))


def of_counts(counts: Iterable[tuple[int, int]]) -> HdrHistogram:
    """Return the histogram of (microseconds, how many) pairs."""
    histogram = empty()
    for micros, count in counts:
        histogram.record_value(min(max(int(micros), LOWEST), HIGHEST), int(count))
    return histogram


def encode(histogram: HdrHistogram) -> str:
    """Return HdrHistogram's own encoding, as text."""
    encoded: bytes = histogram.encode()
    return encoded.decode()


def decode(text: str) -> HdrHistogram:
    """Return the histogram that ``encode`` made text of; empty for the empty text."""
    return HdrHistogram.decode(text) if text else empty()


def added(texts: Iterable[str]) -> HdrHistogram:
    """Return the sum of encoded histograms."""
    total = empty()
    for text in texts:
        if text:
            total.add(HdrHistogram.decode(text))
    return total


def tells(name: str, answers: int) -> bool:
    """Whether so many answers tell a percentile; what is none (a mean, a rate) they always do."""
    percent = PERCENTILES.get(name)
    return percent is None or round(answers * (100 - percent) / 100, 6) >= BEYOND


def above(histogram: HdrHistogram, milliseconds: float) -> float:
    """Return the share of latencies above a bound; 0 of an empty histogram."""
    most = histogram.get_highest_equivalent_value(int(milliseconds * 1000))
    slower = sum(
        item.count_at_value_iterated_to
        for item in histogram.get_recorded_iterator()
        if item.value_iterated_to > most
    )
    return slower / max(histogram.get_total_count(), 1)


def chance(found: int, answers: int, share: float) -> float:
    """Return how likely it is that of so many answers ``found`` or more are beyond a bound.

    Each is with the probability ``share``; where fewer were found than that says, ``found`` or
    fewer. The binomial distribution's tail, term by term away from its middle.
    """
    if not 0 <= found <= answers:
        return 0.0
    odds = share / (1 - share)
    term = exp(
        lgamma(answers + 1) - lgamma(found + 1) - lgamma(answers - found + 1)
        + found * log(share) + (answers - found) * log1p(-share)
    )  # fmt: skip
    total, is_more = 0.0, found > answers * share
    while term > 1e-12 * total:
        total += term
        if is_more:
            term *= (answers - found) / (found + 1) * odds
            found += 1
        else:
            term *= found / (answers - found + 1) / odds
            found -= 1
    return total


def latency(histogram: HdrHistogram) -> Latency:
    """Return the percentiles in milliseconds; the largest value is exact to three digits."""
    if not histogram.get_total_count():
        return Latency()
    shown = {
        name: histogram.get_value_at_percentile(percent) / 1000
        for name, percent in PERCENTILES.items()
    }
    return Latency(
        **shown,
        max=histogram.get_max_value() / 1000,
        mean=histogram.get_mean_value() / 1000,
    )

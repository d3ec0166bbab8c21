"""Who follows whom: pairs in bounded memory, with the exact number of followers of each user.

Each author's followers are drawn without replacement, one after another, in proportion to how
readily a user follows. For authors whom many follow this is done at once by exponential clocks
(P. S. Efraimidis, P. G. Spirakis, "Weighted random sampling with a reservoir", Information
Processing Letters 97, 2006); for the others by drawing with replacement and drawing again what
came twice, in blocks of authors.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from microblog.seed.degrees import Floats, Integers, activity_weights
from microblog.seed.shape import RESERVED, Shape

BLOCK = 1_000_000  # pairs drawn together; some 100 MB at the most
STUBS = 16  # of an average user in the urn that followers are drawn from
CLOCK_SHARE = 64  # authors with more than users / 64 followers are drawn by clocks

Ids = NDArray[np.int64]
Pairs = tuple[Ids, Ids]


def follows(shape: Shape, followers: Integers, rng: np.random.Generator) -> Iterator[Pairs]:
    """Yield blocks of (follower ids, followed ids), each pair once in all, nobody with themselves.

    ``followers`` is the number of followers by id − 1. Blocks hold up to some millions of pairs.
    """
    weights = activity_weights(shape, rng)
    left = followers.copy()
    yield from _reserved_readers(shape, left, rng)

    urn = _urn(weights)
    clocked = left > shape.users // CLOCK_SHARE
    for author in np.flatnonzero(clocked) + 1:
        count = int(left[author - 1])
        yield _by_clocks(weights, int(author), count, rng), np.full(count, author, dtype=np.int64)

    authors = np.flatnonzero(~clocked & (left > 0)) + 1
    ends = np.cumsum(left[authors - 1])
    start = 0
    while start < len(authors):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + BLOCK, side="right")))
        block = authors[start:stop]
        yield _by_urn(urn, shape.users, block, left[block - 1], rng)
        start = stop


def _reserved_readers(shape: Shape, left: Integers, rng: np.random.Generator) -> Iterator[Pairs]:
    """Yield what the readers of exact degrees follow, the popular first; lowers ``left``."""
    for degree, ids in shape.readers().items():
        for reader in ids:
            popular = left.astype(np.float64)
            popular[:RESERVED] = 0
            followed = _by_clocks(popular, reader, degree, rng)
            left[followed - 1] -= 1
            yield np.full(degree, reader, dtype=np.int64), followed


def _by_clocks(weights: Floats, oneself: int, count: int, rng: np.random.Generator) -> Ids:
    """Draw ``count`` different ids other than ``oneself``, ascending."""
    clocks = rng.standard_exponential(len(weights), dtype=np.float32)
    with np.errstate(divide="ignore"):
        clocks /= weights.astype(np.float32)
    clocks[oneself - 1] = np.inf
    chosen = np.argpartition(clocks, count - 1)[:count] if count else np.empty(0, dtype=np.int64)
    return np.sort(chosen).astype(np.int64) + 1


def _urn(weights: Floats) -> NDArray[np.int32]:
    """Return ids, each as often as its weight says, users of weight 0 never."""
    share = weights / weights[weights > 0].mean()
    stubs = np.where(weights > 0, np.maximum(np.rint(share * STUBS), 1), 0).astype(np.int64)
    return np.repeat(np.arange(1, len(weights) + 1, dtype=np.int32), stubs)


def _distinct(keys: Ids) -> Ids:
    """Return each key once, ascending; sorting is many times faster than numpy's hashing."""
    keys.sort()
    first = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return keys[first]


def _by_urn(
    urn: NDArray[np.int32], users: int, authors: Ids, counts: Integers, rng: np.random.Generator
) -> Pairs:
    """Draw each author's followers; returns pairs sorted by author, then follower."""
    finished: list[Ids] = []
    pending = np.empty(0, dtype=np.int64)  # author · (users + 1) + follower
    need = counts.copy()
    while len(authors):
        drawn = np.repeat(authors, need)
        follower = urn[rng.integers(0, len(urn), len(drawn), dtype=np.uint32)].astype(np.int64)
        fresh = (drawn * (users + 1) + follower)[follower != drawn]
        pairs = _distinct(np.concatenate([pending, fresh]))
        place = np.searchsorted(authors, pairs // (users + 1))
        need = counts - np.bincount(place, minlength=len(authors))
        short = need > 0
        finished.append(pairs[~short[place]])
        pending = pairs[short[place]]
        authors, counts, need = authors[short], counts[short], need[short]
    keys = np.sort(np.concatenate(finished)) if len(finished) > 1 else finished[0]
    return keys % (users + 1), keys // (users + 1)

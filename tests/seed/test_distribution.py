"""Follower counts and follows as numbers, without a database."""

from datetime import UTC, datetime

import numpy as np
import pytest

from microblog.seed.ahead import ahead
from microblog.seed.degrees import fit, follower_counts, truncated_exponent
from microblog.seed.graph import follows
from microblog.seed.rows import Rows
from microblog.seed.shape import PRESETS, RESERVED, Shape

SMALL = PRESETS["small"]


def counts(shape: Shape) -> np.ndarray:
    return follower_counts(shape, np.random.default_rng([shape.seed, 0]))


@pytest.mark.parametrize("name", PRESETS)
def test_counts_sum_up_exactly_under_one_largest(name: str) -> None:
    shape = PRESETS[name]
    followers = counts(shape)
    assert followers.sum() == shape.follows
    assert followers[0] == shape.largest
    assert followers[1:].max() <= shape.largest * 0.9
    assert followers.min() == 0
    assert not followers[1:RESERVED].any()


def test_the_tail_of_full_has_the_published_exponent_and_is_heavier_beyond() -> None:
    shape = PRESETS["full"]
    found = fit(counts(shape), shape)
    assert found.tail == pytest.approx(2.276, abs=0.1)
    assert found.heavy < found.tail
    assert found.quantiles[0.5] < found.mean / 2


def test_the_estimate_finds_the_exponent_that_values_were_drawn_with() -> None:
    uniform = np.random.default_rng(3).random(200_000)
    for exponent in (1.8, 2.276, 3.0):
        drawn = np.rint(100 * (1 - uniform) ** (-1 / (exponent - 1))).astype(np.int64)
        found, error, _ = truncated_exponent(drawn, 200, 20_000)
        assert abs(found - exponent) < 4 * error


def test_the_estimate_of_too_few_values_is_not_a_number() -> None:
    found, _, number = truncated_exponent(np.array([7, 8]), 5, 50)
    assert np.isnan(found)
    assert number == 2


@pytest.mark.parametrize("name", ["demo", "small"])
def test_each_pair_comes_once_nobody_follows_themselves_and_the_counts_hold(name: str) -> None:
    shape = PRESETS[name]
    followers = counts(shape)
    blocks = list(follows(shape, followers, np.random.default_rng(5)))
    follower, followed = (np.concatenate(side) for side in zip(*blocks, strict=True))
    keys = follower * (shape.users + 1) + followed
    assert len(np.unique(keys)) == len(keys) == shape.follows
    assert (follower != followed).all()
    assert follower.min() >= 1
    assert follower.max() <= shape.users
    assert (np.bincount(followed, minlength=shape.users + 1)[1:] == followers).all()
    following = np.bincount(follower, minlength=shape.users + 1)
    for degree, ids in shape.readers().items():
        assert (following[list(ids)] == degree).all()
    # Skewed on this side too.
    assert following.max() > 8 * np.median(following[RESERVED + 1 :])


def test_small_has_readers_of_fifty_and_of_five_thousand() -> None:
    assert SMALL.readers() == {50: range(2, 12), 5000: range(12, 22)}
    assert PRESETS["full"].readers() == SMALL.readers()


def test_blocks_stay_small_however_many_rows_there_are() -> None:
    rows = Rows(SMALL, datetime(2026, 1, 1, tzinfo=UTC))
    for table in rows.tables():
        sizes = [(count, len(data)) for count, data in table.blocks()]
        assert sum(count for count, _ in sizes) == table.rows
        assert max(size for _, size in sizes) < 50e6


def test_post_ids_ascend_and_are_different_even_within_a_millisecond() -> None:
    crowded = SMALL.changed(posts=3_000_000)
    ids = Rows(crowded, datetime(2026, 1, 1, tzinfo=UTC)).post_ids()
    assert (np.diff(ids) > 0).all()


def test_the_popular_write_more() -> None:
    rows = Rows(SMALL, datetime(2026, 1, 1, tzinfo=UTC))
    (posts,) = [table for table in rows.tables() if table.table == "app.posts"]
    lines = b"".join(data for _, data in posts.blocks()).decode().splitlines()
    authors = np.array([int(line.split("\t")[1]) for line in lines])
    written = np.bincount(authors, minlength=SMALL.users + 1)[1:]
    popular = rows.followers > np.quantile(rows.followers, 0.9)
    assert written[popular].mean() > 2 * written[~popular].mean()


def test_what_fails_while_rows_are_made_ahead_is_raised_where_they_are_taken() -> None:
    def items() -> "object":
        yield 1
        raise ValueError("out of rows")

    taken = []
    with pytest.raises(ValueError, match="out of rows"):
        taken.extend(ahead(items()))
    assert list(ahead(iter(range(100)))) == list(range(100))

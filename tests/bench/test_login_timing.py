"""The comparison of login times: it finds a difference where there is one, and none elsewhere."""

import numpy as np
import pytest

from microblog.bench.login_timing import ACCOUNTS, WARM_UP, evaluate, measure
from microblog.errors import StackError
from tests.support.database import Database
from tests.support.servers import Served


def times(seed: int, number: int = 300, shift: float = 0.0) -> list[float]:
    """Draw times as a busy machine makes them: a floor, and a long tail."""
    return list(50 + shift + np.random.default_rng(seed).lognormal(0, 1, number))


def test_the_interval_of_equal_times_holds_zero_about_as_often_as_it_says() -> None:
    held = sum(evaluate(times(n), times(1000 + n)).within_noise for n in range(60))
    assert held >= 52  # 95 % of 60 are 57


@pytest.mark.parametrize("shift", [2.0, -2.0])
def test_a_difference_is_found_and_measured(shift: float) -> None:
    found = evaluate(times(1), times(2, shift=shift))
    assert not found.within_noise
    assert found.low < shift < found.high
    assert abs(found.difference - shift) < 0.5
    assert found.told_apart > 0.75


def test_what_slows_both_sides_alike_is_no_difference() -> None:
    """A machine that becomes ten times slower half way: the pairs keep the two comparable."""
    slower = [1.0] * 150 + [10.0] * 150
    known = [a * b for a, b in zip(times(1), slower, strict=True)]
    unknown = [a * b for a, b in zip(times(2), slower, strict=True)]
    assert evaluate(known, unknown).within_noise


def test_times_that_equal_each_other_are_told_apart_by_chance_alone() -> None:
    same = evaluate([50.0] * 30, [50.0] * 30)
    assert (same.difference, same.low, same.high, same.told_apart) == (0, 0, 0, 0.5)
    apart = evaluate([50.0] * 30, [51.0] * 30)
    assert (apart.difference, apart.within_noise, apart.told_apart) == (1, False, 1)


def test_the_same_seed_gives_the_same_interval() -> None:
    known, unknown = times(1), times(2)
    assert evaluate(known, unknown, 7) == evaluate(known, unknown, 7)
    assert evaluate(known, unknown, 7) != evaluate(known, unknown, 8)


@pytest.mark.parametrize(("known", "unknown"), [([], []), ([1.0], [1.0]), ([1.0, 2.0], [1.0])])
def test_what_are_no_pairs_is_refused(known: list[float], unknown: list[float]) -> None:
    with pytest.raises(ValueError, match="no pairs"):
        evaluate(known, unknown)


def test_each_kind_of_login_reaches_the_database_as_often(
    database: Database, own_api: Served
) -> None:
    """Half of the logins are of users who exist, in no fixed order, and nobody is left behind.

    A hash is made for a name that nobody has, and at sign-up, but not for a user who exists.
    """
    database.run("create table public.seen (n bigint generated always as identity, what text)")
    database.run("grant insert on public.seen to microblog_owner")
    for function, kind, arguments in (
        ("password_hash", "text", "password"),
        ("credentials_refused", "json", ""),
    ):
        database.run(f"alter function app.{function} rename to {function}_really")
        database.run(
            f"create function app.{function}({arguments and arguments + ' text'}) returns {kind}"
            " language plpgsql as $$ begin"
            f" insert into public.seen (what) values ('{function}');"
            f" return app.{function}_really({arguments}); end $$"
        )
        database.run(f"grant execute on function app.{function} to microblog_owner")
    found: list[int] = []

    timing = measure(own_api.url, 20, progress=found.append)

    assert timing.samples == 20 and timing.known > 0 and timing.unknown > 0
    assert (found[0], found[-1]) == (0, 20)
    seen = " ".join(
        database.values("select what from public.seen order by n offset %s", [ACCOUNTS])
    )
    logins = seen.replace("password_hash credentials_refused", "unknown")
    order = logins.replace("credentials_refused", "known").split()
    pairs = list(zip(order[::2], order[1::2], strict=True))
    assert len(pairs) == 20 + WARM_UP
    assert set(pairs) == {("known", "unknown"), ("unknown", "known")}
    assert database.value("select count(*) from app.users") == 0


def test_a_login_that_is_not_answered_by_401_ends_it(database: Database, own_api: Served) -> None:
    database.run("update app.settings set value = 99 where name = 'bcrypt_cost'")
    with pytest.raises(StackError):
        measure(own_api.url, 20)

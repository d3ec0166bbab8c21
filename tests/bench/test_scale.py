"""Curves: files that say what is varied, and the readers and authors they are measured with."""

import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from microblog.bench import scale
from microblog.bench.report import words
from microblog.bench.report.judged import judged, told
from microblog.bench.report.scaling import section
from microblog.bench.result import Side
from microblog.bench.scale_result import Curve, Point
from microblog.bench.scenario import BENCH
from microblog.errors import StackError
from microblog.seed.shape import PRESETS, Shape
from tests.bench import made_up
from tests.support.database import Database

GOOD = """
title = "Pages by follows"
vary = "follows"
axis = "follows"
measure = "cpu"
sizes = [10, 1000]
[load]
clients = 2
scripts = [{ name = "page", file = "sql/timeline_by_follows.sql" }]
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "some.toml"
    file.write_text(text)
    return file


def test_every_curve_of_the_project_can_be_read() -> None:
    found = {one.name: one for one in scale.read_all()}
    assert {"users", "follows", "followers", "connections", "load"} <= set(found)
    assert found["users"].at_most == found["follows"].at_most == 0.1


def test_the_answers_of_each_curve_are_checked_or_proved() -> None:
    for one in scale.read_all():
        assert one.load.proofs or all(call.check for call in one.load.calls), one.name


def test_a_curve_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(StackError, match="no curve nosuch") as refused:
        scale.read_all(["nosuch"])
    assert "followers" in refused.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('measure = "cpu"', 'measure = "luck"'), "luck"),
        (("sizes = [10, 1000]", "sizes = [10, 10]"), "two or more different"),
        (("sizes = [10, 1000]", "sizes = [0, 10]"), "each 1 or more"),
        (("timeline_by_follows", "nosuch"), "does not exist"),
        (('vary = "follows"', 'vary = "instances"'), "at 10: instances stand behind the proxy"),
        (("clients = 2", "clients = 0"), "some.toml: at 10: clients and threads are 1 or more"),
        (("[load]", "power = false\nat_most = 0.1\n[load]"), "no exponent to be bounded"),
        (('axis = "follows"', 'axes = "follows"'), "axes|axis"),
        (("[load]", "load = ["), "cannot be read"),
    ],
)
def test_a_curve_that_makes_no_sense_is_refused(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    assert change[0] in GOOD
    with pytest.raises(StackError, match=message):
        scale.read(written(tmp_path, GOOD.replace(*change)))


def test_each_size_is_a_side_that_differs_in_one_thing(tmp_path: Path) -> None:
    small, large = scale.read(written(tmp_path, GOOD)).sides()
    assert (small.name, large.name) == ("10", "1000")
    assert (small.variables, large.variables) == ({"follows": 10}, {"follows": 1000})
    assert (small.role, large.role) == ("subject", "peer")
    text = GOOD.replace('vary = "follows"', 'vary = "clients"')
    small, large = scale.read(written(tmp_path, text)).sides()
    assert (small.clients, large.clients) == (10, 1000)
    assert small.variables == large.variables == {}


def test_the_instances_of_a_stack_can_be_the_sizes(tmp_path: Path) -> None:
    calls = """calls = [{ name = "page", path = "/rpc/feed_public" }]\n"""
    text = GOOD[: GOOD.index("scripts")].replace('vary = "follows"', 'vary = "instances"') + calls
    few = scale.read(written(tmp_path, text.replace("[10, 1000]", "[1, 2, 16]"))).sides()
    assert [(side.name, side.instances) for side in few] == [("1", 1), ("2", 2), ("16", 16)]
    with pytest.raises(StackError, match="at 1000: instances is 1 to 64, not 1000"):
        scale.read(written(tmp_path, text))


def test_what_is_asked_for_a_second_can_be_the_sizes() -> None:
    (load,) = scale.read_all(["load"])
    sides = load.sides()
    assert [side.rate for side in sides] == [float(size) for size in load.sizes]
    assert {(side.model, side.sends, side.arrivals) for side in sides} == {
        ("open", "own", "poisson")
    }


def offered(rate: int, rounds: int, **more: object) -> Side:
    """A side whose rounds are of 4 s at that rate; ``more`` is true of the last one."""
    random_numbers = random.Random(rate)
    made = [
        made_up.one_round(random_numbers, rate, 20, noise=0, offered=rate, samples=10**6)
        for _ in range(rounds)
    ]
    made[-1] = replace(made[-1], **more)
    return Side(name="", role="peer", model="open", generator="own", rounds=made)


def test_a_percentile_is_of_each_round_or_of_all_or_of_none() -> None:
    (load,) = scale.read_all(["load"])
    sizes = replace(load, sizes=[100, 200, 400])
    few, enough, many = offered(100, 2), offered(200, 2), offered(400, 2)
    curve = scale.curve(sizes, {100: few, 200: enough, 400: many})
    together, each = curve.points
    assert curve.unit == "p99 ms"
    assert (together.x, len(together.values)) == (200, 1)
    low, high = sorted(one.latency.p99 for one in enough.rounds)
    assert low <= together.values[0] <= high
    assert together.note.startswith("all rounds together, p50 ")
    assert (each.x, each.values) == (400, [one.latency.p99 for one in many.rounds])
    assert "together" not in each.note
    assert "400 answered per second" in each.note
    *known, untold = curve.limitations
    assert known == load.limitations
    assert untold.startswith("At 100 requests per second asked for too few answers came for a p99")


def test_what_was_not_answered_is_told_and_fails_no_curve() -> None:
    (load,) = scale.read_all(["load"])
    sizes = replace(load, sizes=[400, 800, 1000])
    full = offered(800, 2, dropped=90, errors={"timeout": 10, "status 503": 300}, lateness=7.5)
    measured = {400: offered(400, 2), 800: full, 1000: offered(1000, 2)}
    well, beyond, _ = scale.curve(sizes, measured).points
    assert "timeout: 10 of 6,800, status 503: 300 of 6,800, dropped: 90 of 6,800" in beyond.note
    assert beyond.note.endswith("sent up to 7.50 ms late (p99)")
    assert " of " not in well.note


def test_a_curve_that_is_no_power_law_has_no_exponent_and_is_shown_all_the_same() -> None:
    points = [Point(x=x, values=[x / 10, x / 9], note="p50 1 ms") for x in (200, 400, 800)]
    curve = Curve(
        name="load", title="Load", about="", axis="per second asked for", unit="p99 ms",
        points=points, power=False,
    )  # fmt: skip
    assert (curve.fit(), judged(curve)) == (None, [])
    assert told(curve) == "most: 84.4 p99 ms at 800 per second asked for"
    shown = section(curve, "today")
    assert (shown["mark"], shown["fit"]) == ("·", told(curve))
    assert shown["rows"][0] == ["200", "21.1", "20", "22.2", "p50 1 ms"]
    assert "<svg" in shown["plot"]


def test_buffers_are_noted_for_each_of_what_the_sizes_count(tmp_path: Path) -> None:
    text = GOOD.replace("[load]", 'buffers_per = "follow"\n[load]')
    one = made_up.one_round(random.Random(1), 100, 5, samples=0)
    one.count, one.cost.buffers_hit, one.cost.buffers_read = 50, 7000, 1000
    side = Side(name="", role="subject", model="closed", generator="pgbench", rounds=[one])
    (point,) = scale.curve(scale.read(written(tmp_path, text)), {10: side}).points
    assert point.note.endswith(", 16 buffers per follow")
    (bare,) = scale.curve(scale.read(written(tmp_path, GOOD)), {10: side}).points
    assert "buffers" not in bare.note


def test_networks_of_all_sizes_have_the_same_proportions() -> None:
    assert scale.shape(1_091_000) == "full"
    full = PRESETS["full"]
    for users in (2000, 10_000, 20_000, 100_000):
        shape = scale.shape(users)
        assert isinstance(shape, Shape)
        shape.check()
        assert shape.users == users
        assert shape.active_share == full.active_share
        for what in ("follows", "posts", "largest"):
            share, whole = getattr(shape, what) / users, getattr(full, what) / full.users
            assert share == pytest.approx(whole, rel=0.01), what


def test_the_largest_network_is_the_one_that_scenarios_have() -> None:
    assert scale.stack_of("bench", 1_091_000).stack == "bench-full"
    assert scale.stack_of("bench", 10_000).stack == "bench-full-10000"
    with pytest.raises(StackError, match="expected at least 100"):
        scale.stack_of("bench", 10)


def test_curves_over_users_differ_in_where_they_ask_alone() -> None:
    at_the_database, over_http = scale.read_all(["users", "users-http"])
    for one in (at_the_database, over_http):
        assert (one.vary, one.measure, one.at_most) == ("users", "cpu", 0.1)
    assert at_the_database.full().sizes == over_http.full().sizes
    readers = at_the_database.load.variables["readers"]
    assert (over_http.users.count, over_http.users.kind) == (readers, "active")
    assert (over_http.users.popularity, over_http.load.sends) == ("uniform", "wrk")


def test_a_curve_is_what_its_rounds_cost(tmp_path: Path) -> None:
    sizes = scale.read(written(tmp_path, GOOD.replace("[10, 1000]", "[10, 100, 1000]")))
    sides = {}
    for size, milliseconds in ((10, 2.0), (100, 2.828427), (1000, 4.0)):
        rounds = [made_up.one_round(random.Random(1), 100, 5, samples=0) for _ in range(2)]
        for one in rounds:
            one.count = 1000
            one.cost.cpu = {"postgres": milliseconds, "generator": 50.0, "others": 9.0}
        sides[size] = Side(
            name="", role="subject", model="closed", generator="pgbench", rounds=rounds
        )
    curve = scale.curve(sizes, sides)
    assert [(point.x, point.values) for point in curve.points] == [
        (10, [2.0, 2.0]),
        (100, [2.828427, 2.828427]),
        (1000, [4.0, 4.0]),
    ]
    assert curve.unit == "CPU ms"
    rate = words.number(sides[10].rounds[0].rate)
    assert curve.points[0].note.endswith(f"{rate} per second"), "to be seen beside the cost"
    fit = curve.fit()
    assert fit is not None
    assert fit.exponent == pytest.approx(0.1505, abs=1e-3)  # log 2 / log 100


def growing(exponent: float, noise: float) -> Curve:
    """A curve of four sizes and three rounds, with a size that costs what is not judged."""
    points = [Point(x=100, values=[1e9] * 3)]
    for number, x in enumerate((1000, 3000, 10_000, 100_000)):
        shifts = (1 - noise, 1 + noise * (-1) ** number, 1 + noise)
        points.append(Point(x=x, values=[x**exponent * shift for shift in shifts]))
    return Curve(
        name="followers", title="", about="", axis="followers", unit="CPU ms", points=points,
        at_least=0.9, at_most=1.1, judged_from=1000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("exponent", "noise", "mark"),
    [
        (1.0, 0.01, "reached"),
        (0.5, 0.01, "missed"),
        (2.0, 0.01, "missed"),
        (1.0, 0.6, "undecided"),
        (1.09, 0.2, "undecided"),
    ],
)
def test_linear_growth_is_told_from_the_root_and_the_square(
    exponent: float, noise: float, mark: str
) -> None:
    curve = growing(exponent, noise)
    (found,) = judged(curve)
    assert found.mark == mark, found.found
    assert found.asked == "exponent at least 0.9 and at most 1.1, from 1,000 followers on"
    unbounded = replace(curve, at_least=None, at_most=None)
    assert judged(unbounded) == []
    assert told(unbounded).startswith("CPU ms ~ size^e, e = "), "the fit is told all the same"


def test_rounds_of_a_size_do_not_narrow_the_interval() -> None:
    """They share what is peculiar to that size: three networks are three points."""
    few, many = growing(0.5, 0.1), growing(0.5, 0.1)
    for point in many.points:
        point.values = point.values * 10
    assert few.fit() == many.fit()


@pytest.mark.parametrize(
    ("last", "mark"),
    [
        ([95, 96, 99], "reached"),
        ([85, 92, 95], "undecided"),
        ([60, 70, 80], "undecided"),
        ([65, 70, 75], "missed"),
    ],
)
def test_a_rate_must_not_fall_beyond_its_peak(last: list[float], mark: str) -> None:
    points = [
        Point(x=1, values=[20, 20, 20]),
        Point(x=8, values=[100, 100, 100]),
        Point(x=16, values=last),
        Point(x=32, values=[99, 99, 99]),
    ]
    curve = Curve(
        name="connections", title="", about="", axis="connections", unit="per second",
        points=points, least_of_peak=0.9,
    )  # fmt: skip
    (found,) = judged(curve)
    assert found.mark == mark
    assert found.found.endswith(" at 16")
    (rising,) = judged(replace(curve, points=points[:2]))
    assert rising.mark == "reached"


def test_at_full_scale_a_curve_goes_further() -> None:
    found = {one.name: one for one in scale.read_all()}
    assert found["followers"].full().sizes[-1] == 30_000
    assert found["users"].full().sizes[-1] == 1_091_000
    assert found["connections"].least_of_peak == 0.9
    assert (found["followers"].at_least, found["followers"].at_most) == (None, 1.1)
    assert all(one.scenario(one.sides()).warmup >= 2 for one in found.values())


def test_a_delivery_to_a_hundred_followers_reaches_each_and_is_rolled_back(
    database: Database,
) -> None:
    with database.superuser() as connection:
        connection.execute(
            "insert into app.users (username) select 'user_' || n from generate_series(1, 99) n"
        )
        author = database.value("select min(id) from app.users")
        connection.execute(
            "insert into app.follows (follower_id, followed_id)"
            " select u.id, %s from app.users u where u.id <> %s",
            [author, author],
        )
        connection.execute((BENCH / "sql/objects.sql").read_text())
        inactive = database.value("select max(id) from app.users")
        connection.execute(
            "update app.feed_states set delivered_from = 9007199254740992,"
            " complete_from = 9007199254740992 where user_id = %s",
            [inactive],
        )
        connection.execute((BENCH / "sql/readers.sql").read_text())
        authors = connection.execute("select followers, user_id from bench.authors").fetchall()
        assert authors == [(100, author)]
        with connection.transaction(force_rollback=True):
            connection.execute("call bench.fan_out(100, 3)")
            reached = connection.execute("select count(*) from app.feed_entries").fetchone()
        assert reached == (97,), "all of ninety-eight but the one who is away"
        left = connection.execute(
            "select (select count(*) from app.feed_entries) + (select count(*) from app.posts)"
        ).fetchone()
        assert left == (0,)


def test_readers_come_again_where_there_are_few_and_old_tables_are_made_anew(
    database: Database,
) -> None:
    with database.superuser() as connection:
        connection.execute(
            "insert into app.users (username) select 'user_' || n from generate_series(1, 30) n"
        )
        connection.execute(
            "insert into app.follows (follower_id, followed_id)"
            " select reader.id, author.id"
            " from (select u.id from app.users u order by u.id limit 3) reader"
            " cross join (select u.id from app.users u order by u.id desc limit 10) author"
        )
        connection.execute((BENCH / "sql/objects.sql").read_text())
        readers = (BENCH / "sql/readers.sql").read_text()
        each = (
            "select count(*), min(r.number), max(r.number) from bench.readers r"
            " where r.follows = 10 group by r.user_id order by 1"
        )
        connection.execute(readers)
        expected = [(33, 2, 98), (33, 3, 99), (34, 1, 100)]
        assert sorted(connection.execute(each).fetchall()) == expected
        connection.execute("update bench.readers set user_id = 0")
        connection.execute(readers)
        assert connection.execute(each).fetchall() == [(100, 1, 100)], "made once"
        connection.execute("delete from bench.readers where number > 10")
        connection.execute(readers)
        assert sorted(connection.execute(each).fetchall()) == expected

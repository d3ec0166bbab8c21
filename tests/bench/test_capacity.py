"""A capacity follows from what was measured and assumed; the pages say what the files say."""

import copy
import math
import random
import re
from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_struct

from microblog.bench import scale_result
from microblog.bench.capacity import measured, needed, tables
from microblog.bench.capacity.assumed import Assumptions, changed
from microblog.bench.capacity.measured import Unit
from microblog.bench.record import RESULTS
from microblog.bench.report import documents
from microblog.bench.report.pages import Curves, Source, filled, latest, latest_curves
from microblog.bench.result import Cost, Run, Statement, read
from microblog.bench.scale_result import Curve, Point, Scaling
from microblog.commands.bench_capacity import PAGE
from microblog.commands.bench_files import kept_curves, named, read_runs
from microblog.errors import StackError
from microblog.settings import ROOT
from tests.bench import made_up

UNIT = Unit(
    users=20_000,
    follows_each=50,
    page_database=0.3,
    page_http=0.4,
    page_far=0.5,
    post=2.0,
    post_wal=5000,
    row=0.004,
    row_wal=150,
    entry_bytes=90,
    follow_bytes=120,
    post_bytes=300,
    growth=0.0,
    growth_measured=True,
    page_wal=40,
    hit=0.1,
    checkpoint_seconds=900,
    checkpoint_wal=2e9,
)


def counting(milliseconds: float) -> Statement:
    """Return what is kept of the statement that counts hits, sent twice."""
    return Statement(
        query=f"prepare take (smallint[]) as {measured.HIT} as b",
        calls=2,
        milliseconds=2 * milliseconds,
        rows=2,
        buffers_hit=0,
        buffers_read=0,
        wal_bytes=0,
    )


def costing(cpu: dict[str, float], wal_bytes: int, count: int) -> list[made_up.Round]:
    one = made_up.one_round(random.Random(1), 100, 1, samples=0)
    one.count = count
    one.cost = Cost(cpu=cpu, wal_bytes=wal_bytes)
    return [one]


@pytest.fixture
def run() -> Run:
    """A run with the three costs, in round figures."""
    made = made_up.run(samples=0, rounds=1)
    made.data.tables = {"feed_entries": 240_000_000, "follows": 120_000_000, "posts": 12_000_000}
    page, post, chunk = made.scenarios[:3]
    page.name, post.name, chunk.name = "timeline-floors", "posting-storm", "fan-out-chunk"
    page.subject.rounds = costing(
        {"postgres": 0.3, "postgrest": 0.3, "haproxy": 0.1, "generator": 9, "others": 9}, 0, 1000
    )
    post.subject.rounds = costing({"postgres": 1.5, "postgrest": 0.5}, 5_000_000, 1000)
    chunk.subject.rounds = costing({"postgres": 0.2, "generator": 1}, 7_500_000, 10)
    post.subject.rounds[0].cost.statements = [counting(0.12)]
    made.settings |= {"postgresql.checkpoint_timeout": "15min", "postgresql.max_wal_size": "4GB"}
    made.scenarios = [one for one in made.scenarios if one.name != measured.LIMITS]
    return made


def limits(run: Run, *rounds: tuple[float, float]) -> None:
    """Have a run say what pages cost with limits that count, and without, ms by round."""
    found = copy.deepcopy(run.scenarios[0])
    found.name, found.sides = measured.LIMITS, found.sides[:2]
    for side, number in zip(found.sides, (0, 1), strict=True):
        side.rounds = [
            one for costs in rounds for one in costing({"postgres": costs[number]}, 0, 1000)
        ]
    run.scenarios.append(found)


def scaling(exponent: float) -> Scaling:
    made = made_up.run(samples=0, rounds=1)
    points = [Point(x=x, values=[x**exponent] * 2) for x in (1e4, 3e4, 1e5, 3e5)]
    curve = Curve(
        name="users", title="", about="", axis="users", unit="CPU ms", points=points, at_most=0.1
    )
    return Scaling(
        at=made.at,
        commit=made.commit,
        uncommitted_changes=False,
        versions={},
        machine=made.machine,
        settings={},
        rounds=2,
        seconds=1,
        curves=[curve],
    )


def test_costs_are_taken_out_of_a_run(run: Run) -> None:
    found = measured.units([(run, "here")]).middle
    assert found.page_database == pytest.approx(0.3)
    assert found.page_http == pytest.approx(0.4)
    assert found.page_far == found.page_database, "no side says otherwise"
    floors = run.scenario("timeline-floors")
    assert floors is not None
    floors.sides[1].name = measured.FAR_SIDE
    floors.sides[1].rounds = costing({"postgres": 0.5, "postgrest": 0.3}, 0, 1000)
    assert measured.units([(run, "here")]).middle.page_far == pytest.approx(0.5)
    assert found.post == pytest.approx(2.0)
    assert found.post_wal == 5000
    assert found.row == pytest.approx(0.2 * 1000 / 10 / 5000)
    assert found.row_wal == 150
    assert (found.page_wal, found.hit) == (0, pytest.approx(0.12))
    assert found.checkpoint_seconds == 900
    assert found.checkpoint_wal == pytest.approx(4 * 2**30 / 1.9)
    assert (found.entry_bytes, found.follow_bytes, found.post_bytes) == (100, 120, 200)
    assert not found.growth_measured


def test_a_need_is_what_a_pocket_calculator_says() -> None:
    assumed = Assumptions(
        daily=0.5, kept=0.5, pages=86.4, posts=8.64, weight=1.0, peak=2.0, busy=0.5, retention=10.0,
        row_blocks=1.0, post_blocks=3.0, image=5000.0,
    )  # fmt: skip
    found = needed.need(1e6, replace(UNIT, checkpoint_wal=1e15), assumed)
    assert found.pages == pytest.approx(1000)  # 500,000 people, 86.4 pages in 86,400 s, twice that
    assert found.posts == pytest.approx(100)
    assert found.rows == pytest.approx(2500)
    assert found.cores_pages == pytest.approx(1000 * 0.0003 / 0.5)
    assert found.cores_http == pytest.approx(1000 * 0.0004 / 0.5)
    assert found.cores_far == pytest.approx(1000 * 0.0005 / 0.5)
    assert found.cores_writes == pytest.approx((100 * 0.002 + 2500 * 0.000004) / 0.5)
    written = 100 * 5000 + 2500 * 150 + 1000 * 40
    changed = 5e5 * (1 - math.exp(-2500 * 900 / 5e5))  # of 500,000 leaves in 900 s
    images = (changed / 900 + 100 * 3) * 5000
    assert found.wal_mb == pytest.approx((written + images) / 1e6)
    assert found.cores_hits == pytest.approx(1000 * 0.0001 / 0.5)
    logins = 1e6 / 30 / 86_400 * 2
    assert found.cores_logins == pytest.approx(logins * 0.1 / 0.5), "as busy as any other core"
    posts_hot = 500_000 * 8.64 * 3
    assert found.memory_gb == pytest.approx((500_000 * 6 * 8192 + posts_hot * 300) / 1e9)
    assert found.iops == pytest.approx(1000 * 6 * 0.05 + 2 * 2500)
    kept = 500_000 * 8.64 * 10
    assert found.disk_tb == pytest.approx((kept * (25 * 90 + 300) + 5e7 * 120) / 1e12)


def test_the_growth_of_a_curve_makes_pages_dearer(run: Run) -> None:
    flat, growing = (
        measured.units([(run, "here")], [(scaling(e), "there")]).middle for e in (-0.1, 0.25)
    )
    assert flat.growth == 0
    assert growing.growth == pytest.approx(0.25)
    ten = run.data.users * 16
    ratio = needed.need(ten, growing, Assumptions()).cores_pages
    ratio /= needed.need(ten, flat, Assumptions()).cores_pages
    assert ratio == pytest.approx(2.0)


def test_a_machine_ends_where_what_it_has_is_needed() -> None:
    assumed = Assumptions()
    found = needed.ends(UNIT, assumed)
    everything = needed.need(found["cores, everything on one machine"], UNIT, assumed)
    assert everything.cores_database + everything.cores_http == pytest.approx(assumed.cores)
    assert needed.need(found["WAL"], UNIT, assumed).wal_mb == pytest.approx(assumed.wal_mb)
    assert needed.need(found["disk"], UNIT, assumed).disk_tb == pytest.approx(assumed.disk_tb)
    memory = needed.need(found["memory for what is read on a day"], UNIT, assumed)
    assert memory.memory_gb == pytest.approx(assumed.memory_gb)
    random_blocks = needed.need(found["random reads and writes"], UNIT, assumed)
    assert random_blocks.iops == pytest.approx(assumed.iops)
    assert list(found.values()) == sorted(found.values())
    replicas = needed.need(found["cores, pages read from replicas too"], UNIT, assumed)
    assert replicas.cores_hits > 0
    primary = replicas.cores_writes + replicas.cores_logins + replicas.cores_hits
    assert primary == pytest.approx(assumed.cores)
    more = needed.ends(UNIT, replace(assumed, wal_mb=2 * assumed.wal_mb))
    assert more["WAL"] == pytest.approx(2 * found["WAL"], rel=0.05), "images are a bit more of it"
    assert more["disk"] == found["disk"]


def test_each_scenario_is_taken_from_the_last_run_that_has_it_and_says_which(run: Run) -> None:
    newer = copy.deepcopy(run)
    newer.commit, newer.at = "newer", "2026-01-09T10:00:00+00:00"
    newer.scenarios = newer.scenarios[:2]
    newer.scenarios[0].subject.rounds = costing({"postgres": 0.9}, 0, 1000)
    newer.scenarios[1].subject.rounds = []  # begun, and nothing measured
    flat, steep = scaling(0.0), scaling(0.5)
    other = replace_struct(steep, curves=[replace_struct(steep.curves[0], name="follows")])
    derived = measured.units(
        [(run, "runs/first.json"), (newer, "runs/second.json")],
        [(flat, "curves/old.json"), (steep, "curves/new.json"), (other, "curves/other.json")],
    )
    assert derived.middle.page_database == pytest.approx(0.9)
    assert derived.middle.post == pytest.approx(2.0)
    assert derived.middle.growth == pytest.approx(0.5)
    told = tables.markdown(derived, [1e6], Assumptions())
    lines = {line.split(" | ")[0].lstrip("| "): line for line in told.splitlines()}
    for what, scenario, file in (
        ("CPU of a page, database", "`timeline-floors`", "second"),
        ("CPU of a post, all of the stack", "`posting-storm`", "first"),
        ("CPU of a row put into a feed", "`fan-out-chunk`", "first"),
        ("growth of a page's cost with users", "`users`", "new"),
        ("a follow on disk, with its indexes", "the database", "second"),
    ):
        assert lines[what].endswith(f"| {scenario} | {file} |"), lines[what]
    assert "- `runs/second.json`: measured 2026-01-09 at commit newer, on " in told
    assert "other.json" not in told, "it has nothing to do with it"
    assert derived.files() == ["runs/first.json", "runs/second.json", "curves/new.json"]


def test_what_lessens_the_worth_of_a_run_stands_beside_its_file(run: Run) -> None:
    run.quick = False
    sentence = f"The tree had changes that are not in commit {run.commit}."
    for run.uncommitted_changes in (False, True):
        told = tables.markdown(measured.units([(run, "here")]), [1e6], Assumptions())
        (line,) = (one for one in told.splitlines() if one.startswith("- `here`: measured "))
        assert (sentence in line) == run.uncommitted_changes


def test_costs_on_networks_of_different_sizes_are_not_put_together(run: Run) -> None:
    small = copy.deepcopy(run)
    small.data.users = 300
    small.scenarios = small.scenarios[:1]
    with pytest.raises(StackError, match="networks of different sizes: small: 300, here: "):
        measured.units([(run, "here"), (small, "small")])
    assert measured.units([(small, "small"), (run, "here")]).middle.users == run.data.users


def test_checkpoints_come_sooner_the_more_wal_there_is_and_each_makes_images() -> None:
    """So that WAL grows by more than the users, up to an image for each row."""
    assumed = Assumptions()
    few, many = (needed.need(users, UNIT, assumed) for users in (1e5, 1e9))
    assert few.wal_mb * 1e4 < many.wal_mb * 0.95
    for found in (few, many):
        plain = found.posts * UNIT.post_wal + found.rows * UNIT.row_wal + found.pages * 40
        most = (found.rows + 3 * found.posts) * assumed.image
        assert plain + 0.5 * most < found.wal_mb * 1e6 < plain + most
    rare = replace(UNIT, checkpoint_seconds=1e7, checkpoint_wal=1e15)
    assert needed.need(1e9, rare, assumed).wal_mb < many.wal_mb / 4
    # What agrees with itself: so long apart as the WAL between two allows.
    apart = UNIT.checkpoint_wal / (many.wal_mb * 1e6)
    assert apart < UNIT.checkpoint_seconds
    fixed = replace(UNIT, checkpoint_seconds=apart, checkpoint_wal=1e15)
    assert needed.need(1e9, fixed, assumed).wal_mb == pytest.approx(many.wal_mb, rel=0.01)


def test_counting_costs_what_limits_tell_or_where_that_is_noise_what_its_statement_takes(
    run: Run,
) -> None:
    limits(run, (0.5, 0.3), (0.7, 0.6), (0.9, 0.6))
    found = measured.units([(run, "here")])
    assert [one.hit for one in (found.low, found.middle, found.high)] == pytest.approx(
        [0.1, 0.2, 0.3]
    )
    told = tables.markdown(found, [1e6], Assumptions())
    assert "with limits less without | 0.2 (0.1 to 0.3) ms | `limits` | here |" in told
    run.scenarios.pop()
    limits(run, (0.5, 0.3), (0.6, 0.61), (0.9, 0.6))
    found = measured.units([(run, "here")])
    assert found.middle.hit == pytest.approx(0.12)
    told = tables.markdown(found, [1e6], Assumptions())
    assert "its statement alone | 0.12 ms | `posting-storm` | here |" in told
    run.scenarios[1].subject.rounds[0].cost.statements = []
    with pytest.raises(StackError, match="what counting a page's hits costs"):
        measured.units([(run, "here")])


def test_an_end_that_an_assumption_moves_says_so_and_what_half_and_twice_of_it_give(
    run: Run,
) -> None:
    assumed = Assumptions()
    told = tables.ends_markdown(measured.units([(run, "here")]), assumed)
    cells = {
        line.split(" | ")[0].lstrip("| "): line.split(" | ")[1:]
        for line in told.splitlines()
        if line.startswith("| ")
    }
    unit = measured.units([(run, "here")]).middle
    half, twice = (
        needed.ends(unit, replace(assumed, blocks=blocks))["memory for what is read on a day"]
        for blocks in (3.0, 12.0)
    )
    assert half > 1.5 * twice
    assert cells["memory for what is read on a day"][1].startswith(
        f"assumed: a comer's blocks; half {tables._many(half)}, twice {tables._many(twice)}"
    )
    assert "a login's CPU; half" in cells["cores, pages read from replicas too"][1]
    assert "a block's image; half" in cells["WAL"][1]
    assert "half" not in cells["disk"][1], "rows were measured"


def test_a_range_that_an_assumption_exceeds_is_not_shown(run: Run) -> None:
    run.scenarios[1].subject.rounds = [
        one for cpu in (1.9, 2.0, 2.1) for one in costing({"postgres": cpu}, 5_000_000, 1000)
    ]
    for one in run.scenarios[1].subject.rounds:
        one.cost.statements = [counting(0.12)]
    found = measured.units([(run, "here")])
    name = "cores, pages read from replicas too"
    assert (
        needed.ends(found.low, Assumptions())[name]
        > needed.ends(found.high, Assumptions())[name] * 1.001
    )
    for milliseconds, shown in ((100.0, False), (0.001, True)):
        told = tables.ends_markdown(found, Assumptions(login_ms=milliseconds))
        (line,) = (one for one in told.splitlines() if one.startswith(f"| {name} |"))
        assert (" to " in line.split(" | ")[1]) == shown, line


@pytest.mark.parametrize(
    ("assumed", "first"),
    [
        (Assumptions(memory_gb=1.0), "memory for what is read on a day"),
        (Assumptions(disk_tb=0.001), "disk"),
        (Assumptions(cores=0.1), "cores, everything on one machine"),
        (Assumptions(wal_mb=0.0001), "WAL"),
    ],
)
def test_the_ends_are_told_in_the_order_of_their_figures(
    run: Run, assumed: Assumptions, first: str
) -> None:
    derived = measured.units([(run, "here")])
    told = tables.ends_markdown(derived, assumed)
    table = re.findall(r"^\| (.+?) \| [\d.,]+ .*million users", told, re.MULTILINE)
    listed = re.findall(r"^(\d+)\. \*\*(.+?)\.\*\* \S", told, re.MULTILINE)
    assert [int(number) for number, _ in listed] == list(range(1, 8))
    assert [name.lower() for _, name in listed] == [name.lower() for name in table]
    assert table == list(needed.ends(derived.middle, assumed))
    assert table[0] == first
    (primary,) = re.findall(r"^(\d+)\. .*This is an end of one primary", told, re.MULTILINE)
    assert told.count(f"An end of one primary, too: see {primary}.") == 2


def test_moving_postgrest_elsewhere_is_said_to_put_an_end_off_only_where_it_does(run: Run) -> None:
    floors = run.scenarios[0]
    floors.sides[1].name = measured.FAR_SIDE
    for milliseconds, told in ((0.5, "That puts it off to "), (0.9, "that puts nothing off")):
        floors.sides[1].rounds = costing({"postgres": milliseconds}, 0, 1000)
        found = tables.ends_markdown(measured.units([(run, "here")]), Assumptions())
        (line,) = (one for one in found.splitlines() if ". **Cores, everything" in one)
        assert told in line


def test_what_the_measurement_leaves_open_is_a_range(run: Run) -> None:
    page = run.scenarios[0].subject
    page.rounds = [
        *costing({"postgres": 0.2}, 0, 1000),
        *costing({"postgres": 0.3}, 0, 1000),
        *costing({"postgres": 0.6}, 0, 1000),
    ]
    curves = scaling(0.2)
    for number, point in enumerate(curves.curves[0].points):
        point.values = [point.x**0.2 * (1 + 0.03 * (-1) ** number)] * 3
    found = measured.units([(run, "here")], [(curves, "there")])
    costs = [one.page_database for one in (found.low, found.middle, found.high)]
    assert costs == pytest.approx([0.2, 0.3, 0.6])
    assert 0 < found.low.growth < found.middle.growth < found.high.growth
    told = tables.markdown(found, [1e6, 1e8], Assumptions())
    pages = next(line for line in told.splitlines() if "the database: pages |" in line)
    cells = [cell.split("(")[1].rstrip(" )").split(" to ") for cell in pages.split("|")[2:4]]
    near, far = ([float(one.replace(",", "")) for one in cell] for cell in cells)
    assert far[1] / far[0] > near[1] / near[0] > 3, "far from the measurement it is wider"
    assert "| 1 million users | 100 million users † |" in told
    assert re.search(r"\| WAL \| .* million users † \|", tables.ends_markdown(found, Assumptions()))


def test_a_run_without_the_costs_says_what_to_measure(run: Run) -> None:
    run.scenarios = [one for one in run.scenarios if one.name != "fan-out-chunk"]
    with pytest.raises(StackError, match="lacks fan-out-chunk") as refused:
        measured.units([(run, "here")])
    assert "microblog bench run" in refused.value.hint


def test_an_assumption_that_makes_no_sense_is_refused() -> None:
    assert changed({"pages": 5}).pages == 5
    for given, message in (({"luck": 1.0}, "nothing is assumed"), ({"daily": 2.0}, "out of range"),
                           ({"peak": -1.0}, "out of range")):  # fmt: skip
        with pytest.raises(StackError, match=message):
            changed(given)


def test_only_the_marked_part_of_a_page_is_replaced() -> None:
    page = "before\n<!-- some: begin -->\nold\n<!-- some: end -->\nafter\n"
    found = filled(page, "some", "new")
    assert found == page.replace("old", "new")
    assert filled(found, "some", "new") == found
    for wrong in ("before\n", page + page):
        with pytest.raises(StackError, match="lacks the marks"):
            filled(wrong, "some", "new")


def sources(page: str) -> tuple[list[Source], list[Curves]]:
    """Return the runs, and the curves, of the files that a page names; none before any."""
    names = list(dict.fromkeys(re.findall(r"`(bench/results/[^`]+\.json)`", page)))
    curves = [name for name in names if "/scale/" in name]
    return (
        read_runs([ROOT / name for name in names if name not in curves]),
        [(scale_result.read(ROOT / name), name) for name in curves],
    )


def test_the_capacity_page_is_what_its_result_files_say() -> None:
    """Nobody types a figure into it: `microblog bench capacity --write` gives the same page."""
    page = PAGE.read_text()
    runs, curves = sources(page)
    assert runs, "the page names no result"
    derived = measured.units(runs, curves)
    assert tables.page(page, derived, [1e7, 1e8], Assumptions()) == page


def test_readme_and_benchmarks_are_what_the_result_files_say() -> None:
    """`microblog bench report RUNS --write` with the files that the page names gives the same."""
    runs, curves = sources(documents.FIGURES.read_text())
    for file, text in documents.written(runs, curves):
        if file == documents.PLOT:  # its fonts are the machine's
            assert file.read_text().startswith("<svg")
        else:
            assert file.read_text() == text, file


def test_each_scenario_and_curve_of_the_benchmarks_is_the_newest_that_is_kept() -> None:
    """Disturbed results lie apart. A result that is kept beside the others is shown, or replaced.

    A scenario is the same on the same network only.
    """
    runs, curves = sources(documents.FIGURES.read_text())
    shown = {
        (one.name, run.data.preset): name for run, name in latest(runs) for one in run.scenarios
    } | {
        (one.name, "curve"): name
        for scaling, name in latest_curves(curves)
        for one in scaling.curves
    }
    kept: dict[tuple[str, str], str] = {}
    for file in sorted(RESULTS.glob("*.json")):
        run = read(file)
        kept |= {(one.name, run.data.preset): named(file) for one in run.scenarios}
    for file in kept_curves():
        drawn = scale_result.read(file).curves
        kept |= {(one.name, "curve"): named(file) for one in drawn if one.points}
    assert shown, "the page names no result"
    assert {what: (name, kept[what]) for what, name in shown.items() if name != kept[what]} == {}

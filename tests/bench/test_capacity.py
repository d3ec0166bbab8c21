"""A capacity follows from what was measured and assumed; the pages say what the files say."""

import random
import re
from dataclasses import replace

import pytest

from microblog.bench import capacity, scale_result
from microblog.bench.capacity import Assumptions, Unit
from microblog.bench.report import documents
from microblog.bench.report.pages import NOTHING, Source, filled
from microblog.bench.result import Cost, Run, read
from microblog.bench.scale_result import Curve, Point, Scaling
from microblog.commands.bench_capacity import PAGE
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
    return made


def scaling(exponent: float) -> Scaling:
    made = made_up.run(samples=0, rounds=1)
    points = [Point(x=x, values=[x**exponent] * 2) for x in (1e4, 1e5)]
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
    found = capacity.units(run).middle
    assert found.page_database == pytest.approx(0.3)
    assert found.page_http == pytest.approx(0.4)
    assert found.page_far == found.page_database, "no side says otherwise"
    floors = run.scenario("timeline-floors")
    assert floors is not None
    floors.sides[1].name = capacity.FAR_SIDE
    floors.sides[1].rounds = costing({"postgres": 0.5, "postgrest": 0.3}, 0, 1000)
    assert capacity.units(run).middle.page_far == pytest.approx(0.5)
    assert found.post == pytest.approx(2.0)
    assert found.post_wal == 5000
    assert found.row == pytest.approx(0.2 * 1000 / 10 / 5000)
    assert found.row_wal == 150
    assert (found.entry_bytes, found.follow_bytes, found.post_bytes) == (100, 120, 200)
    assert not found.growth_measured


def test_a_need_is_what_a_pocket_calculator_says() -> None:
    assumed = Assumptions(
        daily=0.5, kept=0.5, pages=86.4, posts=8.64, weight=1.0, peak=2.0, busy=0.5, retention=10.0
    )
    found = capacity.need(1e6, UNIT, assumed)
    assert found.pages == pytest.approx(1000)  # 500,000 people, 86.4 pages in 86,400 s, twice that
    assert found.posts == pytest.approx(100)
    assert found.rows == pytest.approx(2500)
    assert found.cores_pages == pytest.approx(1000 * 0.0003 / 0.5)
    assert found.cores_http == pytest.approx(1000 * 0.0004 / 0.5)
    assert found.cores_far == pytest.approx(1000 * 0.0005 / 0.5)
    assert found.cores_writes == pytest.approx((100 * 0.002 + 2500 * 0.000004) / 0.5)
    assert found.wal_mb == pytest.approx((100 * 5000 + 2500 * 150) / 1e6)
    logins = 1e6 / 30 / 86_400 * 2
    assert found.cores_logins == pytest.approx(logins * 0.1 / 0.5), "as busy as any other core"
    posts_hot = 500_000 * 8.64 * 3
    assert found.memory_gb == pytest.approx((500_000 * 6 * 8192 + posts_hot * 300) / 1e9)
    assert found.iops == pytest.approx(1000 * 6 * 0.05 + 2 * 2500)
    kept = 500_000 * 8.64 * 10
    assert found.disk_tb == pytest.approx((kept * (25 * 90 + 300) + 5e7 * 120) / 1e12)


def test_the_growth_of_a_curve_makes_pages_dearer(run: Run) -> None:
    flat, growing = (capacity.units(run, scaling(e)).middle for e in (-0.1, 0.25))
    assert flat.growth == 0
    assert growing.growth == pytest.approx(0.25)
    ten = run.data.users * 16
    ratio = capacity.need(ten, growing, Assumptions()).cores_pages
    ratio /= capacity.need(ten, flat, Assumptions()).cores_pages
    assert ratio == pytest.approx(2.0)


def test_a_machine_ends_where_what_it_has_is_needed() -> None:
    assumed = Assumptions()
    found = capacity.ends(UNIT, assumed)
    everything = capacity.need(found["cores, everything on one machine"], UNIT, assumed)
    assert everything.cores_database + everything.cores_http == pytest.approx(assumed.cores)
    assert capacity.need(found["WAL"], UNIT, assumed).wal_mb == pytest.approx(assumed.wal_mb)
    assert capacity.need(found["disk"], UNIT, assumed).disk_tb == pytest.approx(assumed.disk_tb)
    memory = capacity.need(found["memory for what is read on a day"], UNIT, assumed)
    assert memory.memory_gb == pytest.approx(assumed.memory_gb)
    random_blocks = capacity.need(found["random reads and writes"], UNIT, assumed)
    assert random_blocks.iops == pytest.approx(assumed.iops)
    assert list(found.values()) == sorted(found.values())
    more = capacity.ends(UNIT, replace(assumed, wal_mb=2 * assumed.wal_mb))
    assert more["WAL"] == pytest.approx(2 * found["WAL"])
    assert more["disk"] == found["disk"]


def test_what_the_measurement_leaves_open_is_a_range(run: Run) -> None:
    page = run.scenarios[0].subject
    page.rounds = [
        *costing({"postgres": 0.2}, 0, 1000),
        *costing({"postgres": 0.3}, 0, 1000),
        *costing({"postgres": 0.6}, 0, 1000),
    ]
    curves = scaling(0.2)
    for point, shift in zip(curves.curves[0].points, (0.1, -0.1), strict=True):
        point.values = [point.x**0.2 * (1 + shift * sign) for sign in (-1, 0, 1)]
    found = capacity.units(run, curves)
    costs = [one.page_database for one in (found.low, found.middle, found.high)]
    assert costs == pytest.approx([0.2, 0.3, 0.6])
    assert 0 < found.low.growth < found.middle.growth < found.high.growth
    told = capacity.markdown(run, ["here"], [1e6, 1e8], Assumptions(), curves)
    pages = next(line for line in told.splitlines() if "the database: pages |" in line)
    cells = [cell.split("(")[1].rstrip(" )").split(" to ") for cell in pages.split("|")[2:4]]
    near, far = ([float(one.replace(",", "")) for one in cell] for cell in cells)
    assert far[1] / far[0] > near[1] / near[0] > 3, "far from the measurement it is wider"
    assert "| 1 million users | 100 million users † |" in told
    assert re.search(r"\| WAL \| .* million users † \|", told)


def test_a_run_without_the_costs_says_what_to_measure(run: Run) -> None:
    run.scenarios = [one for one in run.scenarios if one.name != "fan-out-chunk"]
    with pytest.raises(StackError, match="lacks fan-out-chunk") as refused:
        capacity.units(run)
    assert "microblog bench run" in refused.value.hint


def test_an_assumption_that_makes_no_sense_is_refused() -> None:
    assert capacity.changed({"pages": 5}).pages == 5
    for given, message in (({"luck": 1.0}, "nothing is assumed"), ({"daily": 2.0}, "out of range"),
                           ({"peak": -1.0}, "out of range")):  # fmt: skip
        with pytest.raises(StackError, match=message):
            capacity.changed(given)


def test_only_the_marked_part_of_a_page_is_replaced() -> None:
    page = "before\n<!-- some: begin -->\nold\n<!-- some: end -->\nafter\n"
    found = filled(page, "some", "new")
    assert found == page.replace("old", "new")
    assert filled(found, "some", "new") == found
    for wrong in ("before\n", page + page):
        with pytest.raises(StackError, match="lacks the marks"):
            filled(wrong, "some", "new")


def sources(page: str) -> tuple[list[Source], tuple[Scaling, str] | None]:
    """Return the runs, and the curves, of the files that a page names; none before any."""
    names = re.findall(r"`(bench/results/[^`]+\.json)`", page)
    curves = [name for name in names if "/scale/" in name]
    return (
        [(read(ROOT / name), name) for name in names if name not in curves],
        (scale_result.read(ROOT / curves[0]), curves[0]) if curves else None,
    )


def test_the_capacity_page_is_what_its_result_files_say() -> None:
    """Nobody types a figure into it: `microblog bench capacity --write` gives the same page."""
    page = PAGE.read_text()
    runs, curves = sources(page)
    sizes, assumed = [1e7, 1e8], Assumptions()
    text = NOTHING
    if runs:
        names = [runs[0][1], *([curves[1]] if curves else [])]
        scaling = curves[0] if curves else None
        text = capacity.markdown(runs[0][0], names, sizes, assumed, scaling)
    assert filled(page, "capacity", text) == page


def test_readme_and_benchmarks_are_what_the_result_files_say() -> None:
    """`microblog bench report RUNS --write` with the files that the page names gives the same."""
    runs, curves = sources(documents.FIGURES.read_text())
    for file, text in documents.written(runs, curves):
        if file == documents.PLOT:  # its fonts are the machine's
            assert file.read_text().startswith("<svg")
        else:
            assert file.read_text() == text, file

"""The report: nothing of the run is lost, nothing is loaded from elsewhere."""

import csv
import random
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console

from microblog.bench import fit, histogram, record, result
from microblog.bench.report import figures, goals, reasons, strategies, terminal, today, words
from microblog.bench.report.facts import warnings
from microblog.bench.report.page import page
from microblog.bench.report.pages import costs, latest, latest_curves, markdown, measured
from microblog.bench.report.plots import FEW_SECONDS
from microblog.bench.result import Cost, Round, Run, ScenarioResult, Side, Target, ratio, write
from microblog.bench.scale_result import Curve, Point, Scaling
from microblog.bench.scenario import BENCH, read_all
from microblog.cli import main
from tests.bench import made_up
from tests.bench.made_up import latencies, one_round, run


class Elements(HTMLParser):
    """All elements of a page with their attributes, and all of its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *names: str) -> list[str]:
        return [
            value
            for _, attributes in self.elements
            for name in names
            if (value := attributes.get(name)) is not None
        ]


CURVES = [
    Curve(
        name="follows",
        title="Pages by follows",
        about="Flat.",
        axis="follows",
        unit="CPU ms",
        points=[Point(x=x, values=[1.0, 1.1, 0.9], note="p99 3 ms") for x in (10, 100, 1000)],
        at_most=0.1,
    ),
    Curve(
        name="connections",
        title="Pages by connections",
        about="A rise.",
        axis="connections",
        unit="per second",
        points=[Point(x=x, values=[100.0 * x, 101.0 * x]) for x in (1, 2, 4)],
    ),
]


def scaling(made: Run, curves: list[Curve], **more: object) -> Scaling:
    """Curves on the machine of a run."""
    return Scaling(**{
        "at": made.at, "commit": "x", "uncommitted_changes": False, "versions": {},
        "machine": made.machine, "settings": {}, "rounds": 2, "seconds": 1.0, "curves": curves,
        **more,
    })  # type: ignore[arg-type]  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Run:
    return run()


@pytest.fixture(scope="module")
def source(made: Run) -> str:
    return page([(made, "runs/made.json")], [(scaling(made, CURVES), "curves/made.json")])


@pytest.fixture(scope="module")
def shown(source: str) -> Elements:
    return Elements(source)


def test_the_page_loads_nothing_and_runs_nothing(source: str, shown: Elements) -> None:
    tags = {tag for tag, _ in shown.elements}
    assert not tags & {"script", "iframe", "object", "embed", "img", "image", "base", "form"}
    addresses = shown.values("src", "href", "xlink:href", "srcset", "action", "data")
    assert addresses
    assert all(one.startswith("#") or one == "data:," for one in addresses)
    assert set(re.findall(r"url\((.)", source)) <= {"#"}
    assert "@import" not in source
    assert not re.search(r"https?://", source)


def test_whatever_is_pointed_to_is_there_once(source: str, shown: Elements) -> None:
    ids = shown.values("id")
    assert len(ids) == len(set(ids)) > 10
    wanted = re.findall(r"url\(#([^)]+)\)", source)
    wanted += [one[1:] for one in shown.values("href") if one.startswith("#")]
    assert len(wanted) > 20
    assert set(wanted) <= set(ids)


def test_light_and_dark_both_have_every_colour_that_is_used(source: str) -> None:
    light, dark = re.findall(r":root \{(.*?)\}", (BENCH / "page/page.css").read_text(), re.DOTALL)
    names = [set(re.findall(r"--([a-z0-9-]+):", part)) for part in (light, dark)]
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", source))
    assert names[0] == names[1] >= used
    assert not re.search(r"#0[123]00[0-9a-f]{2}\b", source)


def test_every_scenario_side_call_and_limitation_is_on_the_page(made: Run, shown: Elements) -> None:
    for scenario in made.scenarios:
        assert scenario.name in shown.values("id")
        for text in (scenario.title, *scenario.limitations):
            assert text in shown.text
        for side in scenario.sides:
            assert side.name in shown.text
            for operation in figures.operations(side):
                assert operation in shown.text
    assert "redis-server is not installed" in shown.text
    for published in made.scenarios[0].published:
        assert published.name in shown.text
    for curve in CURVES:
        assert curve.title in shown.text
        assert f"scale-of-{curve.name}" in shown.values("id")


def plots_of(scenario: ScenarioResult) -> bool:
    """Whether there are seconds enough for a plot over time."""
    return any(len(one.over_time) >= FEW_SECONDS for one in scenario.subject.rounds)


def test_each_scenario_has_its_plots_and_they_are_described(made: Run, shown: Elements) -> None:
    plots = [attributes for tag, attributes in shown.elements if tag == "svg"]
    over_time = sum(plots_of(one) for one in made.scenarios)
    assert len(plots) == 1 + 3 * len(made.scenarios) + over_time + len(CURVES)
    assert all(one.get("aria-label") and one.get("viewbox") for one in plots)


def test_what_a_scenario_calls_itself_is_text_and_nothing_else() -> None:
    made = run(rounds=1)
    scenario = made.scenarios[1]
    scenario.title = "<script>alert(1)</script> & more"
    scenario.sides[0].name = "<b>x</b>"
    scenario.sides[0].rounds[0].wrong = ["<i>1</i>"]
    made.scenarios = [scenario]
    shown = Elements(page([(made, "<u>here</u>")]))
    assert not {tag for tag, _ in shown.elements} & {"script", "u"}
    assert "<script>alert(1)</script> & more" in shown.text
    assert "<b>x</b>: <i>1</i>" in shown.text


def test_percentiles_of_several_rounds_are_of_all_answers_not_means_of_percentiles() -> None:
    rng = random.Random(7)
    parts = [latencies(rng, 5000, 2, 0.3), latencies(rng, 500, 50, 0.3)]
    side = Side(name="x", role="subject", model="closed", generator="wrk")
    side.rounds = [
        Round(at="", seconds=1, value=1, count=len(some), rate=1,
              histogram=histogram.encode(histogram.of(some)))
        for some in parts
    ]  # fmt: skip
    found = figures.latency(side)
    everything = np.concatenate(parts) * 1000
    assert found.p50 == pytest.approx(np.percentile(everything, 50), rel=0.01)
    assert found.p99 == pytest.approx(np.percentile(everything, 99), rel=0.02)


def test_the_cost_of_a_request_is_without_strangers_and_the_harness() -> None:
    one = one_round(random.Random(1), 100, 1, noise=0)
    one.count = 200
    one.cost = Cost(
        cpu={"postgres": 0.4, "haproxy": 0.2, "generator": 1.0, "harness": 3.0, "others": 2.0},
        cpu_idle=1.4,
        wal_bytes=2000,
    )
    side = Side(name="x", role="subject", model="closed", generator="wrk", rounds=[one])
    found = figures.spent(side)
    assert found.cpu == {"postgres": 2.0, "haproxy": 1.0, "generator": 5.0}
    assert found.stack_cpu == pytest.approx(3.0)
    assert found.wal_bytes == 10
    assert found.generator_share == pytest.approx(1 / 8), "of all that was, where cores are unknown"
    one.cost.cores = 2
    share = figures.spent(side).generator_share
    assert share == pytest.approx(1 / (2 * one.seconds)), "of the load, not of what is around it"
    assert found.others == pytest.approx(2 / 8)


def test_targets_are_judged_by_what_was_found(made: Run) -> None:
    scenario = made.scenarios[0]
    judged = {one.asked: one.mark for one in figures.verdicts(scenario)}
    assert judged["rate at least 1,000"] == judged["no errors"] == "reached"
    rate = scenario.subject.rounds[0].rate
    for value, bound, mark in ((2 * rate, "at least", "missed"), (2 * rate, "at most", "reached")):
        target = Target(what="rate", value=value, bound=bound)  # type: ignore[arg-type]
        assert figures.verdict(scenario.subject, target).mark == mark


def test_a_target_within_the_interval_of_the_rounds_is_undecided(made: Run) -> None:
    scenario = made.scenarios[0]
    low, high = fit.interval([one.rate for one in scenario.subject.rounds])
    for value, mark in (
        (low * 0.99, "reached"),
        (low * 1.01, "undecided"),
        (high * 0.99, "undecided"),
        (high * 1.01, "missed"),
    ):
        found = figures.verdict(
            scenario.subject, Target(what="rate", value=value, bound="at least")
        )
        assert found.mark == mark
        assert (", 95 %: " in found.found) == (mark == "undecided")
    for values, mark in (([0.9, 0.9, 0.9], "reached"), ([0.9, 1.0, 1.2], "undecided"),
                         ([0.89, 0.9, 0.91], "reached"), ([0.6, 0.7, 0.7], "undecided"),
                         ([0.69, 0.7, 0.7], "missed")):  # fmt: skip
        one = ratio("pull query", values, [1.0] * 3, 0.8)
        assert figures.reached(one, scenario) == mark
        (verdict,) = figures.verdicts(replace(scenario, ratios=[one], targets=[]))
        assert (verdict.mark, verdict.sign) == (
            mark,
            {"reached": "✓", "missed": "✗"}.get(mark, "?"),
        )


def test_fewer_rounds_do_not_decide_more(made: Run) -> None:
    """Two rounds on one side of a target are not enough, unless they are far from it or alike."""
    scenario = made.scenarios[0]
    for values, mark in (([0.85, 0.9], "undecided"), ([0.85, 0.9, 0.87], "reached"),
                         ([5.0, 5.2], "reached"), ([0.1, 0.105], "missed"),
                         ([0.0, 0.0], "missed")):  # fmt: skip
        one = ratio("pull query", values, [1.0] * len(values), 0.8)
        assert figures.reached(one, scenario) == mark, values
    far = ratio("pull query", [0.5, 1.5], [1.0] * 2, 0.8)
    (told,) = figures.verdicts(replace(scenario, ratios=[far], targets=[]))
    assert told.found == "1.00× (0.50× to 1.50×), too few rounds, too far apart"


def timed(*rounds: list[float]) -> Side:
    """A side with rounds of these latencies in ms."""
    side = Side(name="x", role="subject", model="closed", generator="pgbench")
    for some in rounds:
        found = histogram.of(one / 1000 for one in some)
        side.rounds.append(
            Round(at="", seconds=1, value=1, count=len(some), rate=1,
                  latency=histogram.latency(found), histogram=histogram.encode(found))
        )  # fmt: skip
    return side


@pytest.mark.parametrize(
    ("rounds", "mark", "told"),
    [
        ([(46, 19), (45, 20), (45, 20)], "missed", "30.3 % of 195 answers above 50 ms"),
        ([(64, 1), (64, 1), (65, 0)], "undecided", "1.03 % of 195 answers above 50 ms"),
        ([(65, 0)] * 3, "undecided", "0 % of 195 answers above 50 ms"),
        ([(160, 0)] * 3, "reached", "0 % of 480 answers above 50 ms"),
        ([(3000, 0), (2990, 10)], "reached", "10.0 (10.0 to 10.0)"),
        ([(3000, 0), (2900, 100)], "undecided", ", 1.67 % of 6,000 answers above 50 ms"),
        ([(2900, 100), (2910, 90)], "missed", "90.0 (90.0 to 90.0)"),
        ([(970, 30), (985, 15)], "missed", "90.0 (90.0 to 90.0)"),
        ([(700, 300)], "undecided", "(one round, which decides nothing)"),
        ([], "undecided", "0 % of 0 answers above 50 ms"),
    ],
)
def test_a_percentile_is_judged_by_counting_the_answers_above_its_bound(
    rounds: list[tuple[int, int]], mark: str, told: str
) -> None:
    """Of 195 answers no p99 is printed, yet a third of them above its bound are no chance."""
    side = timed(*([10.0] * quick + [90.0] * slow for quick, slow in rounds))
    found = figures.verdict(side, Target(what="p99", value=50, bound="at most"))
    assert found.mark == mark
    assert found.found.endswith(told)


def test_a_percentile_that_is_judged_is_of_all_answers_with_the_rounds_beside_it() -> None:
    side = timed([10.0] * 900 + [20.0] * 100, [10.0] * 3000, [10.0] * 3000)
    found = figures.verdict(side, Target(what="p99", value=50, aim=15, bound="at most"))
    assert found.found == "20.0 (10.0 to 20.0), the aim of 15 undecided", "its median would be 10"
    assert found.mark == "reached"


def test_wrks_answers_are_not_counted_more_often_than_there_were() -> None:
    """Its histogram has what waiting hid, too: half above a bound of four answers are two."""
    side = timed([10.0] * 400 + [90.0] * 400, [10.0] * 400 + [90.0] * 400)
    for one in side.rounds:
        one.count = 4
    found = figures.tail(side, "", 50.0)
    assert (found.share, found.answers) == (0.5, 8)
    assert found.mark("p50") == "undecided"


def test_the_goals_count_what_is_undecided_by_itself() -> None:
    made = run(rounds=3, samples=0)
    shown = replace(
        made.scenarios[2],
        name="largest-author",
        targets=[Target(what="errors", value=0, bound="at most")],
        ratios=[
            ratio("quiet", [1.0, 2.0, 4.0], [1.0] * 3, 3.0),
            ratio("loud", [4.9, 5.0, 5.1], [1.0] * 3, 3.0),
        ],
    )
    told = goals.markdown([(replace(made, scenarios=[shown]), "x")])
    assert told.startswith("Of 3: 1 reached, 1 undecided")
    assert "1 missed." in told
    assert [line.rsplit("|", 2)[1].strip() for line in told.splitlines()[-3:]] == ["✓", "?", "✗"]
    assert "3 rounds of 4 s" in told
    assert {"conditional-timeline", "page-cache", "page-cache-latency"} < set(goals.GOALS)


def test_what_a_scenario_leaves_out_stands_below_its_table(made: Run) -> None:
    made = replace(made, scenarios=[made.scenarios[0]], left_out=["twip"])
    made.scenarios[0].sides[0].rounds[0].checked = 7
    curve = replace(CURVES[0], limitations=["Caches were warm."])
    drawn = scaling(made, [curve], failures={"users at 10": "no disk"})
    told = markdown([(made, "here")], [(drawn, "there")])
    console = Console(width=250)
    with console.capture() as captured:
        terminal.show(made, console)
        terminal.show_curves(drawn, console)
    for text in (told, captured.get()):
        assert "The generator runs on the same two cores." in text
        assert "Caches were warm." in text
        assert "users at 10" in text
        assert "No time was left for twip." in text
        assert "5 rounds of 4 s; " in text
        assert "answers compared" in text
        assert "rate 30 (here 1,4" in text, "what somebody published, with ours"
    assert made.scenarios[0].about in told
    assert curve.about in told


def test_rounds_are_those_that_there_were(made: Run) -> None:
    scenario = made.scenarios[0]
    fewer = replace(scenario.sides[0], rounds=scenario.sides[0].rounds[:2])
    longer = replace(scenario.sides[1], rounds=[replace(scenario.sides[1].rounds[0], seconds=30.2)])
    assert words.rounds(scenario) == "5 rounds of 4 s"
    assert words.rounds(replace(scenario, sides=[fewer])) == "2 rounds of 4 s"
    assert words.rounds(replace(scenario, sides=[fewer, longer])) == "1 to 2 rounds of 4 to 30.2 s"
    less = replace(made, scenarios=[replace(scenario, sides=[fewer])])
    assert measured(less).endswith("medians of 2 rounds")


def test_costs_are_told_by_process_with_the_generators_share() -> None:
    scenario = run(rounds=2, samples=0).scenarios[0]
    for one in scenario.subject.rounds:
        one.cost.memory_rest = {"postgres": 40_000_000}
        one.cost.memory_peak = {"postgres": 90_000_000}
    head, rows = costs(scenario)
    assert head == ["CPU ms", "postgres", "postgrest", "haproxy", "generator", "WAL", "buffers",
                    "memory", "peak", "in flight"]  # fmt: skip
    cells = dict(zip(head, rows["timeline"], strict=True))
    assert float(cells["CPU ms"]) == pytest.approx(
        sum(float(cells[name]) for name in ("postgres", "postgrest", "haproxy")), rel=0.01
    )
    assert cells["generator"] == "5%"
    assert (cells["WAL"], cells["memory"]) == ("210 B", "263 MB")
    assert (cells["peak"], cells["in flight"]) == ("90 MB", "200 kB"), "50 MB by 250 clients"


SIZES = {
    "postgres": 1_000_000, "postgrest": 20_000_000, "haproxy": 300_000_000,
    "pgbouncer": 4_000_000_000, "worker": 50_000_000_000, "redis": 600_000_000_000,
}  # fmt: skip


def held(generator: str, name: str = "any", uses: Sequence[str] = ()) -> set[str]:
    """Return whose memory a side is told to have; the three columns agree, CPU is everybody's."""
    one = one_round(random.Random(1), 100, 1, noise=0)
    one.cost = Cost(
        cpu=dict.fromkeys(SIZES, 1.0),
        memory=SIZES,
        memory_peak={process: 3 * size for process, size in SIZES.items()},
        memory_rest={process: 2 * size for process, size in SIZES.items()},
    )
    side = Side(
        name=name, role="subject", model="closed", generator=generator, clients=1,
        uses=list(uses), rounds=[one],
    )  # fmt: skip
    found = figures.spent(side)
    assert set(found.cpu) == set(SIZES)
    size = sum(found.memory.values())
    assert (found.peak, found.in_flight) == (3 * size, size)
    assert figures.memory(side, SIZES) == size
    return set(found.memory)


def test_a_side_has_the_memory_of_the_processes_that_it_uses() -> None:
    assert held("wrk", uses=["haproxy"]) == {"haproxy"}
    assert held("pgbench", uses=["postgres", "worker"]) == {"postgres", "worker"}
    assert held("twip", "Redis", uses=["postgres"]) == {"postgres"}, "what it says, not its name"


@pytest.mark.parametrize(
    ("generator", "name", "used"),
    [
        *((sender, "any", set(SIZES) - {"redis"}) for sender in ("own", "wrk", "vegeta")),
        *((sender, "any", {"postgres", "worker"}) for sender in ("pgbench", "delivery", "figure")),
        ("twip", "PostgreSQL with row triggers", {"postgres", "worker"}),
        ("twip", "Redis", {"redis"}),
        ("redis_push", "any", {"redis"}),
        ("nobody knows", "any", set(SIZES)),
    ],
)
def test_of_a_file_that_does_not_say_what_a_side_uses_the_generator_does(
    generator: str, name: str, used: set[str]
) -> None:
    assert held(generator, name) == used


def test_every_side_that_is_kept_is_told_to_have_some_memory() -> None:
    """Whatever its age, and whatever its stack was called then."""
    stacks = set()
    for file in sorted(record.RESULTS.glob("*.json")):
        for scenario in result.read(file).scenarios:
            for side in (one for one in scenario.sides if one.rounds):
                stacks.add(side.stack)
                found = figures.spent(side).memory
                assert found, (file.name, scenario.name, side.name)
                assert ("redis" in found) == ("Redis" in side.name), (scenario.name, side.name)
    assert {"direct", "two", "pooled-two"} <= stacks


def test_cpu_may_be_bounded_in_multiples_of_another_side() -> None:
    scenario = run(rounds=2, samples=0).scenarios[0]
    target = Target(
        what="cpu", of="postgres", side="timeline", to="constant answer", value=0.5, bound="at most"
    )
    for milliseconds, mark in ((0.4, "reached"), (0.6, "missed")):
        for side, each in ((scenario.sides[0], milliseconds), (scenario.sides[1], 1.0)):
            for one in side.rounds:
                one.cost.cpu["postgres"] = each * one.count / 1000
        (found,) = figures.verdicts(replace(scenario, targets=[target], ratios=[]))
        assert found.asked == (
            "timeline: CPU of postgres of an answer at most 0.50× constant answer"
        )
        assert (found.mark, found.found[:5]) == (mark, words.times(milliseconds))
    absent = replace(scenario.sides[1], rounds=[])
    lonely = replace(scenario, sides=[scenario.sides[0], absent], targets=[target], ratios=[])
    assert figures.verdicts(lonely) == []


def test_a_ratio_of_latencies_must_stay_below_its_target(made: Run) -> None:
    flood = made.scenario("login-flood")
    assert flood is not None
    low, high, two = [4.0, 4.1], [8.0, 8.1], [2.0, 2.0]
    assert figures.reached(ratio("quiet", low, two, 3.0), flood) == "reached"
    assert figures.reached(ratio("quiet", high, two, 3.0), flood) == "missed"
    assert figures.reached(ratio("quiet", high, two), flood) is None
    assert figures.reached(ratio("quiet", low, two, 3.0), made.scenarios[0]) == "missed"


def test_a_percentile_of_too_few_answers_is_a_dash_wherever_it_would_stand(tmp_path: Path) -> None:
    """Two rounds of 400 answers: eight lie beyond the 99th percentile, and so in the quick pass."""
    rng = random.Random(5)

    def make() -> Round:
        return one_round(rng, 400, 5, seconds=1.0, noise=0, measure="p99", samples=400)

    made = run(rounds=2)
    sides = [made_up.side(name, name, make, 2) for name in ("subject", "floor")]  # type: ignore[arg-type]
    few = made_up.scenario(
        "few", "Few answers", sides, measure="p99", better="lower", unit="ms", ratio_targets=[9.0],
        targets=[Target(what=what, value=1e9, bound="at most") for what in ("p99", "p95")],
    )  # fmt: skip
    made.scenarios = [few]
    assert figures.answers(few.subject) == 800
    assert [(one.mark, one.found) for one in figures.verdicts(few)] == [
        ("reached", "0 % of 800 answers above 1,000,000,000 ms"),
        ("reached", words.spread(figures.latency(few.subject).p95,
                                 [one.latency.p95 for one in few.subject.rounds], words.number)),
        ("undecided", words.TOO_FEW),
    ]  # fmt: skip
    told = markdown([(made, "here")])
    (row,) = [line for line in told.splitlines() if line.startswith("| **subject**")]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    p50 = words.number(figures.latency(few.subject).p50)
    assert cells[1:3] == ["–", p50], "and no column of ratios, which are of tails"
    assert figures.compared(few, few.sides[1]) == "–"
    console = Console(width=160)
    with console.capture() as captured:
        terminal.show(made, console)
    (row,) = [line for line in captured.get().splitlines() if "│   subject" in line][:1]
    assert [cell.strip() for cell in row.split("│")[2:7]] == ["–", "ms", "", p50, "–"]
    shown = page([(made, "nowhere")])
    assert words.number(few.subject.rounds[0].latency.p99) not in Elements(shown).text
    record.table([made], tmp_path / "x.csv")
    with (tmp_path / "x.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["p99_ms"], row["p99_9_ms"]) for row in rows] == [("", "")] * 4
    assert all(float(row["p95_ms"]) > 0 for row in rows)


def test_what_one_round_found_alone_decides_nothing() -> None:
    scenario = run(rounds=1).scenarios[0]
    judged = {one.asked: one for one in figures.verdicts(scenario)}
    assert judged.pop("no errors").mark == "reached", "counted, whatever the rounds"
    assert len(judged) == 4
    for one in judged.values():
        assert (one.mark, one.sign) == ("undecided", "?")
        assert one.found.endswith("(one round, which decides nothing)")
    counts = figures.counted(judged.values())
    assert counts == {"reached": 0, "undecided": 4, "missed": 0}
    told = goals.markdown([(replace(run(rounds=1, samples=0), scenarios=[
        replace(scenario, name="reference-run", title="x")
    ]), "x")])  # fmt: skip
    assert told.startswith("Of 5: 1 reached, 4 undecided")
    assert "the rounds are too few" in told
    aimed = Target(what="rate", value=1.0, aim=2.0, bound="at least")
    verdict = figures.verdict(scenario.subject, aimed)
    assert verdict.found.endswith("decides nothing), the aim of 2 undecided")


def test_a_figure_that_is_asked_of_the_database_once_is_decided() -> None:
    sides = [
        Side(name=name, role="subject", model="closed", generator="figure",
             rounds=[Round(at="", seconds=1, value=value, count=1, rate=1)])
        for name, value in (("ours", 80.0), ("theirs", 180.0))
    ]  # fmt: skip
    storage = ScenarioResult(
        name="storage", title="", about="", unit="B", measure="figure", of="", better="lower",
        sides=sides, ratios=[ratio("theirs", [80.0], [180.0], 0.5)],
        targets=[Target(what="figure", value=70.0, bound="at most")],
    )  # fmt: skip
    found = [(one.mark, one.found) for one in figures.verdicts(storage)]
    assert found == [("missed", "80"), ("reached", "0.44×")]


def test_what_lessens_a_runs_worth_is_said_first() -> None:
    made = run(rounds=1)
    made.quick = False
    assert warnings(made) == []
    made.quick = made.uncommitted_changes = True
    made.scenarios[0].subject.generator = "own"
    one = made.scenarios[0].subject.rounds[0]
    one.cost.cpu |= {"others": 2.0, "generator": 0.9 * one.seconds * made.machine.cores}
    made.scenarios[0].subject.threads = 8
    one.lateness = 20.0
    one.fallbacks = one.count // 10
    one.latency.mean = 1000 * 1.2 * 250 / one.rate
    told = " ".join(warnings(made))
    for sentence in (
        "not in commit",
        "quick pass",
        "not quiet",
        "threads were busy 90%",
        "20 ms late",
        "says 300 at once",
        f"{one.fallbacks} pages came by way of PostgREST",
    ):
        assert sentence in told


@pytest.mark.parametrize(("share", "told"), [(0.75, ""), (0.9, "threads were busy 90%")])
def test_a_generator_with_a_process_a_client_is_not_taken_for_one_thread(
    share: float, told: str
) -> None:
    made = run(rounds=2, samples=0)
    made.quick = False
    twip = made.scenario("twip")
    assert twip is not None
    for one in twip.subject.rounds:
        one.cost.cpu["generator"] = share * made.machine.cores * one.seconds
    assert (twip.subject.clients, twip.subject.threads) == (4, 1)
    said = " ".join(warnings(made))
    assert told in said if told else not said


def test_the_terminal_shows_each_side_and_what_missed_its_target(made: Run) -> None:
    console = Console(width=160, record=True, file=None, quiet=False)
    with console.capture() as captured:
        terminal.show(made, console)
    told = captured.get()
    for scenario in made.scenarios:
        assert scenario.title in told
        for side in scenario.sides:
            assert side.name in told
    assert re.search("missed +login-flood: at most 3.00× quiet", told)
    with console.capture() as captured:
        terminal.show_curves(scaling(made, CURVES), console)
    assert re.search("reached +exponent at most 0.1", captured.get())
    assert captured.get().count("size^e, e = ") == len(CURVES), "the fit is always told"


def test_in_a_narrow_terminal_there_are_fewer_figures_and_whole_words(made: Run) -> None:
    console = Console(width=80)
    with console.capture() as captured:
        terminal.show(made, console)
    told = captured.get()
    tables = [line for line in told.splitlines() if line.startswith(("│", "┃", "┏"))]
    assert max(map(len, tables)) <= 80
    for scenario in made.scenarios:
        for side in scenario.sides:
            assert any(side.name.split()[0] in line for line in tables), side.name
    assert "p99 ms" in told and "postgres" in told
    assert "p50 ms" not in told


def with_strategies(**values: float) -> Run:
    """A run in which the strategies were compared; ``values`` are p50 in ms, or bytes."""
    made = run(rounds=1, samples=0)
    rng = random.Random(3)

    def side(name: str, milliseconds: float, *operations: str) -> Side:
        one = one_round(rng, 100, milliseconds, noise=0, mix=dict.fromkeys(operations, 0.5))
        return Side(name=name, role="peer", model="closed", generator="pgbench", rounds=[one])

    def of(name: str, sides: list[Side], measure: str = "p50") -> ScenarioResult:
        return ScenarioResult(
            name=name, title=name, about="", unit="ms", measure=measure, of="", better="lower",
            sides=sides,
        )  # fmt: skip

    names = ("hybrid: ours", "pull: theirs", "push: theirs")
    view = side("concurrently", 1)
    view.rounds[0].value = 7.0
    tables = []
    for name, value in (("app.feed_entries", 80.0), ("the reference system's table", 180.0)):
        table = side(name, 1)
        table.rounds[0].value = value
        tables.append(table)
    read = [side(name, values["read"]) for name in (*names, "all feeds in one view")]
    made.scenarios = [
        of("strategies", read),
        of("strategies-delivery", [side(n, values["write"], "post", "delivered") for n in names]),
        of("storage", tables, "figure"),
        of("view-refresh", [view], "figure"),
    ]
    return made


def test_what_one_run_did_not_measure_of_the_strategies_comes_from_another() -> None:
    made = with_strategies(read=2.0, write=30.0)
    (read,) = [one for one in made.scenarios if one.name == "strategies"]
    rest = [one for one in made.scenarios if one is not read]
    later, before = replace(made, scenarios=[read]), replace(made, scenarios=rest, commit="before")
    found = strategies.gathered([(before, "old.json"), (later, "new.json")])
    assert found is not None
    together, others = found
    assert strategies.rows(together) == strategies.rows(made)
    assert others[0] == "`strategies-delivery` from old.json (commit before)"
    assert len(others) == 3
    small = replace(before, data=replace(made.data, users=made.data.users // 2))
    assert strategies.gathered([(small, "small.json"), (later, "new.json")]) == (later, [])
    assert strategies.gathered([(before, "old.json")]) is None


def test_the_strategies_are_compared_by_what_was_measured_of_each() -> None:
    made = with_strategies(read=2.0, write=30.0)
    hybrid, pull, push, view = strategies.measured(made)
    assert hybrid.read is not None
    assert hybrid.read.p50 == pytest.approx(2.0, rel=0.2)
    assert hybrid.post == pytest.approx(30.0, rel=0.2)
    assert hybrid.delivered == pytest.approx(60.0, rel=0.2)
    assert (hybrid.entry, pull.entry, push.entry, view.entry) == (80.0, 0.0, 180.0, None)
    assert view.post == pull.post
    made.data.tables["feed_entries"] = 777_000_000
    assert (hybrid.total, pull.total) == (80.0 * 2_400_000, 0.0), "all alike, not by the table"
    assert (push.total, view.total) == (180.0 * 2_400_000, None)
    assert view.delivered == 1000 * (300 + 7 + 60)
    told = strategies.markdown(made)
    assert "| up to 367 s (reckoned) |" in told
    lines = {line.split(" | ")[0]: line for line in told.splitlines()}
    assert lines["| **hybrid**"].count("(reckoned)") == 1, "its total"
    assert lines["| pull"].count("(reckoned)") == 1, "when it is seen"
    assert "up to" not in lines["| pull"]
    assert lines["| push"].count("(reckoned)") == 1, "its total"
    assert lines["| materialised view, cached"].count("(reckoned)") == 2
    assert "192 MB (reckoned)" in lines["| **hybrid**"]
    assert "are bare rows, with none" in told, "which triggers were on"
    assert "| **hybrid** |" in told
    assert "One refresh took 7 s: `view-refresh` says" in told
    assert strategies.markdown(run(rounds=1, samples=0)) == "Nothing is measured yet."


def test_reading_pages_is_no_delay_of_a_post_whichever_way_a_run_measured_it() -> None:
    """Runs from before pages were read as of one moment have 60 ms; pull's post is there at 30."""
    made = with_strategies(read=2.0, write=30.0)
    _, pull, push, _ = strategies.measured(made)
    assert (pull.delivered, pull.reckoned) == (pull.post, {"delivered"})
    assert push.delivered == pytest.approx(60.0, rel=0.2)
    assert "reading those pages included" in strategies.notes(made)
    found = made.scenario(strategies.WRITE)
    assert found is not None
    found.about = read_all((strategies.WRITE,))[0].about
    _, pull, _, _ = strategies.measured(made)
    assert pull.delivered == pytest.approx(60.0, rel=0.2)
    assert not pull.reckoned
    assert "as of one moment, all show it" in strategies.notes(made)


def test_the_plot_of_the_strategies_is_a_file_that_needs_no_page() -> None:
    drawing = strategies.plot(with_strategies(read=2.0, write=30.0))
    assert drawing is not None
    text = drawing.file((BENCH / "page/page.css").read_text())
    ElementTree.fromstring(text)
    assert "var(" not in text
    assert text.startswith("<svg xmlns=")
    for name in ("hybrid", "pull", "push", "materialised view"):
        assert name in text
    assert strategies.plot(run(rounds=1, samples=0)) is None


def test_of_several_runs_each_scenario_is_that_of_the_last_that_has_it() -> None:
    first, second = run(rounds=1, samples=0), run(rounds=1, samples=0)
    second.scenarios = second.scenarios[:1]
    kept = latest([(first, "first"), (second, "second")])
    names = [(name, [one.name for one in made.scenarios]) for made, name in kept]
    assert names == [
        ("first", [one.name for one in first.scenarios[1:]]),
        ("second", [second.scenarios[0].name]),
    ]
    assert [name for _, name in latest([(second, "second"), (first, "first")])] == ["first"]


def test_of_several_files_each_curve_is_that_of_the_last_that_measured_it(made: Run) -> None:
    follows, connections = CURVES
    nothing = replace(follows, points=[])
    ran = replace(made, scenarios=[replace(made.scenarios[0], name="follows")])
    old = scaling(
        made, [follows, connections], runs=[ran], commit="old",
        failures={"connections": "no way", "users at 10": "no disk"},
    )  # fmt: skip
    new = scaling(made, [connections, nothing], commit="new", failures={"follows": "no time"})
    kept = latest_curves([(old, "old"), (new, "new")])
    assert [(name, [one.name for one in part.curves]) for part, name in kept] == [
        ("old", ["follows"]),
        ("new", ["connections"]),
    ]
    assert [part.failures for part, _ in kept] == [
        {"users at 10": "no disk"},
        {"follows": "no time"},
    ]
    assert [one.name for run in kept[0][0].runs for one in run.scenarios] == ["follows"]
    later = scaling(made, [follows])
    (first, second) = latest_curves([(old, "old"), (later, "later")])
    assert (first[1], [one.name for one in first[0].curves]) == ("old", ["connections"])
    assert (second[1], first[0].runs) == ("later", []), "whose curve is shown from elsewhere"
    whole = scaling(made, [follows, connections])
    assert [name for _, name in latest_curves([(new, "new"), (whole, "whole")])] == ["whole"]


def test_each_curve_is_shown_with_its_own_date_commit_and_machine(made: Run) -> None:
    xeon = replace(made.machine, cpu="Xeon", cores=8, memory_mib=65536)
    files = [
        (scaling(made, CURVES, commit="old"), "curves/old.json"),
        (
            scaling(made, CURVES[1:], commit="new", at="2026-02-03T10:00:00+00:00", machine=xeon),
            "curves/new.json",
        ),
    ]
    told = markdown([], latest_curves(files))
    first, second = told.split("Curves, measured ")[1:]
    assert first.startswith("2026-01-02 at commit old, on Made Up 3000, 2 cores, 8 GiB; ")
    assert second.startswith("2026-02-03 at commit new, on Xeon, 8 cores, 64 GiB; at most 2 ")
    assert "from `curves/old.json`" in first and "from `curves/new.json`" in second
    for curve, name in zip(CURVES, ("old", "new"), strict=True):
        assert f"From {name}." in told.split(f"**{curve.title}.**")[1].split("**")[0]
    cards = page([(made, "here")], files).split('<section class="card" id="scale-of-')[1:]
    shown = {card.split('"')[0]: " ".join(Elements("<" + card).text.split()) for card in cards}
    assert "Measured 2026-01-02 at commit old, on Made Up 3000" in shown["follows"]
    assert "Measured 2026-02-03 at commit new, on Xeon, 8 cores" in shown["connections"]


def test_curves_from_a_tree_with_changes_say_so(made: Run) -> None:
    changed = scaling(made, CURVES, uncommitted_changes=True)
    assert markdown([], [(changed, "there")]).count("not in commit x") == 1
    run_too = replace(made, commit="x", uncommitted_changes=True)
    both = replace(changed, runs=[run_too])
    assert markdown([], [(both, "there")]).count("not in commit x") == 1, "once is enough"


def test_the_page_of_several_runs_has_each_scenario_once_with_the_run_it_is_from() -> None:
    old, new = run(rounds=1, samples=0), run(rounds=1, samples=0)
    old.commit, old.uncommitted_changes, old.failures = "old", True, {"gone": "no way"}
    old.scenarios = [old.scenarios[0], old.scenarios[2]]
    new.commit, new.at, new.data.users = "new", "2026-02-03T10:00:00+00:00", 12_345
    new.scenarios = [new.scenarios[0], new.scenarios[3]]
    source = page([(old, "runs/old.json"), (new, "runs/new.json")])
    shown = Elements(source)
    sections = {
        card.split('"')[0]: " ".join(Elements("<" + card).text.split())
        for card in source.split('<section class="card" id="')[1:]
    }
    names = [old.scenarios[1].name, *(one.name for one in new.scenarios)]
    assert sorted(sections) == sorted(names)
    when = ["2026-01-02 at commit old", *["2026-02-03 at commit new"] * 2]
    for name, said in zip(names, when, strict=True):
        assert f"{name}, measured {said}, " in sections[name]
    for text in ("gone: not measured: no way", "12,345", "20,000", "runs/old.json, runs/new.json."):
        assert text in " ".join(shown.text.split())
    links = [one for one in shown.values("href") if one in {f"#{name}" for name in names}]
    assert sorted(links) == sorted([f"#{name}" for name in names] * 2), "by run, and in the index"
    count = sum(one.scenario(name) is not None for one in (old, new) for name in names) - 1
    assert f"in {count} scenarios" in shown.text


def test_the_page_compares_the_strategies_as_the_documents_do() -> None:
    made = with_strategies(read=2.0, write=30.0)
    source = page([(made, "runs/made.json"), (run(rounds=1, samples=0), "runs/later.json")])
    card = source.split("<h2>The ways to make a timeline</h2>")[1].split("</section>")[0]
    shown = Elements(card)
    assert f"at commit {made.commit}, from runs/made.json." in shown.text
    for row in strategies.rows(made):
        assert all(cell in shown.text for cell in row)
    assert "up to 367 s (reckoned)" in shown.text
    assert [tag for tag, _ in shown.elements].count("svg") == 1
    ids = Elements(source).values("id")
    assert len(ids) == len(set(ids))


def test_the_command_draws_its_page_from_all_runs_and_curves_that_it_is_given(
    made: Run, tmp_path: Path
) -> None:
    parts = [replace(made, scenarios=[made.scenarios[number]]) for number in (0, 2)]
    runs = [tmp_path / f"run{number}.json" for number in (1, 2)]
    curves = [tmp_path / f"curves{number}.json" for number in (1, 2)]
    for part, file in zip(parts, runs, strict=True):
        write(part, file)
    for curve, file in zip(CURVES, curves, strict=True):
        write(scaling(made, [curve]), file)
    html = tmp_path / "page.html"
    scales = [text for file in curves for text in ("--scale", str(file))]
    asked = ["bench", "report", *map(str, runs), *scales, "--html", str(html)]
    with pytest.raises(SystemExit) as ended:
        main(*asked)
    assert ended.value.code == 0
    ids = Elements(html.read_text()).values("id")
    wanted = [part.scenarios[0].name for part in parts] + [f"scale-of-{one.name}" for one in CURVES]
    assert set(wanted) <= set(ids)


def test_a_bound_may_be_of_another_side_and_of_one_operation(made: Run) -> None:
    scenario = made.scenario("timeline")
    assert scenario is not None
    floor = scenario.sides[1]
    target = Target(what="p50", value=0.001, bound="at most", side=floor.name, of="page")
    scenario = replace(scenario, targets=[target], ratios=[])
    (found,) = figures.verdicts(scenario)
    assert found.asked == "no pre-request: median latency of page at most 0.001 ms"
    assert found.mark == "missed"
    expected = figures.of_side(floor, "p50", "page")
    assert expected != figures.of_side(scenario.subject, "p50", "page")
    assert found.found.startswith(f"{words.number(expected)} (")


def test_a_missed_target_is_told_with_its_reason_and_its_aim(
    made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "reasons.toml"
    file.write_text('[login-flood]\n"quiet" = "bcrypt is slow on purpose"\n')
    monkeypatch.setattr(reasons, "FILE", file)
    reasons.known.cache_clear()
    scenario = made.scenario("login-flood")
    assert scenario is not None
    wanted = ratio("quiet", [8.0, 8.1], [2.0, 2.0], 3.0, 2.0)
    (missed,) = figures.verdicts(replace(scenario, ratios=[wanted]))
    assert missed.reason == "bcrypt is slow on purpose"
    assert missed.found.endswith("the aim of 2.00× missed")
    low = ratio("quiet", [4.0, 4.0], [2.0, 2.0], 3.0, 2.0)
    (met,) = figures.verdicts(replace(scenario, ratios=[low]))
    assert (met.mark, met.reason) == ("reached", "")
    assert met.found.endswith("the aim of 2.00× reached")
    reasons.known.cache_clear()


def test_every_reason_is_of_a_target_that_there_is() -> None:
    for name, ends in reasons.known().items():
        (scenario,) = read_all((name,))
        asked = [side.name for side in scenario.sides if side.target is not None]
        asked += [
            f"{target.side}: {words.bound(target, scenario.unit)}" for target in scenario.targets
        ]
        assert all(any(one.endswith(end) for one in asked) for end in ends), name


def test_a_bound_tells_what_would_be_better_too(made: Run) -> None:
    side = made.scenarios[0].subject
    for value, aim, told in ((1e9, 1e9, "reached"), (1e9, 0.0, "missed")):
        target = Target(what="p95", value=value, aim=aim, bound="at most")
        verdict = figures.verdict(side, target)
        assert (verdict.mark, verdict.found.split()[-1]) == ("reached", told)


def test_what_was_kept_is_judged_by_the_targets_of_today() -> None:
    """Its own are those of a day on which the scenario asked for less, or for something else."""
    (there,) = read_all(("deep-paging",))
    made = run(rounds=3)
    old = replace(
        made.scenarios[1],
        name=there.name,
        measure=there.measure,
        of=there.of,
        better="lower",
        sides=[replace(made.scenarios[1].sides[0], name=there.sides[0].name),
               replace(made.scenarios[1].sides[1], name=there.sides[1].name),
               replace(made.scenarios[1].sides[1], name="gone")],
        targets=[Target(what="p99", value=1e9, bound="at most"),
                 Target(what="p95", value=7, bound="at most", side="gone")],
        ratios=[ratio(name, [1.0] * 3, [1.0] * 3, 9.0) for name in (there.sides[1].name, "gone")],
    )  # fmt: skip
    (kept, other) = today.of_run(replace(made, scenarios=[old, made.scenarios[0]])).scenarios
    asked = [one.asked for one in figures.verdicts(kept)]
    assert asked == [
        "gone: p95 latency at most 7 ms",
        "p99 latency at most 50 ms",
        "no errors",
        "no dropped requests",
        "at most 1.20× the first page each time",
        "at most 9.00× gone",
    ]
    assert today.said(kept) == [
        f"{today.NEW}p99 latency at most 50 ms; no errors; no dropped requests; "
        "at most 1.20× the first page each time.",
        f"{today.GONE}p99 latency at most 1,000,000,000 ms; "
        "at most 9.00× the first page each time.",
    ]
    assert today.said(kept)[0] in goals.markdown([(replace(made, scenarios=[kept]), "x")])
    assert other == made.scenarios[0], "which has no file of today"
    changed = replace(old, measure="p99")
    assert today.of_run(replace(made, scenarios=[changed])).scenarios == [changed]
    again = today.of_run(replace(made, scenarios=[kept])).scenarios
    assert [one.asked for one in figures.verdicts(again[0])] == asked

"""Tables of the report: every figure with its cost, its rounds and its limits."""

import random
import re
from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console

from microblog.bench import histogram, record, result
from microblog.bench.report import figures, terminal, words
from microblog.bench.report.facts import warnings
from microblog.bench.report.pages import costs, latest, latest_curves, markdown, measured
from microblog.bench.result import Cost, Latency, Round, Run, Side
from tests.bench.made_up import CURVES, latencies, one_round, run, scaling


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
    assert found.idle == pytest.approx(1.4 / 8)


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


def test_below_a_table_stands_how_it_was_loaded_and_what_that_left_of_the_cpu() -> None:
    made = run(rounds=3)
    wrk, own, _, twip = made.scenarios
    for number, one in enumerate(wrk.subject.rounds):
        one.measured = Latency(p50=70.0, p95=380.0 + number, p99=500.0)
    for one in own.subject.rounds:
        one.settle = 0.004
        one.cost.cpu["generator"], one.cost.cpu_idle = 0.32, 4.0
    own.subject.rounds[1].settle = 1.5
    twip.sides[1].clients = 1
    notes = {
        "seeds": "closed, 250 connections, wrk (latencies corrected for waiting; as measured p95 "
        "381 ms); generator 5% of the CPU, idle 1%",
        "timeline": "open, 800/s, the own generator; generator 3% of the CPU, idle 34%; settled "
        "after 1.50 s",
        "twip": "closed, 4 clients, Twip's own client; naive row triggers: closed, 1 client, "
        "Twip's own client; generator 25% of the CPU, idle 4%",
    }
    console = Console(width=1000)
    with console.capture() as captured:
        terminal.show(made, console)
    below = markdown([(made, "here")])
    for name, note in notes.items():
        assert f"; {note}; 20,000 users" in below, name
        (line,) = re.findall(rf"^{name}: .*$", captured.get(), re.MULTILINE)
        assert f"; {note}. " in line.strip() + " "
    assert below.count("settled after") == 1, "a look at an empty queue is no time"


def test_latencies_as_measured_are_of_the_percentile_that_is_judged_if_answers_tell_it() -> None:
    one = run(rounds=1).scenarios[0]
    (each,) = one.subject.rounds
    assert words.loads(one) == "closed, 250 connections, wrk", "a file that does not have them"
    each.measured = Latency(p50=70.0, p95=380.0, p99=500.0, p99_9=600.0)
    assert "as measured p95 380 ms" in words.loads(one)
    assert "as measured p50 70 ms" in words.loads(replace(one, measure="p50"))
    assert "as measured p99 500 ms" in words.loads(replace(one, targets=[]))
    each.count = 900  # nine beyond the 99th percentile
    assert words.loads(replace(one, targets=[])).endswith("(latencies corrected for waiting)")
    assert words.loads(replace(one, measure="figure")) == ""


@pytest.mark.parametrize(
    ("clients", "idle", "around", "model", "told"),
    [
        (64, 1.4, 0.0, "closed", True),
        (63, 1.4, 0.0, "closed", False),
        (64, 1.0, 0.0, "closed", False),
        (64, 1.4, 1.0, "closed", False),  # all but 0.4 s may have been outside the load
        (64, 1.4, 0.0, "open", False),
    ],
)
def test_a_machine_that_idles_under_many_connections_is_limited_by_something_else(
    clients: int, idle: float, around: float, model: str, told: bool
) -> None:
    made = run(rounds=3, samples=0)
    made.quick, made.scenarios = False, made.scenarios[:1]
    side = made.scenarios[0].subject
    for other in made.scenarios[0].sides[1:]:
        other.clients = 16
    side.clients, side.model = clients, model  # type: ignore[assignment]
    for one in side.rounds:
        used = {"postgres": 2 * one.seconds + around - idle, "harness": 0.5}
        one.cost = Cost(cpu=used, cpu_idle=idle, cores=2)
    said = [text for text in warnings(made) if "something other than CPU" in text]
    assert said == (
        ["seeds/timeline: at least 18% of the CPU was idle under 64 connections; something other "
         "than CPU limits it."] if told else []
    )  # fmt: skip
    for one in side.rounds:
        one.cost.cores = 0
    assert not warnings(made), "a file that does not say how much of it was the load"


def test_under_the_runs_stand_the_versions_and_settings_that_are_kept(made: Run) -> None:
    versions = {
        "postgresql": "15.18 (Debian 15.18-0+deb12u1)", "python": "3.11.7", "haproxy": "2.6.12",
        "wrk": "debian/4.1.0-3+b2", "vegeta": "not installed",
    }  # fmt: skip
    old = replace(made, versions=versions, settings={"fsync": "True", "workers": "1"})
    kept = {"shared_buffers": "6026MB", "full_page_writes": "on", "fsync": "off", "jit": "off"}
    new = replace(
        made, versions={"pgbench": "15.18"}, machine=replace(made.machine, disk="xfs, rotating"),
        settings={f"postgresql.{name}": value for name, value in kept.items()},
    )  # fmt: skip
    curves = scaling(made, CURVES, versions={"k6": "1.1.0"})
    for one, line in (
        (old, "- PostgreSQL 15.18, HAProxy 2.6.12, wrk 4.1.0-3+b2; fsync on."),
        (
            new,
            "- pgbench 15.18; shared_buffers 6026MB, fsync off, full_page_writes on; data on xfs, "
            "rotating.",
        ),
    ):
        told = markdown([(one, "here")], [(curves, "there")]).split("### The runs")[1].splitlines()
        assert line in told
        assert "- k6 1.1.0." in told
    bare = markdown([], [(scaling(made, CURVES), "there")]).split("### The runs")[1]
    assert "\n- " not in bare, "nothing is said of what is not kept"


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
    assert head == ["CPU ms", "generator", "idle", "postgres", "postgrest", "haproxy", "WAL",
                    "buffers", "memory", "peak", "in flight"]  # fmt: skip
    cells = dict(zip(head, rows["timeline"], strict=True))
    assert float(cells["CPU ms"]) == pytest.approx(
        sum(float(cells[name]) for name in ("postgres", "postgrest", "haproxy")), rel=0.01
    )
    assert (cells["generator"], cells["idle"]) == ("5%", "1%"), "0.1 and 0.025 cores of two"
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
    assert "generator" in told.split("what an answer costs")[1] and "idle" in told


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


def test_curves_from_a_tree_with_changes_say_so(made: Run) -> None:
    changed = scaling(made, CURVES, uncommitted_changes=True)
    assert markdown([], [(changed, "there")]).count("not in commit x") == 1
    run_too = replace(made, commit="x", uncommitted_changes=True)
    both = replace(changed, runs=[run_too])
    assert markdown([], [(both, "there")]).count("not in commit x") == 1, "once is enough"

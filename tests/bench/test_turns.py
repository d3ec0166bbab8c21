"""In what order sides are measured, and what beside them, against a bed that does nothing."""

from contextlib import nullcontext
from typing import Any

import pytest
from msgspec.structs import replace

from microblog.bench import check, run
from microblog.bench.generators import Job, Outcome, process
from microblog.bench.generators.job import Tally
from microblog.bench.result import Round
from microblog.bench.run import CROWD, WARMUPS, Turner
from microblog.bench.scenario import Call, Load, Scenario
from microblog.settings import Settings
from tests.bench.needs import needs_wrk
from tests.bench.servers import Known, job, serving

PAGE = Call(name="timeline", path="/rpc/feed_timeline", check="timeline")
BLANK = Call(name="timeline", path="/rpc/bench_constant")


class Bed:
    """Takes whatever it is asked for."""

    connection = None

    def absent(self, load: Load) -> str:
        return "not here" if load.stack == "replica" else ""


class Recorder:
    """A bed that does nothing and remembers what it was asked for."""

    settings = Settings.create("never-started")
    user_count, kinds = 1, {"active": 1}

    def __init__(self) -> None:
        self.connection = object()
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "ready": False, "door": ("", 0), "worker": nullcontext(), "pids": {}, "prove": [],
        }  # fmt: skip
        self.asked.append(name)
        return lambda *_, **__: answers.get(name, 0)


def side(name: str, **options: Any) -> Load:
    return Load(name=name, calls=[PAGE], **options)


def scenario(*sides: Load, **options: Any) -> Scenario:
    return Scenario(name="x", title="x", sides=list(sides), **options)


def turner(sides: Scenario, **options: Any) -> Turner:
    return Turner(Bed(), sides, 1.0, 1, **options)  # type: ignore[arg-type]


def a_round(value: float) -> Round:
    return Round(at="", seconds=1.0, value=value, count=1, rate=1.0)


def test_sides_take_turns_every_other_round_the_other_way_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a ratio is of the rounds with the same number."""
    made = turner(scenario(*(side(name) for name in "abc")))
    taken: list[tuple[str, int]] = []
    values = {("a", 0): 10.0, ("a", 1): 30.0, ("b", 0): 5.0, ("b", 1): 10.0}

    def turn(load: Load, number: int) -> Round:
        taken.append((load.name, number))
        return a_round(values.get((load.name, number), 1.0))

    monkeypatch.setattr(made, "turn", turn)
    found = made.take_turns(2)
    assert taken == [("b", 0), ("a", 0), ("c", 0), ("c", 1), ("a", 1), ("b", 1)]
    assert sorted(found.ratios[0].values) == [2.0, 3.0]


def test_a_side_that_is_absent_has_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    made = turner(scenario(side("a"), side("b", stack="replica"), side("c")))
    monkeypatch.setattr(made, "turn", lambda load, number: a_round(1.0))
    found = made.take_turns(3)
    assert [len(side.rounds) for side in found.sides] == [3, 0, 3]
    assert [one.to for one in found.ratios] == ["c"]


def test_a_side_elsewhere_is_measured_on_its_own_bed(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it: prepared, sent to, checked and cleaned up there."""
    here, there = Recorder(), Recorder()
    load = side("b")
    made = Turner(here, scenario(side("a"), load, warmup=0), 1.0, 1, elsewhere={"b": there})  # type: ignore[arg-type]
    outcome = Outcome(operations={"timeline": Tally(count=9)}, seconds=1.0)
    compared = []
    monkeypatch.setattr(run, "generate", lambda job: outcome)
    monkeypatch.setattr(run, "Meter", lambda *_: nullcontext(type("M", (), {"cost": None})()))
    monkeypatch.setattr(check, "newest_post", lambda _: 1)
    monkeypatch.setattr(check, "wrong", lambda connection, *_: compared.append(connection) or [])
    made.turn(load, 0)
    assert here.asked == []
    assert {"ready", "door", "people", "settle", "prove", "forget", "pids"} <= set(there.asked)
    assert compared == [there.connection]


def test_what_takes_too_long_gets_no_further_round(monkeypatch: pytest.MonkeyPatch) -> None:
    made = turner(scenario(side("a"), side("b")), limit=25.0)
    clock = [0.0]

    def turn(load: Load, number: int) -> Round:
        clock[0] += 5.0
        return a_round(1.0)

    monkeypatch.setattr(made, "turn", turn)
    monkeypatch.setattr(run.time, "monotonic", lambda: clock[0])
    found = made.take_turns(5)
    assert [len(side.rounds) for side in found.sides] == [2, 2]
    assert found.limitations == ["2 of 5 rounds, for want of time."]


@pytest.mark.parametrize(
    ("until", "turns", "limitations"),
    [
        (180.0, [2, 1], ["1 of 2 rounds and 1 of 2 turns of another, for want of time."]),
        (179.0, [1, 1], ["1 of 2 rounds, for want of time."]),
        (119.0, [1, 0], ["0 of 2 rounds and 1 of 2 turns of another, for want of time."]),
        (2.0, [0, 0], ["0 of 2 rounds, for want of time."]),
        (300.0, [2, 2], []),
    ],
)
def test_no_turn_is_begun_that_would_not_be_over_in_time(
    monkeypatch: pytest.MonkeyPatch, until: float, turns: list[int], limitations: list[str]
) -> None:
    """Not in the first round either, whatever the turns of other scenarios took."""
    made = turner(scenario(side("b"), side("a")), until=until)
    clock = [0.0]

    def turn(load: Load, number: int) -> Round:
        clock[0] += 60.0
        return a_round(1.0 + number)

    monkeypatch.setattr(made, "turn", turn)
    monkeypatch.setattr(run.time, "monotonic", lambda: clock[0])
    found = made.take_turns(2)
    assert clock[0] <= until
    assert sorted(len(one.rounds) for one in found.sides) == sorted(turns)
    assert found.limitations == limitations
    assert [one.absent for one in found.sides] == [
        "" if one.rounds else "no time was left for it" for one in found.sides
    ]
    pairs = min(len(one.rounds) for one in found.sides)
    assert [one.values for one in found.ratios] == ([[1.0] * pairs] if pairs else [])


# wrk sends a path as it stands, what is beside it fills it in: so a server tells them apart.
MARKED = "/{user}"


def sent(people: str, sides: Scenario, load: Load) -> tuple[list[bool], Outcome]:
    """Send a side's load to a server; of each request, in order, whether it was not wrk's."""
    with serving(delay=0.005) as known:
        outcome = turner(sides).send(
            replace(job(known, people, seconds=2.0, samples=40), load=load)
        )
    return [MARKED not in line for line in known.seen], outcome


@needs_wrk
def test_beside_wrk_each_side_has_the_same(people: str) -> None:
    """Also the one whose answers are compared with nothing: ratios would tell of it.

    And what it takes, the start of Python above all, is not wrk's.
    """
    page = Load(name="page", generator="wrk", clients=CROWD, calls=[replace(PAGE, path=MARKED)])
    floor = replace(page, name="floor", calls=[replace(BLANK, path=MARKED)])
    beside = []
    for load in (page, floor):
        before = process.children_cpu()
        seen, outcome = sent(people, scenario(page, floor), load)
        assert outcome.cpu < process.children_cpu() - before - 0.1
        assert 0 <= seen.count(False) - outcome.count <= CROWD
        beside.append(seen.count(True))
        assert len(outcome.samples) == (beside[-1] if load is page else 0)
    assert beside[0] == beside[1] > 0
    alone, _ = sent(people, scenario(floor), floor)
    assert not any(alone)


@needs_wrk
def test_beside_few_connections_there_is_nothing(people: str) -> None:
    one = Load(name="page", generator="wrk", clients=1, calls=[replace(PAGE, path=MARKED)])
    seen, outcome = sent(people, scenario(one), one)
    assert seen.index(True) == seen.count(False), "right after it"
    assert outcome.count > seen.count(True) >= len(outcome.samples) > 0


@pytest.mark.parametrize(
    ("read", "times"),
    [
        ([0], 1),
        ([5], 1),  # a twentieth of a block for each of 100 answers
        ([4000, 4000, 1000, 5], 4),
        ([4000] * 9, WARMUPS),  # it reads from disk always
    ],
)
def test_a_side_is_warmed_up_until_it_hardly_reads_from_disk_any_more(
    monkeypatch: pytest.MonkeyPatch, read: list[int], times: int
) -> None:
    sums, seeds = [0], []

    def generate(job: Job) -> Outcome:
        sums.append(sums[-1] + read[len(seeds)])
        seeds.append(job.seed)
        return Outcome(operations={"timeline": Tally(count=100)}, seconds=1.0)

    monkeypatch.setattr(run, "generate", generate)
    monkeypatch.setattr(run, "buffers_read", lambda _: sums[-1])
    monkeypatch.setattr(Bed, "worker", lambda *_: nullcontext(), raising=False)
    monkeypatch.setattr(Bed, "settle", lambda _: 0.0, raising=False)
    turner(scenario(side("a"))).warm_up(job(Known(), ""))
    assert len(seeds) == len(set(seeds)) == times


@pytest.mark.parametrize(
    ("deepest", "wrong"), [(50, []), (12, ["page 50: the deepest was page 12"])]
)
def test_a_walk_that_is_never_at_its_end_is_wrong(
    monkeypatch: pytest.MonkeyPatch, deepest: int, wrong: list[str]
) -> None:
    walk = Load(name="walk", calls=[Call(name="page", path="/feed?cursor={cursor}")])
    made = turner(scenario(walk, warmup=0))
    outcome = Outcome(operations={"page": Tally(count=9)}, seconds=1.0, deepest=deepest)
    quiet = {"ready": False, "queued": 0, "fallbacks": 0, "prove": [], "settle": 0.0}
    for name, value in (quiet | {"forget": None, "pids": {}}).items():
        monkeypatch.setattr(Bed, name, lambda *_, value=value, **__: value, raising=False)
    monkeypatch.setattr(Bed, "worker", lambda *_: nullcontext(), raising=False)
    monkeypatch.setattr(run, "Meter", lambda *_: nullcontext(type("M", (), {"cost": None})()))
    monkeypatch.setattr(check, "newest_post", lambda _: 1)
    monkeypatch.setattr(check, "wrong", lambda *_: [])
    monkeypatch.setattr(made, "job", lambda *_: None)
    monkeypatch.setattr(made, "send", lambda _: outcome)
    found = made.turn(walk, 0)
    assert [one.partition("no walk came to ")[2] for one in found.wrong] == wrong

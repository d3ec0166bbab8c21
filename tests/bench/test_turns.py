"""In what order sides are measured, and what beside them, against a bed that does nothing."""

from contextlib import nullcontext
from typing import Any

import pytest

from microblog.bench import check, run
from microblog.bench.generators import Job, Outcome
from microblog.bench.generators.job import Sample, Tally
from microblog.bench.result import Round
from microblog.bench.run import AFTERWARDS, PROBE_RATE, Turner
from microblog.bench.scenario import Call, Load, Scenario
from microblog.settings import Settings

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


def test_sides_take_turns_each_the_first_of_a_round_in_turn(
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
    assert taken == [("a", 0), ("b", 0), ("c", 0), ("b", 1), ("c", 1), ("a", 1)]
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


def sent(monkeypatch: pytest.MonkeyPatch, sides: Scenario, load: Load) -> tuple[list[Job], Outcome]:
    """What is generated for a side, in order, and what comes back."""
    jobs: list[Job] = []

    def generate(job: Job) -> Outcome:
        jobs.append(job)
        samples = [Sample(user=1, check="timeline", cursor="", body="[]")] * job.samples
        kept = samples if job.load.sends == "own" else []
        return Outcome(operations={"timeline": Tally(count=1)}, seconds=1.0, samples=kept)

    monkeypatch.setattr(run, "generate", generate)
    job = Job(
        load=load, users=sides.users, host="", port=0, dsn="", actors="", user_count=1,
        seconds=4.0, seed=1, samples=2,
    )  # fmt: skip
    return jobs, turner(sides).send(job)


def test_beside_wrk_each_side_has_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the one whose answers are compared with nothing: ratios would tell of it."""
    page = Load(name="page", generator="wrk", clients=16, calls=[PAGE])
    floor = Load(name="floor", generator="wrk", clients=16, calls=[BLANK])
    for load in (page, floor):
        jobs, outcome = sent(monkeypatch, scenario(page, floor), load)
        (beside,) = [job for job in jobs if job.load.sends == "own"]
        assert len(jobs) == 2
        assert (beside.load.rate, beside.seconds) == (PROBE_RATE, 4.0)
        assert beside.load.calls == load.calls
        assert len(outcome.samples) == 2
    alone, _ = sent(monkeypatch, scenario(floor), floor)
    assert [job.load.sends for job in alone] == ["wrk"]


def test_beside_few_connections_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Load(name="page", generator="wrk", clients=1, calls=[PAGE])
    jobs, outcome = sent(monkeypatch, scenario(one), one)
    assert [job.load.sends for job in jobs] == ["wrk", "own"]
    assert jobs[1].seconds == AFTERWARDS
    assert len(outcome.samples) == 2


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

"""Targets are judged by what the rounds can tell, and by no more."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from microblog.bench import fit, histogram
from microblog.bench.report import figures, goals, reasons, today, words
from microblog.bench.result import Round, Run, ScenarioResult, Side, Target, ratio
from microblog.bench.scenario import read_all
from tests.bench.made_up import run


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

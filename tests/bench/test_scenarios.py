"""Scenarios can be read, and say plainly what is wrong with them."""

from pathlib import Path
from typing import Any

import pytest

from microblog.bench.run import ordered
from microblog.bench.scenario import (
    BENCH,
    Call,
    Delivery,
    Load,
    Script,
    drawn,
    read,
    read_all,
    used_files,
    uses,
)
from microblog.cli import main
from microblog.errors import StackError
from microblog.settings import ROOT

GOOD = """
title = "One against another"
measure = "p99"
of = "page"

[all]
rate = 20

[[sides]]
name = "one"
role = "subject"
calls = [{ name = "page", path = "/rpc/feed_public" }]

[[sides]]
name = "another"
rate = 30
calls = [{ name = "page", path = "/rpc/up", weight = 2 }]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "made.toml"
    file.write_text(text)
    return file


def test_every_scenario_of_the_project_can_be_read() -> None:
    scenarios = read_all()
    assert len(scenarios) == len(list((BENCH / "scenarios").glob("*.toml"))) > 10
    for scenario in scenarios:
        beside = any(side.role in ("floor", "peer") for side in scenario.sides)
        assert beside or scenario.targets, scenario.name


def test_the_list_has_a_line_for_each_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main("bench", "list")
    assert not ended.value.code
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["scenario", "load", "stack", "quick", "what"]
    scenarios = read_all()
    assert [line.split()[0] for line in lines] == [one.name for one in scenarios]
    assert all(line.endswith(f"  {one.title}") for line, one in zip(lines, scenarios, strict=True))
    shown = {line.split()[0]: " ".join(line.split()) for line in lines}
    assert shown["reference-run"].startswith("reference-run closed, 250 clients direct quick The")
    assert shown["read-heavy-10"].startswith("read-heavy-10 open, 200/s direct 10 timelines")
    assert shown["storage"].startswith("storage a figure direct quick Bytes")
    assert "direct,pooled,replica" in shown["stacks"]


@pytest.mark.parametrize("arguments", [(), ("--all", "limits")])
def test_nobody_starts_all_scenarios_by_accident(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main("bench", "run", *arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "--all" in told
    assert arguments or "microblog bench list" in told


def test_every_script_of_the_project_is_used_by_a_scenario() -> None:
    used = {file for one in read_all() for side in one.sides for file in used_files(side)}
    by_code = {
        *("sql/objects.sql", "sql/definition.sql", "sql/people.sql", "sql/twip_naive.sql"),
        *("sql/twip_reset.sql", "sql/twip_naive_definition.sql"),
        *("sql/kinds.sql", "sql/limits_off.sql", "sql/limits_raised.sql"),
        *("sql/profile_definition.sql", *(one.worth for one in read_all() if one.worth)),
    }
    there = {f"sql/{file.name}" for file in (BENCH / "sql").glob("*.sql")}
    curves = {  # scripts of the curves are named by other files
        name for name in there for file in (BENCH / "curves").glob("*.toml")
        if name in file.read_text()
    }  # fmt: skip
    assert there == used | by_code | curves


# Sides, or all of a scenario, whose answers are compared with nothing: why.
UNCHECKED = {
    "fan-out-all: Redis lists, redis-py": "no page is read from these lists",
    "fan-out-all: Redis lists, prepared bytes": "no page is read from these lists",
    "reference-run: constant answer of the same size": "an answer that is the same for all",
    "seeding": "seeding compares feeds with the definition itself, and tests do",
    "seeding-memory": "a number of bytes",
    "storage": "a number of bytes",
    "view-refresh": "a number of seconds; strategies proves pages of the view",
}


def test_each_side_is_checked_or_there_is_a_reason_why_not() -> None:
    """Floors answer constants. Who delivers looks for each post until its readers have it."""
    bare = set()
    for scenario in read_all():
        for side in scenario.sides:
            checked = any(call.check for call in side.calls) or side.store or side.delivery
            if not (checked or side.proofs or side.role == "floor"):
                known = scenario.name in UNCHECKED
                bare.add(scenario.name if known else f"{scenario.name}: {side.name}")
    assert bare == set(UNCHECKED)


def test_what_is_drawn_from_is_read_from_the_scripts() -> None:
    sides = {side.name: side for one in read_all(("timeline-unkept",)) for side in one.sides}
    assert drawn(sides["of inactive users"]) == ["inactive"]
    assert drawn(sides["below the horizon, of readers of 5,000 authors"]) == ["horizon_5000"]
    proved = [
        (scenario.name, side)
        for scenario in read_all()
        for side in scenario.sides
        if {"sql/pages_as_defined.sql", "sql/pull_as_defined.sql"} & set(side.proofs)
    ]
    assert {"page-50", "tag-cost", "timeline-sql", "timeline-unkept"} == {n for n, _ in proved}
    assert all(drawn(side) or side.role == "floor" for _, side in proved)


def test_what_holds_for_all_sides_is_said_once(tmp_path: Path) -> None:
    scenario = read(write(tmp_path, GOOD))
    assert [side.rate for side in scenario.sides] == [20, 30]
    assert [side.sends for side in scenario.sides] == ["own", "own"]
    assert [side.model for side in scenario.sides] == ["open", "open"]
    assert (scenario.name, scenario.unit, scenario.better) == ("made", "ms", "lower")


def test_a_side_says_how_many_instances_it_wants(tmp_path: Path) -> None:
    scenario = read(write(tmp_path, GOOD.replace("rate = 30", 'stack = "pooled"\ninstances = 16')))
    assert [(side.stack, side.instances) for side in scenario.sides] == [
        ("direct", 1), ("pooled", 16),
    ]  # fmt: skip
    (stacks,) = read_all(("stacks",))
    assert {(side.stack, side.instances) for side in stacks.sides} == {
        *(("direct", 1), ("direct", 2), ("pooled", 1), ("pooled", 2), ("pooled", 4)),
        ("replica", 1),
    }


BEHIND = {"postgrest", "postgres", "worker"}
CALLS: dict[str, Any] = {"calls": [Call(name="page", path="/rpc/up")]}


@pytest.mark.parametrize(
    ("said", "used"),
    [
        (CALLS, {*BEHIND, "haproxy"}),
        ({**CALLS, "instances": 4}, {*BEHIND, "haproxy"}),
        ({**CALLS, "stack": "replica"}, {*BEHIND, "haproxy"}),
        ({**CALLS, "stack": "pooled"}, {*BEHIND, "haproxy", "pgbouncer"}),
        ({**CALLS, "stack": "pooled", "door": "postgrest"}, {*BEHIND, "pgbouncer"}),
        ({**CALLS, "stack": "pooled", "door": "no-pre-request"}, BEHIND),
        ({**CALLS, "door": "proxy-no-pre-request"}, {*BEHIND, "haproxy"}),
        ({**CALLS, "door": "constant"}, {"haproxy"}),
        ({"scripts": [Script(name="page", file="sql/timeline.sql")]}, {"postgres", "worker"}),
        ({"delivery": Delivery(by="ten")}, {"postgres", "worker"}),
        ({"figure": "sql/seed_seconds.sql"}, {"postgres", "worker"}),
        ({"store": "ours"}, {"postgres", "worker"}),
        ({"store": "naive"}, {"postgres", "worker"}),
        ({"store": "redis"}, {"redis"}),
        ({"pushes": "redis"}, {"redis"}),
        ({"pushes": "redis-raw"}, {"redis"}),
    ],
)
def test_what_a_side_uses_follows_from_what_it_sends_and_where(
    said: dict[str, Any], used: set[str]
) -> None:
    found = uses(Load(name="one", **said))
    assert sorted(found) == sorted(used)


def test_a_scenario_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(StackError, match="no scenario nosuch") as refused:
        read_all(("nosuch",))
    assert "timeline-sql" in (refused.value.hint or "")


def test_the_quick_pass_is_a_part_of_all() -> None:
    quick = {one.name for one in read_all(quick=True)}
    assert quick
    assert quick < {one.name for one in read_all()}
    assert [one.name for one in read_all(("limits",), quick=True)] == ["limits"], "named is meant"
    assert not any(one.small_only for one in read_all(quick=True)), "filling a rival takes minutes"
    sides = [side for one in read_all(quick=True) for side in one.sides]
    assert any(side.rate for side in sides), "the open model is what the harness is for"
    assert any(len(side.calls) > 1 for side in sides), "a mix"
    assert any("pull" in side.name for side in sides), "a rival"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('title = "One against another"', ""), "missing required field `title`"),
        (("rate = 30", "rat = 30"), r"unknown field `rat` - at `\$.sides\[1\]`"),
        (("rate = 30", 'rate = "30"'), r"Expected `float \| null`, got `str`"),
        (("rate = 30", "rate = 0"), "rate is more than 0"),
        (('measure = "p99"', 'measure = "p42"'), "measure is one of rate, figure, p50"),
        (('of = "page"', 'of = "pages"'), "'one' has no operation 'pages'"),
        (('role = "subject"', ""), "the first of .* is the subject"),
        (('name = "another"', 'name = "one"'), "the same name"),
        (("rate = 30", 'generator = "pgbench"'), "'another': the generator pgbench does not send"),
        (("rate = 30", 'generator = "wrk"'), "wrk sends one plain GET, in the closed model"),
        (("rate = 30", 'generator = "vegeta"'), "'another': vegeta sends evenly"),
        (("rate = 30", 'rate = 30\ngenerator = "k6"'), "'another': k6 sends evenly"),
        (
            ("rate = 30", 'rate = 0.5\narrivals = "constant"\ngenerator = "k6"'),
            "'another': k6 sends evenly",
        ),
        (("rate = 30", 'store = "ours"'), "exactly one of calls, scripts, store"),
        (("rate = 30", 'pushes = "redis"'), "exactly one of calls, scripts, store"),
        (("rate = 30", 'proofs = ["sql/nosuch.sql"]'), "bench/sql/nosuch.sql does not exist"),
        (('measure = "p99"', 'measure = "figure"'), "belong together"),
        (
            ("[all]", '[[targets]]\nwhat = "p99"\nvalue = 1\nbound = "at most"\nside = "x"\n[all]'),
            "a target is for 'x', which is no side",
        ),
        (
            ("[all]", '[[targets]]\nwhat = "p99"\nvalue = 1\nbound = "at least"\n[all]'),
            "a percentile has a bound that it is at most",
        ),
        (("rate = 30", 'stack = "cloud"'), "'another': stack is one of direct, pooled"),
        (("rate = 30", 'stack = "pooled-two"'), "stack is one of direct, pooled, replica, not"),
        (("rate = 30", "instances = 0"), "'another': instances is 1 to 64, not 0"),
        (("rate = 30", "instances = 65"), "'another': instances is 1 to 64, not 65"),
        (("rate = 30", 'instances = "2"'), r"Expected `int`, got `str` - at `\$.sides\[1\]"),
        (
            ("rate = 30", 'stack = "replica"\ninstances = 2'),
            "'another': instances is not for a replica",
        ),
        (
            ("rate = 30", 'door = "postgrest"\ninstances = 2'),
            "'another': instances stand behind the proxy",
        ),
        (("rate = 30", "threads = 99"), "threads at most clients"),
        (("rate = 30", 'setup = ["sql/nosuch.sql"]'), "bench/sql/nosuch.sql does not exist"),
        (("weight = 2", "weight = 0"), "a weight is more than 0"),
        (("[all]", "[users]\nfirst = 9\nlast = 3\n[all]"), "first at most last"),
        (("[all]", "[all"), "cannot be read"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(StackError, match=f"made.toml:? .*{message}"):
        read(write(tmp_path, GOOD.replace(*change)))


def test_the_counters_measured_are_the_counters_there_are() -> None:
    """The benchmark's setup is the project's function; its rival differs in one point only."""
    source = (ROOT / "sql/functions/counters_add.sql").read_text()
    start = source.index("create function app.user_counters_add(")
    ours = source[start : source.index("\n$$;\n", start) + 5]
    ours = ours.replace("create function", "create or replace function")
    assert (BENCH / "sql/counters_never_wait.sql").read_text().endswith(ours)
    waiting = (BENCH / "sql/counters_wait.sql").read_text()
    assert waiting.endswith(ours.replace(" skip locked", ""))


def test_every_other_round_is_the_other_way_round_with_the_subject_in_the_middle() -> None:
    assert ["".join(ordered(list("ab"), number)) for number in range(3)] == ["ab", "ba", "ab"]
    assert ["".join(ordered(list("abcde"), number)) for number in range(3)] == [
        "bcade",
        "edacb",
        "bcade",
    ]
    assert [ordered(["a"], number) for number in range(2)] == [["a"], ["a"]]


@pytest.mark.parametrize("count", [2, 3, 4, 10])
def test_over_two_rounds_no_side_is_later_than_another_nor_follows_the_same(count: int) -> None:
    sides = list("abcdefghij"[:count])
    turns = [side for number in range(2) for side in ordered(sides, number)]
    for side in sides:
        first, second = (place for place, one in enumerate(turns) if one == side)
        assert first + second == 2 * count - 1
        before = {turns[place - 1] for place in (first, second) if place}
        assert len(before) == 2 or first == 0 or second == count
        assert abs(turns.index("a") - first) <= (count + 1) // 2

"""The page of the report: nothing of the run is lost, nothing is loaded from elsewhere."""

import csv
import random
import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from microblog.bench import record
from microblog.bench.report import figures, terminal, words
from microblog.bench.report.page import page
from microblog.bench.report.pages import latest_curves, markdown
from microblog.bench.report.plots import FEW_SECONDS
from microblog.bench.result import Round, Run, ScenarioResult, Target, write
from microblog.bench.scenario import BENCH
from microblog.cli import main
from tests.bench import made_up
from tests.bench.elements import Elements
from tests.bench.made_up import CURVES, one_round, run, scaling


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

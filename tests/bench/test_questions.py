"""Documents and page begin with what matters, and show scenarios by question."""

import re

import pytest
from msgspec.structs import replace

from microblog.bench import scenario
from microblog.bench.report import figures, goals, pages, plots, words
from microblog.bench.report.figures import verdicts
from microblog.bench.report.page import page
from microblog.bench.report.pages import contents, markdown
from microblog.bench.report.questions import OTHERS, QUESTIONS, by_question
from microblog.bench.result import Cost, Run
from microblog.commands.bench_files import run_file
from microblog.settings import ROOT
from tests.bench import made_up

FIGURES = 8  # columns at most in a table of the documents
PAGES = [ROOT / "docs" / "benchmarks.md", ROOT / "bench" / "README.md"]


def made(*names: str, samples: int = 0) -> Run:
    run = made_up.run(rounds=2, samples=samples)
    like = run.scenarios[0]
    return replace(run, scenarios=[replace(like, name=name, title=f"As {name}") for name in names])


def test_each_scenario_there_is_belongs_to_one_question() -> None:
    named = [name for names in QUESTIONS.values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) == set(scenario.files())
    assert set(goals.GOALS) <= set(named)
    assert {name for name, _ in goals.SUMMARY} <= set(goals.GOALS)


def test_scenarios_stand_by_question_whatever_run_they_are_of() -> None:
    old, new = made("storage", "posting-storm", "unheard-of"), made("limits", "reference-run")
    runs = [(old, "results/old.json"), (new, "results/new.json")]
    order = ["reference-run", "posting-storm", "limits", "storage", "unheard-of"]
    assert [one.name for some in by_question(runs).values() for one, _, _ in some] == order
    told = markdown(runs)
    assert re.findall(r'<a id="([^"]+)"></a>\*\*As ', told) == order
    assert re.findall(r'<section class="card" id="([^"]+)"', page(runs)) == order
    heads = re.findall(r"^### (.*)$", told, re.MULTILINE)
    assert heads[-2:] == [OTHERS, pages.RUNS]
    links = re.findall(r"\[([^]]+)\]\(#([^)]+)\)", contents(runs))
    assert links == [(head, pages.anchor(head)) for head in heads]
    assert links[0][1] == "the-reference-systems-own-test", "as GitHub calls it"
    section = told.split('<a id="storage">')[1].split("<a id=")[0]
    assert "20,000 users; from old." in section, "each says what it is from"


def test_tables_of_the_documents_are_narrow_and_leave_out_what_is_empty() -> None:
    run = made("reference-run", samples=1000)
    (one,) = run.scenarios
    one.of = "page"
    for side in one.sides:
        for each in side.rounds:
            each.errors = {"503": 7}
            each.cost.wal_bytes = 100 * each.count
    head = re.findall(r"^\| `reference-run`.*$", markdown([(run, "x")]), re.MULTILINE)[0]
    cells = [cell.strip() for cell in head.strip("|").split("|")]
    assert cells == ["`reference-run`", "rate of page", "ratio", "p50 ms of page", "p99 ms of page",
                     "lost", "CPU ms", "WAL"]  # fmt: skip
    assert len(cells) <= FIGURES
    for side in one.sides:
        for each in side.rounds:
            each.errors, each.cost = {}, replace(each.cost, wal_bytes=each.count)
    (head,) = re.findall(r"^\| `reference-run`.*$", markdown([(run, "x")]), re.MULTILINE)
    assert "lost" not in head and "WAL" not in head, "a byte an answer is the cluster's own"
    assert "CPU ms" in head


def test_percentiles_are_those_of_the_operation_that_is_measured() -> None:
    run = made_up.run(rounds=2, samples=400)
    mixed = run.scenario("timeline")
    assert mixed is not None
    whole = figures.latency(mixed.subject)
    for name in mixed.subject.rounds[0].operations:
        one = replace(mixed, of=name)
        answers, found = figures.answers(one.subject, name), figures.latency(one.subject, name)
        assert found.p50 != whole.p50, "or nothing is told apart"
        assert figures.percentiles(one, one.subject, "p50", "p90") == words.percentiles(
            found, answers, "p50", "p90"
        )
    first = next(iter(mixed.subject.rounds[0].operations))
    told = markdown([(replace(run, scenarios=[replace(mixed, of=first, measure="rate")]), "x")])
    assert f"| p50 ms of {first} |" in told
    (row,) = re.findall(rf"^\| \*\*{mixed.subject.name}\*\* .*$", told, re.MULTILINE)
    assert f"| {words.number(figures.latency(mixed.subject, first).p50)} |" in row


def test_who_delivers_shows_no_costs() -> None:
    run = made("largest-author")
    shown, told = page([(run, "x")]), markdown([(run, "x")])
    assert "cost of an answer" in shown and "CPU ms" in told
    for side in run.scenarios[0].sides:
        side.generator = "delivery"
    shown, told = page([(run, "x")]), markdown([(run, "x")])
    assert "cost of an answer" not in shown and "CPU of a request" not in shown
    assert "CPU ms" not in told


def test_a_figure_has_neither_clients_nor_latencies_nor_costs() -> None:
    run = made("storage")
    run.scenarios[0].measure, run.scenarios[0].published = "figure", []
    for side in run.scenarios[0].sides:
        for each in side.rounds:
            each.histogram, each.over_time, each.cost = "", [], Cost(cpu={"postgres": 1.0})
    shown = page([(run, "x")])
    for text in ("closed, 16", "CPU of a request", "generator's share", "p99.9", "dropped"):
        assert text not in shown.split('id="storage"')[1].split("</section>")[0], text


@pytest.mark.parametrize(("seconds", "drawn"), [(2, False), (4, False), (5, True), (30, True)])
def test_few_seconds_are_no_line_over_time(seconds: int, drawn: bool) -> None:
    one = made("reference-run").scenarios[0]
    for side in one.sides:
        for each in side.rounds:
            each.over_time = [10] * seconds
    assert (plots.over_time(one) is not None) == drawn
    for each in one.subject.rounds:
        each.over_time = []
    assert plots.over_time(one) is None, "the others' lines alone tell nothing of the subject"


def test_each_line_of_a_plot_has_the_number_of_its_side() -> None:
    one = made_up.run(rounds=2, samples=400).scenarios[0]
    drawn = plots.percentiles(one)
    assert drawn is not None
    assert [plots.number(one, side) for side in one.sides] == [1, 2, 3]
    assert all(f">{number}</text>" in drawn for number in (1, 2, 3))


def test_settings_are_folded() -> None:
    shown = page([(made("reference-run"), "x")])
    header = shown.split("</header>")[0]
    before, folded = header.split("<details", 1)
    assert "fsync" not in before and "postgrest" not in before
    assert "fsync" in folded and "20,000" in before


def test_the_summary_has_the_marks_of_the_goals() -> None:
    run = made("reference-run", "limits")
    told = goals.summary([(run, "x")])
    rows = [line.strip("|").split("|") for line in told.splitlines()[2:]]
    assert rows, "rate and p95 of the reference run"
    judged = {one.asked: one.sign for one in verdicts(run.scenarios[0])}
    assert [(cells[2].strip(), cells[4].strip()) for cells in rows] == [
        (asked, judged[asked]) for asked in ("rate at least 1,000", "p95 latency at most 250 ms")
    ]
    assert rows[0][0].strip() == "[As reference-run](#reference-run): timeline"
    assert not rows[1][0].strip(), "named once"


def test_goals_are_of_all_runs_and_curves_and_say_which() -> None:
    large, small = made("limits", "reference-run"), made("twip")
    large.data.users, small.commit = 1_000_000, "def5678"
    told = goals.markdown([(large, "x"), (small, "y")])
    heads = [line.split("|")[1:5] for line in told.splitlines() if line.startswith("| As ")]
    assert [(what.strip(), source.strip()) for what, _, _, source in heads] == [
        ("As reference-run: timeline", "2 rounds of 4 s, abc1234"),
        ("As limits: timeline", "2 rounds of 4 s, abc1234"),
        ("As twip: timeline", "2 rounds of 4 s, def5678, 20,000 users"),
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(102_619, "103,000"), (1_196, "1,200"), (85.04, "85.0"), (0.1234, "0.123")]
)
def test_measured_figures_have_three_digits(value: float, shown: str) -> None:
    assert words.rounded(value) == shown


def test_commands_of_the_documents_name_results_that_there_are() -> None:
    found = [
        (command, name)
        for text in (file.read_text() for file in PAGES)
        for command, rest in re.findall(r"microblog bench (report|compare) ([^`#\n]*)", text)
        for name in rest.split()
        if not name.startswith("-")
    ]
    assert {command for command, _ in found} == {"report", "compare"}
    for _, name in found:
        assert run_file(name).is_file(), name

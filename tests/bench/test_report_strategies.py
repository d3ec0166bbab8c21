"""The table of the strategies: from whichever runs measured its parts."""

import random
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from microblog.bench.report import strategies
from microblog.bench.report.page import page
from microblog.bench.result import Run, ScenarioResult, Side
from microblog.bench.scenario import BENCH, read_all
from tests.bench.elements import Elements
from tests.bench.made_up import one_round, run


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

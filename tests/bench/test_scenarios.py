"""Scenarios can be read, and say plainly what is wrong with them."""

import json
from pathlib import Path

import pytest

from microblog.bench import record
from microblog.bench.scenario import BENCH, read, read_all
from microblog.errors import StackError
from microblog.settings import ROOT, Settings

GOOD = """
title = "One against another"
unit = "pages/s"
kind = "http"
clients = 2
[subject]
name = "one"
path = "/rpc/feed_public"
[baseline]
name = "another"
path = "/rpc/up"
"""


def test_every_scenario_of_the_project_can_be_read() -> None:
    scenarios = read_all()
    assert len(scenarios) == len(list((BENCH / "scenarios").glob("*.toml"))) > 3


def test_a_scenario_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(StackError, match="no scenario nosuch") as refused:
        read_all(("nosuch",))
    assert "timeline-http" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('kind = "http"', 'kind = "ftp"'), "kind is http or sql"),
        (('title = "One against another"', ""), "lacks 'title'"),
        (('path = "/rpc/up"', ""), "'another' needs a path"),
        (('path = "/rpc/up"', 'script = "sql/nosuch.sql"'), "does not exist"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(GOOD.replace(*change))
    with pytest.raises(StackError, match=message):
        read(file)


def test_ratios_are_of_neighbouring_rounds(tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text(GOOD)
    result = record.result(read(file), [10.0, 30.0, 20.0], [10.0, 10.0, 40.0])
    assert result["ratio"] == {"median": 1.0, "min": 0.5, "max": 3.0}


def test_results_are_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "BENCH", tmp_path)
    settings = Settings.create("bench")
    first = record.save(settings, 1, {}, [])
    assert json.loads(first.read_text())["results"] == []
    try:
        second = record.save(settings, 1, {}, [])
    except FileExistsError:
        second = None
    assert second != first


def test_the_counters_measured_are_the_counters_there_are() -> None:
    """The benchmark's setup is the project's function; its rival differs in one point only."""
    source = (ROOT / "sql/functions/counters_add.sql").read_text()
    start = source.index("create function app.user_counters_add(")
    ours = source[start : source.index("\nend;\n", start) + 6]
    ours = ours.replace("create function", "create or replace function")
    assert (BENCH / "sql/counters_never_wait.sql").read_text().endswith(ours)
    waiting = (BENCH / "sql/counters_wait.sql").read_text()
    assert waiting.endswith(ours.replace(" skip locked", ""))

"""What the runbooks and the architecture page show works as it stands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from microblog.settings import ROOT
from tests.support.database import Database

DOCS = ROOT / "docs"
RUNBOOKS = sorted((DOCS / "runbooks").glob("*.md"))
GROUPS = ("secrets",)  # commands that have commands of their own
PAGES = [DOCS / "architecture.md", DOCS / "http.md", *RUNBOOKS, *sorted(DOCS.glob("decisions/*"))]


def name(path: Path) -> str:
    return str(path.relative_to(DOCS))


def blocks(path: Path, language: str) -> list[str]:
    """Return the fenced blocks in one language."""
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def shell_lines() -> list[str]:
    """Return the lines of all shell blocks, without comments."""
    text = "\n".join(block for path in RUNBOOKS for block in blocks(path, "sh"))
    return [shlex.join(shlex.split(line, comments=True)) for line in text.splitlines()]


@pytest.mark.parametrize("path", RUNBOOKS, ids=name)
def test_the_statements_of_a_runbook_run(path: Path, database: Database) -> None:
    people = database.users(10)
    assert people == list(range(1, 11)), "the examples speak of users 7 and 9"
    database.follow(7, 9)
    database.posts(9, 3)

    statements = "\n".join(blocks(path, "sql"))

    assert statements, f"{path.name} shows no statement"
    with database.superuser() as connection:
        connection.execute(statements)  # raises where one is wrong
    database.assert_sound()


def test_a_statement_that_is_wrong_would_be_noticed(database: Database) -> None:
    """The check above runs all statements of a page, not the first alone."""
    with database.superuser() as connection, pytest.raises(psycopg.Error):
        connection.execute("select 1;\nselect * from dba.no_such_view;")


def test_a_requeued_job_of_the_runbook_is_waiting_again(database: Database) -> None:
    database.run("insert into app.jobs (kind, state) values ('prune', 'dead')")

    assert database.value("select dba.job_requeue()") == 1
    assert database.value("select state from app.jobs where kind = 'prune'") == "queued"


def test_each_command_has_the_options_that_the_runbooks_give_it() -> None:
    lines = [line for line in shell_lines() if line.startswith(".venv/bin/microblog")]
    helps: dict[str, str] = {}

    assert len(lines) > 20
    for line in lines:
        _, command, *arguments = shlex.split(line)
        if command in GROUPS:
            command = f"{command} {arguments.pop(0)}"
        if command not in helps:
            helps[command] = subprocess.run(
                [sys.executable, "-m", "microblog", *command.split(), "--help"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        if command == "psql":  # its options are psql's
            continue
        for option in (word for word in arguments if word.startswith("-")):
            assert re.search(rf"{re.escape(option)}\b", helps[command]), line


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_each_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_each_database_object_named_exists(path: Path, module_database: Database) -> None:
    named = set(re.findall(r"`((?:app|api|dba)\.\w+)(?:\(\))?`", path.read_text()))
    missing = [
        full
        for full in sorted(named)
        if not module_database.value(
            "select to_regclass(%s) is not null or exists (select from pg_proc p where"
            " p.pronamespace = split_part(%s, '.', 1)::regnamespace"
            " and p.proname = split_part(%s, '.', 2))"
            " or exists (select from pg_collation c where"
            " c.collnamespace = split_part(%s, '.', 1)::regnamespace"
            " and c.collname = split_part(%s, '.', 2))",
            [full] * 5,
        )
    ]

    assert missing == []


def test_each_setting_named_exists(module_database: Database) -> None:
    settings = set(module_database.values("select name from app.settings"))
    pages = "\n".join(path.read_text() for path in PAGES)
    named = set(
        re.findall(r"`((?:fan_out|backfill|job|account)_\w+_(?:limit|size|attempts))`", pages)
    )

    assert named
    assert named <= settings


def test_each_kind_of_job_is_in_the_runbook(module_database: Database) -> None:
    handlers = module_database.values(
        "select substr(proname, 5) from pg_proc where pronamespace = 'app'::regnamespace"
        " and proname like 'job\\_%%' and proargnames[1:2] = array['args', 'progress']"
    )
    listed = re.findall(r"^\| `(\w+)` \|", (DOCS / "runbooks/jobs.md").read_text(), re.M)

    assert sorted(listed) == sorted(handlers)

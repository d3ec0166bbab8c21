"""The wrapper around sqitch: what it says, what it refuses, what it leaves behind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from microblog.commands.migrate import command
from microblog.errors import MigrationError
from microblog.migrate import deploy, install_secrets, revert
from microblog.settings import Settings
from microblog.stack import Stack, postgres, secret_files


@pytest.fixture
def small(
    stack: Stack, checkout: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings of the running cluster with a plan of two small changes of the test's own."""
    root = checkout(0o755)
    (root / "sqitch.plan").write_text(
        "%syntax-version=1.0.0\n%project=small\n\n"
        "one 2026-01-01T00:00:00Z x <x@localhost> # first\n"
        "@v1 2026-01-01T00:00:00Z x <x@localhost> # tag\n"
        "two [one] 2026-01-02T00:00:00Z x <x@localhost> # second\n"
    )
    for name in ("one", "two"):
        (root / "sql" / f"{name}.sql").write_text(f"create table public.{name} (id int);")
        (root / "sql/revert" / f"{name}.sql").write_text(f"drop table public.{name};")
        (root / "sql/verify" / f"{name}.sql").write_text(f"select id from public.{name};")
    monkeypatch.setattr(Settings, "state", stack.settings.state)
    yield stack.settings.changed(root=root, database="small")
    postgres.drop_database(stack.settings, "small")


def tables(settings: Settings) -> set[str]:
    with postgres.connect(settings) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'public'")
        return {name for (name,) in rows}


def test_deploy_creates_the_database_and_says_each_change(small: Settings) -> None:
    said: list[str] = []
    deploy(small, say=said.append)
    assert tables(small) == {"one", "two"}
    assert [line for line in said if "+ one" in line and "ok" in line]
    said.clear()
    deploy(small, say=said.append)
    assert "up-to-date" in said[-1]
    with postgres.connect(small) as connection:
        assert connection.execute("show server_encoding").fetchone() == ("UTF8",)
        assert connection.execute(
            "select datcollate from pg_database where datname = current_database()"
        ).fetchone() == ("C.UTF-8",)


def test_deploy_and_revert_stop_where_they_are_told(small: Settings) -> None:
    deploy(small, to="one")
    assert tables(small) == {"one"}
    deploy(small)
    revert(small, to="@v1")
    assert tables(small) == {"one"}
    revert(small)
    assert tables(small) == set()
    revert(small)
    deploy(small)
    assert tables(small) == {"one", "two"}


def test_a_change_that_fails_leaves_what_was_there_and_sqitchs_words(small: Settings) -> None:
    deploy(small, to="one")
    (small.root / "sql/two.sql").write_text("begin; create table public.two (id nothing); commit;")
    with pytest.raises(MigrationError, match='type "nothing" does not exist'):
        deploy(small)
    assert tables(small) == {"one"}


def test_a_change_that_does_not_verify_is_reverted(small: Settings) -> None:
    (small.root / "sql/verify/two.sql").write_text("select missing from public.two;")
    with pytest.raises(MigrationError, match='column "missing" does not exist'):
        deploy(small)
    assert tables(small) == set()


def test_a_name_that_is_no_change_is_an_error(small: Settings) -> None:
    with pytest.raises(MigrationError, match="nowhere"):
        deploy(small, to="nowhere")


def test_ones_own_settings_of_sqitch_and_libpq_do_not_matter(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGUSER", "PGDATABASE", "PGPORT"):
        monkeypatch.setenv(name, "wrong")
    monkeypatch.setenv("SQITCH_TARGET", "db:pg:wrong")
    deploy(small)
    assert tables(small) == {"one", "two"}


def test_reverting_everything_asks_first(stack: Stack) -> None:
    asked = CliRunner().invoke(
        command, ["--stack", stack.settings.stack, "--revert-all"], input="n\n"
    )
    assert asked.exit_code == 1
    assert "Go on?" in asked.output
    with postgres.connect(stack.settings) as connection:
        assert connection.execute("select to_regclass('app.users') is not null").fetchone() == (
            True,
        )


def test_the_database_gets_the_stacks_secrets(stack: Stack) -> None:
    settings = stack.settings
    with postgres.connect(settings) as connection:
        connection.execute("alter role authenticator password 'another'")
    install_secrets(settings)
    uri = secret_files.rest_uri(settings, port=settings.pg_port)
    with psycopg.connect(uri) as connection:
        assert connection.execute("select current_user").fetchone() == ("authenticator",)
    with postgres.connect(settings) as connection:
        kept = connection.execute(
            "select rolpassword like 'SCRAM-SHA-256$%%' from pg_authid"
            " where rolname = 'authenticator'"
        ).fetchone()
    assert kept == (True,)

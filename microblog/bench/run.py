"""Runs scenarios on a stack of their own."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
from rich.console import Console
from rich.progress import Progress

from microblog.bench import loads, record
from microblog.bench.psql import run_file
from microblog.bench.scenario import BENCH, Load, Scenario, read_all
from microblog.errors import StackError
from microblog.settings import DEFAULT_STACK, Settings
from microblog.stack import Stack

TOKENS = 500


def _prepare(
    settings: Settings, connection: psycopg.Connection, say: Callable[[str], None]
) -> None:
    """Fill an empty database and install what only the benchmarks need."""
    if connection.execute("select count(*) from app.posts").fetchone() == (0,):
        say("bench: filling the database: 20,000 users, 1,000,000 follows, 60,000 posts")
        run_file(settings, BENCH / "sql" / "data.sql")
    run_file(settings, BENCH / "sql" / "objects.sql")
    connection.execute("notify pgrst, 'reload schema'")
    drift = connection.execute("select count(*) from dba.counter_drift()").fetchone()
    if drift != (0,):
        raise StackError(f"the data is not sound: {drift} counters differ from a recount")


def _tokens(connection: psycopg.Connection, file: Path) -> None:
    """Write tokens of users spread over the ids, one a line."""
    rows = connection.execute(
        "select app.session_start(id) ->> 'token' from app.users order by hashint8(id) limit %s",
        [TOKENS],
    ).fetchall()
    file.write_text("\n".join(token for (token,) in rows) + "\n")
    file.chmod(0o600)


def _measure(
    settings: Settings, scenario: Scenario, load: Load, seconds: int, tokens: Path
) -> float:
    if load.setup:
        run_file(settings, load.setup)
    if scenario.kind == "http":
        return loads.http(settings, load, scenario.clients, seconds, tokens)
    return loads.sql(settings, load, scenario.clients, seconds)


def bench(
    settings: Settings,
    names: tuple[str, ...] = (),
    rounds: int = 3,
    seconds: int = 4,
    say: Callable[[str], None] = print,
) -> Path:
    """Measure the named scenarios, or all; print the table, return the file of the results.

    ``seconds`` is the length of one round of one side. The stack must not be one that serves
    people: its database gets benchmark data.
    """
    if settings.stack == DEFAULT_STACK:
        raise StackError(
            "the stack main serves people; benchmarks want one of their own",
            "Leave --stack out, or name another: --stack bench.",
        )
    scenarios = read_all(names)
    if any(scenario.kind == "http" for scenario in scenarios):
        loads.wrk_binary()
    stack = Stack(settings, say)
    stack.up()
    results = []
    with (
        tempfile.TemporaryDirectory() as folder,
        psycopg.connect(stack.superuser_dsn(), autocommit=True) as connection,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        _prepare(settings, connection, say)
        tokens = Path(folder) / "tokens"
        _tokens(connection, tokens)
        versions = {"postgresql": connection.info.parameter_status("server_version") or ""}
        bar = progress.add_task("measuring", total=len(scenarios) * rounds * 2)
        for scenario in scenarios:
            subject: list[float] = []
            baseline: list[float] = []
            for _ in range(rounds):
                for load, into in ((scenario.subject, subject), (scenario.baseline, baseline)):
                    progress.update(bar, description=f"{scenario.name}: {load.name}")
                    into.append(_measure(settings, scenario, load, seconds, tokens))
                    progress.advance(bar)
            results.append(record.result(scenario, subject, baseline))
        run_file(settings, BENCH / "sql" / "counters_never_wait.sql")
    Console().print(record.table(results))
    file = record.save(settings, seconds, versions, results)
    say(f"bench: written to {file.relative_to(settings.root)}")
    return file

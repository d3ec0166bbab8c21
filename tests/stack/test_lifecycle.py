"""A stack's life: up, up again, changes, violent deaths, two side by side, down."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import Stack, postgres, rest
from microblog.stack.ports import free_ports, is_free
from microblog.stack.process import alive, wait_for
from tests.support.cluster import EXEMPT

CLI = Path(__file__).parents[2] / ".venv" / "bin" / "microblog"


def pids(stack: Stack) -> dict[str, int | None]:
    return {row.name: row.pid for row in stack.status()}


def answers(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.url}/up", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """Return the shared stack once it is in order again after what the test before did to it."""
    settle(stack)
    return stack


@pytest.fixture(scope="module")
def other(new_stack: Callable[..., Stack]) -> Stack:
    """Return a second stack, smaller than the shared one."""
    return new_stack("other", workers=0)


def settle(stack: Stack) -> None:
    """Wait until everything runs and the door has answered 20 times in a row."""
    row = 0

    def in_order() -> bool:
        nonlocal row
        ready = all(rest.ready(port) for port in stack.settings.rest_admin_ports)
        row = row + 1 if ready and answers(stack) else 0
        return row >= 20 and all(process.state == "RUNNING" for process in stack.status())

    wait_for(in_order, 120, "a stack in order")


def test_every_process_runs_and_the_door_answers(stack: Stack) -> None:
    rows = {row.name: row for row in stack.status()}
    assert list(rows) == ["postgres", "postgrest-1", "postgrest-2", "worker-1", "haproxy"]
    for row in rows.values():
        assert row.state == "RUNNING"
        assert row.pid
        assert row.uptime is not None
    assert rows["haproxy"].address == stack.url
    assert answers(stack)
    assert httpx.get(f"{stack.url}/health").status_code == 200


def test_up_again_changes_nothing(stack: Stack) -> None:
    before = pids(stack)
    said: list[str] = []
    Stack(stack.settings, said.append).up()
    assert pids(stack) == before
    assert not [line for line in said if line.startswith(("postgres:", "haproxy:"))]


@pytest.mark.parametrize("name", ["haproxy", "postgrest-1", "worker-1", "postgres"])
def test_a_process_that_is_killed_comes_back(stack: Stack, name: str) -> None:
    before = pids(stack)
    victim = before[name]
    assert victim
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: pids(stack)[name] not in (None, victim), 60, f"{name} again")
    settle(stack)
    others = {other for other in before if other != name}
    assert {other: pids(stack)[other] for other in others} == {o: before[o] for o in others}


def test_a_crash_forgets_what_the_limits_counted_and_nothing_else(stack: Stack) -> None:
    """The counts lie in unlogged tables, which are empty after the server has recovered."""
    account = {"username": "survivor", "password": "long enough"}
    with (
        psycopg.connect(stack.superuser_dsn(), autocommit=True) as connection,
        httpx.Client(base_url=stack.url) as client,
    ):
        connection.execute("delete from app.rate_limit_exemptions")
        token = client.post("/rpc/signup", json=account).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        lefts = [
            client.post("/posts", json={"content": f"post {n}"}).headers["X-RateLimit-Remaining"]
            for n in range(3)
        ]
        # Test stacks acknowledge before the log is written.
        (acknowledged,) = connection.execute("select pg_current_wal_insert_lsn()::text").fetchone()
        written = "select pg_current_wal_flush_lsn() >= %s::pg_lsn"
        wait_for(lambda: connection.execute(written, [acknowledged]).fetchone() == (True,), 30)
    assert lefts == ["9", "8", "7"]
    victim = pids(stack)["postgres"]
    assert victim
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: pids(stack)["postgres"] not in (None, victim), 60, "postgres again")
    settle(stack)
    with httpx.Client(base_url=stack.url, headers=client.headers) as client:
        again = client.post("/posts", json={"content": "post 3"})
        assert (again.status_code, again.headers["X-RateLimit-Remaining"]) == (201, "9")
        feed = client.get("/rpc/feed_mine").json()
    assert [row["content"] for row in feed] == ["post 3", "post 2", "post 1", "post 0"]
    with psycopg.connect(stack.superuser_dsn(), autocommit=True) as connection:
        connection.execute(EXEMPT)


def test_requests_go_on_while_one_of_two_instances_dies(stack: Stack) -> None:
    """HAProxy sends a read that met a dead instance to the other one."""
    victim = pids(stack)["postgrest-2"]
    assert victim
    with httpx.Client(base_url=stack.url) as client:
        assert client.get("/up").status_code == 200
        os.kill(victim, signal.SIGKILL)
        assert {client.get("/up").status_code for _ in range(50)} == {200}
    settle(stack)
    assert pids(stack)["postgrest-2"] != victim


def test_the_worker_finds_back_to_a_restarted_database(stack: Stack) -> None:
    def beats() -> int:
        try:
            with postgres.connect(stack.settings) as connection:
                row = connection.execute(
                    "select count(*) from app.workers where seen_at > now() - interval '10 s'"
                ).fetchone()
                return row[0] if row else 0
        except StackError:
            return 0

    stack.supervisor.stop_program("postgres")
    stack.supervisor.start_program("postgres")
    wait_for(lambda: postgres.ready(stack.settings), 60, "postgres")
    with postgres.connect(stack.settings) as connection:
        connection.execute("delete from app.workers")
    wait_for(lambda: beats() == 1, 60, "the worker's heartbeat")


def test_switching_the_pooler_on_restarts_only_who_goes_through_it(stack: Stack) -> None:
    before = pids(stack)
    pooled = Stack(stack.settings.changed(pooled=True))
    pooled.up()
    with_pooler = pids(pooled)
    assert with_pooler.pop("pgbouncer")
    kept = {"postgres", "worker-1", "haproxy"}
    assert {name for name in before if with_pooler[name] == before[name]} == kept
    assert answers(pooled)
    stack.up()
    assert "pgbouncer" not in stack.supervisor.processes()
    assert answers(stack)


def test_fewer_and_more_instances(stack: Stack) -> None:
    before = pids(stack)
    three = Stack(stack.settings.changed(instances=3))
    three.up()
    assert set(pids(three)) - set(before) == {"postgrest-3"}
    assert pids(three)["postgrest-1"] == before["postgrest-1"]
    assert answers(three)
    stack.up()
    assert set(stack.supervisor.processes()) == set(before)
    assert answers(stack)


def test_two_stacks_run_side_by_side(stack: Stack, other: Stack) -> None:
    assert answers(stack)
    assert answers(other)
    assert not set(pids(stack).values()) & set(pids(other).values())


def test_a_taken_port_is_named_with_the_flag_that_changes_it(
    stack: Stack, new_stack: Callable[..., Stack]
) -> None:
    with pytest.raises(StackError) as refused:
        new_stack("taken", port=stack.settings.port)
    assert str(stack.settings.port) in refused.value.message
    assert "haproxy" in refused.value.message
    assert "--port" in refused.value.hint
    assert not Settings.load(f"t{os.getpid()}-taken").state.exists()


def test_up_recovers_after_supervisord_was_killed(other: Stack) -> None:
    """Nothing runs on unsupervised, and what stays behind in files stands in nobody's way."""
    before = [pid for pid in pids(other).values() if pid]
    os.kill(other.supervisor.call("getPID"), signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in before), 60, "the end of its children")
    assert {row.state for row in other.status()} == {"STOPPED"}
    other.up()
    assert answers(other)


def test_down_leaves_nothing_running_and_keeps_the_data(other: Stack, stack: Stack) -> None:
    with postgres.connect(other.settings) as connection:
        connection.execute("create table public.kept as select 42 as answer")
    before = [pid for pid in pids(other).values() if pid]
    other.down()
    assert not any(alive(pid) for pid in before)
    assert is_free(other.settings.port)
    log = (other.settings.log_dir / "postgres.log").read_text()
    assert log.rstrip().endswith("database system is shut down")
    other.down()
    other.up()
    with postgres.connect(other.settings) as connection:
        assert connection.execute("select answer from public.kept").fetchone() == (42,)
    other.down(wipe=True)
    assert not other.settings.state.exists()
    assert answers(stack)


def test_command_line_shows_the_state_and_runs_psql(stack: Stack) -> None:
    name = ["--stack", stack.settings.stack]
    shown = subprocess.run([CLI, "status", *name], capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    for process in pids(stack):
        assert process in shown.stdout
    asked = subprocess.run(
        [CLI, "psql", *name, "-Atc", "select current_user"],
        env={**os.environ, "PGSERVICE": "elsewhere", "PGUSER": "nobody"},
        capture_output=True,
        text=True,
    )
    assert asked.stdout.strip() == "postgres"
    logs = subprocess.run([CLI, "logs", *name, "postgres"], capture_output=True, text=True)
    assert "ready to accept connections" in logs.stdout


def test_status_of_a_stack_that_is_down_says_so() -> None:
    settings = Settings.create(f"t{os.getpid()}-down")
    settings.save()
    try:
        done = subprocess.run(
            [CLI, "status", "--stack", settings.stack], capture_output=True, text=True, check=False
        )
    finally:
        Stack(settings).down(wipe=True)
    assert done.returncode == 1
    assert done.stdout.count("stopped") == 4


@pytest.mark.parametrize("command", ["status", "psql", "worker", "logs"])
def test_a_stack_that_was_never_made_is_an_error_that_names_those_there_are(
    stack: Stack, command: str
) -> None:
    done = subprocess.run(
        [CLI, command, "--stack", "never-made"],
        env={k: v for k, v in os.environ.items() if k != "MICROBLOG_WORKER_DSN"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "there is no stack never-made" in done.stderr
    assert stack.settings.stack in done.stderr
    assert "microblog up --stack never-made" in done.stderr
    assert not Settings.load("never-made").state.exists()


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(is_free(port) for port in ports)

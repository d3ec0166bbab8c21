"""A stack's secrets: nobody else reads them, nothing shows them, and they change under load."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from microblog import migrate
from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import Stack, postgres, secret_files
from microblog.stack.privileges import service_user
from microblog.stack.process import wait_for
from microblog.stack.rotation import honours, rotate
from tests.stack.rotating import Load, load
from tests.stack.stacks import StartedStack
from tests.support.tokens import forged

CLI = [sys.executable, "-m", "microblog"]


def values(stack: Stack) -> set[str]:
    """Return every secret that is in the stack's files, also as PostgREST reads it."""
    folder = stack.settings.secrets_dir
    names = [secret_files.JWT_SECRET, secret_files.AUTHENTICATOR_PASSWORD]
    plain = {(folder / name).read_text().strip() for name in names}
    plain |= {path.read_text().strip() for path in secret_files.retired(stack.settings)}
    return plain | {key["k"] for key in jwks(stack)}


def jwks(stack: Stack) -> list[dict[str, str]]:
    return json.loads((stack.settings.secrets_dir / secret_files.JWK_SET).read_text())["keys"]


def keys(stack: Stack) -> list[str]:
    """Return the keys that PostgREST honours, as text."""
    return [
        base64.urlsafe_b64decode(k["k"] + "=" * (-len(k["k"]) % 4)).decode() for k in jwks(stack)
    ]


def signing_key(stack: Stack) -> str:
    with postgres.connect(stack.settings) as connection:
        row = connection.execute("select value from app.secrets where name = 'jwt'").fetchone()
    assert row is not None
    return row[0]


def status_of(stack: Stack, load: Load) -> int:
    return httpx.get(f"{stack.url}/rpc/me", headers=load.headers).status_code


def pids(stack: Stack) -> dict[str, int | None]:
    return {row.name: row.pid for row in stack.status()}


def private(folder: Path) -> None:
    """Only the user that the stack runs as may enter the folder and read what is in it."""
    user = service_user(Settings().root)
    assert folder.stat().st_mode & 0o7777 == 0o700
    for path in [folder, *folder.iterdir()]:
        assert path.stat().st_uid == user.uid, path
        assert path.is_dir() or path.stat().st_mode & 0o7777 == 0o600, path


# -- where they show -----------------------------------------------------------------------------


def test_secrets_are_long_random_and_nobody_else_s_to_read(stack: Stack) -> None:
    folder = stack.settings.secrets_dir
    private(folder)
    assert all(len(value) >= 48 for value in values(stack))
    assert {path.name for path in folder.iterdir()} >= {
        *("jwt", "jwks.json", "authenticator", "pgpass", "userlist.txt")
    }


def test_secrets_are_nobody_else_s_to_read_from_the_moment_they_are_made(tmp_path: Path) -> None:
    """By themselves: a server that finds them readable by others would not start with them."""
    settings = Settings.create("unborn", root=tmp_path)
    before = os.umask(0)
    try:
        secret_files.prepare(settings)
    finally:
        os.umask(before)
    private(settings.secrets_dir)
    assert len(list(settings.secrets_dir.iterdir())) >= 5


def processes(stack: Stack) -> Iterator[Path]:
    """Give the folders in /proc of all that the stack runs, children included."""
    roots = {row.pid for row in stack.status()} | {stack.supervisor.call("getPID")}
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    for pid in parents:
        ancestor: int | None = pid
        while ancestor and ancestor not in roots:
            ancestor = parents.get(ancestor)
        if ancestor:
            yield Path("/proc") / str(pid)


def test_no_process_shows_a_secret(stack: Stack) -> None:
    """Neither its command line, which everybody reads, nor its environment, which it inherits."""
    looked_at = 0
    for folder in processes(stack):
        try:
            shown = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        looked_at += 1
        for value in values(stack):
            assert value.encode() not in shown, folder
    assert looked_at > 10
    listing = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, check=True).stdout
    assert not [value for value in values(stack) if value.encode() in listing]


def test_the_first_start_prints_no_secret(stack: StartedStack) -> None:
    assert "postgres" in stack.first_output
    assert len(stack.first_secrets) == 2
    assert not [value for value in stack.first_secrets if value in stack.first_output]


def shown_by_processes() -> set[bytes]:
    """Return every command line and every environment there is at this moment."""
    shown = set()
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                shown.add((folder / name).read_bytes())
            except OSError:  # it has ended
                continue
    return shown


def test_no_process_shows_a_secret_while_they_rotate(stack: Stack, tmp_path: Path) -> None:
    """Not for a moment: everybody may look at the list of processes again and again."""
    before, shown = values(stack), set()
    beside = [sys.executable, "-c", "input()", "seen if one looks"]
    rotation = [*CLI, "secrets", "rotate", "--stack", stack.settings.stack]
    with (
        (tmp_path / "said").open("w") as said,
        subprocess.Popen(beside, stdin=subprocess.PIPE) as marked,
        subprocess.Popen(rotation, stdout=said, stderr=said) as rotating,
    ):
        while rotating.poll() is None:
            shown |= shown_by_processes()
        marked.communicate(b"\n")
    said_at_all = (tmp_path / "said").read_text()
    assert rotating.returncode == 0, said_at_all
    for seen in (b"seen if one looks", b"secrets\0rotate"):
        assert [text for text in shown if seen in text]
    after = values(stack)
    assert len(after - before) >= 2
    assert not [v for v in before | after if [text for text in shown if v.encode() in text]]
    assert not [v for v in before | after if v in said_at_all]


def written(stack: Stack) -> Iterator[tuple[Path, bytes]]:
    """Give every file of the stack outside its two private folders."""
    settings = stack.settings
    for path in settings.state.rglob("*"):
        closed = (settings.secrets_dir, settings.data_dir)
        if path.is_file() and not any(path.is_relative_to(folder) for folder in closed):
            yield path, path.read_bytes()


def test_no_log_configuration_or_statistics_hold_a_secret(stack: Stack) -> None:
    """Also not where PostgreSQL is told to log every statement, and one of a rotation fails."""
    with postgres.connect(stack.settings) as connection:
        connection.execute("alter system set log_statement = 'all'")
        connection.execute("select pg_reload_conf()")
        connection.execute("alter system set log_min_duration_statement = 0")
        connection.execute("select pg_reload_conf()")
    try:
        before = values(stack)
        done = subprocess.run(
            [*CLI, "secrets", "rotate", "--stack", stack.settings.stack],
            capture_output=True,
            text=True,
            check=True,
        )
        migrate.install_secrets(stack.settings)
        with pytest.raises(psycopg.errors.CheckViolation):
            migrate.install_jwt_secret(stack.settings, "too-short-a-secret")
    finally:
        with postgres.connect(stack.settings) as connection:
            connection.execute("alter system reset all")
            connection.execute("select pg_reload_conf()")
    secrets = before | values(stack) | {"too-short-a-secret", "SCRAM-SHA-256$"}
    assert not [value for value in secrets if value in done.stdout + done.stderr]
    files = list(written(stack))
    assert len(files) > 10
    for path, content in files:
        assert not [value for value in secrets if value.encode() in content], path
    with postgres.connect(stack.settings) as connection:
        statements = connection.execute(
            "select coalesce(string_agg(query, ' '), '') from extensions.pg_stat_statements"
        ).fetchone()
    assert statements is not None
    assert not [value for value in secrets if value in statements[0]]


def test_the_data_directory_is_the_servers_alone(stack: Stack) -> None:
    """It holds the key that the database signs with."""
    assert stack.settings.data_dir.stat().st_mode & 0o7777 == 0o700


# -- rotation ------------------------------------------------------------------------------------


def test_a_rotation_under_load_refuses_nothing(stack: Stack) -> None:
    """Tokens of the old key go on, new ones are signed with the new key, nothing restarts."""
    before, running = values(stack), pids(stack)
    with load(stack) as requests:
        for _ in range(2):
            rotate(stack)
            requests.more()
        assert status_of(stack, requests) == 200
    assert pids(stack) == running
    assert secret_files.read(stack.settings, secret_files.JWT_SECRET) not in before
    assert secret_files.read(stack.settings, secret_files.AUTHENTICATOR_PASSWORD) not in before
    assert signing_key(stack) == keys(stack)[0]
    assert len(secret_files.retired(stack.settings)) >= 2
    private(stack.settings.secrets_dir)
    stack.up()
    assert pids(stack) == running


def test_the_old_password_is_dead_and_the_new_one_opens_connections(stack: Stack) -> None:
    settings = stack.settings
    old, running = secret_files.rest_uri(settings), pids(stack)
    rotate(stack)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(old)
    with postgres.connect(settings) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'"
        )
    for port in settings.rest_ports:
        address = f"http://127.0.0.1:{port}/rpc/up"
        wait_for(lambda address=address: httpx.get(address).status_code == 200, 30, address)
    assert pids(stack) == running, "PostgREST itself, not a new one, read the new password"


def test_a_key_is_forgotten_by_itself_once_its_tokens_have_expired(stack: Stack) -> None:
    """By the worker, with nobody's help; here the time is moved to now."""
    requests = Load(stack.url)
    rotate(stack)
    assert status_of(stack, requests) == 200
    for path in secret_files.retired(stack.settings):
        path.rename(path.with_name(f"{secret_files.JWT_RETIRED}{int(time.time())}"))
    wait_for(lambda: status_of(stack, requests) == 401, 60, "the worker")
    assert secret_files.retired(stack.settings) == {}
    assert keys(stack) == [signing_key(stack)]


def test_a_key_past_its_time_leaves_the_set_and_no_other_does(tmp_path: Path) -> None:
    settings = Settings.create("unborn", root=tmp_path)
    secret_files.prepare(settings)
    made = []
    for until in (int(time.time()) - 1, int(time.time()) + 1000):
        made.append(secret_files.read(settings, secret_files.JWT_SECRET))
        secret_files.next_key(settings)
        secret_files.retire_key(settings, until)
    past, present = made
    text = (settings.secrets_dir / secret_files.JWK_SET).read_text()
    held = [base64.urlsafe_b64decode(k["k"] + "==").decode() for k in json.loads(text)["keys"]]
    assert held == [secret_files.read(settings, secret_files.JWT_SECRET), present]
    assert past not in held


def test_a_key_is_honoured_until_the_last_session_that_it_signed_ends(stack: Stack) -> None:
    """Also where the lifetime of sessions was made shorter meanwhile."""
    Load(stack.url)
    with postgres.connect(stack.settings) as connection:
        connection.execute("update app.settings set value = 1 where name = 'session_lifetime'")
        row = connection.execute("select extract(epoch from max(expires_at)) from app.sessions")
        last = row.fetchone()
    assert last is not None
    try:
        rotate(stack)
    finally:
        with postgres.connect(stack.settings) as connection:
            connection.execute(
                "update app.settings set value = 3600 where name = 'session_lifetime'"
            )
    assert max(secret_files.retired(stack.settings).values()) >= last[0]


def test_a_rotation_at_once_ends_every_session(stack: Stack) -> None:
    requests = Load(stack.url)
    rotate(stack, at_once=True)
    wait_for(lambda: status_of(stack, requests) == 401, 30, "PostgREST")
    assert secret_files.retired(stack.settings) == {}
    assert keys(stack) == [signing_key(stack)]
    assert status_of(stack, Load(stack.url)) == 200


@contextmanager
def broken_off(stack: Stack, signs_already: bool) -> Iterator[str]:
    """A rotation that ended between two of its steps; gives the key it made."""
    key = secret_files.next_key(stack.settings)
    secret_files.write_keys(stack.settings)
    stack.reload_secrets()
    ports = stack.settings.rest_ports
    wait_for(lambda: all(honours(port, key) for port in ports), 30, "the next key")
    if signs_already:
        migrate.install_jwt_secret(stack.settings, key)
    yield key


@pytest.mark.parametrize("signs_already", [False, True])
def test_a_rotation_that_broke_off_harms_nothing_and_the_next_one_ends_it(
    stack: Stack, signs_already: bool
) -> None:
    with load(stack) as requests, broken_off(stack, signs_already) as key:
        requests.more()
        stack.up()
        requests.more()
        rotate(stack)
    assert secret_files.read(stack.settings, secret_files.JWT_SECRET) == key == signing_key(stack)
    assert not (stack.settings.secrets_dir / secret_files.JWT_NEXT).exists()


def test_no_key_but_those_of_the_set_is_honoured(stack: Stack) -> None:
    claims = {"aud": "microblog", "exp": int(time.time()) + 60}
    for port in stack.settings.rest_ports:
        assert all(honours(port, key) for key in keys(stack))
        assert not honours(port, "x" * 64)
        answer = httpx.get(
            f"http://127.0.0.1:{port}/rpc/up",
            headers={"Authorization": f"Bearer {forged(claims, 'x' * 64, {'alg': 'none'})}"},
        )
        assert answer.status_code == 401


def test_a_stack_that_is_down_or_was_never_made_is_not_rotated() -> None:
    name = f"t{os.getpid()}-norotate"
    settings = Settings.create(name)
    done = subprocess.run(
        [*CLI, "secrets", "rotate", "--stack", name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, name in done.stderr) == (1, True)
    assert not settings.state.exists()
    settings.save()
    try:
        with pytest.raises(StackError, match="does not run"):
            rotate(Stack(settings))
        assert not settings.secrets_dir.exists()
    finally:
        Stack(settings).down(wipe=True)


def test_a_secret_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """Whoever reads meanwhile has the old file or the new one, never a part, never an open one."""
    settings = Settings(root=tmp_path)
    path = tmp_path / "secret"
    assert secret_files.write_private(settings, path, "old")
    with path.open() as reading:
        path.chmod(0o644)
        assert secret_files.write_private(settings, path, "new")
        assert reading.read() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert not secret_files.write_private(settings, path, "new")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["secret"]

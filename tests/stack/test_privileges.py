"""Who runs the stack when root starts it, and what that user may do."""

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from microblog.settings import Settings
from microblog.stack import Stack, postgres
from microblog.stack.privileges import service_user

AS_ROOT = os.geteuid() == 0
DAC_READ_SEARCH = 1 << 2


def state_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def python_is_open_to_all() -> bool:
    """Tell whether an unprivileged user can enter the folders Python lies in."""
    paths = [Path(sys.executable), Path(os.__file__), Path(pytest.__file__)]
    folders = {folder for path in paths for folder in path.resolve().parents}
    folders |= set(Path(sys.executable).parents)
    return all(folder.stat().st_mode & 0o001 for folder in folders)


@pytest.fixture
def open_to_all(tmp_path: Path) -> None:
    """Have the folders above the test's own open to every user."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)


@pytest.mark.parametrize("mode", [0o755, 0o700])
@pytest.mark.usefixtures("open_to_all")
def test_a_right_is_kept_only_where_the_folder_or_python_is_closed(
    tmp_path: Path, mode: int
) -> None:
    root = tmp_path / "project"
    root.mkdir(mode=mode)
    user = service_user(root)
    needs_nothing = not AS_ROOT or (mode == 0o755 and python_is_open_to_all())
    assert user.capability == (None if needs_nothing else "dac_read_search")
    assert bool(user.advice) == (not needs_nothing)
    seen = user.run([sys.executable, "-c", "print(open('/proc/self/status').read())"])
    assert f"CapEff:\t{0 if needs_nothing else DAC_READ_SEARCH:016x}" in seen


@pytest.mark.usefixtures("open_to_all")
def test_a_stack_in_a_folder_only_root_can_enter_runs_without_roots_rights(
    checkout: Callable[[int], Path],
) -> None:
    """Reading that folder is the one right that is kept, by every process."""
    root = checkout(0o700)
    settings = Settings.create("s", root=root, fsync=False, memory_mb=256)
    binaries = root / "var" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "postgrest").symlink_to(Settings().postgrest)
    stack = Stack(settings)
    try:
        stack.up()
        assert httpx.get(f"{stack.url}/up").status_code == 200
        for pid in [row.pid for row in stack.status()] + [stack.supervisor.call("getPID")]:
            state = state_of(pid)
            uid = int(state["Uid"].split()[0])
            assert uid == (pwd.getpwnam("postgres").pw_uid if AS_ROOT else os.geteuid())
            assert int(state["CapEff"], 16) == (DAC_READ_SEARCH if AS_ROOT else 0)
    finally:
        stack.down(wipe=True)


@pytest.mark.parametrize("replication", ["false", "true"])
def test_over_the_socket_nobody_takes_a_role_that_has_a_password(
    stack: Stack, replication: str
) -> None:
    """Not even who started the stack, and may be its superuser there."""
    with postgres.connect(stack.settings) as connection:
        assert connection.execute("select current_user").fetchone() == ("postgres",)
    with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
        postgres.connect(stack.settings, user="authenticator", replication=replication)


def test_commands_run_as_the_service_user() -> None:
    user = service_user(Settings().root)
    assert user.run(["/usr/bin/id", "-u"]).strip() == str(user.uid)
    assert user.uid != 0


def test_a_user_of_ones_own_needs_no_prefix() -> None:
    """Started by anyone but root, everything runs as that user."""
    code = (
        "from pathlib import Path; from microblog.stack.privileges import service_user;"
        "user = service_user(Path('/')); print(user.name, user.prefix, user.capability)"
    )
    user = service_user(Settings().root)
    done = subprocess.run(
        [*user.prefix, sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{user.name} () None"

"""Who runs the stack when root starts it, and what that user may do."""

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from microblog.settings import Settings
from microblog.stack import Stack
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


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_stack_started_by_root_runs_without_roots_rights(
    checkout: Callable[[int], Path], tmp_path: Path, mode: int
) -> None:
    """In a folder that only root can enter, reading it is the one right that is kept."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    root = checkout(mode)
    settings = Settings.create("s", root=root, fsync=False, memory_mb=256)
    binaries = root / "var" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "postgrest").symlink_to(Settings().postgrest)
    stack = Stack(settings)
    try:
        stack.up()
        assert httpx.get(f"{stack.url}/up").status_code == 200
        needs_nothing = not AS_ROOT or (mode == 0o755 and python_is_open_to_all())
        pids = [row.pid for row in stack.status()] + [stack.supervisor.call("getPID")]
        for pid in pids:
            state = state_of(pid)
            uid = int(state["Uid"].split()[0])
            assert uid != 0
            assert uid == (pwd.getpwnam("postgres").pw_uid if AS_ROOT else os.geteuid())
            assert int(state["CapEff"], 16) == (0 if needs_nothing else DAC_READ_SEARCH)
        assert bool(service_user(root).advice) == (not needs_nothing)
    finally:
        stack.down(wipe=True)


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

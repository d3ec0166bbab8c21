"""A run says of which commit it is, whether what it measured is in it, and on what it was made."""

import subprocess
from pathlib import Path

import pytest

from microblog.bench import record


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one file in its one commit."""
    (tmp_path / "code.py").write_text("1\n")
    for arguments in (
        ["init", "--quiet"],
        ["add", "code.py"],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "one"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    return tmp_path


def write(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("2\n")


def test_nothing_differs_in_a_fresh_checkout_nor_by_what_runs_leave(root: Path) -> None:
    assert record.commit(root)[1] is False
    for name in ("bench/results/a.json", "bench/results/scale/a.json", "var/x/log"):
        write(root / name)
    commit, changed = record.commit(root)
    assert (len(commit) >= 7, changed) == (True, False)


@pytest.mark.parametrize(
    "name", ["code.py", "bench/scenarios/new.toml", "microblog/new.py", "bench/results.py", "ü b"]
)
def test_what_is_not_in_the_commit_counts_be_it_new_or_changed(root: Path, name: str) -> None:
    write(root / "bench/results/a.json")
    write(root / name)
    assert record.commit(root)[1] is True


def test_outside_a_repository_the_commit_is_unknown(tmp_path: Path) -> None:
    assert record.commit(tmp_path) == ("unknown", False)


MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/one rw
36 27 8:2 / {folder}/data rw,noatime shared:1 - xfs /dev/two rw
37 27 0:25 / {folder}/data/tmp rw - tmpfs tmpfs rw
38 27 0:26 / {folder}/dat rw - btrfs elsewhere rw
"""


@pytest.mark.parametrize(
    ("device", "rotational", "where", "found"),
    [
        ("sda/sda2", "1", "data/pg", "xfs, rotating"),  # a partition
        ("sda/sda2", "0", "data", "xfs, not rotating"),
        ("vda/vda2", "1", "data", "xfs, a virtual disk"),
        ("vda", "1", "data/tmp", "tmpfs"),
        ("vda", "1", "elsewhere", "ext4"),
    ],
)
def test_the_disk_is_that_of_the_nearest_mount(
    tmp_path: Path, device: str, rotational: str, where: str, found: str
) -> None:
    (tmp_path / "data").mkdir()
    mounts, devices = tmp_path / "mountinfo", tmp_path / "devices"
    mounts.write_text(MOUNTS.format(folder=tmp_path))
    block = tmp_path / "block" / device
    block.mkdir(parents=True)
    queue = tmp_path / "block" / device.split("/")[0] / "queue"
    queue.mkdir()
    (queue / "rotational").write_text(rotational)
    devices.mkdir()
    (devices / "8:2").symlink_to(block)
    assert record.disk(tmp_path / where, mounts, devices) == found


def test_this_machines_disk_is_told() -> None:
    assert record.machine().disk
    assert record.disk(Path("/"), Path("/nowhere")) == ""

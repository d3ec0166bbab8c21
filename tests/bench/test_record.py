"""A run says of which commit it is, and whether what it measured is in that commit."""

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

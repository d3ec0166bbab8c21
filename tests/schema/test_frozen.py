"""What is tagged is deployed somewhere and never changes again."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from microblog.settings import ROOT

HASHES = "tests/schema/frozen.sha256"


def tagged_changes(root: Path) -> set[str]:
    """Names of the changes that the plan lists before its last tag, as their files are named.

    A reworked change stands in the plan again after the tag; its tagged scripts then are those
    under ``sql/reworked``, named with the tag, and only these stay frozen.
    """
    lines = (root / "sqitch.plan").read_text().splitlines()
    tags = [n for n, line in enumerate(lines) if line.startswith("@")]
    if not tags:
        return set()
    change = re.compile(r"[^%@\s]\S*")
    later = {m.group(0) for line in lines[tags[-1] :] if (m := change.match(line))}
    before = {m.group(0) for line in lines[: tags[-1]] if (m := change.match(line))}
    return before - later


def hashes(root: Path) -> dict[str, str]:
    """Path below ``sql/`` → SHA-256, as `make freeze` wrote them."""
    listed = {}
    for line in (root / HASHES).read_text().splitlines():
        digest, path = line.split("  ", 1)
        listed[path] = digest
    return listed


def changed(root: Path) -> list[str]:
    """List what is tagged and not frozen, or frozen and not as it was."""
    listed, tagged = hashes(root), tagged_changes(root)
    found = [
        f"{name}: run `make freeze` after `sqitch tag`"
        for name in sorted(tagged)
        if any(f"{folder}{name}.sql" not in listed for folder in ("", "revert/", "verify/"))
    ]
    for path, digest in listed.items():
        name = path.removeprefix("revert/").removeprefix("verify/").removesuffix(".sql")
        kept = [root / "sql" / path] if name in tagged else []
        kept += (root / "sql" / "reworked").glob(f"**/{Path(path).stem}@*.sql")
        there = {hashlib.sha256(file.read_bytes()).hexdigest() for file in kept if file.exists()}
        if digest not in there:
            found.append(f"{path} was changed after it was tagged; use `sqitch rework`")
    return found


def test_no_tagged_script_has_changed() -> None:
    assert changed(ROOT) == []


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A copy of the project's schema with a tag at the end of its plan, frozen by `make freeze`."""
    for name in ("sql", "sqitch.plan", "Makefile"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / HASHES).parent.mkdir(parents=True)
    with (tmp_path / "sqitch.plan").open("a") as plan:
        plan.write("@v9 2026-01-01T00:00:00Z pg-microblog <nobody@localhost> # A release\n")
    subprocess.run(["make", "freeze"], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_what_is_frozen_is_every_script_of_every_tagged_change(tagged: Path) -> None:
    changes = tagged_changes(tagged)
    assert changes >= {"schema/roles", "functions/feed_page", "triggers/posts_fan_out"}
    assert len(hashes(tagged)) == 3 * len(changes)
    assert changed(tagged) == []


@pytest.mark.parametrize("folder", ["", "revert/", "verify/"])
def test_a_script_that_changes_after_the_tag_is_noticed(tagged: Path, folder: str) -> None:
    with (tagged / f"sql/{folder}functions/feed_page.sql").open("a") as script:
        script.write("-- one line more\n")
    assert changed(tagged) == [
        f"{folder}functions/feed_page.sql was changed after it was tagged; use `sqitch rework`"
    ]


def test_a_change_that_is_tagged_and_not_frozen_is_noticed(tagged: Path) -> None:
    lines = (tagged / HASHES).read_text().splitlines(keepends=True)
    (tagged / HASHES).write_text("".join(line for line in lines if "feed_page" not in line))
    assert changed(tagged) == ["functions/feed_page: run `make freeze` after `sqitch tag`"]

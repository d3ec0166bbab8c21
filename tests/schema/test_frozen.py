"""What is tagged is deployed somewhere and never changes again."""

import hashlib
import re
from pathlib import Path

from microblog.settings import ROOT

SQL = ROOT / "sql"


def _tagged_changes() -> set[str]:
    """Names of the changes that the plan lists before its last tag, as their files are named.

    A reworked change stands in the plan again after the tag; its tagged scripts then are those
    under ``sql/reworked``, named with the tag, and only these stay frozen.
    """
    lines = (ROOT / "sqitch.plan").read_text().splitlines()
    tags = [n for n, line in enumerate(lines) if line.startswith("@")]
    if not tags:
        return set()
    change = re.compile(r"[^%@\s]\S*")
    later = {m.group(0) for line in lines[tags[-1] :] if (m := change.match(line))}
    before = {m.group(0) for line in lines[: tags[-1]] if (m := change.match(line))}
    return before - later


def _hashes() -> dict[str, str]:
    """Path below ``sql/`` → SHA-256, as `make freeze` wrote them."""
    listed = {}
    for line in Path(__file__).with_name("frozen.sha256").read_text().splitlines():
        digest, path = line.split("  ", 1)
        listed[path] = digest
    return listed


def test_every_tagged_script_is_listed_as_frozen() -> None:
    listed = _hashes()
    for name in sorted(_tagged_changes()):
        for folder in ("", "revert/", "verify/"):
            assert f"{folder}{name}.sql" in listed, f"{name}: run `make freeze` after `sqitch tag`"


def test_no_frozen_script_has_changed() -> None:
    reworked = SQL / "reworked"
    for path, digest in _hashes().items():
        name = path.removeprefix("revert/").removeprefix("verify/").removesuffix(".sql")
        kept = [SQL / path] if name in _tagged_changes() else []
        kept += reworked.glob(f"**/{Path(path).stem}@*.sql")
        found = {hashlib.sha256(file.read_bytes()).hexdigest() for file in kept if file.exists()}
        assert digest in found, f"{path} was changed after it was tagged; use `sqitch rework`"


def test_there_is_something_frozen() -> None:
    assert _tagged_changes(), "sqitch.plan has no tag"

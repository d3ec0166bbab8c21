"""What docs/security.md says of mutations: their table, from their data, and how a run went."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from microblog.bench import record
from microblog.settings import ROOT
from tests.security.mutants import Mutation

DOCUMENT = ROOT / "docs" / "security.md"
BEGIN = "<!-- mutations: make mutants MUTANTS_ARGS=--document -->\n"
END = "<!-- end of mutations -->\n"
# How many there are, and then, once all were tried in one run, how the last such run went.
COUNT = re.compile(r"^(\d+) mutations are listed here\.(.*)$", re.MULTILINE)


def table(mutations: Sequence[Mutation]) -> str:
    """Return the mutations by group: what is taken away, and which tests notice.

    Those of a group that the same tests notice share a row.
    """
    lines = []
    for group in dict.fromkeys(mutation.group for mutation in mutations):
        lines += [f"**{group.capitalize()}**", "", "| taken away | noticed by |", "|---|---|"]
        noticed: dict[str, list[str]] = {}
        for mutation in mutations:
            if mutation.group == group:
                tests = ", ".join(f"`{_short(test)}`" for test in mutation.tests)
                noticed.setdefault(tests, []).append(mutation.what)
        lines += [f"| {' · '.join(taken)} | {tests} |" for tests, taken in noticed.items()]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _short(test: str) -> str:
    """Return file and test without what they share: ``api/test_posts::posts_are_never_changed``."""
    path, _, name = test.removeprefix("tests/").partition("[")[0].partition("::")
    return f"{path.removesuffix('.py')}::{name.removeprefix('test_')}"


def between(text: str) -> str:
    """Return what stands between the marks of the table."""
    return text.partition(BEGIN)[2].partition(END)[0]


def where() -> str:
    """Return day and commit, to be asked for as a run begins."""
    commit, is_changed = record.commit()
    changed = ", with changes to it" if is_changed else ""
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}{changed}"


def outcome(where: str, tried: int, survivors: Sequence[str]) -> str:
    """Return the sentence about a run of all mutations that has ended."""
    lost = f"{len(survivors)} not noticed: {', '.join(survivors)}"
    fate = lost if survivors else "all were noticed"
    return f"When last all were tried in one run ({where}), there were {tried}; {fate}."


def write(mutations: Sequence[Mutation], run: str | None = None) -> None:
    """Put table and number into the document; ``run`` replaces what it says of the last run."""
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(BEGIN)
    found = COUNT.search(head)
    assert found, f"{DOCUMENT} says nowhere how many mutations are listed"
    told = found[2] if run is None else f" {run}"
    line = f"{len(mutations)} mutations are listed here.{told}"
    head = f"{head[: found.start()]}{line}{head[found.end() :]}"
    DOCUMENT.write_text(f"{head}{BEGIN}{table(mutations)}{END}{rest.partition(END)[2]}")

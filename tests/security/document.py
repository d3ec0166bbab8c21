"""The table of mutations in docs/security.md, written from their data."""

from collections.abc import Sequence

from microblog.settings import ROOT
from tests.security.mutants import Mutation

DOCUMENT = ROOT / "docs" / "security.md"
BEGIN = "<!-- mutations: make mutants MUTANTS_ARGS=--document -->\n"
END = "<!-- end of mutations -->\n"


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


def write(mutations: Sequence[Mutation]) -> None:
    """Put the table into the document."""
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(BEGIN)
    DOCUMENT.write_text(f"{head}{BEGIN}{table(mutations)}{END}{rest.partition(END)[2]}")

"""docs/security.md names tests that exist, for each of the ten threats."""

import ast
import re
from functools import cache

import pytest

from microblog.settings import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
THREATS = [
    "Broken Object Level Authorization",
    "Broken Authentication",
    "Broken Object Property Level Authorization",
    "Unrestricted Resource Consumption",
    "Broken Function Level Authorization",
    "Unrestricted Access to Sensitive Business Flows",
    "Server Side Request Forgery",
    "Security Misconfiguration",
    "Improper Inventory Management",
    "Unsafe Consumption of APIs",
]
NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)")


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        item.name
        for item in tree.body
        if isinstance(item, ast.FunctionDef) and item.name.startswith("test_")
    )


@pytest.mark.parametrize(("number", "threat"), list(enumerate(THREATS, 1)))
def test_each_threat_has_an_answer_and_tests_that_exist(number: int, threat: str) -> None:
    heading = f"### API{number}:2023 {threat}\n"
    assert DOCUMENT.count(heading) == 1
    section = re.split(r"\n##", DOCUMENT.partition(heading)[2])[0]
    answer, *proofs = section.strip().split("\n- ")
    assert len(answer) > 100
    named = [NODE.match(proof) for proof in proofs]
    assert named and all(named), section
    for match in named:
        assert match and match[2] in names_of_tests(match[1]), match


def test_every_file_and_every_test_that_is_named_exists() -> None:
    nodes = NODE.findall(DOCUMENT)
    assert len(nodes) > 50
    assert [f"{path}::{name}" for path, name in nodes if name not in names_of_tests(path)] == []
    links = re.findall(r"\]\((\.\./[^)#]+)", DOCUMENT)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []

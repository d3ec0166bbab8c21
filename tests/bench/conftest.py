"""What tests of generators have in common."""

from pathlib import Path

import pytest

from microblog.bench.result import Run
from tests.bench import made_up


@pytest.fixture
def people(tmp_path: Path) -> str:
    """Three users with tokens."""
    file = tmp_path / "people"
    file.write_text("1 one\n2 two\n3 three\n")
    return str(file)


@pytest.fixture(scope="module")
def made() -> Run:
    """A run with everything that a report shows."""
    return made_up.run()

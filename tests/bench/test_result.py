"""Results: ratios of rounds, and files that are none."""

from pathlib import Path

import pytest

from microblog.bench import result
from microblog.errors import StackError


def test_ratios_are_of_neighbouring_rounds() -> None:
    found = result.ratio("floor", [10.0, 30.0, 20.0], [10.0, 10.0, 40.0], target=1.0)
    assert found.values == [1.0, 3.0, 0.5]
    assert (found.median, found.low, found.high, found.target) == (1.0, 0.5, 3.0, 1.0)


def test_a_side_without_a_figure_gives_no_ratio() -> None:
    found = result.ratio("floor", [10.0, 30.0], [0.0, 10.0])
    assert found.values == [3.0]
    assert result.ratio("floor", [1.0], [0.0]).values == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "is no result of this version"),
        ('{"at": "2026"}', "is no result of this version: .*commit"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_result_is_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "run.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(StackError, match=message):
        result.read(file)

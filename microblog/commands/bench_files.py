"""How the benchmark commands name the runs they are to read."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from microblog.bench import result, scale_result
from microblog.bench.record import RESULTS
from microblog.bench.report import today
from microblog.bench.report.pages import Curves, Source
from microblog.errors import StackError
from microblog.settings import ROOT


def newest(folder: Path) -> Path | None:
    """Return the newest result of a folder (their names begin with the time), None without any."""
    return max(folder.glob("*.json"), key=lambda file: file.name, default=None)


def is_curves(file: Path) -> bool:
    """Whether a result is of `bench scale`: it has curves, where a run has scenarios."""
    try:
        return "curves" in msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError, TypeError):
        return False  # whoever reads it says what is wrong


def kept_curves() -> list[Path]:
    """Return all files of curves that were kept, the oldest first."""
    return sorted((RESULTS / "scale").glob("*.json"))


def named(file: Path) -> str:
    """Return how documents name a result: from the project's root, or where it is elsewhere."""
    whole = file.resolve()
    return str(whole.relative_to(ROOT)) if whole.is_relative_to(ROOT) else str(file)


def read_curves(files: Sequence[Path]) -> list[Curves]:
    """Read curves, each with the name of its file; without any all that were kept."""
    return [(scale_result.read(file), named(file)) for file in files or kept_curves()]


def read_runs(files: Sequence[Path]) -> list[Source]:
    """Read runs, each with the name of its file, to be judged by the targets of today."""
    return [(today.of_run(result.read(file)), named(file)) for file in files]


def run_file(name: str | None) -> Path:
    """Return the file of a run: a path, the beginning of a name, or (None, "newest") the newest.

    Raises StackError where there is none, or more than one.
    """
    if name is None or name == "newest":
        last = newest(RESULTS)
        if last is None:
            raise StackError("nothing was measured yet", "Measure first: make bench")
        return last
    if Path(name).is_file():
        return Path(name)
    found = sorted(RESULTS.glob(f"{Path(name).name}*.json"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.stem for file in found or sorted(RESULTS.glob("*.json")))
    problem = "is the beginning of several runs" if found else "is no run"
    raise StackError(
        f"{name} {problem}",
        f"There are: {names}." if names else "Measure first: make bench",
    )

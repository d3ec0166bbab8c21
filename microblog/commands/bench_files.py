"""How the benchmark commands name the runs they are to read."""

from pathlib import Path

import msgspec

from microblog.bench.record import RESULTS
from microblog.errors import StackError


def newest(folder: Path) -> Path | None:
    """Return the newest result of a folder (their names begin with the time), None without any."""
    return max(folder.glob("*.json"), key=lambda file: file.name, default=None)


def is_curves(file: Path) -> bool:
    """Whether a result is of `bench scale`: it has curves, where a run has scenarios."""
    try:
        return "curves" in msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError, TypeError):
        return False  # whoever reads it says what is wrong


def run_file(name: str | None) -> Path:
    """Return the file of a run: a path, the beginning of a name, or (None) the newest.

    Raises StackError where there is none, or more than one.
    """
    if name is None:
        last = newest(RESULTS)
        if last is None:
            raise StackError("nothing was measured yet", "Measure first: microblog bench run")
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
        f"There are: {names}." if names else "Measure first: microblog bench run",
    )

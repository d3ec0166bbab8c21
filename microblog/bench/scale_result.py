"""What ``microblog bench scale`` leaves behind: the files in ``bench/results/scale``."""

from pathlib import Path
from statistics import median

import msgspec

from microblog.bench.fit import Fit, power_law
from microblog.bench.result import Machine
from microblog.errors import StackError

FORMAT = 1


class Point(msgspec.Struct, kw_only=True):
    """What was measured at one size, a value a round. ``note`` says what belongs to that size."""

    x: float
    values: list[float]
    note: str = ""

    @property
    def middle(self) -> float:
        """The median of the rounds."""
        return median(self.values)


class Curve(msgspec.Struct, kw_only=True):
    """One measure over sizes; ``axis`` names the size, ``unit`` that of the values.

    ``at_most`` bounds the exponent of value ~ axis^exponent: 0 is flat, 1 linear. None: to be seen.
    """

    name: str
    title: str
    about: str
    axis: str
    unit: str
    points: list[Point]
    at_most: float | None = None
    limitations: list[str] = []

    def fit(self) -> Fit | None:
        """Fit a power law to all rounds; None where the sizes or rounds are too few."""
        x = [point.x for point in self.points for _ in point.values]
        y = [value for point in self.points for value in point.values]
        if len(x) < 3 or len(set(x)) < 2 or min(*x, *y) <= 0:
            return None
        return power_law(x, y)


class Scaling(msgspec.Struct, kw_only=True):
    """Curves measured together, with what somebody needs to repeat them."""

    format: int = FORMAT
    at: str
    commit: str
    uncommitted_changes: bool
    versions: dict[str, str]
    machine: Machine
    settings: dict[str, str]
    rounds: int
    seconds: float
    curves: list[Curve] = []


def read(file: Path) -> Scaling:
    """Read curves; raise StackError where the file holds none."""
    try:
        scaling = msgspec.json.decode(file.read_bytes(), type=Scaling)
    except OSError as error:
        raise StackError(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise StackError(f"{file} holds no curves of this version: {error}") from error
    if scaling.format != FORMAT:
        raise StackError(f"{file} is of format {scaling.format}; this version reads {FORMAT}")
    return scaling


def write(scaling: Scaling, file: Path) -> None:
    """Write curves to a new file; raise FileExistsError rather than overwrite one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(scaling), indent=1) + b"\n")

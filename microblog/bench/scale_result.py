"""What ``microblog bench scale`` leaves behind: the files in ``bench/results/scale``."""

from pathlib import Path
from statistics import median

import msgspec

from microblog.bench.fit import Fit, power_law
from microblog.bench.result import Machine, Run, read_kept

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

    ``at_least`` and ``at_most`` bound the exponent of value ~ axis^exponent, 0 is flat, 1 linear,
    as fitted to the sizes from ``judged_from`` on. ``least_of_peak`` is the share of the largest
    value that those at all larger sizes must keep. None: to be seen. ``power`` is False where the
    line is none that an exponent could tell of.
    """

    name: str
    title: str
    about: str
    axis: str
    unit: str
    points: list[Point]
    at_least: float | None = None
    at_most: float | None = None
    judged_from: float = 0.0
    least_of_peak: float | None = None
    power: bool = True
    limitations: list[str] = []

    def fit(self) -> Fit | None:
        """Fit a power law to the medians of the sizes that are judged.

        None below three sizes, and where the curve is no power law.

        Rounds of one size share what is peculiar to its data and its stack: they would narrow the
        interval without knowing more about what grows.
        """
        if not self.power:
            return None
        judged = [point for point in self.points if point.x >= self.judged_from and point.values]
        x, y = [point.x for point in judged], [point.middle for point in judged]
        if len(x) < 3 or min(*x, *y) <= 0:
            return None
        return power_law(x, y)


class Scaling(msgspec.Struct, kw_only=True):
    """Curves measured together, with what somebody needs to repeat them.

    ``runs`` are what the curves were drawn from, one for each network, each as whole as a run of
    scenarios: data, seed, histograms, costs. Empty in files from before they were kept.
    ``failures`` are curves, or sizes of them, that could not be measured, with the reason.
    """

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
    runs: list[Run] = []
    failures: dict[str, str] = {}
    took: float = 0.0


def read(file: Path) -> Scaling:
    """Read curves; StackError as of ``read_kept``."""
    return read_kept(file, Scaling, FORMAT)

"""Curves: one load at several sizes of one thing. bench/README.md has the format of the files."""

import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from microblog.bench import histogram, record, result
from microblog.bench.report import figures, words
from microblog.bench.result import Run, Side
from microblog.bench.run import BROKEN, run_scenarios
from microblog.bench.run import problems as run_problems
from microblog.bench.scale_result import Curve, Point, Scaling
from microblog.bench.scenario import BENCH, Load, Scenario, Users, side_problems
from microblog.errors import StackError
from microblog.seed import PRESETS
from microblog.seed.shape import Shape
from microblog.settings import Settings

FOLDER = record.RESULTS / "scale"
UNITS = {"cpu": "CPU ms", "rate": "per second"}
FOLLOWS_EACH, POSTS_EACH, LARGEST = 50, 3, 0.75  # as in the preset small, by users


class Sizes(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One file of ``bench/curves``: what is varied, over which sizes, and what is measured.

    ``vary``: users (a network of that size, in a stack of its own), clients, instances, or the name
    of a variable of the scripts. ``full_sizes`` are added in a pass at full scale. ``measure``: cpu
    (ms of the stack's processes per answer) or rate. ``at_least``, ``at_most``, ``judged_from`` and
    ``least_of_peak`` are what the curve is judged by (``scale_result.Curve``). ``warmup``: seconds
    before the first round at each size. ``load`` is a side of a scenario, without its name.
    """

    name: str = ""
    title: str
    about: str = ""
    vary: str
    axis: str
    measure: Literal["cpu", "rate"]
    sizes: list[int]
    full_sizes: list[int] = []
    at_least: float | None = None
    at_most: float | None = None
    judged_from: int = 0
    least_of_peak: float | None = None
    warmup: float = 1.0
    users: Users = msgspec.field(default_factory=Users)
    limitations: list[str] = []
    load: Load

    def full(self) -> "Sizes":
        """Return the curve as it is at full scale."""
        return replace(self, sizes=sorted({*self.sizes, *self.full_sizes}), full_sizes=[])

    def sides(self) -> list[Load]:
        """Return the load at each size of one network; for ``vary = "users"`` see ``at``."""
        return [self.at(size, number) for number, size in enumerate(self.sizes)]

    def at(self, size: int, number: int = 0) -> Load:
        """Return the load at one size; the first is what the others are compared with."""
        load = replace(self.load, name=str(size), role="peer" if number else "subject")
        if self.vary in ("clients", "instances"):
            return replace(load, **{self.vary: size})
        if self.vary == "users":
            return load
        return replace(load, variables={**load.variables, self.vary: size})

    def scenario(self, sides: list[Load]) -> Scenario:
        """Return a scenario in which these sides take turns."""
        return Scenario(
            name=self.name,
            title=self.title,
            about=self.about,
            sides=sides,
            users=self.users,
            unit="per second",
            warmup=self.warmup,
            limitations=self.limitations,
        )


def read(file: Path) -> Sizes:
    """Read one file; raise StackError where it says something impossible."""
    try:
        table = tomllib.loads(file.read_text())
        if isinstance(table.get("load"), dict):
            table["load"] = {"name": file.stem, **table["load"]}
        sizes = msgspec.convert({"name": file.stem, **table}, Sizes)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StackError(f"{file.name} cannot be read: {error}") from error
    except msgspec.ValidationError as error:
        raise StackError(f"{file.name}: {error}") from error
    if len(set(sizes.sizes)) < 2 or min(sizes.sizes + sizes.full_sizes) < 1:
        raise StackError(f"{file.name}: sizes are two or more different ones, each 1 or more")
    for side in sizes.full().sides():
        for problem in side_problems(side):
            raise StackError(f"{file.name}: at {side.name}: {problem}")
    return sizes


def files() -> dict[str, Path]:
    """List the curves there are, by name."""
    return {file.stem: file for file in sorted((BENCH / "curves").glob("*.toml"))}


def read_all(names: Sequence[str] = ()) -> list[Sizes]:
    """Read the named curves, or all; raise StackError for an unknown name."""
    there = files()
    for name in names:
        if name not in there:
            raise StackError(f"no curve {name}", f"There are: {', '.join(there)}.")
    return [read(there[name]) for name in names or there]


def shape(users: int) -> Shape | str:
    """Return the network of that many users: a preset where one has that size, else like small."""
    for name, preset in PRESETS.items():
        if preset.users == users:
            return name
    return Shape(
        users=users,
        follows=users * FOLLOWS_EACH,
        posts=users * POSTS_EACH,
        largest=int(users * LARGEST),
    )


def point(size: int, side: Side, measure: str) -> Point:
    """Return what a side's rounds measured at one size."""
    values = [one.rate if measure == "rate" else figures.served_cpu(one) for one in side.rounds]
    enough = [one for one in side.rounds if histogram.tells("p99", one.count)]
    tail = max((one.latency.p99 for one in enough), default=0.0)
    return Point(x=size, values=values, note=f"p99 {words.number(tail)} ms" if tail else "")


def curve(sizes: Sizes, measured: Mapping[int, Side]) -> Curve:
    """Put the sides of the sizes that were measured together as a curve."""
    return Curve(
        name=sizes.name,
        title=sizes.title,
        about=sizes.about,
        axis=sizes.axis,
        unit=UNITS[sizes.measure],
        points=[
            point(size, measured[size], sizes.measure)
            for size in sizes.sizes
            if size in measured and measured[size].rounds
        ],
        at_least=sizes.at_least,
        at_most=sizes.at_most,
        judged_from=sizes.judged_from,
        least_of_peak=sizes.least_of_peak,
        limitations=sizes.limitations,
    )


@dataclass
class _Network:
    """One network and the loads that are sent to it: of each curve those of some sizes."""

    stack: str
    preset: str | Shape
    curves: list[tuple[Sizes, list[int]]]

    def scenarios(self) -> list[Scenario]:
        return [
            one.scenario([one.at(size, number) for number, size in enumerate(sizes)])
            for one, sizes in self.curves
        ]


def _networks(curves: Sequence[Sizes], stack: str, preset: str | Shape) -> list[_Network]:
    """Return which networks are needed: ``preset``, and one for each number of users."""
    found = []
    within = [(one, one.sizes) for one in curves if one.vary != "users"]
    if within:
        name = preset if isinstance(preset, str) else preset.users
        found.append(_Network(f"{stack}-{name}", preset, within))
    across = [one for one in curves if one.vary == "users"]
    for users in sorted({size for one in across for size in one.sizes}):
        network = shape(users)
        name = network if isinstance(network, str) else users
        part = [(one, [users]) for one in across if users in one.sizes]
        found.append(_Network(f"{stack}-{name}", network, part))
    return found


def run(
    curves: Sequence[Sizes],
    *,
    stack: str,
    preset: str | Shape,
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> Scaling:
    """Measure the curves; each network is in a stack of its own, named ``stack`` and its size.

    Sizes within one network (``preset``) take turns. What cannot be measured is among the
    failures, and the rest is kept; Ctrl-C ends it with what there is. Wrong answers are in the
    runs: ``problems`` has them.
    """
    start = time.monotonic()
    runs: list[Run] = []
    failures: dict[str, str] = {}
    measured: dict[str, dict[int, Side]] = {one.name: {} for one in curves}
    for network in _networks(curves, stack, preset):
        sizes = {one.name: some for one, some in network.curves}
        say(f"scale: {', '.join(sizes)} on {network.stack}")
        try:
            made = run_scenarios(
                Settings.load(network.stack),
                network.scenarios(),
                rounds=rounds,
                seconds=seconds,
                preset=network.preset,
                say=say,
            )
        except StackError as error:  # the other networks are worth having
            failures |= {_place(name, some): str(error) for name, some in sizes.items()}
            say(f"scale: {error}")
            continue
        runs.append(made)
        failures |= {_place(name, sizes[name]): why for name, why in made.failures.items()}
        for found in made.scenarios:
            sides = zip(sizes[found.name], found.sides, strict=True)
            measured[found.name] |= dict(sides)
        if BROKEN in made.failures.values():
            break
    if not runs:
        raise StackError(f"no curve could be measured: {'; '.join(failures.values())}")
    return _scaling(
        runs,
        [curve(one, measured[one.name]) for one in curves],
        failures,
        time.monotonic() - start,
    )


def _place(name: str, sizes: Sequence[int]) -> str:
    """Name a curve, or where it is a part of one, with the size."""
    return f"{name} at {sizes[0]:,}" if len(sizes) == 1 else name


def problems(scaling: Scaling) -> list[str]:
    """Return what must not be overlooked, a line for each: failures, wrong answers."""
    wrong = [text for made in scaling.runs for text in run_problems(replace(made, failures={}))]
    return [f"{name} failed: {why}" for name, why in scaling.failures.items()] + wrong


def _scaling(
    runs: list[Run], curves: list[Curve], failures: dict[str, str], took: float
) -> Scaling:
    first = runs[0]
    return Scaling(
        at=first.at,
        commit=first.commit,
        uncommitted_changes=any(one.uncommitted_changes for one in runs),
        versions=first.versions,
        machine=first.machine,
        settings={**first.settings, "preset": first.data.preset},
        rounds=first.rounds,
        seconds=first.seconds,
        curves=curves,
        runs=runs,
        failures=failures,
        took=round(took, 1),
    )


def save(scaling: Scaling, folder: Path = FOLDER) -> Path:
    """Write curves to a new file named by their time (UTC) and commit, and all rounds as CSV."""
    at = datetime.fromisoformat(scaling.at).astimezone(UTC)
    file = folder / f"{at:%Y%m%dT%H%M%SZ}-{scaling.commit}.json"
    result.write(scaling, file)
    record.table(scaling.runs, file.with_suffix(".csv"))
    return file

"""Curves: one load at several sizes of one thing. bench/README.md has the format of the files."""

import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from microblog.bench import record, result
from microblog.bench.report import words
from microblog.bench.result import Run, ScenarioResult, Side
from microblog.bench.run import run_scenarios
from microblog.bench.scale_result import Curve, Point, Scaling
from microblog.bench.scenario import BENCH, Load, Scenario, Users, used_files
from microblog.errors import StackError
from microblog.seed import PRESETS
from microblog.seed.shape import Shape
from microblog.settings import Settings

FOLDER = record.RESULTS / "scale"
UNITS = {"cpu": "CPU ms", "rate": "per second"}
FOLLOWS_EACH, POSTS_EACH, LARGEST = 50, 3, 0.75  # as in the preset small, by users


class Sizes(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One file of ``bench/curves``: what is varied, over which sizes, and what is measured.

    ``vary``: users (a network of that size, in a stack of its own), clients, or the name of a
    variable of the scripts. ``measure``: cpu (ms of the stack's processes per answer) or rate.
    ``at_most`` bounds the exponent. ``load`` is a side of a scenario, without its name.
    """

    name: str = ""
    title: str
    about: str = ""
    vary: str
    axis: str
    measure: Literal["cpu", "rate"]
    sizes: list[int]
    at_most: float | None = None
    users: Users = msgspec.field(default_factory=Users)
    limitations: list[str] = []
    load: Load

    def sides(self) -> list[Load]:
        """Return the load at each size; for ``vary = "users"`` the same one."""
        return [self._at(size, number) for number, size in enumerate(self.sizes)]

    def _at(self, size: int, number: int) -> Load:
        load = replace(self.load, name=str(size), role="peer" if number else "subject")
        if self.vary == "clients":
            return replace(load, clients=size)
        if self.vary == "users":
            return replace(load, role="subject")
        return replace(load, variables={**load.variables, self.vary: size})

    def scenario(self, sides: list[Load]) -> Scenario:
        """Return a scenario in which these sides take turns."""
        return Scenario(
            name=self.name, title=self.title, sides=sides, users=self.users, unit="per second"
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
    if len(set(sizes.sizes)) < 2 or min(sizes.sizes) < 1:
        raise StackError(f"{file.name}: sizes are two or more different ones, each 1 or more")
    for needed in used_files(sizes.load):
        if not (BENCH / needed).is_file():
            raise StackError(f"{file.name}: bench/{needed} does not exist")
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
    values = []
    for one in side.rounds:
        used = sum(s for kind, s in one.cost.cpu.items() if kind not in record.OUTSIDE)
        values.append(one.rate if measure == "rate" else 1000 * used / max(one.count, 1))
    tail = max((one.latency.p99 for one in side.rounds), default=0.0)
    return Point(x=size, values=values, note=f"p99 {words.number(tail)} ms" if tail else "")


def curve(sizes: Sizes, sides: Sequence[Side]) -> Curve:
    """Put the sides of the sizes, in their order, together as a curve."""
    return Curve(
        name=sizes.name,
        title=sizes.title,
        about=sizes.about,
        axis=sizes.axis,
        unit=UNITS[sizes.measure],
        points=[
            point(size, side, sizes.measure) for size, side in zip(sizes.sizes, sides, strict=True)
        ],
        at_most=sizes.at_most,
        limitations=sizes.limitations,
    )


def run(
    curves: Sequence[Sizes],
    *,
    stack: str,
    preset: str,
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> Scaling:
    """Measure the curves; each network is in a stack of its own, named ``stack`` and its size.

    Sizes within one network (``preset``) take turns. Raises StackError where something cannot run.
    """
    runs: list[Run] = []
    drawn: dict[str, Curve] = {}
    within = [one for one in curves if one.vary != "users"]
    if within:
        measured = run_scenarios(
            Settings.load(f"{stack}-{preset}"),
            [one.scenario(one.sides()) for one in within],
            rounds=rounds,
            seconds=seconds,
            preset=preset,
            say=say,
        )
        runs.append(measured)
        for one, found in zip(within, measured.scenarios, strict=True):
            drawn[one.name] = curve(one, found.sides)
    across = [one for one in curves if one.vary == "users"]
    found_at: dict[int, dict[str, ScenarioResult]] = {}
    for users in sorted({size for one in across for size in one.sizes}):
        part = [one for one in across if users in one.sizes]
        say(f"scale: {users:,} users")
        network = shape(users)
        measured = run_scenarios(
            Settings.load(f"{stack}-{network if isinstance(network, str) else users}"),
            [one.scenario(one.sides()[:1]) for one in part],
            rounds=rounds,
            seconds=seconds,
            preset=network,
            say=say,
        )
        runs.append(measured)
        found_at[users] = {found.name: found for found in measured.scenarios}
    for one in across:
        drawn[one.name] = curve(one, [found_at[size][one.name].subject for size in one.sizes])
    return _scaling(runs[0], [drawn[one.name] for one in curves])


def _scaling(first: Run, curves: list[Curve]) -> Scaling:
    return Scaling(
        at=first.at,
        commit=first.commit,
        uncommitted_changes=first.uncommitted_changes,
        versions=first.versions,
        machine=first.machine,
        settings={**first.settings, "preset": first.data.preset},
        rounds=first.rounds,
        seconds=first.seconds,
        curves=curves,
    )


def save(scaling: Scaling, folder: Path = FOLDER) -> Path:
    """Write curves to a new file named by their time (UTC) and commit."""
    at = datetime.fromisoformat(scaling.at).astimezone(UTC)
    file = folder / f"{at:%Y%m%dT%H%M%SZ}-{scaling.commit}.json"
    result.write(scaling, file)
    return file

"""Curves: one load at several sizes of one thing. bench/README.md has the format of the files."""

import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec
from msgspec.structs import replace

from microblog.bench import histogram, record, result
from microblog.bench.bed import Bed
from microblog.bench.report import figures, words
from microblog.bench.result import Run, ScenarioResult, Side
from microblog.bench.run import BROKEN, Turner, broken_off, open_run, run_scenarios
from microblog.bench.run import problems as run_problems
from microblog.bench.scale_result import Curve, Point, Scaling
from microblog.bench.scenario import BENCH, Load, Scenario, Users, side_problems
from microblog.errors import StackError
from microblog.seed import PRESETS
from microblog.seed.shape import Shape
from microblog.settings import Settings

FOLDER = record.RESULTS / "scale"
UNITS = {"cpu": "CPU ms", "rate": "per second", "p99": "p99 ms"}
LARGEST = "full"  # preset of the largest network; smaller ones have its proportions
SEED = 1  # of the load


class Sizes(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One file of ``bench/curves``: what is varied, over which sizes, and what is measured.

    ``vary``: users (a network of that size, in a stack of its own; all are up at once and take
    turns), clients, instances, rate (what is asked for a second, of the open model), or the name of
    a variable of the scripts. ``full_sizes`` are added in a pass at full scale. ``measure``: cpu
    (ms of the stack's processes per answer), rate, or p99 (ms). ``at_least``, ``at_most``,
    ``judged_from``, ``least_of_peak`` and ``power`` are what the curve is judged by
    (``scale_result.Curve``). ``buffers_per`` names what the sizes count, where PostgreSQL's buffers
    for each of them are to be noted (empty: they are not). ``warmup``: seconds before the first
    round at each size. ``load`` is a side of a scenario, without its name.
    """

    name: str = ""
    title: str
    about: str = ""
    vary: str
    axis: str
    measure: Literal["cpu", "rate", "p99"]
    sizes: list[int]
    full_sizes: list[int] = []
    at_least: float | None = None
    at_most: float | None = None
    judged_from: int = 0
    least_of_peak: float | None = None
    power: bool = True
    buffers_per: str = ""
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
        if self.vary == "rate":
            return replace(load, rate=float(size))
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
    if not sizes.power and (sizes.at_least, sizes.at_most) != (None, None):
        raise StackError(f"{file.name}: what is no power law has no exponent to be bounded")
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
    """Return the network of that many users: the preset full, or one of its proportions.

    Follows and posts of a user, the share of users who follow the largest author, and the share of
    those who are away are the same at each size.
    """
    full = PRESETS[LARGEST]
    if users == full.users:
        return LARGEST
    scale = users / full.users
    return Shape(
        users=users,
        follows=round(full.follows * scale),
        posts=round(full.posts * scale),
        largest=round(full.largest * scale),
        active_share=full.active_share,
    )


def point(size: int, side: Side, measure: str, buffers_per: str = "") -> Point:
    """Return what a side's rounds measured at one size; no values where too few answers tell it."""
    if measure == "p99":
        return _tail(size, side)
    values = [one.rate if measure == "rate" else figures.served_cpu(one) for one in side.rounds]
    enough = [one for one in side.rounds if histogram.tells("p99", one.count)]
    tail = max((one.latency.p99 for one in enough), default=0.0)
    notes = [f"p99 {words.number(tail)} ms"] if tail else []
    if measure == "cpu" and side.rounds:  # to be seen: it is the machine's more than the size's
        notes.append(f"{words.number(median(one.rate for one in side.rounds))} per second")
    if buffers_per and side.rounds:
        spent = figures.spent(side)
        each = (spent.buffers_hit + spent.buffers_read) / size
        notes.append(f"{words.number(each)} buffers per {buffers_per}")
    return Point(x=size, values=values, note=", ".join(notes))


def _tail(size: int, side: Side) -> Point:
    """Return the p99 of each round, or of all together where a round has too few answers for one.

    What was not answered is in no percentile: the note has it.
    """
    answers = figures.answers(side)
    notes = []
    if all(histogram.tells("p99", one.count) for one in side.rounds):
        values = [one.latency.p99 for one in side.rounds]
    elif histogram.tells("p99", answers):
        values = [figures.latency(side).p99]
        notes.append("all rounds together")
    else:
        values = []
    notes.append(f"p50 {words.number(figures.latency(side).p50)} ms")
    notes.append(f"{words.number(median(one.rate for one in side.rounds))} answered per second")
    errors: dict[str, int] = {}
    for one in side.rounds:
        for kind, count in one.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    dropped = sum(one.dropped for one in side.rounds)
    due = answers + dropped + sum(errors.values())
    lost = {**errors, "dropped": dropped}
    notes += [f"{kind}: {count:,} of {due:,}" for kind, count in lost.items() if count]
    late = max(one.lateness for one in side.rounds)
    notes.append(f"sent up to {words.number(late)} ms late (p99)")
    return Point(x=size, values=values, note=", ".join(notes))


def curve(sizes: Sizes, measured: Mapping[int, Side]) -> Curve:
    """Put the sides of the sizes that were measured together as a curve.

    A size of which too few answers came is no point of it, and among its limitations.
    """
    points = [
        point(size, measured[size], sizes.measure, sizes.buffers_per)
        for size in sizes.sizes
        if size in measured and measured[size].rounds
    ]
    untold = [
        f"At {words.number(one.x)} {sizes.axis} too few answers came for a {sizes.measure}: "
        f"{one.note}."
        for one in points
        if not one.values
    ]
    return Curve(
        name=sizes.name,
        title=sizes.title,
        about=sizes.about,
        axis=sizes.axis,
        unit=UNITS[sizes.measure],
        points=[one for one in points if one.values],
        at_least=sizes.at_least,
        at_most=sizes.at_most,
        judged_from=sizes.judged_from,
        least_of_peak=sizes.least_of_peak,
        power=sizes.power,
        limitations=[*sizes.limitations, *untold],
    )


def run(
    curves: Sequence[Sizes],
    *,
    stack: str,
    preset: str | Shape,
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> Scaling:
    """Measure the curves, those within one network (``preset``) first; all sizes take turns.

    Each network is in a stack of its own, named ``stack`` and its size. What cannot be measured is
    among the failures, and the rest is kept; Ctrl-C ends it with what there is. Wrong answers are
    in the runs: ``problems`` has them.
    """
    start = time.monotonic()
    within = [one for one in curves if one.vary != "users"]
    across = [one for one in curves if one.vary == "users"]
    runs: list[Run] = []
    failures: dict[str, str] = {}
    measured: dict[str, dict[int, Side]] = {one.name: {} for one in curves}
    if within:
        name = preset if isinstance(preset, str) else preset.users
        settings = Settings.load(f"{stack}-{name}")
        say(f"scale: {', '.join(one.name for one in within)} on {settings.stack}")
        try:
            made = run_scenarios(
                settings,
                [one.scenario(one.sides()) for one in within],
                rounds=rounds,
                seconds=seconds,
                preset=preset,
                seed=SEED,
                say=say,
            )
        except StackError as error:  # the curves over users are worth having
            failures |= {one.name: str(error) for one in within}
            say(f"scale: {error}")
        else:
            runs.append(made)
            failures |= made.failures
            sizes = {one.name: one.sizes for one in within}
            for found in made.scenarios:
                measured[found.name] = dict(zip(sizes[found.name], found.sides, strict=True))
    if across and BROKEN not in failures.values():
        networks = _across(across, stack, rounds, seconds, failures, say)
        for users, made in networks.items():
            runs.append(made)
            for found in made.scenarios:
                measured[found.name][users] = found.sides[0]
    if not runs:
        raise StackError(f"no curve could be measured: {'; '.join(failures.values())}")
    return _scaling(
        runs,
        [curve(one, measured[one.name]) for one in curves],
        failures,
        time.monotonic() - start,
    )


def _across(
    curves: Sequence[Sizes],
    stack: str,
    rounds: int,
    seconds: float,
    failures: dict[str, str],
    say: Callable[[str], None],
) -> dict[int, Run]:
    """Measure curves over users, and return a run for each network; ``failures`` are added to.

    The stacks of all sizes are up at once, so that what the machine does meanwhile befalls each
    size alike: idle ones take memory, and hardly anything else. Each is seeded once for all curves.
    """
    start = time.monotonic()
    runs: dict[int, Run] = {}
    waiting = list(curves)
    with ExitStack() as exits:
        try:
            beds: dict[int, Bed] = {}
            for users in sorted({size for one in curves for size in one.sizes}):
                try:
                    bed = exits.enter_context(Bed(stack_of(stack, users), say))
                    made = open_run(bed, shape(users), rounds=rounds, seconds=seconds, seed=SEED)
                    bed.connection.execute("checkpoint")  # what seeding left to write: in no round
                except StackError as error:  # the other sizes are worth having
                    needed = [one.name for one in curves if users in one.sizes]
                    failures |= {f"{name} at {users:,}": str(error) for name in needed}
                    say(f"scale: {users:,} users: {error}")
                else:
                    beds[users], runs[users] = bed, made
            while waiting:
                one = waiting[0]
                there = {size: beds[size] for size in one.sizes if size in beds}
                try:
                    for size, found in _turns(one, there, rounds, seconds, say).items():
                        runs[size].scenarios.append(found)
                except Exception as error:  # whatever it is: the other curves are worth having
                    if broken_off(error):
                        raise KeyboardInterrupt from error
                    failures[one.name] = f"{error}" or repr(error)
                    say(f"scale: {one.name}: {error}")
                waiting.pop(0)
        except KeyboardInterrupt:
            failures |= {one.name: BROKEN for one in waiting}
            say("scale: broken off; what was measured is kept")
    for made in runs.values():  # nobody can tell their times apart
        made.took = round(time.monotonic() - start, 1)
    return runs


def _turns(
    one: Sizes,
    beds: Mapping[int, Bed],
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[int, ScenarioResult]:
    """Have the networks of a curve take turns, and return what was measured on each."""
    if not beds:
        return {}
    say(f"scale: {one.name} on {', '.join(bed.settings.stack for bed in beds.values())}")
    scenario = one.scenario([one.at(size, number) for number, size in enumerate(beds)])
    by_side = {str(size): bed for size, bed in beds.items()}
    turner = Turner(next(iter(beds.values())), scenario, seconds, SEED, elsewhere=by_side)
    found = turner.take_turns(rounds)
    return {
        size: replace(found, sides=[side], ratios=[])
        for size, side in zip(beds, found.sides, strict=True)
    }


def stack_of(stack: str, users: int) -> Settings:
    """Return the stack of the network of that many users, whose name begins with ``stack``.

    That of the preset full is the one that scenarios have. StackError where none can be so small.
    """
    network = shape(users)
    if isinstance(network, str):
        return Settings.load(f"{stack}-{network}")
    network.check()
    return Settings.load(f"{stack}-{LARGEST}-{users}")


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

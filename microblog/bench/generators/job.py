"""What every generator is given, and what it hands back."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from hdrh.histogram import HdrHistogram

from microblog.bench import histogram
from microblog.bench.result import Latency
from microblog.bench.scenario import Load, Users


class Job(msgspec.Struct, kw_only=True):
    """One round of one load, times in seconds. ``actors``: a file, a line "id token" for each user;
    ``authors`` the same, of the calls that are by authors.

    ``host`` and ``port`` are HTTP's; ``dsn`` is the database's. ``samples`` answers are kept for
    checking. ``user_count`` is how many users there are, with ids from 1 up, ``people`` how many
    of each kind; ``celebrity`` is the one that calls name so, with a token; ``posts`` are the ids
    of the oldest and the newest post. ``redis`` is the path of its socket.
    """

    load: Load
    users: Users
    host: str
    port: int
    dsn: str
    actors: str
    authors: str = ""
    posts: tuple[int, int] = (1, 1)
    celebrity: tuple[int, str] = (0, "")
    user_count: int
    people: dict[str, int] = {}
    seconds: float
    seed: int
    samples: int = 0
    redis: str = ""
    pgbench: str = "pgbench"


class Sample(msgspec.Struct, kw_only=True):
    """An answer to be checked: who asked what, from which cursor (empty: the top), what came."""

    user: int
    check: str
    path: str = ""
    cursor: str
    body: str


class Tally(msgspec.Struct, kw_only=True):
    """One operation's answers: how many were right in kind, their latencies, errors by kind.

    ``measured`` are the latencies as they were seen, where ``histogram`` has them corrected (wrk).
    """

    count: int = 0
    errors: dict[str, int] = {}
    histogram: str = ""
    measured: str = ""


class Outcome(msgspec.Struct, kw_only=True):
    """What a generator saw in the measured time.

    ``cpu`` are the generator's own CPU seconds within it. ``unsteady`` are users whose follows
    changed: their feeds are not checked. ``deepest`` is the page, counted from 1, that the longest
    walk along cursors came to. ``beside`` is what was done beside the answers that are counted: see
    ``Round``.
    """

    operations: dict[str, Tally]
    seconds: float
    cpu: float = 0.0
    dropped: int = 0
    lateness: float = 0.0
    over_time: list[int] = []
    samples: list[Sample] = []
    unsteady: list[int] = []
    deepest: int = 0
    beside: float = 0.0

    @property
    def count(self) -> int:
        """All answers that were right in kind."""
        return sum(one.count for one in self.operations.values())

    @property
    def errors(self) -> dict[str, int]:
        """All errors by kind."""
        total: dict[str, int] = {}
        for tally in self.operations.values():
            for kind, count in tally.errors.items():
                total[kind] = total.get(kind, 0) + count
        return total

    def all_latencies(self) -> HdrHistogram:
        """Return the latencies of all operations together."""
        return histogram.added(one.histogram for one in self.operations.values())

    def measured_latency(self) -> Latency | None:
        """Return the latencies before a correction; None where there was none."""
        seen = [one.measured for one in self.operations.values() if one.measured]
        return histogram.latency(histogram.added(seen)) if seen else None


def deliver(outcome: Outcome) -> None:
    """Write an outcome to standard output, all of it, whatever the pipe takes at a time."""
    left = memoryview(msgspec.json.encode(outcome))
    os.set_blocking(sys.stdout.fileno(), True)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


def merged(outcomes: Iterable[Outcome]) -> Outcome:
    """Add up what several processes saw at the same time."""
    parts = list(outcomes)
    names = {name: None for part in parts for name in part.operations}
    operations = {}
    for name in names:
        tallies = [part.operations[name] for part in parts if name in part.operations]
        errors: dict[str, int] = {}
        for tally in tallies:
            for kind, count in tally.errors.items():
                errors[kind] = errors.get(kind, 0) + count
        operations[name] = Tally(
            count=sum(tally.count for tally in tallies),
            errors=errors,
            histogram=histogram.encode(histogram.added(tally.histogram for tally in tallies)),
        )
    length = min((len(part.over_time) for part in parts), default=0)
    return Outcome(
        operations=operations,
        seconds=max(part.seconds for part in parts),
        cpu=sum(part.cpu for part in parts),
        dropped=sum(part.dropped for part in parts),
        lateness=max(part.lateness for part in parts),
        over_time=[sum(part.over_time[i] for part in parts) for i in range(length)],
        samples=[sample for part in parts for sample in part.samples],
        unsteady=sorted({user for part in parts for user in part.unsteady}),
        deepest=max(part.deepest for part in parts),
    )


def tallies(
    taken: Mapping[str, Sequence[float]], errors: Mapping[str, Mapping[str, int]]
) -> dict[str, Tally]:
    """Sum up each operation: seconds that its right answers took, and its errors by kind."""
    return {
        name: Tally(
            count=len(latencies),
            errors=dict(errors[name]),
            histogram=histogram.encode(histogram.of(latencies)),
        )
        for name, latencies in taken.items()
    }

"""What a run leaves behind: the shape of the JSON files under ``bench/results``.

Times are in seconds, latencies in milliseconds, sizes in bytes, CPU in seconds of one core,
unless a name says otherwise. Histograms are HdrHistogram's own encoding (base64, compressed, V2)
of latencies in microseconds: any HdrHistogram library reads and adds them.
"""

from pathlib import Path
from statistics import median
from typing import Literal, TypeVar

import msgspec

from microblog.errors import StackError

FORMAT = 2
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}

Role = Literal["subject", "peer", "floor"]
Better = Literal["higher", "lower"]


class Latency(msgspec.Struct, kw_only=True):
    """Percentiles of one histogram, in milliseconds; all 0 where nothing was answered."""

    p50: float = 0.0
    p90: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    p99_9: float = 0.0
    max: float = 0.0
    mean: float = 0.0


class Operation(msgspec.Struct, kw_only=True):
    """One kind of call within a mix. ``count`` are answers that were right in kind (2xx)."""

    count: int
    errors: dict[str, int] = {}
    latency: Latency = msgspec.field(default_factory=Latency)
    histogram: str = ""


class Statement(msgspec.Struct, kw_only=True):
    """What pg_stat_statements says of one statement during a round."""

    query: str
    calls: int
    milliseconds: float
    rows: int
    buffers_hit: int
    buffers_read: int
    wal_bytes: int


class Cost(msgspec.Struct, kw_only=True):
    """What a round took from the machine, beside time.

    ``cpu`` is by process (postgres, postgrest, haproxy, pgbouncer, worker, redis, generator), with
    ``harness``: what starting the generator and adding up took, and ``others``: what everybody else
    on the machine used meanwhile, which tells how quiet it was.
    ``generator`` is what its own processes used during the load alone.
    ``cpu_idle`` is what nobody used, of all ``cores`` (0 in files from before they were kept; there
    generator is all that was run). ``memory`` is the proportional set size after the round, of each
    kind of process that was started for the run, whether the side uses it or not.
    ``memory_rest`` and ``memory_peak`` are what processes had to themselves (resident, not shared)
    right before the load, and the most that was seen during it; of each process by itself.
    Buffers are of 8 kB; WAL is that of the whole cluster.
    """

    cpu: dict[str, float] = {}
    cpu_idle: float = 0.0
    cores: int = 0
    memory: dict[str, int] = {}
    memory_rest: dict[str, int] = {}
    memory_peak: dict[str, int] = {}
    wal_bytes: int = 0
    buffers_hit: int = 0
    buffers_read: int = 0
    statements: list[Statement] = []


class Round(msgspec.Struct, kw_only=True):
    """One turn of one side.

    ``value`` is the scenario's measure of this round. ``offered`` is the rate asked for in the open
    model, None in the closed one; ``dropped`` counts what was due and never sent.
    ``measured`` are the latencies as wrk saw them: it corrects those in ``latency`` and in the
    histogram for what its connections would have sent while they waited. None: not corrected.
    ``lateness`` is how late the generator itself sent what a connection was free for, as the 99th
    percentile in ms; latencies contain it. ``over_time`` are answers of each whole second.
    ``settle`` is how long after the load's end the jobs it had queued took, in seconds; ``left``
    how many of them there were at its end.
    ``fallbacks`` are pages of feeds that the database gave the proxy no answer for in time,
    so that PostgREST made them.
    ``checked`` answers were compared with the definition; ``wrong`` says which were not as it says.
    ``beside`` is what the stack did beside the ``count`` answers, in answers: to requests that only
    check, and, of what was under way at the end, as far as it had been waited for (both with wrk
    alone). ``rate`` has them, and costs are divided by all: slow sides would seem to cost more.
    """

    at: str
    seconds: float
    value: float
    count: int
    rate: float
    offered: float | None = None
    dropped: int = 0
    errors: dict[str, int] = {}
    latency: Latency = msgspec.field(default_factory=Latency)
    measured: Latency | None = None
    histogram: str = ""
    operations: dict[str, Operation] = {}
    lateness: float = 0.0
    over_time: list[int] = []
    settle: float = 0.0
    left: int = 0
    fallbacks: int = 0
    checked: int = 0
    wrong: list[str] = []
    beside: float = 0.0
    cost: Cost = msgspec.field(default_factory=Cost)

    @property
    def answers(self) -> float:
        """All that the costs are of."""
        return self.count + self.beside


class Side(msgspec.Struct, kw_only=True):
    """One of the loads that take turns in a scenario.

    ``stack`` is direct, pooled or replica, and ``instances`` how many PostgREST it had; files from
    before those were kept say "two" or "pooled-two" in ``stack``. ``model`` is open (``rate`` per
    second, ``arrivals`` poisson or constant, empty in older files) or closed (``clients``).
    ``threads`` is how many the generator has. ``uses`` are the
    kinds of processes whose memory is the side's; empty in files from before they were kept.
    ``absent`` says why a side was not measured (Redis is not installed); it has no rounds then.
    """

    name: str
    role: Role
    model: Literal["open", "closed"]
    generator: str
    stack: str = "direct"
    instances: int = 1
    clients: int = 0
    threads: int = 1
    rate: float | None = None
    arrivals: str = ""
    uses: list[str] = []
    absent: str = ""
    rounds: list[Round] = []

    @property
    def value(self) -> float:
        """The median of the rounds' values; 0 without rounds."""
        return median([one.value for one in self.rounds]) if self.rounds else 0.0


class Ratio(msgspec.Struct, kw_only=True):
    """The subject's value over another side's, round by round.

    ``target`` is what the ratio should reach (or stay under, where lower is better), None where the
    side is there to be seen only; ``aim`` is what it would better be.
    """

    to: str
    values: list[float]
    median: float
    low: float
    high: float
    target: float | None = None
    aim: float | None = None


class Target(msgspec.Struct, kw_only=True):
    """A bound for the subject, or ``side``: of rate, errors, dropped, figure, cpu or a percentile.

    ``of`` is the operation that a percentile is of (empty: of all), or the process that cpu is of
    (empty: all of the stack). cpu is ms of an answer. With ``to``, a side: a multiple of what that
    side has. ``aim`` is what it would better be.
    """

    what: str
    value: float
    aim: float | None = None
    bound: Literal["at least", "at most"]
    source: str = ""
    side: str = ""
    of: str = ""
    to: str = ""


class Published(msgspec.Struct, kw_only=True):
    """Figures of somebody else, shown beside ours: their name, and what they said."""

    name: str
    figures: dict[str, float | str]


class ScenarioResult(msgspec.Struct, kw_only=True):
    """A scenario as it was run. The first side is the subject.

    ``measure`` is rate, or a percentile with ``of`` as the operation (empty: all of the mix).
    """

    name: str
    title: str
    about: str
    unit: str
    measure: str
    of: str
    better: Better
    sides: list[Side]
    ratios: list[Ratio] = []
    targets: list[Target] = []
    published: list[Published] = []
    limitations: list[str] = []

    @property
    def subject(self) -> Side:
        """The side that the scenario is about."""
        return self.sides[0]


class Machine(msgspec.Struct, kw_only=True):
    """What the run ran on; memory in MiB. ``load`` is the load average of a minute before it.

    ``disk`` is the file system of the data and the kind of device below it, "ext4, not rotating";
    empty in files from before it was kept.
    """

    cpu: str
    cores: int
    memory_mib: int
    system: str
    load: float = 0.0
    disk: str = ""


class Data(msgspec.Struct, kw_only=True):
    """What was in the database when the run began.

    ``tables``: bytes of each table of app with its indexes, partitions under their parent.
    ``people``: how many there are of each kind of bench/sql/kinds.sql.
    ``audited``: users whose feeds were compared with the definition before anything was measured,
    and everybody's counters with them; None where there was but the audit of the load. ``drift``:
    rows of either that were not as defined.
    """

    preset: str
    seed: int
    users: int
    follows: int
    posts: int
    feed_entries: int
    bytes: int
    tables: dict[str, int] = {}
    people: dict[str, int] = {}
    audited: int | None = None
    drift: int = 0


class Run(msgspec.Struct, kw_only=True):
    """One run: everything that somebody needs to repeat it, and what came out.

    ``rounds`` and ``seconds`` are what was asked for: a scenario may have fewer, or its own.
    ``took`` is how many seconds all of it took, seeding and starting included; 0 in files from
    before it was kept. ``failures`` are scenarios that could not be run to their end, with the
    reason; ``left_out`` those that no time was left for.
    """

    format: int = FORMAT
    at: str
    commit: str
    uncommitted_changes: bool
    versions: dict[str, str]
    machine: Machine
    settings: dict[str, str]
    data: Data
    seed: int
    rounds: int
    seconds: float
    quick: bool
    scenarios: list[ScenarioResult] = []
    failures: dict[str, str] = {}
    left_out: list[str] = []
    took: float = 0.0

    def scenario(self, name: str) -> ScenarioResult | None:
        """Return the scenario of that name, None where it was not part of the run."""
        return next((one for one in self.scenarios if one.name == name), None)


def ratio(
    to: str,
    subject: list[float],
    other: list[float],
    target: float | None = None,
    aim: float | None = None,
) -> Ratio:
    """Compare two sides by their neighbouring rounds; of equal length, nothing is compared with 0.

    A pair whose other side is 0 is left out: there is nothing to be a multiple of.
    """
    values = [s / o for s, o in zip(subject, other, strict=True) if o]
    if not values:
        return Ratio(to=to, values=[], median=0.0, low=0.0, high=0.0, target=target, aim=aim)
    return Ratio(
        to=to,
        values=values,
        median=median(values),
        low=min(values),
        high=max(values),
        target=target,
        aim=aim,
    )


Kept = TypeVar("Kept", bound=msgspec.Struct)


def read_kept(file: Path, kind: type[Kept], newest: int) -> Kept:
    """Read what a command left behind; raise StackError where it is none, or of another format."""
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=kind)
    except OSError as error:
        raise StackError(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:  # also what is valid JSON, but of another kind
        raise StackError(f"{file} is no result of this version: {error}") from error
    found = getattr(kept, "format", None)
    if found != newest:
        raise StackError(f"{file} is of format {found}; this version reads {newest}")
    return kept


def write(kept: msgspec.Struct, file: Path) -> None:
    """Write to a new file; raise FileExistsError rather than overwrite one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


def read(file: Path) -> Run:
    """Read a run; StackError as of ``read_kept``."""
    return read_kept(file, Run, FORMAT)

"""What many users would take, from what one request costs here: the tables of docs/capacity.md.

Everything measured comes from a result file; everything assumed is in ``Assumptions``.
"""

from dataclasses import dataclass, fields, replace

from microblog.bench.report import figures, words
from microblog.bench.report.pages import table
from microblog.bench.result import Run, ScenarioResult
from microblog.bench.scale_result import Scaling
from microblog.errors import StackError

PAGE_SCENARIOS = ("timeline-floors", "reference-run")  # the first that was run tells a page's cost
CHUNK = 5000  # followers served by the subject of fan-out-chunk
DAY = 86_400
DATABASE = ("postgres", "pgbouncer", "worker")


@dataclass(frozen=True)
class Assumptions:
    """How people behave, and what one machine has. Shares are from 0 to 1."""

    daily: float = 0.2  # of users, who come on a day
    kept: float = 0.4  # of followers, whose timelines are kept (seen within 7 days of a session)
    pages: float = 30.0  # read a day by who comes
    posts: float = 0.5  # written a day by who comes
    weight: float = 2.0  # followers of a post's author, in multiples of the mean of all users
    peak: float = 3.0  # the busiest second, in multiples of the day's mean
    busy: float = 0.6  # share of the cores in use at the peak
    retention: float = 105.0  # days that entries of feeds are kept: three months and half of one
    cores: float = 64.0
    disk_tb: float = 15.0
    wal_mb: float = 400.0  # MB/s of WAL that storage and replicas take for hours


@dataclass(frozen=True)
class Unit:
    """What was measured: CPU in ms, sizes in bytes."""

    users: int
    follows_each: float
    page_database: float
    page_http: float
    post: float
    post_wal: float
    row: float
    row_wal: float
    entry_bytes: float
    follow_bytes: float
    post_bytes: float
    growth: float  # exponent of a page's cost over users, at least 0
    growth_measured: bool


@dataclass(frozen=True)
class Need:
    """What so many users need at the peak: per second, in cores, MB/s of WAL and TB of disk."""

    users: float
    pages: float
    posts: float
    rows: float
    cores_http: float
    cores_pages: float
    cores_writes: float
    wal_mb: float
    disk_tb: float

    @property
    def cores_database(self) -> float:
        """Cores of the database: for pages and for writing."""
        return self.cores_pages + self.cores_writes


def _of(run: Run, *names: str) -> ScenarioResult:
    for name in names:
        found = run.scenario(name)
        if found is not None and found.subject.rounds:
            return found
    raise StackError(
        f"this run lacks {' and '.join(names)}, which a capacity is derived from",
        f"Measure it: microblog bench run {names[0]} posting-storm fan-out-chunk",
    )


def _part(cpu: dict[str, float], *, database: bool) -> float:
    return sum(
        ms for name, ms in cpu.items() if name != "generator" and (name in DATABASE) == database
    )


def units(run: Run, scaling: Scaling | None = None) -> Unit:
    """Take the costs out of a run; raise StackError where one was not measured."""
    page = figures.spent(_of(run, *PAGE_SCENARIOS).subject)
    post = figures.spent(_of(run, "posting-storm").subject)
    chunk = figures.spent(_of(run, "fan-out-chunk").subject)
    data = run.data
    missing = [name for name in ("feed_entries", "follows", "posts") if name not in data.tables]
    if missing or min(data.feed_entries, data.follows, data.posts) < 1:
        raise StackError("this run does not say how large its tables are", "Measure again.")
    curve = next((one for one in scaling.curves if one.name == "users"), None) if scaling else None
    fit = curve.fit() if curve else None
    return Unit(
        users=data.users,
        follows_each=data.follows / data.users,
        page_database=_part(page.cpu, database=True),
        page_http=_part(page.cpu, database=False),
        post=post.stack_cpu,
        post_wal=post.wal_bytes,
        row=chunk.stack_cpu / CHUNK,
        row_wal=chunk.wal_bytes / CHUNK,
        entry_bytes=data.tables["feed_entries"] / data.feed_entries,
        follow_bytes=data.tables["follows"] / data.follows,
        post_bytes=data.tables["posts"] / data.posts,
        growth=max(0.0, fit.exponent) if fit else 0.0,
        growth_measured=fit is not None,
    )


def need(users: float, unit: Unit, assumed: Assumptions) -> Need:
    """Return what so many users need, if they behave as assumed and requests cost as measured."""
    comers = users * assumed.daily
    pages = comers * assumed.pages / DAY * assumed.peak
    posts = comers * assumed.posts / DAY * assumed.peak
    rows_each = unit.follows_each * assumed.weight * assumed.kept
    rows = posts * rows_each
    dearer = (users / unit.users) ** unit.growth
    posts_kept = comers * assumed.posts * assumed.retention
    disk = (
        posts_kept * rows_each * unit.entry_bytes
        + users * unit.follows_each * unit.follow_bytes
        + posts_kept * unit.post_bytes
    )
    return Need(
        users=users,
        pages=pages,
        posts=posts,
        rows=rows,
        cores_http=pages * unit.page_http / 1000 / assumed.busy,
        cores_pages=pages * unit.page_database * dearer / 1000 / assumed.busy,
        cores_writes=(posts * unit.post + rows * unit.row) / 1000 / assumed.busy,
        wal_mb=(posts * unit.post_wal + rows * unit.row_wal) / 1e6,
        disk_tb=disk / 1e12,
    )


def ends(unit: Unit, assumed: Assumptions) -> dict[str, float]:
    """Return with how many users each resource of one machine is used up, the first one first."""
    limits = {
        "cores, everything on one machine": lambda n: (
            (n.cores_database + n.cores_http) / assumed.cores
        ),
        "cores, PostgREST and HAProxy elsewhere": lambda n: n.cores_database / assumed.cores,
        "cores, pages read from replicas too": lambda n: n.cores_writes / assumed.cores,
        "WAL": lambda n: n.wal_mb / assumed.wal_mb,
        "disk": lambda n: n.disk_tb / assumed.disk_tb,
    }
    found = {}
    for name, used in limits.items():
        low, high = 1.0, 1e12  # every need rises with users: halve the interval
        for _ in range(200):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if used(need(middle, unit, assumed)) < 1 else (low, middle)
        found[name] = low
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _many(users: float) -> str:
    return f"{words.number(users / 1e6)} million"


def markdown(
    run: Run,
    sources: list[str],
    sizes: list[float],
    assumed: Assumptions,
    scaling: Scaling | None = None,
) -> str:
    """Return the tables of the capacity page; ``sources`` name the files the figures come from."""
    unit = units(run, scaling)
    needs = [need(size, unit, assumed) for size in sizes]
    machine = run.machine
    growth = (
        f"measured: users^{unit.growth:.2f}" if unit.growth_measured else "not measured, taken as 0"
    )
    measured = [
        ["CPU of a page, database", f"{words.number(unit.page_database)} ms"],
        ["CPU of a page, HAProxy and PostgREST", f"{words.number(unit.page_http)} ms"],
        ["growth of a page's cost with users", growth],
        ["CPU of a post, all of the stack", f"{words.number(unit.post)} ms"],
        ["WAL of a post", words.size(unit.post_wal)],
        ["CPU of a row put into a feed", f"{words.number(1000 * unit.row)} µs"],
        ["WAL of a row put into a feed", words.size(unit.row_wal)],
        ["a row in a feed on disk, with its index", words.size(unit.entry_bytes)],
        ["a follow on disk, with its indexes", words.size(unit.follow_bytes)],
        ["a post on disk, with its indexes", words.size(unit.post_bytes)],
        ["follows of a user, mean", words.number(unit.follows_each)],
    ]
    rows = [
        ("pages read", lambda n: f"{words.number(n.pages)}/s"),
        ("posts written", lambda n: f"{words.number(n.posts)}/s"),
        ("rows put into feeds", lambda n: f"{words.number(n.rows)}/s"),
        ("cores for HAProxy and PostgREST", lambda n: words.number(n.cores_http)),
        ("cores for the database: pages", lambda n: words.number(n.cores_pages)),
        ("cores for the database: posts and feeds", lambda n: words.number(n.cores_writes)),
        ("WAL", lambda n: f"{words.number(n.wal_mb)} MB/s"),
        ("disk for posts, follows and feeds", lambda n: f"{words.number(n.disk_tb)} TB"),
    ]
    files = " and ".join(f"`{name}`" for name in sources)
    quick = ", a quick pass" if run.quick else ""
    return "\n".join(
        [
            f"Measured {run.at[:10]} at commit {run.commit} with {words.number(unit.users)} users, "
            f"on {machine.cpu}, {machine.cores} cores{quick}; from {files}.",
            "",
            table(["measured", ""], measured),
            "",
            table(["assumed", ""], [list(line) for line in assumptions(assumed)]),
            "",
            table(["at the peak", *(_many(one.users) + " users" for one in needs)],
                   [[name, *(write(one) for one in needs)] for name, write in rows]),
            "",
            table(["one machine ends by", "at"], _ends(unit, assumed)),
        ]
    )  # fmt: skip


def _ends(unit: Unit, assumed: Assumptions) -> list[list[str]]:
    return [[name, f"{_many(users)} users"] for name, users in ends(unit, assumed).items()]


def assumptions(assumed: Assumptions) -> list[tuple[str, str]]:
    """Return the assumptions in words."""
    return [
        ("users who come on a day", f"{assumed.daily:.0%}"),
        ("followers whose timelines are kept", f"{assumed.kept:.0%}"),
        ("pages read a day by who comes", words.number(assumed.pages)),
        ("posts written a day by who comes", words.number(assumed.posts)),
        ("followers of a post's author", f"{words.times(assumed.weight)} the mean of all"),
        ("the busiest second", f"{words.times(assumed.peak)} the day's mean"),
        ("cores busy at the peak", f"{assumed.busy:.0%}"),
        ("entries of feeds are kept", f"{words.number(assumed.retention)} days"),
        ("one machine", f"{words.number(assumed.cores)} cores, {words.number(assumed.disk_tb)} TB, "
         f"{words.number(assumed.wal_mb)} MB/s of WAL"),
    ]  # fmt: skip


def changed(given: dict[str, float]) -> Assumptions:
    """Return the assumptions with some of them replaced; raise StackError for unknown or absurd."""
    known = [field.name for field in fields(Assumptions)]
    for name, value in given.items():
        if name not in known:
            raise StackError(f"nothing is assumed about {name}", f"There are: {', '.join(known)}.")
        if value <= 0 or (name in ("daily", "kept", "busy") and value > 1):
            raise StackError(f"{name} = {words.number(value)} is out of range")
    return replace(Assumptions(), **given)

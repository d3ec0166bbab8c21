"""What many users would take, from what one request costs here: the tables of docs/capacity.md.

Everything measured comes from a result file; everything assumed is in ``Assumptions``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from math import exp
from pathlib import PurePath
from statistics import median

from msgspec.structs import replace as changed_struct

from microblog.bench.fit import Fit
from microblog.bench.report import figures, words
from microblog.bench.report.facts import of_the_run
from microblog.bench.report.pages import Curves, Source, filled, machine, table
from microblog.bench.result import Round, Run, ScenarioResult, Side
from microblog.errors import StackError

PAGE_SCENARIOS = ("timeline-floors", "reference-run")  # the first that was run tells a page's cost
# The side of it that tells what a page costs where the proxy does not reach the database's socket.
FAR_SIDE = "timeline by way of PostgREST"
PAGE, POST, ROW = "page", "posting-storm", "fan-out-chunk"
LIMITS = "limits"  # pages with limits that count, and beside them without
HIT = "insert into app.rate_limit_buckets"  # the statement that counts, on the primary
SIZES, GROWTH = "sizes", "users"  # where these are from: a run's database, a curve
CHUNK = 5000  # followers served by the subject of fan-out-chunk
DAY = 86_400
DATABASE = ("postgres", "pgbouncer", "worker")
BLOCK = 8192  # bytes
FAR = 100.0  # times what was measured: beyond it a figure is marked as far from any measurement


@dataclass(frozen=True)
class Assumptions:
    """How people behave, and what one machine has. Shares are from 0 to 1."""

    daily: float = 0.2  # of users, who come on a day
    kept: float = 0.4  # of followers, whose timelines are kept (seen within 7 days of a session)
    pages: float = 30.0  # read a day by who comes
    posts: float = 0.5  # written a day by who comes
    logins: float = 1 / 30  # a day by every user: one a month
    login_ms: float = 100.0  # CPU of a login: the hash of a password is slow on purpose
    weight: float = 2.0  # followers of a post's author, in multiples of the mean of all users
    peak: float = 3.0  # the busiest second, in multiples of the day's mean
    busy: float = 0.6  # share of the cores in use at the peak
    blocks: float = 6.0  # of 8 kB that are a comer's alone: feed, its index, follows, state, token
    cold: float = 0.05  # of these blocks, not in memory when a page is read at the peak
    row_blocks: float = 1.0  # that a row put into a feed touches and no other row: its index's leaf
    post_blocks: float = 3.0  # that a post touches and no other one: counters, index by author, …
    image: float = 5700.0  # bytes of a block's image in WAL: 8 kB, of which 70 % are filled
    hot_days: float = 3.0  # of posts that pages show
    retention: float = 105.0  # days that entries of feeds are kept: three months and half of one
    cores: float = 64.0
    memory_gb: float = 512.0
    iops: float = 200_000.0  # random reads and writes of blocks a second
    disk_tb: float = 15.0
    wal_mb: float = 400.0  # MB/s of WAL that storage and replicas take for hours


@dataclass(frozen=True)
class Unit:
    """What was measured: CPU in ms, sizes in bytes."""

    users: int
    follows_each: float
    page_database: float
    page_http: float
    page_far: float  # of the database, for a page by way of PostgREST on another machine
    post: float
    post_wal: float
    row: float
    row_wal: float
    entry_bytes: float
    follow_bytes: float
    post_bytes: float
    growth: float  # exponent of a page's cost over users, at least 0
    growth_measured: bool
    page_wal: float  # of counting its limits
    hit: float  # CPU of the primary that counts a page which is read from a replica
    checkpoint_seconds: float  # between two checkpoints, at most
    checkpoint_wal: float  # bytes of WAL that one comes after at the latest


@dataclass(frozen=True)
class Range:
    """What was measured, and the cheapest and dearest that it may be.

    Costs as in the cheapest and the dearest round, each by itself; the growth with the bounds of
    the exponent's interval of 95 %. ``origins`` says where each scenario, the sizes of rows and
    the curve of the growth are from, ``hits_by`` is the scenario that tells what counting costs.
    """

    middle: Unit
    low: Unit
    high: Unit
    origins: dict[str, Source | Curves]
    hits_by: str

    def files(self) -> list[str]:
        """Return the names of the files in the order in which they were given, each once."""
        return list(dict.fromkeys(name for _, name in self.origins.values()))


@dataclass(frozen=True)
class Need:
    """What so many users need at the peak: per second, in cores, MB/s of WAL and TB of disk.

    ``cores_hits`` are what counting pages takes, in ``cores_pages`` as well: what stays with the
    primary where pages are read from replicas. ``memory_gb`` is what pages are read from on a day,
    ``iops`` blocks read and written at random in a second. ``cores_far`` takes the place of
    ``cores_pages`` where PostgREST and HAProxy are on other machines.
    """

    users: float
    pages: float
    posts: float
    rows: float
    cores_http: float
    cores_pages: float
    cores_far: float
    cores_writes: float
    cores_logins: float
    cores_hits: float
    memory_gb: float
    iops: float
    wal_mb: float
    disk_tb: float

    @property
    def cores_database(self) -> float:
        """Cores of the database: for pages, for writing and for logins."""
        return self.cores_pages + self.cores_writes + self.cores_logins


def _of(runs: Sequence[Source], *names: str) -> tuple[ScenarioResult, Source]:
    """Return the first of these scenarios that was measured, and the last run that has it."""
    for name in names:
        for run, file in reversed(runs):
            found = run.scenario(name)
            if found is not None and found.subject.rounds:
                return found, (run, file)
    what = "this run lacks" if len(runs) == 1 else "these runs lack"
    raise StackError(
        f"{what} {' and '.join(names)}, which a capacity is derived from",
        f"Measure it: microblog bench run {names[0]} posting-storm fan-out-chunk",
    )


def _growth(curves: Sequence[Curves]) -> tuple[Fit | None, Curves | None]:
    """Return the growth over users by the last curve that tells one, and its file."""
    for scaling, file in reversed(curves):
        for curve in scaling.curves:
            if curve.name == GROWTH and (fit := curve.fit()):
                return fit, (scaling, file)
    return None, None


def _hits(
    runs: Sequence[Source], users: int, instead: Sequence[tuple[str, Side]]
) -> tuple[str, Source | None, list[float]]:
    """Return what counting a page costs the database, CPU ms by round, and by which scenario.

    By the difference that limits make, of neighbouring rounds, where all rounds find one; where
    it drowns in the noise, by the time of the statement that counts, without what comes with it
    (a message, a commit), of the first of the sides given that tells it. With LIMITS comes the run.
    """
    for run, file in reversed(runs):
        found = run.scenario(LIMITS)
        if found is None or run.data.users != users or len(found.sides) < 2:
            continue
        rounds = zip(found.sides[0].rounds, found.sides[1].rounds, strict=False)
        more = [
            _part(on, database=True) - _part(off, database=True)
            for on, off in rounds
            if on.count and off.count
        ]
        if more and min(more) > 0:
            return LIMITS, (run, file), more
        break  # the last one tells; an older one is of other code
    for name, side in instead:
        took = [
            one.milliseconds / one.calls
            for each in side.rounds
            for one in each.cost.statements
            if HIT in one.query and one.calls
        ]
        if took:
            return name, None, took
    raise StackError(
        "no run says what counting a page's hits costs",
        f"Measure it: microblog bench run {LIMITS} {POST}",
    )


def _checkpoints(settings: dict[str, str]) -> tuple[float, float]:
    """Return how many seconds apart checkpoints are at most, and how many bytes of WAL.

    One begins when, with what is written until the next one has ended, max_wal_size would be full.
    """
    given = {"checkpoint_timeout": "5min", "max_wal_size": "1GB"}  # PostgreSQL's own
    given |= {name: settings.get(f"postgresql.{name}", value) for name, value in given.items()}
    target = float(settings.get("postgresql.checkpoint_completion_target", "0.9"))
    seconds = _amount(given["checkpoint_timeout"], {"s": 1, "min": 60, "h": 3600, "d": DAY})
    wal = _amount(given["max_wal_size"], {"MB": 2**20, "GB": 2**30, "TB": 2**40})
    return seconds, wal / (1 + target)


def _amount(text: str, units: dict[str, int]) -> float:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return float(number) * units[text[len(number) :]]


def _part(one: Round, *, database: bool) -> float:
    """Return the CPU ms of an answer, of the database or of what is before it."""
    outside = (*figures.OUTSIDE, "generator")
    return sum(
        figures.served_cpu(one, name)
        for name in one.cost.cpu
        if name not in outside and (name in DATABASE) == database
    )


def units(runs: Sequence[Source], curves: Sequence[Curves] = ()) -> Range:
    """Take the costs out of runs, each scenario and the curve from the last file that has it.

    Raises StackError where one was not measured, and for networks of different sizes: what a post
    or a row costs in the one says nothing of the other.
    """
    scenarios = {
        key: _of(runs, *names)
        for key, names in ((PAGE, PAGE_SCENARIOS), (POST, (POST,)), (ROW, (ROW,)))
    }
    pages, (run, file) = scenarios[PAGE]
    page = pages.subject
    far = next((one for one in pages.sides if one.name == FAR_SIDE and one.rounds), page)
    post, chunk = scenarios[POST][0].subject, scenarios[ROW][0].subject
    networks = {name: one.data.users for _, (one, name) in scenarios.values()}
    if len(set(networks.values())) > 1:
        told = ", ".join(f"{name}: {words.number(users)}" for name, users in networks.items())
        raise StackError(
            f"these runs are of networks of different sizes: {told} users",
            "Measure all with the same --preset.",
        )
    origins: dict[str, Source | Curves] = {
        found.name: source for found, source in scenarios.values()
    }
    origins[SIZES] = (run, file)
    data = run.data
    hits_by, limits_of, hits = _hits(runs, data.users, [(pages.name, far), (POST, post)])
    if limits_of:
        origins[LIMITS] = limits_of
    checkpoint_seconds, checkpoint_wal = _checkpoints(run.settings)
    missing = [name for name in ("feed_entries", "follows", "posts") if name not in data.tables]
    if missing or min(data.feed_entries, data.follows, data.posts) < 1:
        raise StackError("this run does not say how large its tables are", "Measure again.")
    fit, growth_of = _growth(curves)
    if growth_of:
        origins[GROWTH] = growth_of
    given = [name for _, name in (*runs, *curves)]  # in this order they give the same again
    origins = dict(sorted(origins.items(), key=lambda item: given.index(item[1][1])))

    def unit(pick: Callable[[list[float]], float], growth: float) -> Unit:
        def of(side: Side, cost: Callable[[Round], float]) -> float:
            return pick([cost(one) for one in side.rounds if one.count])

        def wal(one: Round) -> float:
            return one.cost.wal_bytes / one.count

        return Unit(
            users=data.users,
            follows_each=data.follows / data.users,
            page_database=of(page, lambda one: _part(one, database=True)),
            page_http=of(page, lambda one: _part(one, database=False)),
            page_far=of(far, lambda one: _part(one, database=True)),
            post=of(post, figures.served_cpu),
            post_wal=of(post, wal),
            row=of(chunk, figures.served_cpu) / CHUNK,
            row_wal=of(chunk, wal) / CHUNK,
            entry_bytes=data.tables["feed_entries"] / data.feed_entries,
            follow_bytes=data.tables["follows"] / data.follows,
            post_bytes=data.tables["posts"] / data.posts,
            growth=max(0.0, growth),
            growth_measured=fit is not None,
            page_wal=of(page, wal),
            hit=pick(hits),
            checkpoint_seconds=checkpoint_seconds,
            checkpoint_wal=checkpoint_wal,
        )

    return Range(
        unit(median, fit.exponent if fit else 0.0),
        unit(min, fit.low if fit else 0.0),
        unit(max, fit.high if fit else 0.0),
        origins,
        hits_by,
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
    logins = users * assumed.logins / DAY * assumed.peak
    blocks = pages * assumed.blocks * assumed.cold
    hits = pages * unit.hit / 1000 / assumed.busy
    wal = posts * unit.post_wal + rows * unit.row_wal + pages * unit.page_wal
    hot = (
        comers * assumed.blocks * BLOCK
        + comers * assumed.posts * assumed.hot_days * unit.post_bytes
    )
    return Need(
        users=users,
        pages=pages,
        posts=posts,
        rows=rows,
        cores_http=pages * unit.page_http / 1000 / assumed.busy,
        cores_pages=pages * unit.page_database * dearer / 1000 / assumed.busy,
        cores_far=pages * unit.page_far * dearer / 1000 / assumed.busy,
        cores_writes=(posts * unit.post + rows * unit.row) / 1000 / assumed.busy,
        cores_logins=logins * assumed.login_ms / 1000 / assumed.busy,
        cores_hits=hits,
        memory_gb=hot / 1e9,
        iops=blocks + 2 * rows * assumed.row_blocks,  # each read once, written once
        wal_mb=(wal + _images(wal, posts, rows, users * assumed.kept, unit, assumed)) / 1e6,
        disk_tb=disk / 1e12,
    )


def _images(
    wal: float, posts: float, rows: float, readers: float, unit: Unit, assumed: Assumptions
) -> float:
    """Return bytes a second of images of blocks, where ``wal`` a second are written besides.

    The first change of a block after a checkpoint writes all of it into WAL (full_page_writes).
    Rows go where each of ``readers`` has the newest ones, a leaf of the index each: of n changes
    of b blocks, drawn at random, b (1 - exp(-n / b)) are the first one of their block. All of a
    post's are taken for the first of theirs. The more WAL, the sooner a checkpoint, the more
    images: begun with the longest time between two, each turn gives a shorter one, down to the
    one that agrees with what it makes.
    """
    changes, leaves = rows * assumed.row_blocks, readers * assumed.row_blocks
    apart = unit.checkpoint_seconds
    while True:
        first = leaves / apart * (1 - exp(-changes * apart / leaves))
        found = (first + posts * assumed.post_blocks) * assumed.image
        sooner = min(unit.checkpoint_seconds, unit.checkpoint_wal / (wal + found))
        if sooner > 0.999 * apart:
            return found
        apart = sooner


EVERYTHING = "cores, everything on one machine"
ELSEWHERE = "cores, PostgREST and HAProxy elsewhere"
REPLICAS = "cores, pages read from replicas too"
MEMORY = "memory for what is read on a day"
BLOCKS, WAL, DISK = "random reads and writes", "WAL", "disk"
PRIMARY = (REPLICAS, BLOCKS, WAL)  # the ends of whatever all writes go to
ASSUMED = ", mostly assumed"
TELLS = 0.1  # part of an end: what moves it by less needs no telling
COSTS = {  # that are assumed, not measured; how people behave is no cost
    "blocks": "a comer's blocks",
    "cold": "those not in memory",
    "login_ms": "a login's CPU",
    "row_blocks": "blocks of a row",
    "post_blocks": "blocks of a post",
    "image": "a block's image",
}
# What then, in words. The order is that of the figures; what one end is put off to, too.
REMEDIES = {
    EVERYTHING: "HAProxy and PostgREST keep nothing, so they can go to other machines, as many as "
    "are wanted. The proxy reaches the database's socket no more then: pages come by way of "
    "PostgREST, which costs the database more for each.",
    ELSEWHERE: "A page is a read, and a replica serves it. Pages need what the session check and "
    "the rate limits need: the same rows, replicated; hits are counted on the primary.",
    MEMORY: "Below it pages wait for the disk, which the CPU times here do not know. Replicas that "
    "serve some of the readers each hold their part.",
    DISK: "Feeds are what takes it. Shorter retention shrinks them in proportion, and costs nobody "
    "a page: below the horizon timelines are gathered from posts when they are read. So does "
    "keeping fewer timelines.",
}
OF_THE_PRIMARY = (
    "This is an end of one primary. Feeds are rows (reader, post): they split by reader without a "
    "query that crosses a border, while posts, follows and accounts, far smaller, stay in one "
    "place or are replicated to each part. Nothing of that is built."
)


def ends(unit: Unit, assumed: Assumptions) -> dict[str, float]:
    """Return with how many users each resource of one machine is used up, the first one first."""
    limits: dict[str, Callable[[Need], float]] = {
        EVERYTHING: lambda n: (n.cores_database + n.cores_http) / assumed.cores,
        ELSEWHERE: lambda n: (n.cores_far + n.cores_writes + n.cores_logins) / assumed.cores,
        REPLICAS: lambda n: (n.cores_writes + n.cores_logins + n.cores_hits) / assumed.cores,
        MEMORY: lambda n: n.memory_gb / assumed.memory_gb,
        BLOCKS: lambda n: n.iops / assumed.iops,
        WAL: lambda n: n.wal_mb / assumed.wal_mb,
        DISK: lambda n: n.disk_tb / assumed.disk_tb,
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


def _far(users: float, unit: Unit) -> str:
    return " †" if users > FAR * unit.users else ""


def _spread(middle: float, low: float, high: float, unit: str = "") -> str:
    """Write a figure with its range, where it has one."""
    low, high = min(low, middle), max(high, middle)
    shown = [words.number(one) for one in (middle, low, high)]
    wide = f" ({shown[1]} to {shown[2]})" if shown[1] != shown[2] else ""
    return f"{shown[0]}{wide}{unit}"


def _label(name: str) -> str:
    return PurePath(name).stem


def _sources(every: Range) -> list[str]:
    """Say of each file when, of what and on what it was measured, and what lessens its worth."""
    lines = []
    for file in every.files():
        taken = [what for what, (_, name) in every.origins.items() if name == file]
        found = next(one for one, name in every.origins.values() if name == file)
        of = ""
        if isinstance(found, Run):
            kept = [one for one in found.scenarios if one.name in taken]
            of = " ".join(["", *of_the_run(changed_struct(found, scenarios=kept))])
        lines.append(
            f"- `{file}`: measured {found.at[:10]} at commit {found.commit}, on "
            f"{machine(found.machine)}.{of}"
        )
    return lines


def markdown(every: Range, sizes: list[float], assumed: Assumptions) -> str:
    """Return what was measured, with its files, what is assumed, and what follows, as tables."""
    unit = every.middle
    needs = [
        [need(size, one, assumed) for one in (every.middle, every.low, every.high)]
        for size in sizes
    ]
    growth = "not measured, taken as 0"
    if unit.growth_measured:
        growth = f"users^{unit.growth:.2f} ({every.low.growth:.2f} to {every.high.growth:.2f})"

    def cost(name: str, unit_of: str = " ms", times: float = 1.0) -> str:
        return _spread(
            *(times * getattr(one, name) for one in (unit, every.low, every.high)), unit_of
        )

    page = next(one for one in PAGE_SCENARIOS if one in every.origins)
    found = [
        ("CPU of a page, database", cost("page_database"), page),
        ("CPU of a page, HAProxy and PostgREST", cost("page_http"), page),
        ("CPU of a page by way of PostgREST, database", cost("page_far"), page),
        (
            "CPU of counting a page, database: "
            + ("with limits less without" if every.hits_by == LIMITS else "its statement alone"),
            cost("hit"),
            every.hits_by,
        ),
        ("WAL of a page", cost("page_wal", " B"), page),
        ("growth of a page's cost with users", growth, GROWTH),
        ("CPU of a post, all of the stack", cost("post"), POST),
        ("WAL of a post", cost("post_wal", " B"), POST),
        ("CPU of a row put into a feed", cost("row", " µs", 1000.0), ROW),
        ("WAL of a row put into a feed, images of blocks aside", cost("row_wal", " B"), ROW),
        ("a row in a feed on disk, with its index", words.size(unit.entry_bytes), SIZES),
        ("a follow on disk, with its indexes", words.size(unit.follow_bytes), SIZES),
        ("a post on disk, with its indexes", words.size(unit.post_bytes), SIZES),
        ("follows of a user, mean", words.number(unit.follows_each), SIZES),
        (
            "a checkpoint comes, as it was set",
            f"after {words.number(unit.checkpoint_seconds)} s or "
            f"{words.size(unit.checkpoint_wal)} of WAL",
            SIZES,
        ),
    ]
    measured = [
        [what, value, f"`{of}`" if of != SIZES else "the database", _label(every.origins[of][1])]
        if of in every.origins
        else [what, value, "", ""]
        for what, value, of in found
    ]
    rows = [
        ("pages read", "pages", "/s"),
        ("posts written", "posts", "/s"),
        ("rows put into feeds", "rows", "/s"),
        ("cores for HAProxy and PostgREST", "cores_http", ""),
        ("cores for the database: pages", "cores_pages", ""),
        ("cores for the database: posts and feeds", "cores_writes", ""),
        ("cores for the database: counting pages, of the above", "cores_hits", ""),
        (f"cores for the database: logins{ASSUMED}", "cores_logins", ""),
        (f"memory for what is read on a day{ASSUMED}", "memory_gb", " GB"),
        (f"random reads and writes{ASSUMED}", "iops", "/s"),
        (f"WAL{ASSUMED}", "wal_mb", " MB/s"),
        ("disk for posts, follows and feeds", "disk_tb", " TB"),
    ]
    return "\n".join(
        [
            f"Measured with {words.number(unit.users)} users, each scenario and the curve from the "
            "last file given that has it:",
            "",
            *_sources(every),
            "",
            "Ranges: costs as in the cheapest and the dearest round, growth within the 95 % "
            "interval of its exponent. What is mostly assumed says so and has no range: that of "
            f"the part that was measured would say little. † is more than {FAR:.0f} times the "
            "users that were measured: reckoned, not known.",
            "",
            table(["measured", "", "of", "from"], measured),
            "",
            table(["assumed", ""], [list(line) for line in assumptions(assumed)]),
            "",
            table(
                ["at the peak", *(f"{_many(one)} users{_far(one, unit)}" for one in sizes)],
                [
                    [title, *(_spread(*(getattr(one, name)
                                        for one in (three[:1] * 3 if ASSUMED in title else three)),
                                      of)
                              for three in needs)]
                    for title, name, of in rows
                ],
            ),
        ]
    )  # fmt: skip


def ends_markdown(every: Range, assumed: Assumptions) -> str:
    """Return where one machine ends, as a table, and what then, as a list in the same order."""
    middle = ends(every.middle, assumed)
    items = [
        f"{number}. **{name[0].upper()}{name[1:]}.** {text}"
        for number, (name, text) in enumerate(_remedies(middle, every.middle).items(), 1)
    ]
    ended = table(
        ["one machine ends by", "at", "what is assumed, and what half or twice of it gives"],
        _ends(every, assumed),
    )
    return "\n".join([ended, "", *items])


def _remedies(found: dict[str, float], unit: Unit) -> dict[str, str]:
    """Return what puts each end off, in their order."""
    first = next(number for number, name in enumerate(found, 1) if name in PRIMARY)
    told = {}
    for number, name in enumerate(found, 1):
        if name in PRIMARY:
            told[name] = (
                OF_THE_PRIMARY if number == first else f"An end of one primary, too: see {first}."
            )
            continue
        told[name] = REMEDIES[name]
        if name == EVERYTHING and found[ELSEWHERE] <= found[EVERYTHING]:
            told[name] += " By these figures that puts nothing off: replicas for pages do."
        elif name in (EVERYTHING, ELSEWHERE):
            then = ELSEWHERE if name == EVERYTHING else REPLICAS
            told[name] += (
                f" That puts it off to {_many(found[then])} users{_far(found[then], unit)}."
            )
    return told


def page(text: str, every: Range, sizes: list[float], assumed: Assumptions) -> str:
    """Return the capacity page with its generated parts filled."""
    text = filled(text, "capacity", markdown(every, sizes, assumed))
    return filled(text, "ends", ends_markdown(every, assumed))


def _ends(every: Range, assumed: Assumptions) -> list[list[str]]:
    """Return each end, with what the measurement leaves open, or what an assumption does.

    Where half of a cost that is assumed, or twice of it, moves an end by more than TELLS, it stands
    beside it with what that gives; if it moves it further than the measurement does, the range of
    the latter would claim more than is known, and is left out.
    """
    low, high = ends(every.high, assumed), ends(every.low, assumed)  # the dearer, the earlier
    less, more = (
        {
            name: ends(every.middle, replace(assumed, **{name: getattr(assumed, name) * times}))
            for name in COSTS
        }
        for times in (0.5, 2.0)
    )
    rows = []
    for name, users in ends(every.middle, assumed).items():
        told = []
        known = True
        for cost, title in COSTS.items():
            half, twice = less[cost][name], more[cost][name]
            if half < users * (1 + TELLS) and twice > users * (1 - TELLS):
                continue
            told.append(f"assumed: {title}; half {_many(half)}, twice {_many(twice)}")
            known &= half <= high[name] and twice >= low[name]
        bounds = (low[name], high[name]) if known else (users, users)
        at = _spread(users / 1e6, *(one / 1e6 for one in bounds), " million users")
        rows.append([name, at + _far(users, every.middle), "<br>".join(told)])
    return rows


def assumptions(assumed: Assumptions) -> list[tuple[str, str]]:
    """Return the assumptions in words."""
    return [
        ("users who come on a day", f"{assumed.daily:.0%}"),
        ("followers whose timelines are kept", f"{assumed.kept:.0%}"),
        ("pages read a day by who comes", words.number(assumed.pages)),
        ("posts written a day by who comes", words.number(assumed.posts)),
        ("a login", f"{words.number(assumed.login_ms)} ms of CPU, one in "
         f"{words.number(1 / assumed.logins)} days by each user"),
        ("blocks of 8 kB that are a comer's alone", words.number(assumed.blocks)),
        ("of these not in memory at the peak", f"{assumed.cold:.0%}"),
        ("blocks that a row put into a feed changes, and no other row",
         words.number(assumed.row_blocks)),
        ("blocks that a post changes, and no other post", words.number(assumed.post_blocks)),
        ("a block's image in WAL, at its first change after a checkpoint",
         f"{words.number(assumed.image)} B"),
        ("pages show posts of", f"{words.number(assumed.hot_days)} days"),
        ("followers of a post's author", f"{words.times(assumed.weight)} the mean of all"),
        ("the busiest second", f"{words.times(assumed.peak)} the day's mean"),
        ("cores busy at the peak", f"{assumed.busy:.0%}"),
        ("entries of feeds are kept", f"{words.number(assumed.retention)} days"),
        ("one machine", f"{words.number(assumed.cores)} cores, "
         f"{words.number(assumed.memory_gb)} GB of memory, {words.number(assumed.disk_tb)} TB, "
         f"{words.number(assumed.iops)} random reads and writes a second, "
         f"{words.number(assumed.wal_mb)} MB/s of WAL"),
    ]  # fmt: skip


def changed(given: dict[str, float]) -> Assumptions:
    """Return the assumptions with some of them replaced; raise StackError for unknown or absurd."""
    known = [field.name for field in fields(Assumptions)]
    for name, value in given.items():
        if name not in known:
            raise StackError(f"nothing is assumed about {name}", f"There are: {', '.join(known)}.")
        if value <= 0 or (name in ("daily", "kept", "busy", "cold") and value > 1):
            raise StackError(f"{name} = {words.number(value)} is out of range")
    return replace(Assumptions(), **given)

"""What was measured: what one request costs, from the result files of runs and curves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from microblog.bench.fit import Fit
from microblog.bench.report import figures, words
from microblog.bench.report.pages import Curves, Source
from microblog.bench.result import Round, ScenarioResult, Side
from microblog.errors import StackError

PAGE_SCENARIOS = ("timeline-floors", "reference-run")  # the first that was run tells a page's cost
# The side of it that tells what a page costs where the proxy does not reach the database's socket.
FAR_SIDE = "timeline by way of PostgREST"
PAGE, POST, ROW = "page", "posting-storm", "fan-out-chunk"
LIMITS = "limits"  # pages with limits that count, and beside them without
HIT = "insert into app.rate_limit_buckets"  # the statement that counts, on the primary
SIZES, GROWTH = "sizes", "users"  # where these are from: a run's database, a curve
CHUNK = 5000  # followers served by the subject of fan-out-chunk
DATABASE = ("postgres", "pgbouncer", "worker")


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
        f"Measure it: microblog bench run {PAGE_SCENARIOS[0]} {LIMITS} {POST} {ROW}",
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
    seconds = _amount(given["checkpoint_timeout"], {"s": 1, "min": 60, "h": 3600, "d": 86_400})
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
            return one.cost.wal_bytes / one.answers

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

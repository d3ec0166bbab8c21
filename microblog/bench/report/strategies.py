"""The ways to make a timeline beside each other: what they cost to read, to write and to keep."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from msgspec.structs import replace

from microblog.bench import histogram
from microblog.bench.report import figures, words
from microblog.bench.report.pages import NOTHING, Source, table
from microblog.bench.report.svg import INK, MUTED, SERIES, Drawing
from microblog.bench.result import Latency, Run, Side

READ, WRITE, KEEP, REFRESH = "strategies", "strategies-delivery", "storage", "view-refresh"
LIFETIME, CACHED = 300, 60  # seconds: of the view and of a cached page, in the documents
# In what the scenario says of itself since posts are followed so; before, pages were read one after
# the other, and reading them all counted.
AS_OF_ONE_MOMENT = "pages as of one moment"
COLUMNS = [
    "strategy",
    "page p50",
    "page p99",
    "post returns",
    "all followers see it",
    "an entry takes",
    "all entries take",
    "a new post shows",
]


@dataclass(frozen=True)
class Strategy:
    """One way, as it was measured: times in ms, sizes in bytes; None where it was not.

    ``post`` and ``delivered`` are medians. What was not measured but follows from other figures is
    named in ``reckoned``: of the view, which writes what pull writes, ``post``, and ``delivered``,
    the longest wait; of pull ``delivered`` in runs in which reading pages counted; and ``total``,
    of each as many entries as the hybrid keeps, times what one takes.
    """

    name: str
    read: Latency | None
    pages: int  # how many were read: what tells which percentiles there are
    post: float | None
    delivered: float | None
    entry: float | None
    total: float | None
    fresh: str
    reckoned: frozenset[str] = frozenset()

    @property
    def tail(self) -> float | None:
        """The 99th percentile of a page; None where too few were read to tell."""
        return self.read.p99 if self.read and histogram.tells("p99", self.pages) else None


def gathered(parts: Sequence[Source]) -> tuple[Run, list[str]] | None:
    """Return the run that read with each strategy, and where the rest is from; None without it.

    What else is shown of them, and that run did not measure, is added from the others of ``parts``,
    those on a network of the same size; the list says of each what and whence.
    """
    run = next((one for one, _ in parts if one.scenario(READ)), None)
    if run is None:
        return None
    added, said = [], []
    for name in (WRITE, KEEP, REFRESH):
        for other, file in parts:
            found = other.scenario(name)
            if found and other is not run and other.data.users == run.data.users:
                added.append(found)
                said.append(f"`{name}` from {file} (commit {other.commit})")
    return replace(run, scenarios=[*run.scenarios, *added]), said


def _side(run: Run, scenario: str, begins: str) -> Side | None:
    found = run.scenario(scenario)
    sides = found.sides if found else []
    return next((one for one in sides if one.name.startswith(begins) and one.rounds), None)


def _read(run: Run, begins: str) -> tuple[Latency | None, int]:
    side = _side(run, READ, begins)
    return (figures.latency(side), figures.answers(side)) if side else (None, 0)


def _written(run: Run, begins: str, operation: str) -> float | None:
    side = _side(run, WRITE, begins)
    return figures.of_side(side, "p50", operation) if side else None


def _figure(run: Run, scenario: str, begins: str) -> float | None:
    side = _side(run, scenario, begins)
    return side.value if side else None


def _as_of_one_moment(run: Run) -> bool:
    found = run.scenario(WRITE)
    return found is not None and AS_OF_ONE_MOMENT in found.about


def _total(run: Run, entry: float | None) -> float | None:
    return None if entry is None else entry * run.data.feed_entries


def measured(run: Run) -> list[Strategy]:
    """Take the strategies out of a run, this project's first; empty where it did not read them."""
    if run.scenario(READ) is None:
        return []
    refresh = _figure(run, REFRESH, "concurrently")
    entry = _figure(run, KEEP, "app.feed_entries")
    hybrid = Strategy(
        "hybrid",
        *_read(run, "hybrid"),
        _written(run, "hybrid", "post"),
        _written(run, "hybrid", "delivered"),
        entry,
        _total(run, entry),
        "at once to 100 and above 50,000 followers; by a job between",
        frozenset({"total"}),
    )
    told = _as_of_one_moment(run)
    posted = _written(run, "pull", "post")
    pull = Strategy(
        "pull",
        *_read(run, "pull"),
        posted,
        _written(run, "pull", "delivered") if told else posted,
        0.0,
        0.0,
        "at once",
        frozenset() if told else frozenset({"delivered"}),
    )
    entry = _figure(run, KEEP, "the reference system's table")
    push = Strategy(
        "push",
        *_read(run, "push"),
        _written(run, "push", "post"),
        _written(run, "push", "delivered"),
        entry,
        _total(run, entry),
        "when its job is done",
        frozenset({"total"}),
    )
    entry = _figure(run, KEEP, "the reference system's view")
    view = Strategy(
        "materialised view, cached",
        *_read(run, "all feeds in one view"),
        pull.post,
        None if refresh is None else 1000 * (LIFETIME + refresh + CACHED),
        entry,
        _total(run, entry),
        f"after up to {LIFETIME} s, the refresh and {CACHED} s in the cache",
        frozenset({"post", "delivered", "total"}),
    )
    return [hybrid, pull, push, view]


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{words.number(value / 1000)} s" if value >= 10_000 else f"{words.number(value)} ms"


def _bytes(value: float | None) -> str:
    return "–" if value is None else words.size(value) if value else "nothing"


def _cell(one: Strategy, field: str, text: str) -> str:
    """Mark what was not measured."""
    return f"{text} (reckoned)" if field in one.reckoned and text != "–" else text


def rows(run: Run) -> list[list[str]]:
    """Return what is shown of each strategy, its name first; none where they were not compared."""
    return [
        [
            one.name,
            _ms(one.read.p50 if one.read else None),
            _ms(one.tail),
            _cell(one, "post", _ms(one.post)),
            _cell(
                one,
                "delivered",
                (
                    "up to "
                    if one.delivered and one.delivered != one.post and "delivered" in one.reckoned
                    else ""
                )
                + _ms(one.delivered),
            ),
            _bytes(one.entry),
            _cell(one, "total", _bytes(one.total)),
            one.fresh,
        ]
        for one in measured(run)
    ]


def markdown(run: Run) -> str:
    """Return the comparison as a table with what it does not say; words where there is none."""
    found = rows(run)
    if not found:
        return NOTHING
    found[0][0] = f"**{found[0][0]}**"
    return f"{table(COLUMNS, found)}\n\n{notes(run)}"


def notes(run: Run) -> str:
    """Return what the comparison is of, and what it does not say."""
    refresh = _figure(run, REFRESH, "concurrently")
    told = (
        f" One refresh took {words.number(refresh)} s: `{REFRESH}` says of how many feeds."
        if refresh is not None
        else ""
    )
    reading = (
        "until some followers' pages, read as of one moment, all show it"
        if _as_of_one_moment(run)
        else "until each of some followers' pages shows it, reading those pages included, some "
        "ten one after the other; pull's post is there when the call returns"
    )
    return (
        "Pages: of random active users at the database, one client, medians and 99th "
        "percentiles. Posts: of authors with about 5,000 followers, medians, "
        f"{reading}; the hybrid's job waits for its "
        "worker, push's for nobody. The hybrid's posts go through all of this project's triggers "
        "(text, counters, delivery, locks); the others' are bare rows, with none. Reckoned is what "
        "was not measured: the view writes what pull writes, its post waits for the end of the "
        "view's life, a refresh and the end of the cached page's; all entries are as many as the "
        "hybrid has, which does not keep those of inactive users and of the largest authors, times "
        "what one takes when posts were delivered one by one (docs/capacity.md: why it varies)."
        + told
    )


def plot(run: Run) -> Drawing | None:
    """Draw how long a page takes against how long a post needs; None where one was not measured."""
    found = [one for one in measured(run) if one.read and one.delivered]
    if len(found) < 2:
        return None
    drawing = Drawing(
        "strategies", "How long a page takes, and how long a new post needs", 7.2, 3.4
    )
    axes = drawing.axes
    axes.set_xscale("log")
    axes.set_yscale("log")
    for number, one in enumerate(found):
        if one.read is None or one.delivered is None:
            continue
        tint = SERIES[number % len(SERIES)]
        slow = one.tail or one.read.p50
        axes.plot([one.read.p50, slow], [one.delivered / 1000] * 2, color=tint, alpha=0.5)
        axes.plot(one.read.p50, one.delivered / 1000, "o", markersize=8, color=tint)
        axes.plot(slow, one.delivered / 1000, "|", markersize=9, color=tint)
        axes.annotate(
            one.name,
            (one.read.p50, one.delivered / 1000),
            (0, 9),
            textcoords="offset points",
            color=INK if number == 0 else MUTED,
            fontweight="bold" if number == 0 else "normal",
        )
    x = [value for one in found if one.read for value in (one.read.p50, one.tail) if value]
    y = [one.delivered / 1000 for one in found if one.delivered]
    axes.set_xlim(min(x) / 2, max(x) * 3)
    axes.set_ylim(min(y) / 3, max(y) * 5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator())
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("a page: median (dot) to 99th percentile (bar), ms; left is better")
    axes.set_ylabel("until followers see a post, s")
    return drawing

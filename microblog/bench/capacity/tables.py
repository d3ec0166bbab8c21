"""The generated parts of docs/capacity.md."""

from dataclasses import replace
from pathlib import PurePath

from msgspec.structs import replace as changed_struct

from microblog.bench.capacity.assumed import Assumptions, assumptions
from microblog.bench.capacity.measured import (
    GROWTH,
    LIMITS,
    PAGE_SCENARIOS,
    POST,
    ROW,
    SIZES,
    Range,
    Unit,
)
from microblog.bench.capacity.needed import (
    BLOCKS,
    DISK,
    ELSEWHERE,
    EVERYTHING,
    MEMORY,
    REPLICAS,
    WAL,
    ends,
    need,
)
from microblog.bench.report import words
from microblog.bench.report.facts import of_the_run
from microblog.bench.report.pages import filled, machine, table
from microblog.bench.result import Run

FAR = 100.0  # times what was measured: beyond it a figure is marked as far from any measurement
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

"""What is assumed: how people behave, and what one machine has."""

from dataclasses import dataclass, fields, replace

from microblog.bench.report import words
from microblog.errors import StackError


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

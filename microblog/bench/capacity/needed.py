"""What so many users need at the peak, and where one machine ends."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

from microblog.bench.capacity.assumed import Assumptions
from microblog.bench.capacity.measured import Unit

DAY = 86_400
BLOCK = 8192  # bytes


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

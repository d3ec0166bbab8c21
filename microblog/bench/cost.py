"""What a round took from the machine: CPU by process, memory, WAL, buffers, statements."""

import os
import resource
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from microblog.bench.result import Cost, Statement

STATEMENTS = 8  # of a round that are kept, by total time
QUERY_LENGTH = 300  # characters kept of a statement

LOOKS = 0.5  # seconds between two looks at the memory of a round
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

WAL = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
STATEMENTS_QUERY = """
select
  s.query, s.calls, s.total_exec_time, s.rows, s.shared_blks_hit, s.shared_blks_read, s.wal_bytes
from extensions.pg_stat_statements s
join pg_database d on d.oid = s.dbid
where d.datname = current_database() and s.toplevel and s.query not like '%pg_stat_statements%'
order by s.total_exec_time desc
"""

READ = """
select coalesce(sum(s.shared_blks_read), 0)::bigint
from extensions.pg_stat_statements s
join pg_database d on d.oid = s.dbid
where d.datname = current_database() and s.toplevel
"""

Connection = psycopg.Connection[Any]


@dataclass
class Meter:
    """Measures what happens between entry and exit of a with block; ``cost`` has it afterwards.

    ``pids`` are the processes by kind (postgres, postgrest, …); their children count with them.
    ``generator`` (seconds) is what the generators say they used while they sent, None where they
    say nothing: then all of it is theirs. They must be children of this process, ended by the exit;
    what else it and its children used is the harness's (starting, adding up).
    """

    connection: Connection
    pids: Mapping[str, list[int]]
    generator: float | None = None
    cost: Cost = field(default_factory=Cost)

    def __enter__(self) -> Self:
        self.connection.execute("select extensions.pg_stat_statements_reset()")
        self._wal = self._wal_now()
        self._peak = Peak(self.pids, every=LOOKS, of=_private)
        self._rest = self._peak.look()
        self._peak.__enter__()
        self._cpu, self._machine = self._cpu_now(), psutil.cpu_times()
        return self

    def __exit__(self, *_: object) -> None:
        machine, cpu = psutil.cpu_times(), self._cpu_now()
        wal = self._wal_now()
        self._peak.__exit__()
        used = {kind: max(cpu[kind] - self._cpu.get(kind, 0.0), 0.0) for kind in cpu}
        everything = used["harness"]
        used["generator"] = everything if self.generator is None else self.generator
        used["harness"] = max(everything - used["generator"], 0.0)
        busy = _busy(machine) - _busy(self._machine)
        used["others"] = max(busy - sum(used.values()), 0.0)
        statements = [
            Statement(
                query=" ".join(query.split())[:QUERY_LENGTH],
                calls=calls,
                milliseconds=milliseconds,
                rows=rows,
                buffers_hit=hit,
                buffers_read=read,
                wal_bytes=int(wal_bytes),
            )
            for query, calls, milliseconds, rows, hit, read, wal_bytes in self.connection.execute(
                STATEMENTS_QUERY
            )
        ]
        self.cost = Cost(
            cpu={kind: round(seconds, 3) for kind, seconds in used.items()},
            cpu_idle=round(machine.idle - self._machine.idle, 3),
            cores=psutil.cpu_count() or 1,
            memory={kind: _memory(pids) for kind, pids in self.pids.items()},
            memory_rest=self._rest,
            memory_peak=self._peak.most,
            wal_bytes=wal - self._wal,
            buffers_hit=sum(one.buffers_hit for one in statements),
            buffers_read=sum(one.buffers_read for one in statements),
            statements=statements[:STATEMENTS],
        )

    def _wal_now(self) -> int:
        row = self.connection.execute(WAL).fetchone()
        return int(row[0]) if row else 0

    def _cpu_now(self) -> dict[str, float]:
        used = {kind: sum(_cpu(pid) for pid in pids) for kind, pids in self.pids.items()}
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = resource.getrusage(resource.RUSAGE_SELF)
        used["harness"] = ended.ru_utime + ended.ru_stime + own.ru_utime + own.ru_stime
        return used


def buffers_read(connection: Connection) -> int:
    """Return how many blocks statements have read from disk since a ``Meter`` began."""
    row = connection.execute(READ).fetchone()
    return int(row[0]) if row else 0


class Peak:
    """A context manager that watches the memory of processes, by kind, with their children.

    ``most`` is the most that was seen of each kind, in bytes, and ``together`` of all at one look;
    looks are ``every`` seconds apart, the last one at the end. ``of`` says what is looked at.
    """

    def __init__(
        self,
        pids: Mapping[str, list[int]],
        every: float = 2.0,
        of: Callable[[list[int]], int] | None = None,
    ) -> None:
        self.pids, self.every, self.of = pids, every, of or _memory
        self.most: dict[str, int] = {}
        self.together = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def look(self) -> dict[str, int]:
        """Look now, and return what there is of each kind."""
        found = {kind: self.of(pids) for kind, pids in self.pids.items()}
        for kind, size in found.items():
            self.most[kind] = max(self.most.get(kind, 0), size)
        self.together = max(self.together, sum(found.values()))
        return found

    def _watch(self) -> None:
        over = False
        while not over:
            over = self._over.wait(self.every)
            self.look()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu(pid: int) -> float:
    """CPU seconds of a process, its children, and the children it has had."""
    total = 0.0
    for number, process in enumerate(_family(pid)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if number == 0:
            total += times.children_user + times.children_system
    return total


def _busy(times: Any) -> float:
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _memory(pids: list[int]) -> int:
    """Proportional set size: what is shared is divided among those that share it."""
    total = 0
    for pid in pids:
        for process in _family(pid):
            try:
                info = process.memory_full_info()
            except psutil.Error:
                continue
            total += int(getattr(info, "pss", info.rss))
    return total


def _private(pids: list[int]) -> int:
    """What the processes have to themselves: resident, not shared.

    From files of /proc, because a look during a round must be cheap: proportional sizes take a walk
    through all shared pages of each process, and psutil reads all processes to find children.
    """
    total, waiting = 0, list(pids)
    while waiting:
        pid = waiting.pop()
        try:
            _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
            total += max(resident - shared, 0) * PAGE_SIZE
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except OSError:  # it has ended
            continue
    return total

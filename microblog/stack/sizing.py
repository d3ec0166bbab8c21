"""Sizes PostgreSQL's memory from the machine's, as its documentation advises."""

from contextlib import suppress
from pathlib import Path

FALLBACK_MB = 1024


def memory_mb() -> int:
    """Return the memory this process may use in MB: the machine's, or its container's if less."""
    limits = []
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                limits.append(int(line.split()[1]) // 1024)
    for limit_file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max" where there is no limit
            limits.append(int(Path(limit_file).read_text()) // 2**20)
    return min(limits, default=FALLBACK_MB)


def sized(memory: int, cpus: int) -> dict[str, str | int]:
    """Return the settings that depend on memory (MB) and processors.

    A quarter of the memory for shared buffers, up to 8 GB: beyond that the kernel's cache serves
    as well. ``work_mem`` is small because no query of the API sorts more than a page.
    """
    return {
        "shared_buffers": f"{_between(32, memory // 4, 8192)}MB",
        "effective_cache_size": f"{_between(64, memory * 6 // 10, 1_000_000)}MB",
        "maintenance_work_mem": f"{_between(16, memory // 16, 1024)}MB",
        "work_mem": f"{_between(4, memory // 1024, 16)}MB",
        "max_worker_processes": _between(8, cpus, 64),
        "max_parallel_workers": _between(1, cpus, 64),
        "max_parallel_workers_per_gather": _between(0, cpus // 2, 4),
    }


def _between(lowest: int, value: int, highest: int) -> int:
    return max(lowest, min(value, highest))

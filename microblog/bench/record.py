"""What was measured, on what: one JSON file per run under ``bench/results``, never overwritten."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from microblog.bench.scenario import BENCH, Scenario
from microblog.settings import ROOT, Settings


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """What ran the benchmark: CPU model, cores, memory in MiB, system."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_mib": pages // 2**20,
        "system": platform.platform(),
    }


def result(scenario: Scenario, subject: list[float], baseline: list[float]) -> dict[str, Any]:
    """Sum up the rounds of one scenario; ``ratios`` are of neighbouring rounds."""
    ratios = [s / b for s, b in zip(subject, baseline, strict=True)]
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "unit": scenario.unit,
        "clients": scenario.clients,
        "subject": {"name": scenario.subject.name, "rounds": subject},
        "baseline": {"name": scenario.baseline.name, "rounds": baseline},
        "ratio": {"median": median(ratios), "min": min(ratios), "max": max(ratios)},
    }


def table(results: list[dict[str, Any]]) -> Table:
    """The terminal report: medians, the median ratio and its spread over the rounds."""
    shown = Table(title="Medians of rounds that took turns; closed loop, generator on this machine")
    shown.add_column("what")
    shown.add_column("rate", justify="right")
    shown.add_column("unit")
    shown.add_column("ratio (min–max)", justify="right")
    for entry in results:
        ratio = entry["ratio"]
        shown.add_section()
        shown.add_row(f"[bold]{entry['title']}[/bold]", "", "", "")
        shown.add_row(
            "  " + entry["subject"]["name"],
            f"{median(entry['subject']['rounds']):,.1f}",
            entry["unit"],
            f"{ratio['median']:.2f} ({ratio['min']:.2f}–{ratio['max']:.2f})",
        )
        shown.add_row(
            "  " + entry["baseline"]["name"],
            f"{median(entry['baseline']['rounds']):,.1f}",
            entry["unit"],
            "1",
        )
    return shown


def save(
    settings: Settings, seconds: int, versions: dict[str, str], results: list[dict[str, Any]]
) -> Path:
    """Write the run to a new file named by its time (UTC) and commit."""
    now = datetime.now(UTC)
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    file = BENCH / "results" / f"{now:%Y%m%dT%H%M%SZ}-{commit}.json"
    run = {
        "at": now.isoformat(timespec="seconds"),
        "commit": commit,
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "versions": versions,
        "machine": machine(),
        "seconds_per_round": seconds,
        "fsync": settings.fsync,
        "pooled": settings.pooled,
        "instances": settings.instances,
        "results": results,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x") as out:
        json.dump(run, out, indent=1)
        out.write("\n")
    return file

"""Runs one load for some seconds with a real generator: wrk for HTTP, pgbench for SQL."""

import re
import shutil
import subprocess
from pathlib import Path

from microblog.bench.scenario import BENCH, Load
from microblog.errors import StackError
from microblog.settings import Settings


def wrk_binary() -> str:
    """Where wrk is; StackError with the command that installs it where it is not."""
    found = shutil.which("wrk")
    if found is None:
        raise StackError("wrk is not installed", "Install it: apt-get install wrk")
    return found


def _run(argv: list[str], seconds: int) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode != 0:
        raise StackError(f"{Path(argv[0]).name} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def http(settings: Settings, load: Load, clients: int, seconds: int, tokens: Path) -> float:
    """Requests answered per second by a closed loop of ``clients``; any error fails the run."""
    url = f"http://{settings.host}:{settings.port}"
    script = BENCH / "wrk" / "get.lua"
    output = _run(
        [wrk_binary(), "-t1", f"-c{clients}", f"-d{seconds}s", "-s", str(script), url, "--"]
        + [str(load.path), str(tokens)],
        seconds,
    )
    trouble = re.search(r"(Socket errors|Non-2xx).*", output)
    if trouble:
        raise StackError(f"{load.name}: {trouble.group(0)}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))  # type: ignore[union-attr]


def sql(settings: Settings, load: Load, clients: int, seconds: int) -> float:
    """Transactions committed per second by ``clients`` that do nothing else; errors fail it."""
    output = _run(
        [
            str(settings.pg_bin / "pgbench"),
            *("-h", str(settings.socket_dir), "-p", str(settings.pg_port), "-U", "postgres"),
            *("-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds)),
            *("-f", str(load.script), settings.database),
        ],
        seconds,
    )
    failed = re.search(r"failed transactions: (\d+)", output)
    if failed and int(failed.group(1)):
        raise StackError(f"{load.name}: {failed.group(0)}")
    return float(re.search(r"tps = ([\d.]+)", output).group(1))  # type: ignore[union-attr]

"""Runs SQL files of the benchmarks as superuser."""

import subprocess
from pathlib import Path

from microblog.errors import StackError
from microblog.settings import Settings


def run_file(settings: Settings, file: Path) -> None:
    """Run one SQL file in the stack's database; raise StackError with psql's message."""
    done = subprocess.run(
        [str(settings.psql), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(file)]
        + [settings.socket_dsn()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"{file.name} failed: {done.stderr.strip()}")

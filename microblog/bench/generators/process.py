"""Runs a generator's process to its end."""

import subprocess
import sys
from pathlib import Path

import msgspec

from microblog.bench.generators.job import Job, Outcome
from microblog.errors import StackError

GRACE = 60.0  # seconds a generator may take beyond what it was asked for


def run(
    argv: list[str], seconds: float, data: bytes = b"", env: dict[str, str] | None = None
) -> bytes:
    """Run a program and return what it printed; raise StackError with its words if it fails.

    ``env`` is its environment, this process's own if left out.
    """
    name = argv[2].rpartition(".")[2] if argv[0] == sys.executable else Path(argv[0]).name
    try:
        done = subprocess.run(
            argv, input=data, capture_output=True, timeout=seconds + GRACE, check=False, env=env
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{name} did not end within {seconds + GRACE:.0f} s") from None
    if done.returncode != 0:
        raise StackError(f"{name} failed: {done.stderr.decode(errors='replace').strip()[-800:]}")
    return done.stdout


def module(name: str, job: Job, *arguments: str) -> Outcome:
    """Run a module of this package that reads a Job and prints an Outcome."""
    argv = [sys.executable, "-m", f"microblog.bench.generators.{name}", *arguments]
    seconds = job.seconds + job.load.timeout
    output = run(argv, seconds, msgspec.json.encode(job))
    try:
        return msgspec.json.decode(output, type=Outcome)
    except msgspec.DecodeError as error:
        raise StackError(f"{name} printed no result: {error}; {output[-200:]!r}") from error

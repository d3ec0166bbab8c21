"""Runs a generator's process to its end."""

import resource
import select
import subprocess
import sys
from pathlib import Path
from typing import NoReturn, Self

import msgspec

from microblog.bench.generators.job import Job, Outcome
from microblog.errors import StackError

GRACE = 60.0  # seconds a generator may take beyond what it was asked for
HELD = "held"  # argument of a module that is to wait once it could begin


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


def children_cpu() -> float:
    """CPU seconds of all processes that were run to their end, one that is ``Held`` not among them.

    What this grows by while one runs is that one's, unless another thread runs one, too.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def module(name: str, job: Job, *arguments: str) -> Outcome:
    """Run a module of this package that reads a Job and prints an Outcome."""
    seconds = job.seconds + job.load.timeout
    return _read(name, run(_argv(name, *arguments), seconds, msgspec.json.encode(job)))


def _argv(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"microblog.bench.generators.{name}", *arguments]


def _read(name: str, output: bytes) -> Outcome:
    try:
        return msgspec.json.decode(output, type=Outcome)
    except msgspec.DecodeError as error:
        raise StackError(f"{name} printed no result: {error}; {output[-200:]!r}") from error


class Held:
    """A context manager: a module that has started, is connected, and waits for ``begin``.

    What its imports take is over by then, and is no part of the load it stands beside. It is waited
    for in ``outcome`` only, so that until then ``children_cpu`` does not count it.
    """

    def __init__(self, name: str, job: Job) -> None:
        self.name, self.seconds = name, job.seconds + job.load.timeout
        self.process = subprocess.Popen(
            _argv(name, HELD), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdin and self.process.stdout  # noqa: S101 - for the type checker
        try:
            self.process.stdin.write(msgspec.json.encode(job) + b"\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], GRACE)
            if not ready or self.process.stdout.readline() != b"\n":
                self._fail("did not start")
        except BrokenPipeError:
            self._fail("did not start")
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def begin(self) -> None:
        """Have it begin."""
        if self.process.stdin:
            self.process.stdin.close()
            self.process.stdin = None  # communicate() would flush it

    def outcome(self) -> Outcome:
        """Wait for its end and return what it saw."""
        try:
            output, said = self.process.communicate(timeout=self.seconds + GRACE)
        except subprocess.TimeoutExpired:
            self._fail(f"did not end within {self.seconds + GRACE:.0f} s")
        if self.process.returncode:
            raise StackError(f"{self.name} failed: {said.decode(errors='replace').strip()[-800:]}")
        return _read(self.name, output)

    def _fail(self, how: str) -> NoReturn:
        self.process.kill()
        _, said = self.process.communicate()
        raise StackError(f"{self.name} {how}: {said.decode(errors='replace').strip()[-800:]}")

    def _end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            self.begin()
            self.process.communicate()

"""Real child processes, and waiting for what they do."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

from microblog.errors import NotReadyError

T = TypeVar("T")
POLL_INTERVAL = 0.05  # seconds between two looks at a condition


def wait_for(
    condition: Callable[[], T],
    timeout: float = 30.0,
    what: str = "the condition",
    give_up: Callable[[], str | None] = lambda: None,
) -> T:
    """Call ``condition`` until it returns something true, and return that.

    ``timeout`` is in seconds. ``give_up`` may return a reason to stop waiting early.
    Raises NotReadyError on the deadline or the reason.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        reason = give_up()
        if reason:
            raise NotReadyError(f"{what}: {reason}")
        if time.monotonic() >= deadline:
            raise NotReadyError(f"{what}: not within {timeout:g} s")
        pause.wait(POLL_INTERVAL)


def alive(pid: int) -> bool:
    """Tell whether a process exists and has not ended (a zombie has)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return not Path("/proc/self").exists()
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


class Process:
    """A child process with its output in a file.

    Used by tests and short-lived commands; a stack's own processes are supervisor's. As a context
    manager it starts on entry and stops on exit. ``prefix`` goes before the command (see
    ``ServiceUser.prefix``).
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        prefix: Sequence[str] = (),
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.argv = [*prefix, *(str(a) for a in argv)]
        self.log = log
        self.env = dict(env) if env is not None else None
        self.cwd = cwd
        self.stop_signal = stop_signal
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; RuntimeError before the start."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, None while it runs."""
        return None if self._child is None else self._child.poll()

    def start(self) -> Self:
        """Start it with stdin closed, its output appended to the log."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self.argv,
                env=self.env,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def wait_ready(self, condition: Callable[[], object], timeout: float = 30.0) -> Self:
        """Wait until ``condition`` is true; NotReadyError with the log's end where it is not."""

        def ended() -> str | None:
            return None if self.running else f"ended with exit code {self.returncode}"

        try:
            wait_for(condition, timeout, self.name, ended)
        except NotReadyError as error:
            raise NotReadyError(error.message, self.log_text()[-2000:]) from None
        return self

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end, at most ``timeout`` s (subprocess.TimeoutExpired); the exit code."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.wait(timeout)

    def send(self, number: int) -> None:
        """Send a signal; nothing happens where it has ended."""
        if self._child is not None:
            self._child.send_signal(number)

    def stop(self, number: int | None = None, timeout: float = 30.0) -> int | None:
        """End it by a signal (its own stop signal by default), by SIGKILL after ``timeout`` s."""
        if self._child is None:
            return None
        self.send(self.stop_signal if number is None else number)
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int | None:
        """End it by SIGKILL."""
        if self._child is None:
            return None
        self._child.kill()
        return self._child.wait(30)

    def log_text(self) -> str:
        """All it has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_contains(self, text: str) -> bool:
        """Tell whether it has printed ``text``."""
        return text in self.log_text()

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

"""Progress of a load: a bar for each step, with its rate, and afterwards how long each took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text


@dataclass
class Step:
    """A finished step: ``rows`` done in ``seconds``; None where there is nothing to count."""

    name: str
    rows: int | None
    seconds: float


class Steps:
    """A context in which ``step`` shows a bar; ``done`` lists what is finished."""

    def __init__(self, console: Console) -> None:
        self.done: list[Step] = []
        self._progress = Progress(
            TextColumn("{task.description:34}"),
            BarColumn(),
            _Rows(),
            TimeElapsedColumn(),
            console=console,
        )

    def __enter__(self) -> "Steps":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show a bar of ``total`` rows; what is given is called with the rows done since."""
        rows = 0
        task = self._progress.add_task(name, total=total, rows=0)

        def advance(count: int) -> None:
            nonlocal rows
            rows += count
            self._progress.update(task, completed=rows if total else 0, rows=rows)

        start = time.perf_counter()
        yield advance
        self.done.append(Step(name, rows or None, time.perf_counter() - start))
        self._progress.update(task, total=rows or 1, completed=rows or 1)


class _Rows(ProgressColumn):
    """Rows so far and rows per second."""

    def render(self, task: Task) -> Text:
        """Return the column's text for one bar."""
        rows = task.fields["rows"]
        seconds = task.finished_time if task.finished else task.elapsed
        if not rows:
            return Text("")
        return Text(f"{rows:,} rows" + (f", {rows / seconds:,.0f}/s" if seconds else ""))

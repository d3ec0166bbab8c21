"""Loads a follower graph from two files through COPY: everything, or nothing.

Members are a CSV file with a header that names a column ``Handle`` or ``username``; the first line
after it is node 0, the next node 1, and so on. Edges are lines of two nodes, ``i j`` for "i follows
j"; empty lines and lines that start with ``#`` are left out. Both are UTF-8.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import psycopg
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import postgres

USERNAME_COLUMNS = ("handle", "username")
LINE_LIMIT = 65536  # bytes; keeps a file that is not text out of memory
BLOCK = 5000  # lines handed to COPY at once
NODE_DIGITS = 15  # more are no node of anybody's, and would not fit a bigint
ATTEMPTS = 5

Edge = tuple[int, int, int]
Member = tuple[int, str]
Tick = Callable[[int, int], None]


class MalformedFileError(StackError):
    """A line that cannot be imported; the message is ``file:line: what is wrong; expected …``."""

    def __init__(self, file: Path, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}", "Nothing was imported.")


@dataclass(frozen=True)
class Imported:
    """What an import read, and how much of it was new: the rest was there already."""

    members: int
    edges: int
    users_made: int
    follows_made: int


# -- reading -------------------------------------------------------------------------------------


def read_members(path: Path, tick: Tick = lambda lines, size: None) -> Iterator[Member]:
    """Yield the number of the line and the username of each member, in the order of nodes.

    ``tick`` is called with the lines and bytes read since the last call. Raises
    MalformedFileError.
    """
    with path.open("rb") as file:
        lines = _lines(path, file, tick)
        rows = csv.reader((text for _, text in lines), strict=True)
        header: list[str] | None = None
        column = 0
        try:
            for row in rows:
                if header is None:
                    header, column = row, _username_column(path, row)
                elif len(row) != len(header):
                    raise MalformedFileError(
                        path,
                        rows.line_num,
                        f"{_count(len(row), 'field')}; expected {len(header)}: {', '.join(header)}",
                    )
                else:
                    yield rows.line_num, row[column]
        except csv.Error as error:
            raise MalformedFileError(
                path, rows.line_num, f"{error}; expected comma-separated values (RFC 4180)"
            ) from error
        if header is None:
            raise MalformedFileError(path, 1, "the file is empty; expected a header")


def read_edges(path: Path, tick: Tick = lambda lines, size: None) -> Iterator[Edge]:
    """Yield the number of the line, the node that follows and the node followed.

    ``tick`` as in ``read_members``. Raises MalformedFileError.
    """
    with path.open("rb") as file:
        for number, text in _lines(path, file, tick):
            fields = text.split()
            if not fields or fields[0].startswith("#"):
                continue
            if len(fields) != 2:
                raise MalformedFileError(
                    path,
                    number,
                    f"{_count(len(fields), 'field')}; expected 2: the node that follows and "
                    "the node followed",
                )
            for field in fields:
                if not (field.isascii() and field.isdigit() and len(field) <= NODE_DIGITS):
                    raise MalformedFileError(
                        path,
                        number,
                        f"{field[:40]!r} is no node; expected a whole number from 0 on",
                    )
            yield number, int(fields[0]), int(fields[1])


def _lines(path: Path, file: BinaryIO, tick: Tick) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line; refuse what is not text."""
    number = seen = size = 0
    while line := file.readline(LINE_LIMIT + 1):
        number += 1
        if len(line) > LINE_LIMIT:
            raise MalformedFileError(
                path, number, f"longer than {LINE_LIMIT} bytes; expected lines of text"
            )
        if b"\0" in line:
            raise MalformedFileError(path, number, "holds a NUL byte; expected text in UTF-8")
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise MalformedFileError(
                path, number, f"byte {error.start + 1} is not UTF-8; expected text in UTF-8"
            ) from error
        size += len(line)
        if number - seen == BLOCK:
            tick(BLOCK, size)
            seen, size = number, 0
    tick(number - seen, size)


def _username_column(path: Path, header: list[str]) -> int:
    names = [name.strip().lower() for name in header]
    for wanted in USERNAME_COLUMNS:
        if wanted in names:
            return names.index(wanted)
    raise MalformedFileError(
        path, 1, f"the header is {', '.join(header)!r}; expected a column Handle or username"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# -- loading -------------------------------------------------------------------------------------


def stage(
    connection: psycopg.Connection[Any], members: Iterable[Member], edges: Iterable[Edge]
) -> tuple[int, int]:
    """Copy members and edges into temporary tables of this connection; return how many of each.

    The connection must have the owner's role, and not have staged before. Raises whatever the
    iterables raise; nothing outside the connection is changed.
    """
    connection.execute("select app.import_stage()")
    with connection.cursor() as cursor:
        count_members = _copy(
            cursor,
            "copy pg_temp.import_members (node, line, username) from stdin",
            (
                f"{node}\t{line}\t{_escaped(username)}\n"
                for node, (line, username) in enumerate(members)
            ),
        )
        count_edges = _copy(
            cursor,
            "copy pg_temp.import_edges (line, follower, followed) from stdin",
            (f"{line}\t{follower}\t{followed}\n" for line, follower, followed in edges),
        )
    return count_members, count_edges


def load(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Make users and follows of what was staged, in one transaction; return how many are new.

    Loses against a deletion or a deadlock at most five times in a row before it raises StackError.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with connection.transaction():
                made = connection.execute(
                    "select users_made, follows_made from app.import_graph()"
                ).fetchone()
                return made or (0, 0)
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
            if attempt == ATTEMPTS:
                raise StackError(
                    f"the import gave way to other writes {ATTEMPTS} times: "
                    f"{error.diag.message_primary}",
                    "Nothing was imported. Run it again in a quieter moment.",
                ) from error
    raise AssertionError("the last attempt returns or raises")


def import_graph(
    settings: Settings,
    members: Path,
    edges: Path,
    dbname: str | None = None,
    console: Console | None = None,
) -> Imported:
    """Load a graph into the stack's database, or ``dbname``, with progress on ``console``.

    Raises MalformedFileError for the first line that cannot be imported, with nothing loaded, and
    StackError where the database does not answer or has no schema.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    with (
        owner_connection(settings, dbname) as connection,
        Progress(
            TextColumn("{task.description:20}"),
            BarColumn(),
            _Lines(),
            TimeElapsedColumn(),
            console=console,
        ) as progress,
    ):
        count_members, count_edges = stage(
            connection,
            read_members(members, _ticker(progress, "copy members", members)),
            read_edges(edges, _ticker(progress, "copy edges", edges)),
        )
        check(connection, members, edges)
        task = progress.add_task("users and follows", total=None, lines=count_members + count_edges)
        users_made, follows_made = load(connection)
        progress.update(task, total=1, completed=1)
    imported = Imported(count_members, count_edges, users_made, follows_made)
    console.print(_summary(imported), markup=False)
    return imported


@contextmanager
def owner_connection(
    settings: Settings, dbname: str | None = None
) -> Iterator[psycopg.Connection[Any]]:
    """Connect with the owner's role; StackError where there is no server or no schema."""
    if not postgres.ready(settings):
        raise StackError("PostgreSQL does not run", "Start the stack: microblog up")
    try:
        connection = postgres.connect(settings, dbname)
    except psycopg.OperationalError as error:
        raise StackError(f"no connection: {error}", "Start the stack: microblog up") from error
    with connection:
        found = connection.execute(
            "select to_regrole('microblog_owner') is not null"
            " and to_regproc('app.import_graph') is not null"
        ).fetchone()
        if found != (True,):
            raise StackError(
                f"database {connection.info.dbname} lacks the schema, or a part of it",
                "Deploy it: microblog migrate",
            )
        connection.execute("set role microblog_owner")
        yield connection


def check(connection: psycopg.Connection[Any], members: Path, edges: Path) -> None:
    """Raise MalformedFileError for the first staged line that cannot be imported."""
    found = connection.execute("select source, line, problem from app.import_problem()").fetchone()
    if found:
        source, line, problem = found
        raise MalformedFileError(members if source == "members" else edges, line, problem)


def _summary(imported: Imported) -> str:
    return (
        f"imported: {imported.users_made:,} users and {imported.follows_made:,} follows; "
        f"there already, or repeated in the file: "
        f"{imported.members - imported.users_made:,} users and "
        f"{imported.edges - imported.follows_made:,} follows"
    )


def _copy(cursor: psycopg.Cursor[Any], statement: str, rows: Iterable[str]) -> int:
    """Send rows of COPY's text format in blocks; return how many."""
    count = 0
    block: list[str] = []
    with cursor.copy(statement) as copy:
        for row in rows:
            block.append(row)
            if len(block) == BLOCK:
                count += BLOCK
                copy.write("".join(block))
                block.clear()
        copy.write("".join(block))
    return count + len(block)


def _escaped(text: str) -> str:
    """Escape what COPY's text format gives a meaning."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _ticker(progress: Progress, description: str, path: Path) -> Tick:
    """Add a bar over the file's bytes; return what moves it."""
    task = progress.add_task(description, total=path.stat().st_size or None, lines=0)

    def tick(lines: int, size: int) -> None:
        progress.update(task, advance=size, lines=progress.tasks[task].fields["lines"] + lines)

    return tick


class _Lines(ProgressColumn):
    """Lines so far and lines per second."""

    def render(self, task: Task) -> Text:
        """Return the column's text for one bar."""
        lines = task.fields["lines"]
        seconds = task.finished_time if task.finished else task.elapsed
        rate = f", {lines / seconds:,.0f}/s" if seconds else ""
        return Text(f"{lines:,} lines{rate}")

"""Weakens one protection at a time and runs the tests that ought to notice.

A mutation is data, in the TOML files of ``mutations/``: what is taken away, how, and which tests
notice. It is one of

- ``sql``: statements, run as the superuser in a clone of the template database. What they change
  beyond that database ``undo`` takes back;
- ``function``, ``replace``, ``by``: text of a function, as its script in ``sql/`` has it, or, where
  the script puts it together, as the database has it;
- ``file``, ``replace``, ``by``: text of a committed file, in a copy of the project.

The tests run in a pytest of their own, from a copy of the project and attached to a cluster that
runs already, whose databases are clones of the weakened one. A mutation is noticed when every test
named for it fails; one that passes survives, and an error that is no failure of a test is neither.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from microblog.settings import ROOT
from microblog.stack import postgres
from tests.support.cluster import ATTACH, Cluster
from tests.support.database import Connection, Database

MUTATIONS = Path(__file__).parent / "mutations"
NOT_COPIED = (".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
TIMEOUT = 300  # seconds for one run of pytest
_numbers = count(1)


class MutationError(Exception):
    """A mutation that cannot be applied, or a run that says nothing about it."""


@dataclass(frozen=True)
class Mutation:
    """One protection taken away. ``what`` says which, ``tests`` are pytest's node ids."""

    name: str
    group: str
    what: str
    tests: tuple[str, ...]
    sql: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    function: str = ""
    file: str = ""
    replace: str = ""
    by: str = ""

    def apply(self, connection: Connection) -> None:
        """Weaken the connection's database; MutationError where there is nothing to weaken."""
        for statement in self.sql:
            connection.execute(statement)  # type: ignore[call-overload]
        if self.function:
            text = source(self.function) or made(self.function, connection)
            connection.execute(self.weaken(text))  # type: ignore[call-overload]

    def weaken(self, text: str) -> str:
        """Return the text with its one ``replace`` replaced; MutationError without exactly one."""
        found = text.count(self.replace)
        if found != 1:
            where = self.function or self.file
            raise MutationError(f"{self.name}: {self.replace!r} is {found} times in {where}")
        return text.replace(self.replace, self.by)


def source(function: str) -> str | None:
    """Return the statement that makes a function (``app.pre_request``), to be run again.

    None where no script has it as a statement of its own.
    """
    pattern = re.compile(
        rf"^create (function {re.escape(function)}\(.*?^(?:\$\$;|end;|return .*?;)$)",
        re.DOTALL | re.MULTILINE,
    )
    for folder in ("functions", "triggers", "schema"):
        for path in sorted((ROOT / "sql" / folder).glob("*.sql")):
            if found := pattern.search(path.read_text()):
                return f"create or replace {found[1]}"
    return None


def made(function: str, connection: Connection) -> str:
    """Return the statement that would make a function as it is in the connection's database."""
    try:
        row = connection.execute("select pg_get_functiondef(%s::regproc)", [function]).fetchone()
    except psycopg.Error as error:
        raise MutationError(f"neither a script nor the database has {function}: {error}") from error
    assert row is not None
    return str(row[0])


def load() -> list[Mutation]:
    """Read all mutations, in the order of their files and places."""
    found = [
        _mutation(path.stem, entry)
        for path in sorted(MUTATIONS.glob("*.toml"))
        for entry in tomllib.loads(path.read_text())["mutation"]
    ]
    for names in ([mutation.name for mutation in found], [mutation.what for mutation in found]):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise MutationError(f"more than one mutation is named {twice}")
    return found


def _mutation(group: str, entry: dict[str, Any]) -> Mutation:
    values = {
        key: (value,) if key in ("sql", "undo", "tests") and isinstance(value, str) else value
        for key, value in entry.items()
    }
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    mutation = Mutation(group=group, **values)
    if [bool(mutation.sql), bool(mutation.function), bool(mutation.file)].count(True) != 1:
        raise MutationError(f"{mutation.name}: one of sql, function and file")
    if not mutation.tests:
        raise MutationError(f"{mutation.name}: no test")
    return mutation


# -- running -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What became of a mutation: the tests that noticed it, and those it survived."""

    mutation: Mutation
    noticed: tuple[str, ...]
    survived: tuple[str, ...]

    @property
    def is_killed(self) -> bool:
        return bool(self.noticed) and not self.survived


class Laboratory:
    """A cluster to weaken clones of, and a copy of the project to weaken files of."""

    def __init__(self, cluster: Cluster, copy: Path) -> None:
        self.cluster = cluster
        self.copy = copy
        cluster.settings.save()

    def try_out(self, mutation: Mutation) -> Verdict:
        """Apply a mutation, run its tests, and leave nothing of it behind."""
        with self._weakened(mutation) as template:
            failed, passed = self.run(template, mutation.tests)
        noticed = tuple(test for test in mutation.tests if _any(test, failed))
        survived = tuple(test for test in mutation.tests if not _any(test, failed))
        silent = [test for test in mutation.tests if not _any(test, failed | passed)]
        if silent:
            raise MutationError(f"{mutation.name}: {silent} did not run")
        return Verdict(mutation, noticed, survived)

    def baseline(self, tests: Sequence[str]) -> None:
        """Have all these tests pass while nothing is weakened; MutationError otherwise."""
        with self._template() as template:
            failed, passed = self.run(template, tests)
        if failed:
            raise MutationError(f"these fail without any mutation: {sorted(failed)}")
        silent = [test for test in tests if not _any(test, passed)]
        if silent:
            raise MutationError(f"these did not run: {silent}")

    def run(self, template: str, tests: Sequence[str]) -> tuple[set[str], set[str]]:
        """Run tests on clones of a database; returns the node ids that failed and that passed."""
        report = self.copy / "report.xml"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", "-o", "junit_family=xunit1", *tests]
        environment = os.environ | {
            ATTACH: f"{self.cluster.settings.stack} {template}",
            "PYTHONPATH": str(self.copy),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            command,
            cwd=self.copy,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        said = f"{done.stdout[-800:]}\n{done.stderr[-800:]}"
        if done.returncode not in (0, 1) or not report.exists():
            raise MutationError(f"pytest ended with {done.returncode}: {said}")
        failed, passed, broken = _outcomes(report)
        if broken and not failed:
            raise MutationError(f"{sorted(broken)} could not run: {said}")
        return failed, passed

    @contextmanager
    def _weakened(self, mutation: Mutation) -> Iterator[str]:
        """Apply a mutation; gives the name of the database to clone."""
        with self._template() as template:
            settings = self.cluster.settings
            path = self.copy / mutation.file
            text = path.read_text() if mutation.file else ""
            try:
                with postgres.connect(settings, template) as connection:
                    mutation.apply(connection)
                if mutation.file:
                    path.write_text(mutation.weaken(text))
                yield template
            finally:
                if mutation.file:
                    path.write_text(text)
                with postgres.connect(settings, "postgres") as connection:
                    for statement in mutation.undo:
                        connection.execute(statement)  # type: ignore[call-overload]

    @contextmanager
    def _template(self) -> Iterator[str]:
        """Clone the template; that clone, and those that a run leaves of it, are dropped."""
        name = f"mutant_{os.getpid()}_{next(_numbers)}"
        with self.cluster.clone(name):
            try:
                yield name
            finally:
                with postgres.connect(self.cluster.settings, "postgres") as connection:
                    left = connection.execute(
                        "select datname from pg_database where starts_with(datname, %s)",
                        [f"{name}_db"],
                    ).fetchall()
                for (database,) in left:
                    postgres.drop_database(self.cluster.settings, database)


@contextmanager
def laboratory(cluster: Cluster) -> Iterator[Laboratory]:
    """Give a laboratory with a copy of the project, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        Path(folder).chmod(0o755)
        for shared in ("var", ".venv"):
            (copy / shared).symlink_to(ROOT / shared)
        yield Laboratory(cluster, copy)


def _any(test: str, ids: set[str]) -> bool:
    """Tell whether a test, or a case of it, is among these node ids."""
    return any(found == test or found.startswith(f"{test}[") for found in ids)


def _outcomes(report: Path) -> tuple[set[str], set[str], set[str]]:
    """Read the node ids that failed, that passed, and that met an error, off a JUnit report."""
    failed, passed, broken = set(), set(), set()
    for case in ET.parse(report).iter("testcase"):
        node = f"{case.get('file')}::{case.get('name')}"
        if case.find("failure") is not None:
            failed.add(node)
        elif case.find("error") is not None:
            broken.add(node)
        else:
            passed.add(node)
    return failed, passed - broken, broken


def applies(mutation: Mutation, database: Database) -> None:
    """Apply a mutation and take it back; raises where the schema or the file has moved on."""
    if mutation.file:
        mutation.weaken((ROOT / mutation.file).read_text())
    elif not mutation.undo:
        with database.superuser() as connection, connection.transaction(force_rollback=True):
            mutation.apply(connection)

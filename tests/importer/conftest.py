"""Files to import, and an import into a test's own database."""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from microblog.importer import Imported, import_graph
from microblog.settings import ROOT
from tests.support.database import Database

DATA = Path(os.environ.get("MICROBLOG_DATA") or ROOT.parent / "shared" / "data")


@dataclass(frozen=True)
class Graph:
    """Two files: ``members`` and ``edges``."""

    members: Path
    edges: Path


@pytest.fixture
def congress() -> Graph:
    """A real follower graph: 475 accounts, 13,289 follows."""
    graph = Graph(DATA / "congress" / "members.csv", DATA / "congress" / "edges.dat")
    if not graph.members.exists():
        pytest.skip(f"{graph.members} is not here; MICROBLOG_DATA names the folder of data sets")
    return graph


@pytest.fixture
def graph(tmp_path: Path) -> Callable[[bytes | str, bytes | str], Graph]:
    """Write members and edges to files."""

    def write(members: bytes | str, edges: bytes | str) -> Graph:
        written = Graph(tmp_path / "members.csv", tmp_path / "edges.dat")
        for path, content in ((written.members, members), (written.edges, edges)):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return written

    return write


@pytest.fixture
def run(database: Database) -> Callable[[Graph], tuple[Imported, str]]:
    """Import a graph into this test's database; gives the result and what was printed."""

    def run_import(graph: Graph) -> tuple[Imported, str]:
        printed = io.StringIO()
        console = Console(file=printed, width=200)
        imported = import_graph(
            database.settings, graph.members, graph.edges, database.name, console
        )
        return imported, printed.getvalue()

    return run_import

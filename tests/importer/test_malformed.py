"""A line that cannot be imported is named, and nothing of the files is loaded."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from microblog.errors import StackError
from microblog.importer import Imported, MalformedFileError, import_graph
from microblog.settings import ROOT, Settings
from microblog.stack.ports import free_ports
from tests.importer.conftest import Graph
from tests.support.cluster import Cluster
from tests.support.database import Database

Run = Callable[[Graph], tuple[Imported, str]]
Write = Callable[[bytes | str, bytes | str], Graph]

MEMBERS = "Handle,State\nann,WI\nbob,NY\ncy,CA\n"
EDGES = "0 1\n1 2\n"
MANY = "0 1\n" * 12_000

CASES = {
    # members
    "no header": ("", EDGES, "members.csv:1:", "the file is empty; expected a header"),
    "header without the column": (
        "name,State\nann,WI\n",
        EDGES,
        "members.csv:1:",
        "the header is 'name, State'; expected a column Handle or username",
    ),
    "field too few": (
        "Handle,State\nann,WI\nbob\n",
        EDGES,
        "members.csv:3:",
        "1 field; expected 2: Handle, State",
    ),
    "field too many": (
        "Handle,State\nann,WI,D\n",
        EDGES,
        "members.csv:2:",
        "3 fields; expected 2: Handle, State",
    ),
    "empty line among members": (
        "Handle,State\nann,WI\n\nbob,NY\n",
        EDGES,
        "members.csv:3:",
        "0 fields; expected 2: Handle, State",
    ),
    "quote that never ends": (
        'Handle,State\nann,"WI\nbob,NY\n',
        EDGES,
        "members.csv:3:",
        "expected comma-separated values (RFC 4180)",
    ),
    "username with a space": (
        "Handle,State\nann,WI\nbob b,NY\n",
        "0 1\n",
        "members.csv:3:",
        '"bob b" is no username; expected 1 to 50 of the characters A–Z, a–z, 0–9 and _',
    ),
    "empty username": ("Handle,State\n,WI\n", "", "members.csv:2:", '"" is no username'),
    "username with an accent": ("Handle\nzoë\n", "", "members.csv:2:", '"zoë" is no username'),
    "username with a tab and a backslash": (
        'Handle\nann\n"b\t\\N"\n',
        "",
        "members.csv:3:",
        r'"b\t\\N" is no username',
    ),
    "username of 51 characters": (
        f"Handle\n{'a' * 51}\n",
        "",
        "members.csv:2:",
        f'"{"a" * 51}" is no username',
    ),
    "username twice": (
        "Handle,State\nann,WI\nbob,NY\nAnn,CA\n",
        "0 1\n",
        "members.csv:4:",
        "the username Ann is in line 2 already; expected each once, whatever the case",
    ),
    "members not UTF-8": (
        b"Handle,State\nann,WI\nbob,\xe9\n",
        EDGES,
        "members.csv:3:",
        "byte 5 is not UTF-8; expected text in UTF-8",
    ),
    "members with a NUL": (
        b"Handle,State\nan\0n,WI\n",
        EDGES,
        "members.csv:2:",
        "holds a NUL byte; expected text in UTF-8",
    ),
    "members without an end of line": (
        b"Handle\n" + b"a" * 70_000,
        EDGES,
        "members.csv:2:",
        "longer than 65536 bytes; expected lines of text",
    ),
    # edges
    "one node": (
        MEMBERS,
        "0 1\n2\n",
        "edges.dat:2:",
        "1 field; expected 2: the node that follows and the node followed",
    ),
    "three nodes": (MEMBERS, "0 1 2\n", "edges.dat:1:", "3 fields; expected 2"),
    "commas": (MEMBERS, "0,1\n", "edges.dat:1:", "1 field; expected 2"),
    "not a number": (
        MEMBERS,
        "0 1\n\n# comment\n1 bob\n",
        "edges.dat:4:",
        "'bob' is no node; expected a whole number from 0 on",
    ),
    "negative": (MEMBERS, "0 -1\n", "edges.dat:1:", "'-1' is no node"),
    "fraction": (MEMBERS, "0 1.0\n", "edges.dat:1:", "'1.0' is no node"),
    "digits of another script": (MEMBERS, "0 ١\n", "edges.dat:1:", "'١' is no node"),
    "number without measure": (MEMBERS, f"0 {'9' * 5000}\n", "edges.dat:1:", "is no node"),
    "node out of range": (
        MEMBERS,
        "0 1\n0 3\n",
        "edges.dat:2:",
        "there is no node 3; expected 0 to 2, the rows of the members",
    ),
    "follower out of range": (MEMBERS, "7 1\n", "edges.dat:1:", "there is no node 7"),
    "no members at all": ("Handle\n", "0 1\n", "edges.dat:1:", "there are no members"),
    "self-follow": (
        MEMBERS,
        "0 1\n2 2\n",
        "edges.dat:2:",
        "node 2 follows itself; expected two different nodes",
    ),
    "edges not UTF-8": (MEMBERS, b"0 1\n\xff\xfe\n", "edges.dat:2:", "byte 1 is not UTF-8"),
    "edges with a NUL": (MEMBERS, b"0 1\n1\x00 2\n", "edges.dat:2:", "holds a NUL byte"),
    "far down the file": (MEMBERS, MANY + "x y\n", "edges.dat:12001:", "'x' is no node"),
    "out of range far down": (MEMBERS, MANY + "0 3\n", "edges.dat:12001:", "there is no node 3"),
    # which of several is named
    "first line of the members first": (
        "Handle\nb b\nann\nann\n",
        "0 9\n",
        "members.csv:2:",
        '"b b" is no username',
    ),
    "first line of the edges": (MEMBERS, "0 1\n1 1\n0 9\n", "edges.dat:2:", "follows itself"),
}


@pytest.mark.parametrize(("members", "edges", "where", "what"), CASES.values(), ids=CASES)
def test_a_malformed_line_is_named_and_nothing_is_loaded(
    module_database: Database,
    graph: Write,
    members: bytes | str,
    edges: bytes | str,
    where: str,
    what: str,
) -> None:
    """Nobody is ever in the database that these cases share."""
    files = graph(members, edges)

    with pytest.raises(MalformedFileError) as refusal:
        import_graph(
            module_database.settings, files.members, files.edges, module_database.name, Console()
        )

    assert refusal.value.message.startswith(f"{files.members.parent}/{where} ")
    assert what in refusal.value.message
    assert module_database.value("select count(*) from app.users") == 0
    assert module_database.value("select count(*) from app.follows") == 0


def test_a_connection_that_refused_files_leaves_no_staging_behind(
    database: Database, run: Run, graph: Write
) -> None:
    with pytest.raises(MalformedFileError):
        run(graph(MEMBERS, "x y\n"))

    assert run(graph(MEMBERS, EDGES))[0] == Imported(3, 2, 3, 2)
    database.wait_for(
        "select not exists (select from pg_class where relname in"
        " ('import_members', 'import_edges'))"
    )


def test_a_database_without_the_schema_is_said(cluster: Cluster, graph: Write) -> None:
    files = graph(MEMBERS, EDGES)

    with cluster.empty() as empty, pytest.raises(StackError) as refusal:
        import_graph(empty.settings, files.members, files.edges, empty.name, Console())

    assert refusal.value.message == f"database {empty.name} lacks the schema, or a part of it"
    assert refusal.value.hint == "Deploy it: microblog migrate"


def test_a_server_that_does_not_run_is_said(graph: Write) -> None:
    files = graph(MEMBERS, EDGES)
    (port,) = free_ports(1)

    with pytest.raises(StackError, match="PostgreSQL does not run"):
        import_graph(Settings(pg_port=port), files.members, files.edges, console=Console())


def test_the_command_says_file_and_line_and_exits_with_1(database: Database, graph: Write) -> None:
    settings = database.settings.changed(database=database.name)
    settings.save()
    files = graph(MEMBERS, "0 1\n1 one\n")
    command = [sys.executable, "-m", "microblog", "import", "--stack", settings.stack]
    arguments = ["--members", str(files.members), "--edges", str(files.edges)]
    try:
        refused = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
        )
        files.edges.write_text(EDGES)
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
        )
    finally:
        settings.file.unlink()

    assert refused.returncode == 1
    assert f"{files.edges}:2: 'one' is no node; expected a whole number" in refused.stderr
    assert "Nothing was imported." in refused.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert "imported: 3 users and 2 follows" in done.stdout

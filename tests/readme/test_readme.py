"""The README's lines are run as they stand, and its table and map are compared with what is."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from microblog.settings import ROOT
from tests.support.servers import Served

README = (ROOT / "README.md").read_text()
SEPARATOR = "\x1e"

# Each curl of a block: its answer is kept, its status, method and address are noted.
PREAMBLE = r"""
curl() {
  command curl --silent --show-error --fail-with-body \
    --write-out '%{stderr}%{http_code} %{method} %{url_effective}\n' "$@" 2>>"$NOTES" \
    | tee -a "$ANSWERS" || return
  printf '\x1e' >>"$ANSWERS"
}
"""


@dataclass(frozen=True)
class Made:
    """A call that a block made: its status and the body of the answer."""

    status: int
    method: str
    path: str
    query: str
    body: Any

    @property
    def call(self) -> str:
        return f"{self.method} {self.path}"


def marked_blocks(text: str) -> list[str]:
    """Return the shell blocks that are marked as tested."""
    return re.findall(r"<!-- tested -->\n```sh\n(.*?)```", text, re.DOTALL)


def table() -> list[tuple[str, int]]:
    """Return (call, status) of each row of the table of calls."""
    rows = re.findall(r"^\| `((?:GET|POST|PATCH|DELETE) [^`]+)` \| (\d{3}) \|", README, re.M)
    return [(call, int(status)) for call, status in rows]


def run(block: str, url: str, folder: Path) -> list[Made]:
    """Run a block against the API at ``url``; any error status fails it."""
    notes, answers = folder / "notes", folder / "answers"
    script, replaced = re.subn(r"^API=.*$", f"API={url}", block, count=1, flags=re.M)
    assert replaced == 1, "the block names no API"
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{PREAMBLE}\n{script}"],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "NOTES": str(notes),
            "ANSWERS": str(answers),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = notes.read_text() if notes.exists() else ""
    assert done.returncode == 0, f"{done.stdout[-500:]}\n{done.stderr}\n{said}"
    bodies = answers.read_text().split(SEPARATOR)[:-1]
    made = []
    for line, body in zip(said.splitlines(), bodies, strict=True):
        status, method, address = line.split(" ", 2)
        parts = urlsplit(address)
        parsed = json.loads(body) if body.startswith(("{", "[")) else body
        made.append(Made(int(status), method, parts.path, parts.query, parsed))
    return made


@pytest.fixture(scope="module")
def made(api: Served, tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    """Run the README's block once; what it made."""
    (block,) = marked_blocks(README)
    return run(block, api.url, tmp_path_factory.mktemp("readme"))


def test_each_call_of_the_table_is_made_and_answers_as_the_table_says(made: list[Made]) -> None:
    answers = {call.call: call.status for call in made}

    assert dict(table()) == answers


def test_the_table_has_each_call_once() -> None:
    calls = [call for call, _ in table()]

    assert len(calls) == len(set(calls))


def test_the_answers_are_what_the_lines_promise(made: list[Made]) -> None:
    first = {call.call: call.body for call in reversed(made)}

    assert first["GET /users"][0]["description"] == "Likes herons."
    assert [post["content"] for post in first["GET /rpc/replies"]] == ["Where?"]
    assert first["GET /rpc/thread"]["post"]["content"] == "Saw a heron."
    assert [post["author"]["username"] for post in first["GET /posts"]] == ["bob", "bob"]
    assert [user["username"] for user in first["GET /rpc/followers"]] == ["alice"]
    assert [user["username"] for user in first["GET /rpc/following"]] == ["bob"]
    for feed in ("feed_timeline", "feed_following"):
        contents = [post["content"] for post in first[f"GET /rpc/{feed}"]]
        assert contents == ["And a fox!", "Saw a heron."], feed
    assert [post["content"] for post in first["GET /rpc/feed_mine"]] == ["Where?"]
    assert first["GET /up"] == {"status": "ok"}


def test_the_second_page_goes_on_where_the_first_ended(made: list[Made]) -> None:
    second = next(
        call for call in made if call.path == "/rpc/feed_public" and "cursor" in call.query
    )

    assert [post["content"] for post in second.body] == ["Saw a heron."]


def test_what_the_lines_delete_is_gone(made: list[Made], api: Served) -> None:
    assert made
    assert api.database.values("select username from app.users") == ["alice"]
    assert api.database.values("select content from app.posts order by id") == [
        "And a fox!",
        "Where?",
    ]
    assert api.database.value("select count(*) from app.sessions") == 0
    api.database.assert_sound()


def test_each_path_on_the_map_exists() -> None:
    named = re.findall(r"\]\((?!https?://|#)([^)]+)\)", README)

    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_command_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for command in re.findall(r"(?:^|`)make ([a-z]+)\b", README, re.M):
        assert command in targets, command
    commands = re.findall(r"\.venv/bin/microblog ([a-z]+)", README)
    assert commands
    for command in commands:
        listed = subprocess.run(
            [sys.executable, "-m", "microblog", command, "--help"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert listed.returncode == 0, command


def test_the_shell_of_the_examples_is_here() -> None:
    """What the lines need besides curl and python3 is part of every system."""
    assert all(shutil.which(program) for program in ("bash", "curl", "python3", "sed", "tr"))

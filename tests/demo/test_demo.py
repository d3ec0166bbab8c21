"""What `microblog demo` puts in, prints and refuses."""

import io
import json
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from rich.console import Console

from microblog.demo import demo
from microblog.demo.calls import Call
from microblog.demo.tour import tour
from microblog.demo.town import town
from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack.ports import free_ports
from tests.support.servers import Served


def run(settings: Settings) -> list[str]:
    """Run the whole demonstration; return the lines it printed."""
    printed = io.StringIO()
    demo(settings, Console(file=printed, soft_wrap=True, highlight=False))
    return printed.getvalue().splitlines()


def settings_of(api: Served) -> Settings:
    """Return the settings of a stack that serves this test's database."""
    port = int(api.url.rpartition(":")[2])
    return api.database.settings.changed(database=api.database.name, port=port)


def test_an_empty_stack_is_filled_and_toured_and_the_address_comes_last(own_api: Served) -> None:
    lines = run(settings_of(own_api))

    data = town()
    assert lines[0] == (
        f"filled: {len(data.names)} users, {len(data.follows)} follows, "
        f"{len(data.posts)} posts, {len(data.replies)} replies"
    )
    assert lines[-1] == own_api.url
    own_api.database.assert_sound()


def test_the_data_set_has_the_times_threads_and_follows_it_was_made_with(own_api: Served) -> None:
    run(settings_of(own_api))

    data, database = town(), own_api.database
    follows = database.run(
        "select a.username, b.username from app.follows f"
        " join app.users a on a.id = f.follower_id join app.users b on b.id = f.followed_id"
    )
    assert {(data.names[i], data.names[j]) for i, j in data.follows} == set(follows)
    replies = database.run(
        "select r.content, p.content from app.posts r join app.posts p on p.id = r.parent_id"
        " join app.users u on u.id = r.author_id where u.username collate \"C\" !~ '^tour_'"
    )
    assert sorted(replies) == sorted(
        (reply.content, data.posts[reply.parent or 0].content) for reply in data.replies
    )
    newer_parents = "select count(*) from app.posts r join app.posts p on p.id = r.parent_id"
    assert database.value(f"{newer_parents} where p.id > r.id") == 0
    assert database.value("select count(*) from app.posts where id > app.post_id_at(now())") == 0


def test_a_second_run_adds_nothing_but_a_tourist(own_api: Served) -> None:
    run(settings_of(own_api))
    users = own_api.database.value("select count(*) from app.users")

    lines = run(settings_of(own_api))

    assert not lines[0].startswith("filled")
    assert lines[-1] == own_api.url
    assert own_api.database.value("select count(*) from app.users") == users + 1


def test_a_stack_where_nobody_posted_yet_is_left_as_it_is_and_toured(own_api: Served) -> None:
    own_api.database.user("founder")

    lines = run(settings_of(own_api))

    assert not lines[0].startswith("filled")
    assert any("a second user signs up" in line for line in lines)
    assert own_api.database.value("select count(*) from app.users") == 3


def test_the_data_set_is_the_same_every_time_and_within_the_rules() -> None:
    data = town()

    assert data == town()
    assert all(i != j for i, j in data.follows)
    assert len(set(data.follows)) == len(data.follows)
    assert len({post.content for post in data.posts}) == len(data.posts)
    for reply in data.replies:
        assert reply.parent is not None
        assert reply.age < data.posts[reply.parent].age


def test_every_read_of_the_tour_can_be_repeated_by_its_curl_line(own_api: Served) -> None:
    """The lines are run as a reader would, with the token that the tour printed."""
    lines = run(settings_of(own_api))
    login = json.loads(
        shell(next(ln for ln in lines if ln.startswith("curl") and "/rpc/login" in ln)).stdout
    )
    reads = [line for line in lines if line.startswith("curl") and " -X " not in line]

    assert len(reads) >= 10
    for line in reads:
        answer = shell(line, login["token"])
        assert answer.returncode == 0, line
        assert isinstance(json.loads(answer.stdout), list | dict), line


def shell(line: str, token: str = "") -> subprocess.CompletedProcess[str]:
    """Run a printed line in a shell, without its -i, failing on an error status."""
    line = line.replace("curl -i", "curl -sS --fail-with-body", 1)
    return subprocess.run(
        ["bash", "-euc", line],
        env={"PATH": "/usr/bin:/bin", "TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
    )


class Recorder(BaseHTTPRequestHandler):
    """Keeps what arrives and refuses it."""

    seen: list[tuple[str, str, dict[str, str], bytes]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = ("authorization", "prefer", "content-type", "accept")
        headers = {k.lower(): v for k, v in self.headers.items() if k.lower() in kept}
        self.seen.append((self.command, self.path, headers, body))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def recorder() -> Iterator[tuple[str, type[Recorder]]]:
    """A server that records and answers 500; its address and what it saw."""

    class Fresh(Recorder):
        seen: list[tuple[str, str, dict[str, str], bytes]] = []  # noqa: RUF012

    with ThreadingHTTPServer(("127.0.0.1", 0), Fresh) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", Fresh
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "call",
    [
        Call("GET", "/rpc/feed_timeline?limit=2&cursor=12", token="t.o-k_en"),
        Call("POST", "/rpc/logout", {}, "t.o-k_en"),
        Call(
            "POST", "/posts", {"content": 'it\'s "$HOME" `x` \\ 👋'}, "t", "return=representation"
        ),
        Call("PATCH", "/users?id=eq.1", {"description": "a\nb"}, "t"),
        Call("DELETE", "/posts?id=eq.1", token="t"),
    ],
    ids=lambda call: f"{call.method} {call.path}",
)
def test_the_curl_line_sends_what_was_sent(
    recorder: tuple[str, type[Recorder]], call: Call
) -> None:
    url, server = recorder

    call.send(url)
    shell(call.curl(url), call.token or "")

    sent, repeated = server.seen
    assert repeated == sent


def test_an_unexpected_answer_stops_the_tour(recorder: tuple[str, type[Recorder]]) -> None:
    url, server = recorder

    with pytest.raises(StackError, match=re.escape("Is it up?: answered 500, expected 200")):
        tour(url, Console(file=io.StringIO()))

    assert len(server.seen) == 1


def test_a_stack_that_does_not_run_is_said() -> None:
    (port,) = free_ports(1)

    with pytest.raises(StackError, match="no answer") as error:
        tour(f"http://127.0.0.1:{port}", Console(file=io.StringIO()))

    assert error.value.hint == "Start the stack: microblog up"


def test_the_printed_lines_are_shell_words() -> None:
    call = Call("POST", "/posts", {"content": "it's"}, "t")

    words = shlex.split(call.curl("http://127.0.0.1:1"))

    assert words[-1] == '{"content": "it\'s"}'

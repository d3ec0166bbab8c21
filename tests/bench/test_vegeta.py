"""vegeta: what it is given and what it says, in the formats its documentation describes."""

import base64
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from microblog.bench import histogram, record
from microblog.bench.bed import Bed
from microblog.bench.generators import generate, vegeta
from microblog.bench.generators.job import Job
from microblog.bench.generators.requests import Request
from microblog.bench.scenario import Call, read_all
from microblog.settings import Settings
from microblog.stack import binaries
from tests.bench.needs import needs_vegeta
from tests.bench.servers import STALL, Known, job, serving, slow

GET = Call(name="get", path="/rpc/feed_public")
POST = Call(name="post", method="POST", path="/posts", body='{"content": "x"}')
START = 1_700_000_000_000_000_000  # ns


def made(people: str) -> Job:
    return job(Known(), people, GET, POST, generator="vegeta", rate=10.0, arrivals="constant")


def request(call: Call) -> Request:
    head = f"{call.method} {call.path} HTTP/1.1\r\nHost: 127.0.0.1:0\r\nAuthorization: Bearer one"
    if call.body:
        head += f"\r\nContent-Type: application/json\r\nContent-Length: {len(call.body)}"
    return Request(call, 1, call.path, "", f"{head}\r\n\r\n{call.body}".encode())


def line(number: int, call: Call, code: int, sent: float, took: float, error: str = "") -> str:
    """Return an answer as `vegeta encode -to csv` prints it; times in seconds."""
    fields = [START + round(sent * 1e9), code, round(took * 1e9), 0, 11, error, "", "", number]
    url = f"http://127.0.0.1:0{call.path}"
    return ",".join(map(str, [*fields, call.method, url, "RGF0ZTogbm93DQoNCg=="]))


def test_a_request_is_a_target_of_vegeta_s(people: str) -> None:
    one = made(people)
    read, written = (json.loads(vegeta.target(one, request(call))) for call in (GET, POST))
    assert (read["method"], read["url"]) == ("GET", "http://127.0.0.1:0/rpc/feed_public")
    assert read["header"]["Authorization"] == ["Bearer one"]
    assert "body" not in read
    assert written["header"]["Content-Type"] == ["application/json"]
    assert "Content-Length" not in written["header"]
    assert base64.b64decode(written["body"]) == POST.body.encode()


def test_what_vegeta_says_is_read_whole(people: str) -> None:
    """The fourth hit had to wait for a connection: it is late by what that took."""
    lines = [
        line(1, POST, 201, 0.1, 0.002),
        line(0, GET, 200, 0.0, 0.010),
        line(2, GET, 503, 0.2, 0.001, "503 Service Unavailable"),
        line(3, GET, 200, 0.7, 0.010),
        line(4, GET, 0, 0.7, 0.2, 'Get "http://x/": context deadline exceeded'),
        line(5, GET, 0, 0.71, 0.0, 'Get "http://x/": EOF'),
        line(6, GET, 0, 0.72, 0.0, 'Get "http://x/": dial tcp 127.0.0.1:0: connection refused'),
    ]
    outcome = vegeta.parse(made(people), [request(GET), request(POST)], lines)
    get, post = outcome.operations["get"], outcome.operations["post"]
    assert (get.count, post.count, outcome.dropped) == (2, 1, 3)
    assert get.errors == {
        "status 503": 1,
        "timeout": 1,
        "connection closed": 1,
        "connection refused": 1,
    }
    taken = histogram.latency(histogram.decode(get.histogram))
    assert taken.p50 == pytest.approx(10, rel=0.001)
    assert taken.max == pytest.approx(410, rel=0.001), "since it was due"
    assert 300 < outcome.lateness <= 400
    assert outcome.over_time == [3]


def test_where_vegeta_is_missing_its_sides_are_absent(
    people: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bed = Bed(Settings.create("never-started"))
    load = made(people).load
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bed.absent(load) == "vegeta is not installed"
    (tmp_path / "vegeta").touch(mode=0o700)
    assert bed.absent(load) == ""


def test_a_run_says_which_vegeta_took_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As it prints it: Version, Commit, Runtime and Date, a line each."""
    settings = Settings.create("never-started")
    monkeypatch.setattr(binaries, "version_of", lambda *_: (99, 2))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert record.versions(settings, "15")["vegeta"] == "not installed"
    program = tmp_path / "vegeta"
    program.write_text('#!/bin/sh\nprintf "Version: 12.12.0\\nCommit: 1\\nRuntime: go1.22.1\\n"\n')
    program.chmod(0o700)
    assert record.versions(settings, "15")["vegeta"] == "12.12.0"


def test_a_scenario_is_sent_by_vegeta_and_by_the_own_generator_alike() -> None:
    (scenario,) = read_all(("constant-rate",))
    own, theirs = scenario.sides[0], next(one for one in scenario.sides if one.sends == "vegeta")
    assert own.sends == "own"
    assert replace(theirs, name=own.name, role=own.role, generator=own.generator) == own


@needs_vegeta
def test_a_stall_shows_in_what_vegeta_measures(people: str) -> None:
    with serving(**STALL) as known:
        outcome = generate(
            job(known, people, generator="vegeta", rate=200.0, arrivals="constant", seconds=1.5)
        )
    assert slow(outcome) > 0.2
    assert outcome.count + outcome.dropped == pytest.approx(300, abs=5), "all that were due"

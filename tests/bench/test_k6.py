"""k6 itself, from requirements-dev.txt, against a server whose behaviour is known."""

import stat
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from microblog.bench import histogram, record
from microblog.bench.bed import Bed
from microblog.bench.generators import Outcome, generate, k6
from microblog.bench.generators.job import Job
from microblog.bench.scenario import Call, read_all
from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import binaries
from microblog.stack.process import wait_for
from tests.bench.servers import STALL, Known, in_histogram, job, serving, slow

TOKENS = {1: "the-token-of-one", 2: "the-token-of-two", 3: "the-token-of-three"}
MANY = 150  # connections that are never all busy here


@pytest.fixture
def people(tmp_path: Path) -> str:
    file = tmp_path / "people"
    file.write_text("".join(f"{user} {token}\n" for user, token in TOKENS.items()))
    return str(file)


def evenly(known: Known, people: str, *calls: Call, **changes: object) -> Job:
    given = {"generator": "k6", "rate": 200.0, "arrivals": "constant", "clients": 64} | changes
    return job(known, people, *calls, **given)


def ended(outcome: Outcome) -> int:
    """How many requests came to an end, whichever."""
    return outcome.count + sum(outcome.errors.values())


@contextmanager
def running(made: Job, known: Known) -> Iterator[tuple[psutil.Process, Future[Outcome]]]:
    """Have k6 send the load, and wait until it does."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(generate, made)
        wait_for(lambda: future.done() or len(known.seen) > 20, 60, "k6's first requests")
        if future.done():
            future.result()
        (process,) = [p for p in psutil.Process().children() if p.name() == "k6"]
        yield process, future


# -- the open model ------------------------------------------------------------------------------


def test_all_that_is_due_is_sent_or_dropped(people: str) -> None:
    with serving(delay=0.05) as known:
        outcome = generate(evenly(known, people, seconds=1.5))
    assert ended(outcome) + outcome.dropped == 300
    assert outcome.count == in_histogram(outcome) > 200
    assert 0 <= len(known.seen) - outcome.count <= 1, "one is due at the very end"
    assert not outcome.errors
    taken = histogram.latency(outcome.all_latencies())
    assert 50 < taken.p50 < 200
    assert len(outcome.over_time) == 1
    assert 100 < outcome.over_time[0] <= 200


def test_a_stall_shows_in_the_latencies_while_connections_are_free(people: str) -> None:
    """All that were due within the stall waited: those of 0.4 s of 1.5 for more than 200 ms."""
    with serving(**STALL) as known:
        outcome = generate(evenly(known, people, clients=MANY, seconds=1.5))
    assert slow(outcome) > 0.2
    assert ended(outcome) + outcome.dropped == 300, "all that were due"


def test_a_stall_shows_in_what_is_dropped_once_none_is_free(people: str) -> None:
    """Four requests meet it; k6 gives the other 116 up that were due in it."""
    with serving(**STALL) as known:
        outcome = generate(evenly(known, people, clients=4, seconds=1.5))
    assert outcome.dropped > 100
    assert ended(outcome) + outcome.dropped == 300, "all that were due"
    assert histogram.latency(outcome.all_latencies()).max > 400
    assert 1 <= slow(outcome) * outcome.count < 20


def test_what_k6_itself_sends_late_has_waited_since_it_was_due(people: str) -> None:
    """k6 stands still for half a second, and then sends at once what was due meanwhile."""
    with serving() as known:
        made = evenly(known, people, clients=MANY, seconds=2.0)
        with running(made, known) as (process, future):
            process.suspend()
            threading.Event().wait(0.5)
            process.resume()
            outcome = future.result()
    assert ended(outcome) + outcome.dropped == 400
    late = outcome.dropped + slow(outcome) * outcome.count
    assert late > 50, "those of 0.3 s"
    assert slow(outcome) * outcome.count > 10, "and not all of them were dropped"
    assert outcome.lateness > 200


# -- the closed model ----------------------------------------------------------------------------


def test_in_the_closed_model_each_client_waits_for_its_answer(people: str) -> None:
    with serving(delay=0.05) as known:
        outcome = generate(job(known, people, generator="k6", clients=3))
    assert outcome.dropped == 0
    assert 20 < outcome.count == in_histogram(outcome) <= 60, "3 clients, 20 a second each"
    assert 0 <= len(known.seen) - outcome.count <= 3, "what was under way at the end"
    assert histogram.latency(outcome.all_latencies()).p50 > 50


def test_the_same_stall_hides_in_the_closed_model(people: str) -> None:
    with serving(**STALL) as known:
        outcome = generate(job(known, people, generator="k6", seconds=1.5))
    assert histogram.latency(outcome.all_latencies()).max > 200, "it was there"
    assert slow(outcome) < 0.05


# -- the score -----------------------------------------------------------------------------------


def test_errors_are_told_apart_and_no_latency_is_made_of_them(people: str) -> None:
    calls = [
        Call(name="good", path="/", weight=3),
        Call(name="bad", path="/status/500"),
        Call(name="lost", path="/status/404"),
        Call(name="moved", path="/status/302"),
        Call(name="rude", path="/close"),
        Call(name="expected", path="/status/401", expect=[401]),
    ]
    with serving() as known:
        outcome = generate(evenly(known, people, *calls))
    errors = {name: set(one.errors) for name, one in outcome.operations.items()}
    assert errors == {
        "good": set(),
        "bad": {"status 500"},
        "lost": {"status 404"},
        "moved": {"status 302"},
        "rude": {"connection closed"},
        "expected": set(),
    }
    assert outcome.operations["good"].count > outcome.operations["expected"].count > 5
    assert in_histogram(outcome) == outcome.count
    assert ended(outcome) + outcome.dropped == 200


def test_an_answer_that_takes_too_long_is_a_timeout(people: str) -> None:
    with serving(delay=0.6) as known:
        outcome = generate(evenly(known, people, rate=20.0, timeout=0.2))
    assert (outcome.count, outcome.dropped) == (0, 0)
    assert outcome.errors == {"timeout": 20}


def test_where_nobody_listens_nothing_is_counted(people: str) -> None:
    with serving() as known:
        gone = evenly(known, people)
    outcome = generate(gone)
    assert outcome.count == 0
    assert set(outcome.errors) == {"connection refused"}


def test_a_script_that_breaks_is_an_error_not_a_figure(
    people: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(k6, "described", lambda *_: None)
    with serving() as known, pytest.raises(StackError, match=r"k6 failed: .*undefined or null"):
        generate(evenly(known, people))


# -- what it is given ----------------------------------------------------------------------------


def test_requests_arrive_as_they_were_made(people: str) -> None:
    get = Call(name="get", path="/users/{user}?of={other}&b=%7B1,2%7D")
    post = Call(
        name="post", method="POST", path="/posts", body='{"content": "{text} ü", "id": {user}}'
    )
    guest = Call(name="guest", path="/guest", anonymous=True)
    with serving() as known:
        outcome = generate(evenly(known, people, get, post, guest))
    assert not outcome.errors
    assert all(one.count > 20 for one in outcome.operations.values())
    for asked in known.asked:
        kind, _, _ = asked.path.removeprefix("/").partition("/")
        if kind == "guest":
            assert asked.headers["Authorization"] is None
            continue
        user = next(u for u, t in TOKENS.items() if asked.headers["Authorization"] == f"Bearer {t}")
        if kind == "posts":
            assert asked.headers["Content-Type"] == "application/json"
            assert asked.body.startswith('{"content": "')
            assert asked.body.endswith(f' ü", "id": {user}}}')
        else:
            assert asked.path.startswith(f"/users/{user}?of=")
            assert asked.path.endswith("&b=%7B1,2%7D")


def test_who_changes_their_follows_is_remembered(people: str) -> None:
    """Only they: the first two requests, of all that were made for a time nobody knew."""
    call = Call(name="follow", method="POST", path="/follows", body="{}")
    with serving(delay=0.8) as known:
        outcome = generate(job(known, people, call, generator="k6", clients=1))
    users = {u for u, t in TOKENS.items() for a in known.asked if t in a.headers["Authorization"]}
    assert outcome.unsteady == sorted(users)
    assert 1 <= len(users) <= len(known.asked) == 2


def test_k6_shows_no_token_and_speaks_to_nobody_else(
    people: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where its user's own settings say so."""
    monkeypatch.setenv("K6_OUT", "cloud")
    monkeypatch.setenv("K6_ITERATIONS", "1")
    with (
        serving(delay=0.05) as known,
        running(evenly(known, people, seconds=1.5), known) as (process, future),
    ):
        line = process.cmdline()
        given = [Path(word.rpartition("=")[2]) for word in line if word.startswith("--env=")]
        modes = {file.name: stat.filemode(file.stat().st_mode) for file in given}
        folder = stat.filemode(given[0].parent.stat().st_mode)
        environment = process.environ()
        met = {one.raddr.port for one in process.net_connections() if one.raddr}
        listening = [one for one in process.net_connections() if one.status == "LISTEN"]
        outcome = future.result()
    assert outcome.count > 200
    assert modes == {"load": "-rw-------", "requests": "-rw-------"}
    assert folder == "drwx------"
    assert not any(token in word for token in TOKENS.values() for word in line)
    assert "K6_OUT" not in environment
    assert met == {known.port}
    assert listening == []


# -- where it stands in the harness --------------------------------------------------------------


def test_where_k6_is_missing_its_sides_are_absent(
    people: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bed = Bed(Settings.create("never-started"))
    load = evenly(Known(), people).load
    assert bed.absent(load) == "", "make setup has put it beside Python"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bed.absent(load) == "", "that is where it is looked for, too"
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert bed.absent(load) == "k6 is not installed"
    (tmp_path / "k6").touch(mode=0o700)
    assert bed.absent(load) == ""


def test_a_run_says_which_k6_took_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings.create("never-started")
    monkeypatch.setattr(binaries, "version_of", lambda *_: (99, 2))
    locked = (Path(__file__).parents[2] / "requirements-dev.txt").read_text()
    assert f"\nk6=={record.versions(settings, '15')['k6']} " in locked
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert record.versions(settings, "15")["k6"] == "not installed"


def test_a_scenario_is_sent_by_k6_and_by_the_own_generator_alike() -> None:
    (scenario,) = read_all(("constant-rate",))
    own, theirs = scenario.sides[0], next(one for one in scenario.sides if one.sends == "k6")
    assert replace(theirs, name=own.name, role=own.role, generator=own.generator) == own

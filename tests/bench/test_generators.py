"""Generators against a server whose behaviour is known."""

import signal
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from microblog.bench import histogram
from microblog.bench.generators import generate, own, pgbench, process
from microblog.bench.generators.requests import Requests
from microblog.bench.scenario import Call, Script
from microblog.errors import StackError
from tests.bench.servers import STALL, Known, in_histogram, job, serving, slow
from tests.support.database import Database

# -- the two models ------------------------------------------------------------------------------


def test_a_stall_shows_in_the_open_model(people: str) -> None:
    """All that were due within the stall waited: those of 0.4 s of 1.5 for more than 200 ms."""
    with serving(**STALL) as known:
        outcome = generate(job(known, people, rate=200.0, seconds=1.5))
    assert slow(outcome) > 0.2
    assert outcome.count + outcome.dropped == pytest.approx(300, abs=90), "all that were due"


def test_the_same_stall_hides_in_the_closed_model(people: str) -> None:
    """Each of 4 clients met it once, and sent nothing meanwhile."""
    with serving(**STALL) as known:
        outcome = generate(job(known, people, seconds=1.5))
    assert histogram.latency(outcome.all_latencies()).max > 200, "it was there"
    assert slow(outcome) < 0.05


def test_latencies_are_finer_than_a_millisecond_and_fill_the_time(people: str) -> None:
    """Little's law: in the closed model latency times rate is the number of clients."""
    with serving() as known:
        outcome = generate(job(known, people, clients=3, seconds=1.0))
    taken = outcome.all_latencies()
    assert len({item.value_iterated_to for item in taken.get_recorded_iterator()}) > 30
    busy = taken.get_mean_value() / 1e6 * taken.get_total_count() / outcome.seconds
    assert busy == pytest.approx(3, rel=0.15)


def test_what_is_due_and_never_sent_is_counted_as_dropped(people: str) -> None:
    """One connection that takes 0.1 s for each request serves 10 of 100 a second."""
    with serving(delay=0.1) as known:
        outcome = generate(job(known, people, rate=100.0, clients=1, arrivals="constant"))
    assert outcome.dropped == pytest.approx(90, abs=5)
    assert outcome.count + outcome.dropped == 100
    assert histogram.latency(outcome.all_latencies()).max > 700, "it waited since it was due"


def test_processes_that_share_a_load_send_all_of_it(people: str) -> None:
    with serving() as known:
        one = job(known, people, rate=100.0, arrivals="constant", clients=5, threads=3)
        parts = own.shared(one)
        outcome = generate(one)
    assert [part.load.clients for part in parts] == [2, 2, 1]
    assert sum(part.load.rate or 0 for part in parts) == pytest.approx(100)
    assert outcome.count == pytest.approx(100, abs=3)
    assert len(known.seen) == outcome.count == in_histogram(outcome)


# -- the score -----------------------------------------------------------------------------------


def test_errors_are_told_apart_and_no_latency_is_made_of_them(people: str) -> None:
    calls = [
        Call(name="good", path="/", weight=3),
        Call(name="bad", path="/status/500"),
        Call(name="rude", path="/close"),
        Call(name="expected", path="/status/401", expect=[401]),
    ]
    with serving() as known:
        outcome = generate(job(known, people, *calls, rate=300.0))
    bad, rude = outcome.operations["bad"], outcome.operations["rude"]
    assert bad.count == rude.count == 0
    assert set(bad.errors) == {"status 500"}
    assert set(rude.errors) == {"connection closed"}
    assert not outcome.operations["expected"].errors
    assert outcome.operations["expected"].count > 20
    assert in_histogram(outcome) == outcome.count
    assert outcome.count + sum(outcome.errors.values()) == len(known.seen)
    assert outcome.operations["good"].count / len(known.seen) == pytest.approx(0.5, abs=0.1)


def test_an_answer_that_takes_too_long_is_a_timeout(people: str) -> None:
    with serving(delay=0.6) as known:
        outcome = generate(job(known, people, rate=20.0, timeout=0.2))
    assert outcome.count == 0
    assert outcome.errors["timeout"] > 3


def test_answers_over_time_are_those_that_were_counted(people: str) -> None:
    with serving() as known:
        outcome = generate(job(known, people, rate=100.0, arrivals="constant", seconds=2.0))
    assert len(outcome.over_time) == 2
    assert sum(outcome.over_time) == pytest.approx(outcome.count, abs=5)
    assert outcome.cpu > 0


def test_samples_are_spread_over_the_round(people: str) -> None:
    call = Call(name="get", path="/", check="timeline")
    with serving() as known:
        outcome = generate(job(known, people, call, rate=200.0, samples=10))
    assert len(outcome.samples) == pytest.approx(10, abs=1)
    assert {sample.body for sample in outcome.samples} == {'[{"id": 3}]'}
    assert {sample.user for sample in outcome.samples} <= {1, 2, 3}


def test_no_server_is_an_error_not_a_figure(people: str) -> None:
    with serving() as known:
        gone = job(known, people)
    with pytest.raises(StackError, match="own_worker failed"):
        generate(gone)


# -- requests ------------------------------------------------------------------------------------


def test_a_walk_goes_from_cursor_to_cursor_and_starts_again(people: str) -> None:
    call = Call(name="page", path="/feed?cursor={cursor}", pages=2)
    with serving() as known:
        generate(job(known, people, call, clients=1, seconds=0.3))
    paths = [line.split()[1] for line in known.seen]
    assert set(paths) == {"/feed?cursor=", "/feed?cursor=7"}
    assert paths.count("/feed?cursor=") == pytest.approx(len(paths) / 2, abs=3)


def test_templates_are_filled_and_tokens_sent(people: str) -> None:
    call = Call(
        name="post",
        method="POST",
        path="/users/{user}?of={other}",
        body='{"content": "{text}", "id": {user}}',
    )
    request = Requests(job(Known(), people, call), 1).next()
    text = request.data.decode()
    token = {1: "one", 2: "two", 3: "three"}[request.user]
    head, _, body = text.partition("\r\n\r\n")
    assert head.startswith(f"POST /users/{request.user}?of=")
    assert f"Authorization: Bearer {token}" in head
    assert f"Content-Length: {len(body)}" in head
    assert body.startswith('{"content": "')
    assert body.endswith(f'", "id": {request.user}}}')
    assert "{" not in head


def test_who_changes_their_follows_is_remembered(people: str) -> None:
    call = Call(name="follow", method="POST", path="/follows", body="{}")
    with serving() as known:
        outcome = generate(job(known, people, call, rate=50.0, seconds=0.5))
    assert set(outcome.unsteady) <= {1, 2, 3}
    assert outcome.unsteady


# -- one that stands beside another --------------------------------------------------------------


def test_what_is_held_has_started_before_it_begins(people: str) -> None:
    """Most of its CPU time is that of its imports."""
    with serving() as known:
        before = process.children_cpu()
        one = job(known, people, rate=10.0, clients=2)
        with process.Held("own_worker", one) as held:
            times = psutil.Process(held.process.pid).cpu_times()
            started = times.user + times.system
            assert not known.seen
            held.begin()
            outcome = held.outcome()
        assert outcome.count == len(known.seen) > 0
    assert 0 < process.children_cpu() - before - started < started / 2


def test_what_is_held_and_cannot_start_says_why(tmp_path: Path) -> None:
    with serving() as known, pytest.raises(StackError, match="own_worker did not start") as said:
        process.Held("own_worker", job(known, str(tmp_path / "nobody")))
    assert "No such file" in str(said.value)


def test_what_is_held_ends_with_its_block(people: str) -> None:
    with serving() as known:
        with (
            pytest.raises(StackError, match="wrk"),
            process.Held("own_worker", job(known, people)) as held,
        ):
            raise StackError("wrk failed")
        assert held.process.returncode == -signal.SIGKILL
        assert not known.seen


# -- pgbench ---------------------------------------------------------------------------------------


def test_pgbench_tells_scripts_skipped_and_failed_ones_apart() -> None:
    lines = [
        "0 1 1000 0 100 500000",
        "1 1 3000 1 100 900000",
        "0 2 2000 0 101 600000",
        "0 3 skipped 0 101 700000",
        "1 2 deadlock 1 101 800000",
    ]
    outcome = pgbench.parse(["read", "write"], lines, 2.0)
    assert {name: one.count for name, one in outcome.operations.items()} == {"read": 2, "write": 1}
    assert outcome.dropped == 1
    assert outcome.errors == {"deadlock": 1}
    assert outcome.over_time == [2, 1]
    assert outcome.seconds == 2.0
    closed = pgbench.parse(["read", "write"], lines, 2.0, closed=True)
    assert closed.seconds == pytest.approx(101.6 - 100.499), "what was under way has ended"


def test_pgbench_runs_a_mix_with_variables(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.sql").write_text("select :users, :extra;\n")
    (tmp_path / "two.sql").write_text("select 2;\n")
    monkeypatch.setattr(pgbench, "BENCH", tmp_path)
    scripts = [Script(name="one", file="one.sql", weight=3), Script(name="two", file="two.sql")]
    settings = database.settings
    made = job(Known(), "", calls=[], scripts=scripts, variables={"extra": 5}, clients=2)
    before = process.children_cpu()
    outcome = generate(
        replace(
            made,
            dsn=settings.socket_dsn(dbname=database.name),
            pgbench=str(settings.pg_bin / "pgbench"),
        )
    )
    assert 0 < outcome.cpu <= process.children_cpu() - before
    one, two = outcome.operations["one"].count, outcome.operations["two"].count
    assert one / (one + two) == pytest.approx(0.75, abs=0.1)
    assert not outcome.errors

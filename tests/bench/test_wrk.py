"""wrk against a server whose behaviour is known, and what is made of its words."""

import random
from pathlib import Path

import pytest

from microblog.bench import histogram
from microblog.bench.generators import generate, process, wrk
from microblog.bench.generators.job import Outcome
from microblog.bench.scenario import Call, Load
from microblog.errors import MissingProgramError, StackError
from tests.bench.needs import needs_wrk
from tests.bench.servers import STALL, in_histogram, job, serving, share_above, slow

LOAD = Load(name="load", generator="wrk", clients=2, calls=[Call(name="timeline", path="/")])
SAID = (
    "Running 3s test\n"
    'JSON {"latencies":[[1000,90],[2000,10]],"seconds":[[12,30],[11,5],[13,40],[14,25]],'
    '"statuses":[[200,100],[503,4]],"requests":104,"duration":2000000,"sending":3000000,'
    '"answering":2900000,"waited":5700000,"cpu":0.25,'
    '"connect":0,"read":2,"write":0,"timeout":0}'
)


def seen(outcome: Outcome) -> int:
    """How many latencies there were before wrk's correction."""
    return int(
        histogram.added(one.measured for one in outcome.operations.values()).get_total_count()
    )


def test_a_second_in_which_nothing_was_sent_is_there_all_the_same() -> None:
    said = SAID.replace(
        '"seconds":[[12,30],[11,5],[13,40],[14,25]]', '"seconds":[[15,25],[11,5],[12,9]]'
    )
    assert wrk.parse(LOAD, said).over_time == [9, 0, 0]


# -- wrk itself ----------------------------------------------------------------------------------


@needs_wrk
def test_what_wrk_counts_is_what_the_server_saw(people: str) -> None:
    """But for one request of each connection, under way when the time was over. Answers take long
    beside what lies between them and the next request.
    """
    with serving(delay=0.05) as known:
        outcome = generate(job(known, people, generator="wrk", clients=4, threads=2))
    assert not outcome.errors
    assert seen(outcome) == outcome.count > 50
    assert 0 <= len(known.seen) - outcome.count <= 4
    measured = outcome.measured_latency()
    assert measured is not None
    assert 50 < measured.p50 <= histogram.latency(outcome.all_latencies()).p50
    busy = measured.mean / 1000 * outcome.count / outcome.seconds
    assert busy == pytest.approx(4, rel=0.2), "Little's law, of the latencies as they were seen"


@needs_wrk
def test_a_stall_weighs_more_in_wrk_s_corrected_latencies(people: str) -> None:
    with serving(**STALL) as known:
        outcome = generate(job(known, people, generator="wrk", seconds=2.0))
    (tally,) = outcome.operations.values()
    measured = share_above(histogram.decode(tally.measured), 200_000)
    assert 0 < measured < 0.05
    assert slow(outcome) > 2 * measured


@needs_wrk
def test_an_error_status_is_no_answer(people: str) -> None:
    call = Call(name="bad", path="/status/503")
    with serving() as known:
        outcome = generate(job(known, people, call, generator="wrk"))
    assert outcome.count == 0
    assert set(outcome.errors) == {"status 503"}
    assert 0 <= len(known.seen) - outcome.errors["status 503"] <= 4


@needs_wrk
def test_an_answer_that_is_late_is_a_timeout(people: str) -> None:
    with serving(delay=1.2) as known:
        outcome = generate(job(known, people, generator="wrk", timeout=1.0, seconds=2.0))
    assert outcome.errors == {"timeout": 4}
    assert outcome.count == in_histogram(outcome) == 0


@needs_wrk
def test_a_connection_that_is_closed_is_a_read_error(people: str) -> None:
    call = Call(name="rude", path="/close")
    with serving() as known:
        outcome = generate(job(known, people, call, generator="wrk"))
    assert outcome.count == 0
    assert set(outcome.errors) == {"read"}


@needs_wrk
@pytest.mark.parametrize("mute", [0, 1, 3])
def test_a_connection_that_is_never_answered_is_an_error(people: str, mute: int) -> None:
    """wrk says nothing of it: neither an error nor a latency."""
    with serving(delay=0.005, mute=mute) as known:
        outcome = generate(job(known, people, generator="wrk", threads=2, seconds=2.0))
    assert outcome.errors == ({wrk.NO_ANSWER: mute} if mute else {})
    assert seen(outcome) == outcome.count > 50


@needs_wrk
def test_a_server_that_answers_nobody_is_no_round_without_errors(people: str) -> None:
    with serving(mute=4) as known:
        outcome = generate(job(known, people, generator="wrk"))
    assert (outcome.count, outcome.errors) == (0, {wrk.NO_ANSWER: 4})


@needs_wrk
def test_what_is_under_way_at_the_end_is_part_of_the_work(people: str) -> None:
    """Or a slow rival would seem slower than it is: here by a tenth."""
    with serving(delay=0.45) as known:
        outcome = generate(job(known, people, generator="wrk", clients=4, seconds=2.0))
    measured = outcome.measured_latency()
    assert measured is not None
    true = 4 / (measured.mean / 1000)
    assert (outcome.count + outcome.beside) / outcome.seconds == pytest.approx(true, rel=0.04)
    assert outcome.count / outcome.seconds < 0.93 * true


@needs_wrk
def test_a_stall_at_the_end_counts_no_more_than_an_answer_for_each_connection(people: str) -> None:
    with serving(delay=0.005, stall=5.0, stall_after=0.5) as known:
        outcome = generate(job(known, people, generator="wrk", timeout=8, seconds=1.0))
    assert outcome.count > 0
    assert 0 < outcome.beside <= 4


@needs_wrk
def test_a_long_stall_of_all_is_no_connection_without_an_answer(people: str) -> None:
    """Nor one at the end: it is over when the next answer comes, and nobody knows of none."""
    for after in (0.4, 0.8):
        with serving(delay=0.005, stall=0.6, stall_after=after) as known:
            outcome = generate(job(known, people, generator="wrk"))
        assert not outcome.errors


# -- what wrk itself used ------------------------------------------------------------------------

# get.lua, and before its end: each latency with its count, as wrk gives the i-th; or, with as many
# more of them within a second, how many seconds it takes to ask for each of them so.
ASKING = """
dofile("{script}")
local theirs, ffi = done, require("ffi")
function done(summary, latency, requests)
  local file = io.open("{file}", "w")
  if {more} == 0 then
    for i = 1, #latency do
      file:write(string.format("%d %d\\n", latency(i)))
    end
  else
    local stats = ffi.cast("bench_stats **", latency)[0]
    local first = tonumber(stats.min)
    for i = first, first + 25 * ({more} - 1), 25 do
      stats.data[i] = stats.data[i] + 1
    end
    stats.max = math.max(tonumber(stats.max), first + 25 * ({more} - 1))
    local begun, step = os.clock(), math.floor(#latency / 100)
    for i = step, #latency, step do
      latency(i)
    end
    file:write(string.format("%.6f\\n", (os.clock() - begun) * step))
  end
  file:close()
  theirs(summary, latency, requests)
end
"""


def asking(folder: Path, monkeypatch: pytest.MonkeyPatch, more: int) -> Path:
    """Have wrk run ASKING; return the file that it writes."""
    script = folder / "wrk" / "get.lua"
    script.parent.mkdir()
    file = folder / "said"
    script.write_text(ASKING.format(script=wrk.BENCH / "wrk" / "get.lua", file=file, more=more))
    monkeypatch.setattr(wrk, "BENCH", folder)
    return file


@needs_wrk
def test_latencies_are_those_that_wrk_gives_one_by_one(
    people: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = asking(tmp_path, monkeypatch, 0)
    with serving() as known:
        outcome = generate(job(known, people, generator="wrk", threads=2))
    pairs = [line.split() for line in file.read_text().splitlines()]
    assert len(pairs) > 50
    of_wrk = histogram.of_counts((int(micros), int(count)) for micros, count in pairs)
    assert outcome.operations["get"].histogram == histogram.encode(of_wrk)


@needs_wrk
def test_many_latencies_are_read_at_once_and_are_not_the_load_s_cpu(
    people: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = asking(tmp_path, monkeypatch, 40_000)
    with serving(delay=0.02) as known:
        before = process.children_cpu()
        outcome = generate(job(known, people, generator="wrk"))
        beside = process.children_cpu() - before - outcome.cpu
    assert in_histogram(outcome) > 40_000
    assert 0 < beside < float(file.read_text()) / 10


@needs_wrk
def test_wrk_s_cpu_is_that_of_its_load(people: str) -> None:
    with serving() as known:
        before = process.children_cpu()
        outcome = generate(job(known, people, generator="wrk", clients=2))
        used = process.children_cpu() - before
    assert 0 < outcome.cpu <= used + 0.01


@needs_wrk
def test_tags_are_asked_for_once_so_that_a_measured_round_begins_with_them(people: str) -> None:
    call = Call(name="tagged", path="/tagged", conditional=1.0)
    with serving() as known:
        generate(job(known, people, call, generator="wrk", clients=2))
        before = len(known.seen)
        outcome = generate(job(known, people, call, generator="wrk", clients=2))
    assert 0 <= len(known.seen) - before - outcome.count <= 2, "what was under way at the end"


@needs_wrk
def test_conditional_requests_get_their_share_of_304(people: str) -> None:
    call = Call(name="tagged", path="/tagged", conditional=0.5)
    with serving() as known:
        outcome = generate(job(known, people, call, generator="wrk"))
        assert outcome.count == seen(outcome) > 50
        assert not outcome.errors
        known.changes_after = len(known.seen) + 50  # asked for beforehand, and no longer true
        with pytest.raises(StackError, match="answers were 304, not 50%"):
            generate(job(known, people, call, generator="wrk"))


# -- what is made of its words -------------------------------------------------------------------


def test_what_wrk_says_is_read_whole() -> None:
    outcome = wrk.parse(LOAD, SAID)
    tally = outcome.operations["timeline"]
    assert (tally.count, outcome.seconds) == (100, 3.0)
    assert tally.errors == {"read": 2, "status 503": 4}
    assert outcome.cpu == 0.25
    assert outcome.over_time == [30, 40], "whole seconds only, in order"
    assert wrk.parse(LOAD, SAID.replace("3000000", "1000000")).seconds == 2.0, "the longer of both"
    assert histogram.latency(outcome.all_latencies()).p50 == pytest.approx(1.0, rel=0.001)
    late = wrk.parse(LOAD, SAID.replace('"timeout":0', '"timeout":3'))
    assert (late.count, late.errors["timeout"]) == (97, 3)
    with pytest.raises(StackError, match="no result"):
        wrk.parse(LOAD, "nothing of use")


def test_wrk_s_correction_can_be_taken_back() -> None:
    """``corrected`` does what stats_correct in wrk's src/stats.c does."""
    drawn = random.Random(5)
    for expected in (1, 7, 50, 400):
        raw = [0] * 300
        for _ in range(200):
            raw[drawn.randrange(1, 300)] += 1
        corrected = list(raw)
        for taken in range(expected * 2, 300):
            count, hidden = corrected[taken], taken - expected
            while count and hidden > expected:
                corrected[hidden] += count
                hidden -= expected
        assert (corrected != raw) == (expected < 100)
        pairs = [(taken, count) for taken, count in enumerate(corrected) if count]
        assert wrk.measured(pairs, expected) == [(t, n) for t, n in enumerate(raw) if n]


def test_where_wrk_is_missing_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingProgramError, match="apt-get install -y wrk"):
        wrk.binary()

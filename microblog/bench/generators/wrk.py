"""wrk: the raw rate of one GET in the closed model, on as few cycles as there are.

How it counts (src/wrk.c and src/stats.c, 4.1.0): an answer that comes after the timeout is complete
like any other, has no latency, and is told as a timeout; it is not given up before. What is not
answered when the time is over, one request of each connection, counts nowhere, and where an answer
takes a tenth of the round that is a twentieth of the work: what connections had waited by then is
told as so many answers beside the counted ones (``Outcome.beside``). And a connection that
is never answered would be seen by nobody: it is told by how long requests were under way in all,
which get.lua adds up, beside what the answered ones took (`_unanswered`). Answers with an error
status have their latencies among the others'.

Before a script sees the latencies they are corrected for coordinated omission: with E as the mean
time between two requests of a connection, a latency L of more than 2 E stands for those of
L - E, L - 2 E, … as well, which a client that kept its pace would have seen meanwhile. That is what
``wrk --latency`` prints, too. It can be taken back (`measured`), and both are kept.
"""

import http.client
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cache
from http import HTTPStatus
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from microblog.bench import histogram
from microblog.bench.generators import actors, process
from microblog.bench.generators.job import Job, Outcome, Tally
from microblog.bench.scenario import BENCH, Load
from microblog.errors import MissingProgramError, StackError

SEQUENCE = 3_000  # users drawn beforehand; threads walk through them from different places
ERRORS = ("connect", "read", "write", "timeout")
WALK = 100  # requests of a thread among which the share of conditional ones is exact
TOLERANCE = 0.02  # of the share of answers that are 304
NO_ANSWER = "connection without an answer"
ALLOWANCE = 0.02  # of the connections that may have waited all the time, and half a one


def binary() -> str:
    """Where wrk is; MissingProgramError with the command that installs it where it is not."""
    found = shutil.which("wrk")
    if found is None:
        raise MissingProgramError("wrk is not installed", "Install it: apt-get install -y wrk")
    return found


def generate(job: Job, begin: Callable[[], None] = lambda: None) -> Outcome:
    """Run wrk, for whole seconds; ``begin`` is called right before."""
    with tempfile.TemporaryDirectory() as folder:
        people = Path(folder) / "people"
        _draw(job, people)
        call = job.load.calls[0]
        seconds = max(1, round(job.seconds))
        begin()
        output = process.run(
            [
                binary(),
                f"-t{job.load.threads}",
                f"-c{job.load.clients}",
                f"-d{seconds}s",
                f"--timeout={max(1, round(job.load.timeout))}s",
                *("-s", str(BENCH / "wrk" / "get.lua"), f"http://{job.host}:{job.port}"),
                *("--", call.path, str(people), str(job.seed), "1" if call.anonymous else "0"),
                str(call.conditional),
            ],
            seconds,
        )
    return parse(job.load, output.decode())


def _draw(job: Job, file: Path) -> None:
    people = actors.read(Path(job.actors))
    random = np.random.default_rng(job.seed)
    drawn = islice(actors.draw(len(people), job.users, random), SEQUENCE)
    lines = [f"{people[i][0]} {people[i][1]}" for i in drawn]
    if job.load.calls[0].conditional:
        asked = (job.host, job.port, job.load.calls[0].path)
        tags = {line: _tag(*asked, line.split()[1]) for line in set(lines)}
        lines = [f"{line} {tags[line]}" for line in lines]
    file.touch(mode=0o600)
    file.write_text("".join(f"{line}\n" for line in lines))


@cache
def _tag(host: str, port: int, path: str, token: str) -> str:
    """Ask for the page once; its entity tag, which a second request shows to be good.

    Kept, so that it is asked for while a side warms up, and what it costs is in no round.
    """
    headers = {"Authorization": f"Bearer {token}"}
    with closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        tag = answer.headers.get("ETag", "")
        connection.request("GET", path, headers={**headers, "If-None-Match": tag})
        again = connection.getresponse()
        again.read()
    if again.status != HTTPStatus.NOT_MODIFIED:
        raise StackError(f"{path}: {again.status}, not 304, to the tag {tag or 'it lacks'}")
    return tag


def parse(load: Load, output: str) -> Outcome:
    """Read what get.lua printed at its end; StackError where it is not what was to be measured."""
    line = next((one for one in output.splitlines() if one.startswith("JSON ")), None)
    if line is None:
        raise StackError(f"wrk printed no result:\n{output.strip()[-500:]}")
    said = msgspec.json.decode(line.removeprefix("JSON "))
    (call,) = load.calls
    statuses = dict(said["statuses"])
    right = {status: count for status, count in statuses.items() if call.right(status)}
    _check_share(load, right)
    errors = {kind: said[kind] for kind in ERRORS if said[kind]}
    errors |= {f"status {s}": statuses[s] for s in sorted(statuses.keys() - right.keys())}
    begun = dict(said["seconds"])
    seconds = (
        [begun.get(second, 0) for second in range(min(begun), max(begun) + 1)] if begun else []
    )
    expected = said["duration"] // max(said["requests"] // load.clients, 1)
    taken = measured(said["latencies"], expected)
    if not errors and (stuck := _unanswered(load, said, taken)):
        errors[NO_ANSWER] = stuck
    tally = Tally(
        # Which answers were late is not known: none of the wrong ones, at worst.
        count=max(sum(right.values()) - said["timeout"], 0),
        errors=errors,
        histogram=histogram.encode(histogram.of_counts(said["latencies"])),
        measured=histogram.encode(histogram.of_counts(taken)),
    )
    # The clock's seconds are not wrk's: the first and the last are parts. Threads that were made
    # late leave wrk's own duration too short.
    lasted = max(said["duration"], said["sending"]) / 1e6
    answered = sum(micros * count for micros, count in taken)
    unanswered = said["waited"] - answered  # up to the last answer; from then on all wait
    unanswered += load.clients * max(1e6 * lasted - said["answering"], 0)
    under_way = max(unanswered, 0) if not errors else 0
    return Outcome(
        operations={call.name: tally},
        seconds=lasted,
        cpu=said["cpu"],
        over_time=seconds[1:-1],
        # One answer each at most: of what a stall at the end holds back no more would have come.
        beside=min(tally.count * under_way / answered, load.clients) if answered else 0.0,
    )


def measured(corrected: Iterable[tuple[int, int]], expected: int) -> list[tuple[int, int]]:
    """Take wrk's correction back: latencies in µs, each with its count.

    It added to each latency m above ``expected`` the counts of m + expected, m + 2 expected, …: so
    what was added to m is the corrected count of m + expected.
    """
    counts = dict(corrected)
    return [
        (taken, left)
        for taken, count in sorted(counts.items())
        if (left := count - (counts.get(taken + expected, 0) if taken > expected else 0))
    ]


def _unanswered(load: Load, said: dict[str, float], taken: list[tuple[int, int]]) -> int:
    """Return how many connections got no answer, told from all others' time; mostly 0.

    What requests were under way beyond the latencies of the answered ones is the age of those that
    still were when the last answer came. A moment finds requests at half the mean latency, more
    where latencies differ. Three times that is allowed, which is little of a long round and much of
    a short one: there the slowest are not answered within it.
    """
    answered = sum(micros * count for micros, count in taken)
    if not answered:
        return load.clients
    lasted = said["answering"]
    age = said["waited"] - answered
    usual = load.clients * sum(micros**2 * count for micros, count in taken) / answered / 2
    allowed = 3 * usual + (0.5 + ALLOWANCE * load.clients) * lasted
    return max(round(age / lasted), 1) if age > allowed else 0


def _check_share(load: Load, right: dict[int, int]) -> None:
    """Have as many of the right answers be 304 as asked for; threads break off somewhere."""
    (call,), total = load.calls, sum(right.values())
    unchanged = right.get(HTTPStatus.NOT_MODIFIED, 0)
    if abs(unchanged - call.conditional * total) > TOLERANCE * total + WALK * load.threads:
        raise StackError(
            f"{load.name}: {unchanged} of {total} answers were 304, not {call.conditional:.0%}"
        )

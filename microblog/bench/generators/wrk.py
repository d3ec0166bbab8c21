"""wrk: the raw rate of one GET in the closed model, on as few cycles as there are."""

import http.client
import shutil
import tempfile
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from microblog.bench import histogram
from microblog.bench.generators import actors, process
from microblog.bench.generators.job import Job, Outcome, Tally
from microblog.bench.scenario import BENCH
from microblog.errors import MissingProgramError, StackError

SEQUENCE = 3_000  # users drawn beforehand; threads walk through them from different places
ERRORS = ("connect", "read", "write", "status", "timeout")
NAMES = {"status": "status 4xx or 5xx"}


def binary() -> str:
    """Where wrk is; MissingProgramError with the command that installs it where it is not."""
    found = shutil.which("wrk")
    if found is None:
        raise MissingProgramError("wrk is not installed", "Install it: apt-get install -y wrk")
    return found


def generate(job: Job) -> Outcome:
    """Run wrk, for whole seconds."""
    with tempfile.TemporaryDirectory() as folder:
        people = Path(folder) / "people"
        _draw(job, people)
        call = job.load.calls[0]
        seconds = max(1, round(job.seconds))
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
    return parse(call.name, output.decode())


def _draw(job: Job, file: Path) -> None:
    people = actors.read(Path(job.actors))
    random = np.random.default_rng(job.seed)
    drawn = islice(actors.draw(len(people), job.users, random), SEQUENCE)
    lines = [f"{people[i][0]} {people[i][1]}" for i in drawn]
    if job.load.calls[0].conditional:
        tags = {line: _tag(job, line.split()[1]) for line in set(lines)}
        lines = [f"{line} {tags[line]}" for line in lines]
    file.touch(mode=0o600)
    file.write_text("".join(f"{line}\n" for line in lines))


def _tag(job: Job, token: str) -> str:
    """Ask for the page once; its entity tag, which a second request shows to be good."""
    path = job.load.calls[0].path
    headers = {"Authorization": f"Bearer {token}"}
    with closing(http.client.HTTPConnection(job.host, job.port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        tag = answer.headers.get("ETag", "")
        connection.request("GET", path, headers={**headers, "If-None-Match": tag})
        again = connection.getresponse()
        again.read()
    if again.status != 304:
        raise StackError(f"{path}: {again.status}, not 304, to the tag {tag or 'it lacks'}")
    return tag


def parse(name: str, output: str) -> Outcome:
    """Read what get.lua printed at its end."""
    line = next((one for one in output.splitlines() if one.startswith("JSON ")), None)
    if line is None:
        raise StackError(f"wrk printed no result:\n{output.strip()[-500:]}")
    said = msgspec.json.decode(line.removeprefix("JSON "))
    errors = {NAMES.get(kind, kind): said[kind] for kind in ERRORS if said[kind]}
    seconds = [count for _, count in sorted(said["seconds"])]
    tally = Tally(
        count=said["requests"] - said["status"],
        errors=errors,
        histogram=histogram.encode(histogram.of_counts(said["latencies"])),
    )
    # The clock's seconds are not wrk's: the first and the last are parts. Threads that were made
    # late leave wrk's own duration too short.
    lasted = max(said["duration"], said["sending"]) / 1e6
    return Outcome(operations={name: tally}, seconds=lasted, over_time=seconds[1:-1])

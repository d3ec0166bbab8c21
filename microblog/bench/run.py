"""Runs scenarios: sides take turns, round by round, and each round is measured and checked."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from math import inf
from typing import TypeVar

from msgspec.structs import replace
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from microblog.bench import check, histogram, record, result, twip_check
from microblog.bench.bed import Bed
from microblog.bench.cost import Meter, buffers_read
from microblog.bench.generators import Job, Outcome, generate, k6, process, vegeta, wrk
from microblog.bench.result import Operation, Round, Run, ScenarioResult, Side
from microblog.bench.scenario import Load, Scenario, Users, drawn, uses
from microblog.errors import StackError
from microblog.seed.shape import Shape
from microblog.settings import Settings

SAMPLES = 40  # answers of a round that are compared with the definition
CHANGED_WARMUP = 1.5  # seconds at least after a change of the stack or its limits
QUICK_WARMUP = 0.5  # seconds at most in a quick pass
WARMUPS = 6  # at most, one after the other, while blocks are read from disk
WARM = 0.1  # blocks of an answer that may be
LIMIT = 240.0  # seconds after which a scenario gets no further round
BESIDE = 2.0  # seconds that a turn takes beside its load, before that is known
BROKEN = "broken off"
NO_TIME = "no time was left for it"
AUTHORS = Users(kind="any", popularity="uniform")

T = TypeVar("T")
# Generators that do not hand out answers.
BLIND = {"wrk": wrk.generate, "vegeta": vegeta.generate, "k6": k6.generate}
PROBE_RATE = 2.5  # requests per second beside them, whose answers are kept
AFTERWARDS = 1.0  # seconds
CROWD = 8  # connections from which such a request is no guest that is noticed
WALKS_END = "no walk came to page {}: the deepest was page {}"


def run_scenarios(
    settings: Settings,
    scenarios: Sequence[Scenario],
    *,
    rounds: int = 3,
    seconds: float = 10.0,
    quick: bool = False,
    preset: str | Shape = "small",
    seed: int = 1,
    fresh: bool = False,
    floor: bool = False,
    audit: bool = False,
    limit: float = LIMIT,
    deadline: float | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: bool = True,
) -> Run:
    """Measure the scenarios on the stack that ``settings`` name, and return the run, not saved.

    ``rounds`` and ``seconds`` hold for scenarios that do not say their own; a quick pass has no
    more rounds, and those lengths. ``seed`` draws the load. The stack is filled with ``preset``, a
    name or a shape, if it is empty; ``floor`` measures that against a bare COPY; ``audit`` then
    compares feeds and counters with the definition. ``limit``: seconds after which a scenario gets
    no further round. ``deadline``: seconds that all of it may take, seeding included; a scenario
    that should not be over by then is left out, and a turn that should not be is not begun.
    Raises StackError where the stack cannot run; a scenario that cannot is among the run's
    failures, and wrong answers are in the rounds. Ctrl-C ends the run with what was measured.
    """
    if any(side.sends == "wrk" for scenario in scenarios for side in scenario.sides):
        wrk.binary()
    start = time.monotonic()
    most = max((side.instances for one in scenarios for side in one.sides), default=1)
    with Bed(settings, say, most) as bed:
        run = open_run(
            bed, preset, rounds=rounds, seconds=seconds, quick=quick, seed=seed, fresh=fresh,
            floor=floor, audit=audit,
        )  # fmt: skip
        plan = [_planned(scenario, rounds, seconds, quick) for scenario in scenarios]
        estimate = Estimate(plan, None if deadline is None else start + deadline)
        with _progress() if progress else nullcontext() as shown:
            task = shown.add_task("", total=estimate.turns) if shown else None

            def step(what: str, done: int) -> None:
                if shown and task is not None:
                    shown.update(task, description=what, advance=done)

            for number, (scenario, turns, length) in enumerate(plan, 1):
                if not estimate.fits(number):
                    run.left_out.append(scenario.name)
                    say(f"bench: {scenario.name} is left out: no time for it within {deadline:g} s")
                    step("", estimate.skip(number))
                    continue
                try:
                    say(f"bench: {number} of {len(plan)}, {scenario.name}; {estimate.left()}")
                    turner = Turner(
                        bed, scenario, length, seed, step, scenario.limit or limit, estimate.until
                    )
                    found = turner.take_turns(turns)
                    if found.subject.absent == NO_TIME:
                        run.left_out.append(scenario.name)
                    else:
                        run.scenarios.append(found)
                except (KeyboardInterrupt, Exception) as error:
                    if broken_off(error):
                        left = [p[0].name for p in plan[number - 1 :]]
                        run.failures |= dict.fromkeys(left, BROKEN)
                        say("bench: broken off; what was measured is kept")
                        break
                    # Whatever it is: the others are worth having.
                    run.failures[scenario.name] = f"{error}" or repr(error)
                    say(f"{scenario.name}: {error}")
                estimate.done(number)
    run.took = round(time.monotonic() - start, 1)
    return run


def broken_off(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: what clears up fails in the midst of a statement."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def open_run(
    bed: Bed,
    preset: str | Shape,
    *,
    rounds: int,
    seconds: float,
    quick: bool = False,
    seed: int = 1,
    fresh: bool = False,
    floor: bool = False,
    audit: bool = False,
) -> Run:
    """Open a bed, and return a run on it that has measured nothing yet.

    The parameters are those of ``run_scenarios``.
    """
    commit, changed = record.commit()
    machine = record.machine()
    data = bed.open(preset, fresh=fresh, floor=floor, audit=audit)
    return Run(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        uncommitted_changes=changed,
        versions=bed.versions(),
        machine=machine,
        settings=record.described(bed.settings) | bed.postgresql_settings(),
        data=data,
        seed=seed,
        rounds=rounds,
        seconds=seconds,
        quick=quick,
    )


Planned = tuple[Scenario, int, float]  # with its number of rounds, and the length of each


def _planned(scenario: Scenario, rounds: int, seconds: float, quick: bool) -> Planned:
    return (
        replace(scenario, warmup=min(scenario.warmup, QUICK_WARMUP)) if quick else scenario,
        min(scenario.rounds or rounds, rounds) if quick else scenario.rounds or rounds,
        scenario.seconds if scenario.seconds and not quick else seconds,
    )


class Estimate:
    """How much time the rest of a run takes, from the time that the part before it took.

    ``until`` is when ``clock`` ends the run, None for never. Scenarios are numbered from 1.
    """

    def __init__(
        self,
        plan: Sequence[Planned],
        until: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.waiting = {  # seconds of load and turns of each scenario
            number: (
                sum(rounds * (0.5 if side.figure else length) for side in scenario.sides),
                rounds * len(scenario.sides),
            )
            for number, (scenario, rounds, length) in enumerate(plan, 1)
        }
        self.rounds = {number: rounds for number, (_, rounds, _) in enumerate(plan, 1)}
        self.turns = sum(turns for _, turns in self.waiting.values())
        self.until, self.clock = until, clock
        self.start = clock()
        self.load, self.taken = 0.0, 0  # seconds of load and turns that are over

    def done(self, number: int) -> None:
        """A scenario is over."""
        load, turns = self.waiting.pop(number)
        self.load, self.taken = self.load + load, self.taken + turns

    def skip(self, number: int) -> int:
        """A scenario is left out; return how many turns it would have had."""
        return self.waiting.pop(number)[1]

    def room(self) -> float:
        """Return how many seconds are left, without end where nothing ends the run."""
        return inf if self.until is None else self.until - self.clock()

    def fits(self, number: int) -> bool:
        """Whether one round of a scenario should be over in time: further ones may be left out."""
        load, turns = self.waiting[number]
        rounds = self.rounds[number]
        return self.until is None or self._takes(load / rounds, turns // rounds) <= self.room()

    def _takes(self, load: float, turns: int) -> float:
        beside = (self.clock() - self.start - self.load) / self.taken if self.taken else BESIDE
        return load + turns * max(beside, 0.0)

    def left(self) -> str:
        """Tell how long it has been and may take, in minutes."""
        spent = self.clock() - self.start
        left = sum(self._takes(*one) for one in self.waiting.values())
        return f"{spent / 60:.0f} min over, about {min(left, self.room()) / 60:.0f} min left"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class Turner:
    """Has the sides of one scenario take turns, in the order of ``ordered``.

    ``step`` is told what begins, and that a turn is done. ``limit``: seconds after which there is
    no further round. ``until``: when, on the system's clock, everything has to be over; no turn is
    begun that should not be by then, be it the second of the first round. ``elsewhere``: the beds
    of sides, by name, that are not on ``bed``.
    """

    def __init__(
        self,
        bed: Bed,
        scenario: Scenario,
        seconds: float,
        seed: int,
        step: Callable[[str, int], None] = lambda _, __: None,
        limit: float = LIMIT,
        until: float | None = None,
        elsewhere: Mapping[str, Bed] | None = None,
    ) -> None:
        self.bed, self.scenario, self.seconds, self.seed = bed, scenario, seconds, seed
        self.step, self.limit, self.until = step, limit, until
        self.elsewhere = elsewhere or {}
        self.warm: set[str] = set()
        self.took: dict[str, float] = {}  # the longest turn of each side, all that it needs

    def on(self, load: Load) -> Bed:
        """Return the bed of a side."""
        return self.elsewhere.get(load.name, self.bed)

    def take_turns(self, rounds: int) -> ScenarioResult:
        """Run all rounds and sum them up; a side that cannot take part says why."""
        scenario = self.scenario
        limitations = list(scenario.limitations)
        sides = [self._side(load) for load in scenario.sides]
        both = list(zip(scenario.sides, sides, strict=True))
        start = time.monotonic()
        turns = [(number, *one) for number in range(rounds) for one in ordered(both, number)]
        for taken, (number, load, side) in enumerate(turns):
            whole, rest = divmod(taken, len(sides))
            spent = time.monotonic() - start
            late = whole and not rest and spent * (whole + 1) / whole > self.limit
            if late or not (side.absent or self.fits(load)):
                cut = f" and {rest} of {len(sides)} turns of another" if rest else ""
                limitations.append(f"{whole} of {rounds} rounds{cut}, for want of time.")
                break
            self.step(f"{scenario.name}: {load.name}", 0)
            if not side.absent:
                begun = time.monotonic()
                side.rounds.append(self.turn(load, number))
                took = time.monotonic() - begun
                self.took[load.name] = max(self.took.get(load.name, 0.0), took)
            self.step(f"{scenario.name}: {load.name}", 1)
        for side in sides:
            if not side.rounds:
                side.absent = side.absent or NO_TIME
        ratios = [
            self._ratio(load, sides[0].rounds, side.rounds)
            for load, side in both[1:]
            if side.rounds and sides[0].rounds
        ]
        return ScenarioResult(
            name=scenario.name,
            title=scenario.title,
            about=scenario.about,
            unit=scenario.unit,
            measure=scenario.measure,
            of=scenario.of,
            better=scenario.better,
            sides=sides,
            ratios=ratios,
            targets=scenario.targets,
            published=scenario.published,
            limitations=limitations,
        )

    def fits(self, load: Load) -> bool:
        """Whether a side's next turn should be over in time.

        It takes as long as its longest so far. One that had none has beside its load what the
        slowest of the others had beside theirs: they are prepared alike, or nearly.
        """
        if self.until is None:
            return True
        length = 0.0 if load.figure else self.seconds
        slowest = max(self.took.values(), default=length + BESIDE)
        return time.monotonic() + self.took.get(load.name, max(slowest, length)) <= self.until

    @staticmethod
    def _ratio(load: Load, subject: list[Round], other: list[Round]) -> result.Ratio:
        """Compare rounds of the same number; one that was cut short may lack its neighbour."""
        pairs = min(len(subject), len(other))
        ours, theirs = ([one.value for one in some[:pairs]] for some in (subject, other))
        return result.ratio(load.name, ours, theirs, load.target, load.aim)

    def _side(self, load: Load) -> Side:
        return Side(
            name=load.name,
            role=load.role,
            model=load.model,
            generator=load.sends,
            stack=load.stack,
            instances=load.instances,
            clients=load.clients,
            threads=load.threads,
            rate=load.rate,
            arrivals=load.arrivals if load.rate else "",
            uses=uses(load),
            absent=self.on(load).absent(load),
        )

    def turn(self, load: Load, number: int) -> Round:
        """Run one round of one side: prepare, warm up, measure, settle, check."""
        bed = self.on(load)
        changed = bed.ready(load)
        if load.figure:
            return self.figure(load)
        job = self.job(load, number)
        warmup = max(self.scenario.warmup, CHANGED_WARMUP) if changed else self.scenario.warmup
        if warmup and (changed or load.name not in self.warm):
            begun = check.newest_post(bed.connection)
            self.warm_up(replace(job, seconds=warmup, samples=0, seed=job.seed + 500_000))
            self.warm.add(load.name)
            bed.forget(begun, load.store)
        begun = check.newest_post(bed.connection)
        first = twip_check.begun(bed.connection, load.store, job.redis) if load.store else begun
        for file in load.queue:
            bed.run_sql(file)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        fallbacks = bed.fallbacks()
        with bed.worker(load.worker), Meter(bed.connection, bed.pids()) as meter:
            outcome = self.send(job)
            meter.generator = outcome.cpu
            left = bed.queued()
            wrong = bed.prove(load.at_end)
            if load.queue:  # what was queued on purpose is not waited for
                bed.forget(begun)
            settle = bed.settle() if load.worker == "runs" else 0.0
        fallbacks = bed.fallbacks() - fallbacks
        bed.settle()
        samples = [one for one in outcome.samples if one.user not in set(outcome.unsteady)]
        if not outcome.count:
            raise StackError(
                f"{self.scenario.name}: {load.name!r} got no right answer in {self.seconds:g} s",
                f"Errors: {outcome.errors}" if outcome.errors else "",
            )
        stored = load.store and twip_check.definition(bed.connection, load.store, job.redis)
        wrong += check.wrong(bed.connection, samples, first, stored or None)
        wrong += bed.prove(
            load.proofs,
            **load.variables,
            kinds=drawn(load),
            begun=begun,
            answered=outcome.count,
            unsure=load.clients + sum(outcome.errors.values()),
        )
        if (load.store or any(call.check for call in load.calls)) and not samples:
            wrong.append("no answer was checked")
        if (pages := max((c.pages for c in load.calls if "{cursor}" in c.path), default=0)) and (
            outcome.deepest < pages
        ):
            wrong.append(WALKS_END.format(pages, outcome.deepest))
        bed.forget(begun, load.store)
        # Of a post that is followed, both times are told, and it is one all the same.
        count = outcome.operations["delivered"].count if load.delivery else outcome.count
        return Round(
            at=at,
            seconds=outcome.seconds,
            value=self.value(outcome, settle),
            count=count,
            rate=(count + outcome.beside) / outcome.seconds,
            offered=load.rate,
            dropped=outcome.dropped,
            errors=outcome.errors,
            latency=histogram.latency(outcome.all_latencies()),
            measured=outcome.measured_latency(),
            histogram=histogram.encode(outcome.all_latencies()),
            operations={name: _operation(outcome, name) for name in outcome.operations},
            lateness=round(outcome.lateness, 3),
            over_time=outcome.over_time,
            settle=round(settle, 3),
            left=left,
            fallbacks=fallbacks,
            beside=round(outcome.beside, 1),
            checked=len(samples),
            wrong=wrong,
            cost=meter.cost,
        )

    def warm_up(self, job: Job) -> None:
        """Send the load until it hardly reads from disk any more, but not for ever.

        How much less it reads than the last time would tell nothing: a load that walks through what
        is on disk reads as much for each answer until it has been everywhere.
        """
        bed = self.on(job.load)
        for number in range(WARMUPS):
            read = buffers_read(bed.connection)
            with bed.worker(job.load.worker):
                outcome = generate(replace(job, seed=job.seed + 100_000 * number))
            read = buffers_read(bed.connection) - read
            bed.settle()
            if read <= WARM * outcome.count:
                return

    def figure(self, load: Load) -> Round:
        """Ask for a number; what the asking took is the round's cost."""
        bed = self.on(load)
        at, start = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        with Meter(bed.connection, bed.pids()) as meter:
            value = bed.figure(load.figure)
        if value is None:
            raise StackError(f"{self.scenario.name}: {load.name!r} has no figure")
        taken = time.monotonic() - start
        return Round(at=at, seconds=taken, value=value, count=1, rate=1 / taken, cost=meter.cost)

    def job(self, load: Load, number: int) -> Job:
        """Describe one round; the same number draws the same load for each side."""
        bed = self.on(load)
        host, port = bed.door(load) if load.calls else ("", 0)
        by = {call.by for call in load.calls}
        return Job(
            load=load,
            users=self.scenario.users,
            host=host,
            port=port,
            dsn=bed.settings.socket_dsn(),
            actors=str(bed.people(self.scenario.users)),
            authors=str(bed.people(AUTHORS)) if "authors" in by else "",
            posts=bed.posts(),
            celebrity=bed.celebrity() if "celebrity" in by else (0, ""),
            user_count=bed.user_count,
            people=bed.kinds,
            seconds=self.seconds,
            seed=self.seed + 10_000 * number,
            samples=SAMPLES,
            redis=str(bed.redis(load.store == "redis"))
            if load.store == "redis" or load.pushes
            else "",
            pgbench=str(bed.settings.pg_bin / "pgbench"),
        )

    def send(self, job: Job) -> Outcome:
        """Generate the load; where answers cannot be had, a few requests beside it get some.

        They are sent beside each side of a scenario and told as done beside its load; what sends
        them has started before the load begins. Beside a few connections they would be half of the
        load: there they come right after it.
        """
        checked = any(call.check for side in self.scenario.sides for call in side.calls)
        if job.load.sends not in BLIND or not checked:
            return generate(job)
        calls = [call for call in job.load.calls if call.check] or job.load.calls
        probe = replace(
            job.load, generator="own", calls=calls, rate=PROBE_RATE, clients=4, threads=1
        )
        watch = replace(job, load=probe, seed=job.seed + 700_000)
        if job.load.clients < CROWD:
            outcome = generate(job)
            after = replace(
                watch, seconds=AFTERWARDS, load=replace(probe, rate=SAMPLES / AFTERWARDS)
            )
            return replace(outcome, samples=generate(after).samples)
        with process.Held("own_worker", watch) as beside:
            outcome = BLIND[job.load.sends](job, beside.begin)
            checking = beside.outcome()
            return replace(
                outcome,
                samples=checking.samples,
                beside=outcome.beside + (checking.count if not outcome.errors else 0),
            )

    def value(self, outcome: Outcome, settle: float = 0.0) -> float:
        """Return what the scenario measures: answers per second, or milliseconds.

        ``settle``: seconds that what was left behind took, which a rate may have to count.
        """
        scenario = self.scenario
        tally = outcome.operations.get(scenario.of)
        if scenario.measure == "rate":
            worth = (self.bed.figure(scenario.worth) or 0.0) if scenario.worth else 1.0
            seconds = outcome.seconds + (settle if scenario.settled else 0.0)
            return (tally.count if tally else outcome.count + outcome.beside) * worth / seconds
        taken = histogram.decode(tally.histogram) if tally else outcome.all_latencies()
        return float(getattr(histogram.latency(taken), scenario.measure))


def ordered(sides: list[T], number: int) -> list[T]:
    """Return the sides, subject first, in the order of a round: B A C, then C A B, and so on.

    The subject is in the middle, as near to the farthest as can be. Every other round is the other
    way round: who came before now comes after, and over two rounds all are as early as late, so
    that a machine that gets slower all the time does the same to each.
    """
    subject, *others = sides
    half = len(others) // 2
    order = [*others[:half], subject, *others[half:]]
    return order[::-1] if number % 2 else order


def _operation(outcome: Outcome, name: str) -> Operation:
    tally = outcome.operations[name]
    return Operation(
        count=tally.count,
        errors=tally.errors,
        latency=histogram.latency(histogram.decode(tally.histogram)),
        histogram=tally.histogram,
    )


def problems(run: Run) -> list[str]:
    """Return what must not be overlooked, a line for each: failed scenarios, wrong answers."""
    drift = f"{run.data.drift} rows of feeds or counters are not as defined"
    return [
        *([drift] if run.data.drift else []),
        *(f"{name} failed: {reason}" for name, reason in run.failures.items()),
    ] + [
        f"{scenario.name}, {side.name}: {wrong}"
        for scenario in run.scenarios
        for side in scenario.sides
        for one in side.rounds
        for wrong in one.wrong
    ]

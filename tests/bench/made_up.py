"""Runs that nobody measured: the shapes that reports and comparisons are tested with."""

import random
from collections.abc import Callable

import numpy as np

from microblog.bench import histogram
from microblog.bench.result import (
    Better,
    Cost,
    Data,
    Latency,
    Machine,
    Operation,
    Published,
    Role,
    Round,
    Run,
    ScenarioResult,
    Side,
    Statement,
    Target,
    ratio,
)
from microblog.bench.scale_result import Curve, Point, Scaling

AT = "2026-01-0{day}T10:00:00+00:00"


def latencies(rng: random.Random, count: int, median_ms: float, tail: float) -> np.ndarray:
    """Return seconds, lognormal around a median."""
    generator = np.random.default_rng(rng.randrange(2**32))
    return generator.lognormal(np.log(median_ms / 1000), tail, count)


def one_round(
    rng: random.Random,
    rate: float,
    median_ms: float,
    *,
    seconds: float = 4.0,
    tail: float = 0.5,
    noise: float = 0.02,
    offered: float | None = None,
    cpu: dict[str, float] | None = None,
    mix: dict[str, float] | None = None,
    errors: dict[str, int] | None = None,
    measure: str = "rate",
    samples: int = 300,
) -> Round:
    """Return a round of about ``rate`` answers a second, each taking about ``median_ms``.

    ``samples`` are latencies drawn for the histogram; with 0 there is none, which is quick.
    """
    rate *= rng.lognormvariate(0, noise)
    median_ms *= rng.lognormvariate(0, noise)
    count = int(rate * seconds)
    drawn = min(count, samples)
    operations = {}
    total = histogram.of(latencies(rng, drawn, median_ms, tail) if not mix else [])
    for number, (name, share) in enumerate((mix or {}).items() if samples else (), 1):
        some = histogram.of(latencies(rng, max(1, int(drawn * share)), median_ms * number, tail))
        total.add(some)
        operations[name] = Operation(
            count=some.get_total_count(),
            latency=histogram.latency(some),
            histogram=histogram.encode(some),
        )
    latency = histogram.latency(total)
    if not samples:
        latency = Latency(p50=median_ms, p99=median_ms * 3)
    used = {name: share * seconds for name, share in (cpu or {"postgres": 1.0}).items()}
    return Round(
        at=AT.format(day=1),
        seconds=seconds,
        value=rate if measure == "rate" else getattr(latency, measure),
        count=count,
        rate=rate,
        offered=offered,
        dropped=max(0, int(((offered or 0) - rate) * seconds)) if offered else 0,
        errors=errors or {},
        latency=latency,
        histogram=histogram.encode(total) if samples else "",
        operations=operations,
        lateness=0.4,
        over_time=[int(rate * rng.lognormvariate(0, noise * 2)) for _ in range(int(seconds))],
        checked=20,
        cost=Cost(
            cpu={**used, "others": 0.1},
            cpu_idle=max(0.0, 2 * seconds - sum(used.values()) - 0.1),
            memory={"postgres": 180_000_000, "postgrest": 62_000_000, "haproxy": 21_000_000},
            wal_bytes=int(count * 210),
            buffers_hit=count * 84,
            buffers_read=count // 50,
            statements=[
                Statement(
                    query="select * from api.feed_timeline($1) <&>",
                    calls=count,
                    milliseconds=count * 0.31,
                    rows=count * 20,
                    buffers_hit=count * 80,
                    buffers_read=3,
                    wal_bytes=0,
                )
            ],
        ),
    )


def side(
    name: str,
    role: Role,
    make: Callable[[], Round],
    rounds: int,
    *,
    generator: str = "wrk",
    clients: int = 16,
    rate: float | None = None,
) -> Side:
    """Return a side with its rounds."""
    return Side(
        name=name,
        role=role,
        model="closed" if rate is None else "open",
        generator=generator,
        clients=clients,
        rate=rate,
        rounds=[make() for _ in range(rounds)],
    )


def scenario(
    name: str,
    title: str,
    sides: list[Side],
    *,
    measure: str = "rate",
    better: Better = "higher",
    unit: str = "requests/s",
    targets: list[Target] | None = None,
    ratio_targets: list[float | None] | None = None,
    published: list[Published] | None = None,
    limitations: list[str] | None = None,
) -> ScenarioResult:
    """Return a scenario; every other side that ran is compared with the first."""
    aims = ratio_targets or [None] * len(sides)
    return ScenarioResult(
        name=name,
        title=title,
        about="What this is for, in a sentence or two, so that the figure can be judged.",
        unit=unit,
        measure=measure,
        of="",
        better=better,
        sides=sides,
        ratios=[
            ratio(
                other.name,
                [one.value for one in sides[0].rounds],
                [one.value for one in other.rounds],
                aim,
            )
            for other, aim in zip(sides[1:], aims, strict=False)
            if other.rounds
        ],
        targets=targets or [],
        published=published or [],
        limitations=limitations or [],
    )


def run(
    seed: int = 1,
    rounds: int = 5,
    factor: float = 1.0,
    noise: float = 0.02,
    samples: int = 300,
) -> Run:
    """Return a made-up run; ``factor`` multiplies the speed of the subject of "timeline" only."""
    rng = random.Random(seed)
    http = {"postgres": 1.05, "postgrest": 0.62, "haproxy": 0.18, "generator": 0.1}

    def make(rate: float, median_ms: float, **more: object) -> Callable[[], Round]:
        return lambda: one_round(rng, rate, median_ms, noise=noise, samples=samples, **more)  # type: ignore[arg-type]

    absent = Side(
        name="Redis lists",
        role="peer",
        model="closed",
        generator="twip",
        clients=4,
        absent="redis-server is not installed",
    )
    return Run(
        at=AT.format(day=seed % 9 + 1),
        commit="abc1234",
        uncommitted_changes=False,
        versions={"postgresql": "15.18", "postgrest": "12.0.2", "wrk": "4.1.0"},
        machine=Machine(cpu="Made Up 3000", cores=2, memory_mib=8000, system="Linux-6", load=0.3),
        settings={"fsync": "on", "stack": "direct"},
        data=Data(
            preset="small",
            seed=1,
            users=20_000,
            follows=1_000_000,
            posts=60_000,
            feed_entries=2_400_000,
            bytes=900_000_000,
        ),
        seed=seed,
        rounds=rounds,
        seconds=4.0,
        quick=True,
        scenarios=[
            scenario(
                "seeds",
                "The feed, 8 threads and 250 connections",
                [
                    side(
                        "timeline",
                        "subject",
                        make(1480, 160, tail=0.3, cpu=http),
                        rounds,
                        clients=250,
                    ),
                    side(
                        "constant answer",
                        "floor",
                        make(2900, 82, tail=0.2, cpu=http),
                        rounds,
                        clients=250,
                    ),
                    side(
                        "pull query",
                        "peer",
                        make(70, 3400, tail=0.6, cpu=http),
                        rounds,
                        clients=250,
                    ),
                ],
                targets=[
                    Target(what="rate", value=1000.0, bound="at least"),
                    Target(what="p95", value=250.0, bound="at most"),
                    Target(what="errors", value=0.0, bound="at most"),
                ],
                ratio_targets=[0.6, 5.0],
                published=[
                    Published(
                        name="before",
                        figures={"rate": 30.0, "mean": 1210.0, "timeouts": 855},
                    ),
                    Published(
                        name="aim", figures={"rate": "200+", "p95": "< 200", "timeouts": "< 50"}
                    ),
                ],
                limitations=["The generator runs on the same two cores."],
            ),
            scenario(
                "timeline",
                "Timelines read, one post for every 100 pages",
                [
                    side(
                        "timeline",
                        "subject",
                        make(
                            800 * factor,
                            2.4,
                            offered=800.0,
                            cpu=http,
                            mix={"page": 0.99, "post": 0.01},
                        ),
                        rounds,
                        generator="own",
                        rate=800.0,
                    ),
                    side(
                        "no pre-request",
                        "floor",
                        make(800, 1.9, offered=800.0, cpu=http, mix={"page": 0.99, "post": 0.01}),
                        rounds,
                        generator="own",
                        rate=800.0,
                    ),
                ],
                ratio_targets=[0.97],
            ),
            scenario(
                "login-flood",
                "Timelines while somebody tries passwords",
                [
                    side(
                        "flooded",
                        "subject",
                        make(200, 9, tail=0.9, measure="p99", cpu=http),
                        rounds,
                        generator="own",
                        rate=200.0,
                    ),
                    side(
                        "quiet",
                        "floor",
                        make(200, 2.2, tail=0.5, measure="p99", cpu=http),
                        rounds,
                        generator="own",
                        rate=200.0,
                    ),
                ],
                measure="p99",
                better="lower",
                unit="ms",
                ratio_targets=[3.0],
            ),
            scenario(
                "twip",
                "Pequod's Twip mix, without HTTP",
                [
                    side(
                        "ours",
                        "subject",
                        make(
                            4200,
                            0.5,
                            mix={"check": 0.86, "subscribe": 0.09, "post": 0.02, "logout": 0.03},
                            cpu={"postgres": 1.4, "generator": 0.5},
                        ),
                        rounds,
                        generator="twip",
                        clients=4,
                    ),
                    side(
                        "naive row triggers",
                        "peer",
                        make(900, 4.1, cpu={"postgres": 1.7, "generator": 0.2}),
                        rounds,
                        generator="twip",
                        clients=4,
                    ),
                    absent,
                ],
                unit="operations/s",
                ratio_targets=[1.0, 1.0],
            ),
        ],
    )


CURVES = [
    Curve(
        name="follows",
        title="Pages by follows",
        about="Flat.",
        axis="follows",
        unit="CPU ms",
        points=[Point(x=x, values=[1.0, 1.1, 0.9], note="p99 3 ms") for x in (10, 100, 1000)],
        at_most=0.1,
    ),
    Curve(
        name="connections",
        title="Pages by connections",
        about="A rise.",
        axis="connections",
        unit="per second",
        points=[Point(x=x, values=[100.0 * x, 101.0 * x]) for x in (1, 2, 4)],
    ),
]


def scaling(made: Run, curves: list[Curve], **more: object) -> Scaling:
    """Curves on the machine of a run."""
    return Scaling(**{
        "at": made.at, "commit": "x", "uncommitted_changes": False, "versions": {},
        "machine": made.machine, "settings": {}, "rounds": 2, "seconds": 1.0, "curves": curves,
        **more,
    })  # type: ignore[arg-type]  # fmt: skip

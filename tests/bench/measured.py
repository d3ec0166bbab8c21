"""Scenarios that tests measure on a small network; some of them are wrong, and must be found so."""

from msgspec.structs import replace

from microblog.bench.scenario import Call, Delivery, Load, Scenario, Script
from microblog.seed.shape import Shape

SHAPE = Shape(users=200, follows=4_000, posts=600, largest=150)
RATE = 200.0  # more in two rounds than an address is allowed, were the limits not raised
PAGE = Call(name="timeline", path="/rpc/feed_timeline", weight=10, check="timeline")
BY_REST = replace(PAGE, path="/rpc/feed_timeline?select=*")  # the proxy has PostgREST make it
POST = Call(name="post", method="POST", path="/posts", body='{"content": "{text}"}')
NOTE = Call(name="post", method="POST", path="/rpc/bench_note", body='{"content": "{text}"}')
SHARED = Call(name="page", path="/rpc/feed_public_cached", anonymous=True)
CONSTANT = Call(name="timeline", path="/rpc/bench_constant", weight=10)

SCENARIOS = [
    Scenario(
        name="mix",
        title="A mix",
        unit="ms",
        measure="p99",
        of="timeline",
        warmup=0.5,
        sides=[
            Load(name="ours", role="subject", rate=RATE, calls=[PAGE, POST]),
            Load(name="floor", role="floor", rate=RATE, calls=[CONSTANT, NOTE]),
        ],
    ),
    Scenario(
        name="lie",
        title="A constant that is taken for a timeline",
        unit="requests/s",
        warmup=0,
        sides=[
            Load(
                name="constant",
                role="subject",
                door="no-pre-request",
                clients=2,
                calls=[replace(CONSTANT, check="timeline")],
            )
        ],
    ),
    Scenario(
        name="unseen",
        title="A timeline that is to be checked and never asked for",
        unit="requests/s",
        warmup=0,
        sides=[
            Load(
                name="constant",
                role="subject",
                clients=1,
                calls=[CONSTANT, replace(PAGE, name="page", weight=1e-9)],
            )
        ],
    ),
    Scenario(
        name="nobody",
        title="A call that nobody answers as expected",
        unit="requests/s",
        warmup=0,
        sides=[
            Load(
                name="post",
                role="subject",
                clients=1,
                calls=[replace(POST, path="/nosuch")],
            )
        ],
    ),
    Scenario(
        name="twip",
        title="Twip",
        unit="calls/s",
        warmup=0,
        sides=[
            Load(name="ours", role="subject", store="ours", clients=1),
            Load(name="triggers", store="naive", clients=1),
            Load(name="redis", store="redis", clients=1),
        ],
    ),
    Scenario(
        name="push",
        title="A post into lists",
        unit="posts/s",
        warmup=0,
        sides=[
            Load(name="client", role="subject", pushes="redis", clients=1),
            Load(name="bytes", pushes="redis-raw", clients=1),
        ],
    ),
    Scenario(
        name="shared",
        title="A shared page",
        unit="requests/s",
        warmup=0.5,
        sides=[
            Load(name="hits", role="subject", clients=2, calls=[SHARED]),
            Load(name="file", role="floor", door="constant", clients=2, calls=[SHARED]),
        ],
    ),
    Scenario(
        name="chunk",
        title="Fan-out",
        unit="posts/s",
        warmup=0,
        sides=[
            Load(
                name="chunk",
                role="subject",
                clients=1,
                scripts=[Script(name="chunk", file="sql/chunk.sql")],
            )
        ],
    ),
    Scenario(
        name="fan-out",
        title="Fan-out by app.job_work",
        unit="deliveries/s",
        worth="sql/crowd_followers.sql",
        warmup=0,
        sides=[
            Load(
                name="jobs",
                role="subject",
                clients=1,
                worker="paused",
                scripts=[Script(name="post", file="sql/fan_out_worked.sql")],
                proofs=["sql/fan_out_rows.sql"],
            ),
        ],
    ),
    Scenario(
        name="delivery",
        title="Until followers see a post",
        unit="ms",
        measure="p50",
        of="delivered",
        warmup=0,
        sides=[
            Load(
                name="at once",
                role="subject",
                delivery=Delivery(by="ten", at_once=True),
                proofs=["sql/largest_counts.sql"],
            ),
            Load(
                name="a million queued",
                delivery=Delivery(by="ten"),
                queue=["sql/queue_a_million.sql"],
                at_end=["sql/still_queued.sql"],
            ),
        ],
    ),
    Scenario(
        name="seeding",
        title="Seconds",
        unit="s",
        measure="figure",
        rounds=1,
        sides=[
            Load(name="seed", role="subject", figure="sql/seed_seconds.sql"),
            Load(name="floor", role="floor", target=1.5, figure="sql/seed_floor_seconds.sql"),
        ],
    ),
]


RAW = Scenario(
    name="raw",
    title="One page, by wrk",
    unit="requests/s",
    warmup=0,
    sides=[Load(name="wrk", role="subject", generator="wrk", clients=2, calls=[PAGE])],
)
SEVERAL = Scenario(
    name="several",
    title="One PostgREST, or three",
    unit="requests/s",
    warmup=0,
    sides=[
        Load(name="one", role="subject", clients=4, calls=[BY_REST]),
        Load(name="three", instances=3, clients=4, calls=[BY_REST]),
        Load(name="three, pooled", stack="pooled", instances=3, clients=4, calls=[BY_REST]),
    ],
)
SENT_BY_K6 = Scenario(
    name="k6",
    title="A mix, by k6",
    warmup=0,
    sides=[
        Load(
            name="mix",
            role="subject",
            generator="k6",
            rate=100.0,
            arrivals="constant",
            clients=64,
            calls=[PAGE, POST],
        )
    ],
)
READ_ELSEWHERE = Scenario(
    name="replica",
    title="Pages from a replica",
    warmup=0,
    sides=[Load(name="mix", role="subject", stack="replica", rate=RATE, calls=[PAGE, POST])],
)

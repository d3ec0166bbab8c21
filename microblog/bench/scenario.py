"""Scenarios: small declarative files under ``bench/scenarios``. bench/README.md has the format."""

import re
import tomllib
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import msgspec

from microblog.bench.result import PERCENTILES, Better, Published, Role, Target
from microblog.errors import StackError
from microblog.settings import MOST, ROOT

BENCH = ROOT / "bench"
STACKS = ("direct", "pooled", "replica")  # a replica is beside a direct one
MEASURES = ("rate", "figure", *PERCENTILES)
KIND = re.compile(r"kind = '(\w+)'")  # in a script, which draws from bench.people
PLACEHOLDERS = ("user", "other", "post", "text", "cursor")

Generator = Literal[
    "own", "wrk", "vegeta", "k6", "pgbench", "twip", "delivery", "redis_push", "figure"
]


class Call(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One kind of request in a mix.

    ``path`` and ``body`` may hold {user} (the id of who asks), {other} (any user's id), {post} (an
    id between those of the oldest and the newest post), {text} (some words) and {cursor} (where the
    last page of this user ended; a walk of ``pages`` pages, then from the top, and a round in which
    no walk comes to its end is wrong). ``expect``: statuses that are right, by default 200 to 299.
    ``check`` names what sampled answers are compared with (bench/sql/definition.sql,
    profile_definition.sql); a round in which none was is wrong. ``by`` is who asks: the scenario's
    users, authors of whatever number of followers, all alike (the kind "any"), or the author with
    the most followers of those whose posts are delivered. ``conditional`` is the share of requests
    that name the page they have in If-None-Match, which is asked for beforehand; ``if_none_match``
    is what all of them send there.
    """

    name: str
    path: str
    method: Literal["GET", "POST", "PATCH", "DELETE"] = "GET"
    body: str = ""
    weight: float = 1.0
    anonymous: bool = False
    expect: list[int] = []
    check: Literal["", "timeline", "following", "pull", "public", "author", "profile"] = ""
    by: Literal["users", "authors", "celebrity"] = "users"
    pages: int = 50
    conditional: float = 0.0
    if_none_match: str = ""

    def right(self, status: int) -> bool:
        """Whether an answer with this status is right in kind."""
        if self.expect:
            return status in self.expect
        return 200 <= status < 300 or (status == HTTPStatus.NOT_MODIFIED and self.conditional > 0)


class Script(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One pgbench script in a mix; ``file`` is relative to ``bench/``."""

    name: str
    file: str
    weight: int = 1


class Delivery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a post reaches its readers: operation "post" until the call returned, "delivered" until
    all readers looked at see it: when the first pages of one moment began that all show it.

    ``by`` is a kind of authors (bench/sql/kinds.sql). ``post`` is a function of the schema bench
    from an author to a post's id, ``sees`` one of (reader, post) that tells whether the post is on
    the reader's page. ``work``, if there is one, delivers a post: a job that waits for nobody.
    ``at_once``: it is an error where a reader does not see it at the first look. ``readers`` are
    drawn at random among the followers, beside the first and the last ones.
    """

    by: str
    post: str = "post"
    sees: str = "sees"
    work: str = ""
    at_once: bool = False
    readers: int = 6


class Load(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One side of a scenario: who sends what, how fast, and to which stack.

    Exactly one of ``calls`` (HTTP), ``scripts`` (pgbench), ``store`` (the Twip mix), ``delivery``
    (posts, until their readers see them), ``pushes`` (a post into Redis lists) and ``figure`` (a
    file of SQL that gives one number, or null where it is not known) says what.
    With ``rate`` (per second) the model is open: what is due is sent, or counted as dropped,
    however slow the answers are; ``clients`` is then the most connections. Without, ``clients``
    send one after the other. ``instances`` are the PostgREST behind the proxy. ``door`` is where
    the requests go: the proxy, PostgREST itself, a PostgREST without the function that checks each
    request, by itself or behind a proxy of its own, or a proxy that has the first call's answer as
    a file.
    ``limits``: rate limits count, but are too high to refuse anything, or are switched off.
    ``setup`` is SQL before each round; ``queue`` the same once everything has settled: it may leave
    jobs behind. ``proofs`` are queries after each round; every row that one returns is a wrong
    answer. They may name %(kinds)s, the kinds of people that the scripts draw from; %(begun)s, an
    id above all posts from before the round; %(answered)s, how many right answers were counted, and
    %(unsure)s, of how many requests more nobody knows whether they were done; and any of
    ``variables``. ``at_end`` are such queries at the end of the load, before anything has settled.
    ``worker``: whether the stack's worker runs during the load, or is paused, where the load does
    its work. ``variables`` are given to the pgbench scripts, beside users, the number of users, and
    the number of people of each kind.
    ``target`` is what the subject's measure should be in multiples of this side's, ``aim`` what it
    would better be.
    """

    name: str
    role: Role = "peer"
    generator: Generator | None = None
    stack: str = "direct"
    instances: int = 1
    door: Literal["proxy", "postgrest", "no-pre-request", "proxy-no-pre-request", "constant"] = (
        "proxy"
    )
    calls: list[Call] = []
    scripts: list[Script] = []
    store: Literal["", "ours", "naive", "redis"] = ""
    delivery: Delivery | None = None
    pushes: Literal["", "redis", "redis-raw"] = ""
    figure: str = ""
    clients: int = 16
    threads: int = 1
    rate: float | None = None
    arrivals: Literal["poisson", "constant"] = "poisson"
    timeout: float = 10.0
    limits: Literal["raised", "off"] = "raised"
    variables: dict[str, int] = {}
    setup: list[str] = []
    queue: list[str] = []
    proofs: list[str] = []
    at_end: list[str] = []
    worker: Literal["runs", "paused"] = "runs"
    target: float | None = None
    aim: float | None = None

    @property
    def model(self) -> Literal["open", "closed"]:
        """Whether arrivals wait for answers (closed) or not (open)."""
        return "closed" if self.rate is None else "open"

    @property
    def sends(self) -> str:
        """The generator: the one named, or the one that fits what is sent."""
        if self.generator:
            return self.generator
        return next(name for name, sent in self.sent().items() if sent)

    def sent(self) -> dict[str, object]:
        """What is sent, by the generator that sends it unless another one is named."""
        return {
            "own": self.calls,
            "pgbench": self.scripts,
            "twip": self.store,
            "delivery": self.delivery,
            "redis_push": self.pushes,
            "figure": self.figure,
        }


class Users(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who asks: ``count`` users of a kind (bench/sql/kinds.sql), or the ids ``first`` to ``last``.

    ``popularity``: all alike, or by Zipf's law: the k-th most active asks 1/k^exponent as often.
    """

    count: int = 1000
    kind: str = "active"
    first: int = 0
    last: int = 0
    popularity: Literal["uniform", "zipf"] = "zipf"
    exponent: float = 1.0


class Scenario(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Loads that take turns, the subject first, and what is measured of them.

    ``measure`` is rate or a percentile of the latency, ``of`` the operation (empty: of all).
    ``worth`` is a file of SQL that says how many units of a rate one answer is, empty: one.
    ``settled``: a rate is over the time until the jobs that a round left behind were done.
    ``warmup`` are seconds that count for nothing, before a side's first round and after each change
    of the stack, several times where blocks are read from disk (``Turner.warm_up``). ``seconds`` is
    the length of a round in full runs (0: that of the run), ``rounds`` how many there are (0: as
    many as the run says; a quick pass has no more than that), ``limit`` the seconds after which
    there is no further one (0: as the run says).
    """

    name: str = ""
    title: str
    about: str = ""
    unit: str = ""
    measure: str = "rate"
    of: str = ""
    worth: str = ""
    settled: bool = False
    quick: bool = False
    seconds: float = 0.0
    rounds: int = 0
    limit: float = 0.0
    warmup: float = 1.0
    users: Users = msgspec.field(default_factory=Users)
    sides: list[Load]
    targets: list[Target] = []
    published: list[Published] = []
    limitations: list[str] = []

    @property
    def better(self) -> Better:
        """Whether more is better: of a rate yes, of a latency or a figure (seconds, bytes) no."""
        return "higher" if self.measure == "rate" else "lower"

    @property
    def small_only(self) -> bool:
        """Whether the largest network is out of reach: rivals are filled with every follow."""
        return any(side.store in ("naive", "redis") for side in self.sides)


def read(file: Path) -> Scenario:
    """Read one scenario; raise StackError where the file says something impossible."""
    try:
        table = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StackError(f"{file.name} cannot be read: {error}") from error
    common = table.pop("all", {})
    sides = table.get("sides", [])
    if isinstance(sides, list) and isinstance(common, dict):
        table["sides"] = [{**common, **s} if isinstance(s, dict) else s for s in sides]
    try:
        scenario = msgspec.convert({"name": file.stem, **table}, Scenario)
    except msgspec.ValidationError as error:
        raise StackError(f"{file.name}: {error}") from error
    for problem in _problems(scenario):
        raise StackError(f"{file.name}: {problem}")
    scenario.unit = scenario.unit or ("requests/s" if scenario.measure == "rate" else "ms")
    return scenario


def _problems(scenario: Scenario) -> list[str]:
    found = []
    if scenario.measure not in MEASURES:
        found.append(f"measure is one of {', '.join(MEASURES)}, not {scenario.measure!r}")
    if not scenario.sides or scenario.sides[0].role != "subject":
        found.append('the first of [[sides]] is the subject: role = "subject"')
    names = [side.name for side in scenario.sides]
    if len(set(names)) < len(names):
        found.append("two sides have the same name")
    if any(side.role == "subject" for side in scenario.sides[1:]):
        found.append("there is one subject, the first of [[sides]]")
    users = scenario.users
    if users.count < 1 or users.first > users.last or (users.last and users.first < 1):
        found.append("users: count is 1 or more, first at most last")
    for target in scenario.targets:
        if target.what not in (*MEASURES, "errors", "dropped", "cpu"):
            found.append(f"a target is for {', '.join(MEASURES)}, errors, dropped or cpu")
        if target.what in PERCENTILES and target.bound == "at least":
            found.append("a percentile has a bound that it is at most")
        if target.to and target.what != "cpu":
            found.append("a target in multiples of another side is for cpu")
        for side in filter(None, (target.side, target.to)):
            if side not in names:
                found.append(f"a target is for {side!r}, which is no side")
    if len({bool(side.figure) for side in scenario.sides} | {scenario.measure == "figure"}) > 1:
        found.append('measure = "figure" and sides with a figure belong together')
    if scenario.worth and not (scenario.measure == "rate" and (BENCH / scenario.worth).is_file()):
        found.append("worth is a file of SQL below bench/, for a rate")
    for side in scenario.sides:
        found += [f"side {side.name!r}: {problem}" for problem in side_problems(side)]
        if scenario.of and scenario.of not in _operations(side):
            found.append(f"side {side.name!r} has no operation {scenario.of!r}")
    return found


def side_problems(side: Load) -> list[str]:
    """Return what is impossible in what a side says, in words that go after its name."""
    found = []
    sent = side.sent()
    if sum(bool(what) for what in sent.values()) != 1:
        found.append(
            "exactly one of calls, scripts, store, delivery, pushes and figure says what is sent"
        )
        return found
    if not {**sent, "wrk": side.calls, "vegeta": side.calls, "k6": side.calls}[side.sends]:
        found.append(f"the generator {side.sends} does not send that")
    if side.sends == "wrk" and (
        side.rate is not None
        or len(side.calls) != 1
        or side.calls[0].method != "GET"
        or any("{" + name + "}" in side.calls[0].path for name in PLACEHOLDERS)
    ):
        found.append("wrk sends one plain GET, in the closed model; leave generator out otherwise")
    if side.sends == "vegeta" and (
        not side.rate
        or side.rate != round(side.rate)
        or side.arrivals != "constant"
        or any("{cursor}" in call.path + call.body for call in side.calls)
    ):
        found.append('vegeta sends evenly (arrivals = "constant"), whole rates, and no cursors')
    if side.sends == "k6" and (
        (side.rate is not None and (side.rate != round(side.rate) or side.arrivals != "constant"))
        or any("{cursor}" in call.path + call.body for call in side.calls)
    ):
        found.append('k6 sends evenly (arrivals = "constant") at whole rates, and no cursors')
    if any(not 0 <= call.conditional <= 1 for call in side.calls):
        found.append("conditional is a share, from 0 to 1")
    if side.sends != "wrk" and any(call.conditional for call in side.calls):
        found.append("conditional requests are sent by wrk")
    if side.sends != "own" and any(call.if_none_match for call in side.calls):
        found.append("if_none_match is sent by the own generator")
    if side.sends not in ("own", "wrk", "vegeta", "k6", "pgbench") and side.rate is not None:
        found.append("only calls and scripts are sent at a rate; leave it out")
    if side.stack not in STACKS:
        found.append(f"stack is one of {', '.join(STACKS)}, not {side.stack!r}")
    if not 1 <= side.instances <= MOST:
        found.append(f"instances is 1 to {MOST}, not {side.instances}")
    if side.instances > 1 and side.stack == "replica":
        found.append("instances is not for a replica, which one PostgREST reads from")
    if side.instances > 1 and not (side.calls and side.door == "proxy"):
        found.append("instances stand behind the proxy: only calls to it reach more than one")
    if side.clients < 1 or side.threads < 1 or side.threads > side.clients:
        found.append("clients and threads are 1 or more, threads at most clients")
    if side.rate is not None and side.rate <= 0:
        found.append("rate is more than 0 per second")
    if any(one.weight <= 0 for one in (*side.calls, *side.scripts)):
        found.append("a weight is more than 0")
    for file in used_files(side):
        if not (BENCH / file).is_file():
            found.append(f"bench/{file} does not exist")
    return found


def uses(side: Load) -> list[str]:
    """Return the processes that a side uses, by kind: those whose memory is counted as the side's.

    Of calls these are the door and what stands behind it; behind a proxy that has the page as a
    file, nothing does. What goes to Redis is Redis's alone. All else goes to the database itself:
    PostgreSQL, and the worker that does what is queued there.
    """
    if side.store == "redis" or side.pushes:
        return ["redis"]
    if not side.calls:
        return ["postgres", "worker"]
    if side.door == "constant":
        return ["haproxy"]
    found = ["postgres", "worker", "postgrest"]
    if side.door.startswith("proxy"):
        found.append("haproxy")
    if side.stack == "pooled" and side.door in ("proxy", "postgrest"):  # the others go straight
        found.append("pgbouncer")
    return found


def used_files(side: Load) -> list[str]:
    """Return the files of SQL that a load uses, relative to ``bench/``."""
    scripts = [script.file for script in side.scripts]
    return [
        *side.setup,
        *side.queue,
        *side.proofs,
        *side.at_end,
        *scripts,
        *([side.figure] if side.figure else []),
    ]


def drawn(side: Load) -> list[str]:
    """Return the kinds of people (bench/sql/kinds.sql) that the scripts of a load draw from."""
    texts = [(BENCH / script.file).read_text() for script in side.scripts]
    return sorted({kind for text in texts for kind in KIND.findall(text)})


def _operations(side: Load) -> list[str]:
    if side.store:
        return ["post", "check", "subscribe", "logout"]
    if side.delivery:
        return ["post", "delivered"]
    return [one.name for one in (*side.calls, *side.scripts)]


def files() -> dict[str, Path]:
    """List the scenarios there are, by name."""
    return {file.stem: file for file in sorted((BENCH / "scenarios").glob("*.toml"))}


def read_all(names: tuple[str, ...] = (), quick: bool = False) -> list[Scenario]:
    """Read the named scenarios, or all there are; with ``quick`` only those of the quick pass.

    Raises StackError for an unknown name, with those that are known.
    """
    there = files()
    unknown = [name for name in names if name not in there]
    if unknown:
        raise StackError(f"no scenario {unknown[0]}", f"There are: {', '.join(there)}.")
    scenarios = [read(there[name]) for name in names or there]
    return [one for one in scenarios if one.quick or names or not quick]


def summary(scenario: Scenario) -> tuple[str, str, str, str, str]:
    """Return what ``bench list`` shows of a scenario: name, load, stacks, quick, title."""
    subject = scenario.sides[0]
    count = f"{subject.clients} client{'s' if subject.clients != 1 else ''}"
    load = f"closed, {count}" if subject.rate is None else f"open, {subject.rate:g}/s"
    return (
        scenario.name,
        "a figure" if subject.figure else load,
        ",".join(dict.fromkeys(side.stack for side in scenario.sides)),
        "quick" if scenario.quick else "",
        scenario.title,
    )

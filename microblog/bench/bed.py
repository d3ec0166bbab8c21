"""What scenarios run on: a stack of their own, its data, doors, users, and rivals beside it."""

import os
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import psycopg
from msgspec.structs import replace
from rich.console import Console

from microblog.bench import constant_proxy, record, redis_peer, replica_proxy
from microblog.bench.cost import Peak
from microblog.bench.generators import k6, vegeta
from microblog.bench.result import Data
from microblog.bench.scenario import BENCH, Load, Users
from microblog.errors import StackError
from microblog.page_cache import Proxy
from microblog.seed import PRESETS, seed
from microblog.seed.shape import Shape
from microblog.settings import DEFAULT_STACK, Settings
from microblog.stack import Stack, postgres, proxy, replica, rest, secret_files
from microblog.stack.ports import free_ports
from microblog.stack.privileges import service_user
from microblog.stack.process import Process, wait_for

AUDIT_ALL = 2_000_000  # follows up to which everybody's feeds are audited
AUDIT_USERS = 20_000  # beyond
# What sides may have changed: each begins with the schema as it is deployed.
AS_DEPLOYED = ("sql/counters_never_wait.sql", "sql/cache_told.sql")
SETUP_WITHIN = 300.0  # seconds that a statement of a setup may take
SETTLED_WITHIN = 300.0  # seconds that queued jobs may take after a load
SESSION = 30 * 86_400  # seconds: tokens outlive the longest run

SIZES = """
select
  (select count(*) from app.users) - count(c.user_id),
  (select count(*) from app.follows) - coalesce(sum(c.followers_count + c.following_count), 0),
  (select count(*) from app.posts),
  (select count(*) from app.feed_entries),
  pg_database_size(current_database())
from bench.people p
join app.user_counters c on c.user_id = p.user_id
where p.kind in ('crowd', 'horizon_5000')
"""
TABLES = """
select coalesce(p.relname, c.relname), sum(pg_total_relation_size(c.oid))
from pg_class c
left join pg_inherits i on i.inhrelid = c.oid
left join pg_class p on p.oid = i.inhparent
where c.relnamespace = 'app'::regnamespace and c.relkind = 'r'
group by 1
order by 1
"""
# Counters of everybody, and the feeds of everybody or, those of a full network taking more than
# three minutes, of the reserved ids and some others, always the same.
AUDIT_COUNTERS = "select count(*) from dba.counter_drift()"
AUDIT_FEEDS = "select count(*) from dba.feed_drift()"
AUDIT_SAMPLE = """
select count(*)
from dba.drift_sample(array(
  select u.id from app.users u order by u.id > 21, hashint8(u.id), u.id limit %(users)s
))
"""
SET = """
select s.name, current_setting(s.name)
from pg_settings s
where s.name in ('fsync', 'full_page_writes', 'synchronous_commit')
  or s.source in ('configuration file', 'command line')
  and s.name !~ 'director|_file|port$|listen_|log|ssl|preload|cluster_name|timezone|lc_'
order by s.name
"""
BUSY = """
select count(*)
from pg_stat_activity
where backend_type = 'client backend' and state <> 'idle' and pid <> pg_backend_pid()
  and datname = current_database() and usename <> 'worker'
"""

DATA = """
create table bench.data (
  preset text,
  seed bigint,
  seconds double precision,
  floor_seconds double precision,
  memory_mib double precision
)
"""

Connection = psycopg.Connection[Any]


class Bed:
    """A context manager: the stack is up with its data inside, and as it was before outside.

    ``instances``: the most that a load will want; PostgreSQL has connections for so many from the
    beginning, and is the same for all.
    """

    def __init__(
        self, settings: Settings, say: Callable[[str], None] = lambda _: None, instances: int = 1
    ) -> None:
        if settings.stack == DEFAULT_STACK:
            raise StackError(
                "the stack main serves people; benchmarks want one of their own",
                "Leave --stack out, or name another: --stack bench.",
            )
        self.settings, self.say = settings.changed(most_instances=instances), say
        self.stack = Stack(self.settings, say)
        self.shape: tuple[str, int] | None = None
        self.processes: dict[str, Process] = {}
        self._ports: dict[str, int] = {}
        self._people: dict[bytes, Path] = {}
        self._celebrity: tuple[int, str] | None = None
        self._limits = ""
        self._graph = False
        self._exits = ExitStack()
        self.replica: Settings | None = None
        self._replica_exits = ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(self._exits.enter_context(TemporaryDirectory(prefix="bench-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._without_replica()
        self._exits.close()

    # -- the stack and its data ------------------------------------------------------------------

    def open(
        self,
        preset: str | Shape,
        fresh: bool = False,
        floor: bool = False,
        audit: bool = False,
    ) -> Data:
        """Start the stack, fill an empty database with a preset, add what only benchmarks need.

        ``preset`` is one's name or a shape of one's own. ``fresh``: begin with an empty cluster.
        ``floor``: when seeding, also measure a bare COPY of the same rows.
        ``audit``: compare feeds and counters with the definition at last.
        Raises StackError where the stack holds something else.
        """
        if fresh:
            self.stack.down(wipe=True)
        if not self.stack.supervisor.running():
            self._exits.callback(self.stack.down)
        self.reshape("direct")
        # Closed without a commit, which fails where Ctrl-C came in the midst of a statement.
        self.connection = self._exits.enter_context(
            closing(psycopg.connect(self.stack.superuser_dsn(), autocommit=True))
        )
        shape = PRESETS[preset] if isinstance(preset, str) else preset
        name = preset if isinstance(preset, str) else _named(preset)
        if self._value("select count(*) from app.users") == 0:
            self.say(f"bench: seeding {name}: {shape.users:,} users, {shape.follows:,} follows")
            pids = {"all": [os.getpid(), *self.pids().get("postgres", [])]}
            with (self.settings.log_dir / "seed.log").open("w") as log, Peak(pids) as peak:
                seeded = seed(
                    self.settings, shape, console=Console(file=log, width=100), floor=floor
                )
            self.connection.execute("create schema bench")
            self.connection.execute(DATA)
            self.connection.execute(
                "insert into bench.data values (%s, %s, %s, %s, %s)",
                [name, shape.seed, seeded.seconds, seeded.floor, peak.together / 2**20],
            )
        held = None
        if self._value("select to_regclass('bench.data') is not null"):
            held = self.connection.execute("select preset, seed from bench.data").fetchone()
        if held != (name, shape.seed):
            what = f"preset {held[0]}, seed {held[1]}" if held else "data of its own"
            raise StackError(
                f"stack {self.settings.stack} holds {what}, not preset {name}, seed {shape.seed}",
                "Begin anew with --fresh, or name another stack: --stack NAME.",
            )
        self.run_sql("sql/objects.sql")
        self.run_sql("sql/kinds.sql")
        self._set("session_lifetime", SESSION)
        self.limits("raised")
        self.connection.execute("notify pgrst, 'reload schema'")
        self.user_count = int(self._value("select max(id) from app.users"))
        kinds = self.connection.execute("select kind, count(*) from bench.people group by 1")
        self.kinds = {str(kind): int(count) for kind, count in kinds}
        self.settle()
        data = self._data(name, shape.seed)
        return self.audited(data) if audit else data

    def _data(self, preset: str, number: int) -> Data:
        row = self.connection.execute(SIZES).fetchone() or (0, 0, 0, 0, 0)
        users, follows, posts, entries, size = map(int, row)
        return Data(
            preset=preset,
            seed=number,
            users=users,
            follows=follows,
            posts=posts,
            feed_entries=entries,
            bytes=size,
            tables={name: int(size) for name, size in self.connection.execute(TABLES)},
            people=self.kinds,
        )

    def audited(self, data: Data) -> Data:
        """Compare counters and feeds with the definition, and note what is not so."""
        everybody = data.follows <= AUDIT_ALL
        audited = data.users if everybody else min(AUDIT_USERS, data.users)
        feeds = AUDIT_FEEDS if everybody else AUDIT_SAMPLE
        began = time.monotonic()
        self.connection.execute("set work_mem = '256MB'")
        drift = 0
        for query in (AUDIT_COUNTERS, feeds):
            found = self.connection.execute(query, {"users": audited}).fetchone()
            drift += int(found[0]) if found else 0
        self.connection.execute("reset work_mem")
        self.say(
            f"bench: audited counters, and feeds of {audited:,} users: {drift} rows not as defined"
            f" ({time.monotonic() - began:.0f} s)"
        )
        return replace(data, audited=audited, drift=drift)

    def reshape(self, kind: str, instances: int = 1) -> bool:
        """Have a stack of this kind, with so many PostgREST; whether that was a change."""
        shape = kind, instances
        if shape == self.shape:
            return False
        self.settings = self.settings.changed(pooled=kind == "pooled", instances=instances)
        self.stack = Stack(self.settings, lambda _: None if self.shape else self.say(_))
        self.stack.up()
        self._without_replica()
        if kind == "replica":
            self._follow()
        self.shape = shape
        return True

    def _follow(self) -> None:
        """Have a replica with a PostgREST, and a proxy that reads pages there."""
        self.say("bench: copying the cluster for a replica")
        settings, exits = self.settings, self._replica_exits
        self.replica = exits.enter_context(replica.replica_of(settings))
        instance, port, admin_port = exits.enter_context(
            replica.postgrest(settings, self.replica, settings.database)
        )
        folder = settings.state / "replica"
        folder.mkdir(exist_ok=True)
        servers, conf = folder / "haproxy.servers.cfg", folder / "haproxy.cfg"
        servers.write_text(replica_proxy.servers(settings, [(port, admin_port)]))
        conf.write_text(replica_proxy.configuration(settings))
        (door,) = free_ports(1)
        process = Process(
            "haproxy-replica",
            proxy.argv(settings, servers, conf),
            settings.log_dir / "haproxy-replica.log",
            # No socket: the proxy would ask the primary for feeds.
            env=proxy.environment(settings, "127.0.0.1", door) | {"MICROBLOG_DATABASE_SOCKET": ""},
            prefix=["setsid", *service_user(settings.root).prefix],  # as the stack's (see below)
        )
        exits.enter_context(process).wait_ready(lambda: rest.http_status(door, "/up") == 200)
        self.processes |= {"postgrest-replica": instance, "haproxy-replica": process}
        self._ports["replica"] = door

    def _without_replica(self) -> None:
        self._replica_exits.close()
        self.replica = None
        for name in ("postgrest-replica", "haproxy-replica"):
            self.processes.pop(name, None)

    def ready(self, load: Load) -> bool:
        """Make everything as this load wants it; whether the stack or its limits were changed."""
        changed = self.reshape(load.stack, load.instances) | self.limits(load.limits)
        for file in (*AS_DEPLOYED, *load.setup):
            self.run_sql(file)
        if load.store == "naive" and self._value("select to_regclass('naive.posts') is null"):
            self.say("bench: filling the tables with row triggers")
            self.run_sql("sql/twip_naive.sql")
        if load.store == "redis" or load.pushes:
            self.redis(graph=bool(load.store))
        if load.store:
            self.run_sql("sql/twip_reset.sql")
        self.settle()
        self.quiet()
        if self.replica:
            replica.wait_for_replay(self.connection, self.replica, self.settings.database)
        return changed

    def figure(self, file: str) -> float | None:
        """Return the number that a file of ``bench/`` gives, None where it gives null."""
        value = self._value((BENCH / file).read_text())
        return None if value is None else float(value)

    def prove(self, files: Iterable[str], **told: Any) -> list[str]:
        """Return what queries of ``bench/`` say is wrong, a line for each row.

        ``told`` is what they may name of the round, as %(name)s (``Load.proofs``).
        """
        found = []
        for file in files:
            query = (BENCH / file).read_text()
            rows = self.connection.execute(query.encode(), told if "%(" in query else None)
            found += [str(row[0]) for row in rows]
        return found

    def forget(self, begun: int, store: str = "") -> None:
        """Delete the posts from this id on: timelines are as they were before a round.

        Otherwise a few authors who post thousands of times would fill everybody's pages. ``store``:
        follows that the Twip mix made go as well, here and in its rivals.
        """
        self.connection.execute("delete from app.posts where id >= %s", [begun])
        if store:
            self.run_sql("sql/twip_reset.sql")
        if store == "redis":
            self._graph = False
            self.redis(graph=True)
        self.settle()

    def queued(self) -> int:
        """Return how many jobs wait or are being worked on."""
        return int(self._value("select count(*) from app.jobs where state = 'queued'"))

    @contextmanager
    def worker(self, how: str) -> Iterator[None]:
        """Have the worker run, or pause it: it ends the chunk in hand and stops."""
        names = [name for name in self.stack.supervisor.processes() if name.startswith("worker")]
        if how == "runs" or not names:
            yield
            return
        for name in names:
            self.stack.supervisor.stop_program(name)
        try:
            yield
        finally:
            for name in names:
                self.stack.supervisor.start_program(name)

    def limits(self, which: str) -> bool:
        """Switch the rate limits off, or so high that none refuses; whether that was a change.

        This is the one place where benchmarks and rate limits meet. A change holds within a second.
        """
        if which == self._limits or not self.has_limits():
            return False
        self.run_sql(f"sql/limits_{which}.sql")
        self._limits = which
        return True

    def has_limits(self) -> bool:
        """Whether the schema has rate limits."""
        return bool(self._value("select to_regclass('app.rate_limits') is not null"))

    def absent(self, load: Load) -> str:
        """Say why a load cannot be sent here; empty where it can."""
        if load.limits == "off" and not self.has_limits():
            return "this version of the schema has no rate limits to switch off"
        if load.figure and not load.setup and self.figure(load.figure) is None:
            return "not known of this stack; the floor of seeding is measured with --fresh"
        if load.sends == "vegeta":
            return vegeta.absent()
        if load.sends == "k6":
            return k6.absent()
        return redis_peer.absent() if load.store == "redis" or load.pushes else ""

    def settle(self) -> float:
        """Wait until no job is queued; seconds it took. StackError where one failed for good."""
        began = time.monotonic()
        wait_for(lambda: self.queued() == 0, SETTLED_WITHIN, "an empty queue")
        if dead := self._value("select max(last_error) from app.jobs where state = 'dead'"):
            raise StackError(f"a job failed for good: {dead}")
        return time.monotonic() - began

    def quiet(self) -> None:
        """Wait until no request is being worked on: a load that was cut off leaves some behind."""
        looks = [False]

        def idle() -> bool:
            looks.append(self._value(BUSY) == 0)
            return looks[-1] and looks[-2]  # between two requests of a queue there is a moment

        wait_for(idle, SETTLED_WITHIN, "the end of requests that were left behind")

    # -- where loads go --------------------------------------------------------------------------

    def door(self, load: Load) -> tuple[str, int]:
        """Return host and port that this load's requests go to."""
        if load.door == "proxy" and load.stack == "replica":
            return "127.0.0.1", self._ports["replica"]
        if load.door == "proxy":
            host = self.settings.url.removeprefix("http://").rpartition(":")[0]
            return host, self.settings.port
        if load.door == "postgrest":
            return "127.0.0.1", self.settings.rest_ports[0]
        if load.door == "constant":
            return "127.0.0.1", self._constant_proxy(load.calls[0].path)
        bare, admin = self._bare_postgrest()
        return "127.0.0.1", self._bare_proxy(bare, admin) if load.door.startswith("proxy") else bare

    def _bare_proxy(self, rest_port: int, admin_port: int) -> int:
        """Start a proxy of the same configuration before that PostgREST, once; its port."""
        name = "haproxy-bare"
        if name not in self.processes:
            (port,) = free_ports(1)
            folder = self.settings.state / "bare"
            folder.mkdir(exist_ok=True)
            servers = folder / "haproxy.servers.cfg"
            servers.write_text(proxy.servers([(rest_port, admin_port)]))
            process = Process(
                name,
                proxy.argv(self.settings, servers),
                self.settings.log_dir / f"{name}.log",
                env=proxy.environment(self.settings, "127.0.0.1", port),
                prefix=service_user(self.settings.root).prefix,
            )
            self.processes[name] = self._exits.enter_context(process)
            process.wait_ready(lambda: rest.http_status(port, "/rpc/up") is not None)
            self._ports[name] = port
        return self._ports[name]

    def _bare_postgrest(self) -> tuple[int, int]:
        """Start a PostgREST that calls nothing before a request, once; its port and admin port."""
        name = "postgrest-bare"
        if name not in self.processes:
            port, admin_port = free_ports(2)
            settings = self.settings.changed(pooled=False)
            uri = secret_files.rest_uri(settings, settings.database, settings.pg_port)
            process = Process(
                name,
                rest.argv(settings),
                settings.log_dir / f"{name}.log",
                env={
                    **rest.environment(settings, port, admin_port, uri),
                    "PGRST_DB_PRE_REQUEST": "",
                },
                prefix=service_user(settings.root).prefix,
            )
            self.processes[name] = self._exits.enter_context(process)
            process.wait_ready(lambda: rest.ready(admin_port))
            self._ports[name], self._ports[f"{name}-admin"] = port, admin_port
        return self._ports[name], self._ports[f"{name}-admin"]

    def _constant_proxy(self, path: str) -> int:
        """Start a proxy that answers what the stack's answers at ``path`` now, once; its port."""
        name = "haproxy-constant"
        if name not in self.processes:
            (port,) = free_ports(1)
            settings, user = self.settings, service_user(self.settings.root)
            body, conf = settings.state / "constant.json", settings.state / "constant.cfg"
            with urllib.request.urlopen(f"{settings.url}{path}", timeout=10) as answer:  # noqa: S310
                body.write_bytes(answer.read())
            conf.write_text(constant_proxy.configuration(settings, body))
            process = Process(
                name,
                proxy.argv(settings, settings.state / "servers.cfg", conf),
                settings.log_dir / f"{name}.log",
                env=proxy.environment(self.settings, "127.0.0.1", port),
                # A session of its own, as the stack's proxy has: on a busy machine the scheduler
                # shares the processors between sessions, and one shared with wrk is twice as fast.
                prefix=["setsid", *user.prefix],
            )
            self.processes[name] = self._exits.enter_context(process)
            process.wait_ready(lambda: rest.http_status(port, "/up") == 200)
            self._ports[name] = port
        return self._ports[name]

    def redis(self, graph: bool) -> Path:
        """Start Redis, once, with the ``graph`` in it where that is wanted; its socket."""
        socket = self.settings.socket_dir / "redis.sock"
        if "redis" not in self.processes:
            process = redis_peer.server(self.settings, self.folder, socket)
            self.processes["redis"] = self._exits.enter_context(process)
            process.wait_ready(lambda: redis_peer.answers(socket))
        if graph and not self._graph:
            self.say("bench: loading Redis")
            redis_peer.load(self.connection, socket)
            self._graph = True
        return socket

    def pids(self) -> dict[str, list[int]]:
        """Return what runs, by kind: postgres, postgrest, haproxy, worker, redis, …."""
        found: dict[str, list[int]] = {}
        for name, known in self.stack.supervisor.processes().items():
            if known.get("pid"):
                found.setdefault(name.partition("-")[0], []).append(known["pid"])
        for name, process in self.processes.items():
            found.setdefault(name.partition("-")[0], []).append(process.pid)
        if self.replica and (pid := postgres.postmaster_pid(self.replica)):
            found.setdefault("postgres", []).append(pid)
        return found

    def fallbacks(self) -> int:
        """Return for how many feeds the stack's proxy got no answer of the database in time."""
        return Proxy(proxy.admin_socket(self.settings)).answered()["feeds_fallback"]

    def postgresql_settings(self) -> dict[str, str]:
        """Return what this stack sets of PostgreSQL, and what makes writes last.

        No paths, no addresses, no logging.
        """
        return {f"postgresql.{name}": value for name, value in self.connection.execute(SET)}

    # -- who asks --------------------------------------------------------------------------------

    def people(self, users: Users) -> Path:
        """Return a file of users with tokens in force, a line "id token" for each."""
        key = repr((users.count, users.kind, users.first, users.last)).encode()
        if key not in self._people:
            query = (BENCH / "sql" / "people.sql").read_text()
            values = {
                "kind": users.kind,
                "first": users.first,
                "last": users.last,
                "count": users.count,
            }
            rows = self.connection.execute(query, values).fetchall()
            if not rows:
                who = f"has an id from {users.first} to {users.last}" if users.first else users.kind
                raise StackError(f"nobody is {who}" if not users.first else f"nobody {who}")
            file = self.folder / f"people-{len(self._people)}"
            file.touch(mode=0o600)
            file.write_text("".join(f"{user} {token}\n" for user, token in rows))
            self._people[key] = file
        return self._people[key]

    def posts(self) -> tuple[int, int]:
        """Return the ids of the oldest and the newest post."""
        row = self.connection.execute("select min(p.id), max(p.id) from app.posts p").fetchone()
        return (int(row[0]), int(row[1])) if row and row[0] is not None else (1, 1)

    def celebrity(self) -> tuple[int, str]:
        """Return the author with the most followers whose posts are delivered, with a token."""
        if self._celebrity is None:
            query = "select b.id, app.session_start(b.id) ->> 'token' from bench.celebrity b"
            row = self.connection.execute(query).fetchone()
            self._celebrity = (int(row[0]), str(row[1])) if row else (0, "")
        return self._celebrity

    # -- SQL -------------------------------------------------------------------------------------

    def run_sql(self, file: str) -> None:
        """Run a file of ``bench/`` as superuser; StackError with the server's words."""
        try:
            self.connection.execute(f"set statement_timeout = '{SETUP_WITHIN:.0f}s'")
            for part in _statements((BENCH / file).read_text()):
                self.connection.execute(part.encode())
        except psycopg.Error as error:
            self.connection.execute("rollback")  # a file may have begun a transaction
            raise StackError(f"bench/{file} failed: {error}") from error
        finally:
            self.connection.execute("set statement_timeout = 0")

    def versions(self) -> dict[str, str]:
        """Return the versions of what takes part."""
        return record.versions(self.settings, str(self._value("show server_version")))

    def _value(self, query: str) -> Any:
        row = self.connection.execute(query.encode()).fetchone()
        return row[0] if row else None

    def _set(self, name: str, value: int) -> None:
        self.connection.execute(
            "update app.settings set value = %s where name = %s and value <> %s",
            [value, name, value],
        )


def _named(shape: Shape) -> str:
    made = f"{shape.users} users, {shape.follows} follows, {shape.posts} posts"
    return made if shape.active_share == 1 else f"{made}, {shape.active_share:.0%} active"


def _statements(text: str) -> list[str]:
    """Split off what cannot run in a transaction with the rest: a vacuum at the end."""
    head, found, tail = text.partition("\nvacuum ")
    return [head, "vacuum " + tail] if found else [head]

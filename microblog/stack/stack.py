"""Starts, stops and describes one stack."""

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from microblog import migrate
from microblog.errors import NotReadyError, StackError
from microblog.settings import Settings
from microblog.stack import postgres, secret_files
from microblog.stack.ports import is_free
from microblog.stack.privileges import service_user
from microblog.stack.process import alive, wait_for
from microblog.stack.services import (
    Listener,
    Service,
    listeners,
    services,
    write_configuration,
)
from microblog.stack.supervisor import Supervisor

GIVE_UP_AFTER = 6.0  # seconds a process may keep failing before ``up`` stops waiting for it


@dataclass(frozen=True)
class ProcessStatus:
    """One row of ``microblog status``; ``uptime`` is in seconds, None where it does not run."""

    name: str
    state: str
    pid: int | None
    uptime: float | None
    address: str


class Stack:
    """The stack that ``settings`` describe; ``say`` is told each step in one line."""

    def __init__(self, settings: Settings, say: Callable[[str], None] = lambda _: None) -> None:
        self.settings = settings
        self.say = say
        self.supervisor = Supervisor(settings)

    @property
    def url(self) -> str:
        """The public address, without a final slash."""
        return self.settings.url

    def superuser_dsn(self, dbname: str | None = None) -> str:
        """Return how to connect as the cluster's superuser, without a password."""
        return self.settings.socket_dsn("postgres", dbname)

    def worker_dsn(self, dbname: str | None = None) -> str:
        """Return how a worker connects, without a password."""
        return self.settings.socket_dsn("worker", dbname)

    # -- up --------------------------------------------------------------------------------------

    def up(self) -> None:
        """Bring the whole stack up and the schema up to date; safe and quick on a running one.

        What runs with other settings or files than the present ones is restarted, nothing else.
        Raises StackError naming what stands in the way.
        """
        settings = self.settings
        if not settings.file.exists():  # a new stack that cannot start leaves nothing behind
            self._check_ports(listeners(settings))
        with self.exclusive():
            self._prepare_folders()
            settings.save()
            write_configuration(settings)
            if postgres.initialise(settings):
                self.say(f"postgres: new cluster in {settings.data_dir}")
            listed = services(settings, self._worker_ready)
            self._supervise(listed)
            for service in listed:
                self._bring_up(service)
                if service.name == "postgres":
                    self._reload_identities()
                    migrate.deploy(settings, say=self.say)
                    self.reload_schema_cache()
                    self.reload_secrets()
            wait_for(self._all_running, 15, "every process staying up")

    def _all_running(self) -> bool:
        return all(row.state == "RUNNING" for row in self.status())

    def _prepare_folders(self) -> None:
        settings, user = self.settings, service_user(self.settings.root)
        for folder in (settings.state, settings.socket_dir, settings.log_dir):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            user.own(folder)

    def _supervise(self, listed: list[Service]) -> None:
        """Have supervisord run with the present configuration, none of it started yet."""
        programs = [service.program for service in listed]
        if self.supervisor.running():
            before = self.supervisor.configuration_file.read_text()
            self.supervisor.configure(programs)
            if self.supervisor.configuration_file.read_text() != before:
                for name in sorted(self.supervisor.apply()):
                    self.say(f"{name}: settings changed, stopped")
            return
        listening = listeners(self.settings)
        self._clear_leftovers(listening)
        self._check_ports(listening)
        self.supervisor.configure(programs)
        self.supervisor.start()
        user = service_user(self.settings.root)
        self.say(f"supervisord: started as user {user.name}")
        if user.advice:
            self.say(f"note: {user.advice}")

    def _bring_up(self, service: Service) -> None:
        running = self.supervisor.processes().get(service.name, {}).get("statename") == "RUNNING"
        if not running:
            own = [one for one in listeners(self.settings) if one.service == service.name]
            self._check_ports(own)
            self.supervisor.start_program(service.name)
        failing_since: list[float] = []

        def given_up() -> str | None:
            reason = self.supervisor.failed(service.name)
            if reason is None:
                failing_since.clear()
                return None
            failing_since.append(time.monotonic())
            return reason if failing_since[-1] - failing_since[0] > GIVE_UP_AFTER else None

        try:
            wait_for(service.ready, service.timeout, service.name, given_up)
        except NotReadyError as error:
            log = self.supervisor.log_end(service.name)
            raise NotReadyError(
                error.message,
                f"The end of its log ({self.settings.log_dir / service.name}.log):\n{log}",
            ) from None
        if not running:
            self.say(f"{service.name}: ready" + f" at {service.address}" * bool(service.address))

    def _check_ports(self, listening: list[Listener]) -> None:
        for one in listening:
            if self.supervisor.pid(one.service) is None and not is_free(one.port, one.host):
                raise StackError(
                    f"port {one.port}, which {one.service} is to listen on, is taken",
                    f"Stop what listens there, or choose another: microblog up {one.flag} N",
                )

    def _worker_ready(self, name: str) -> bool:
        return self.supervisor.processes().get(name, {}).get("statename") == "RUNNING"

    def _reload_identities(self) -> None:
        """Let the cluster read who may log in over the socket, which may have changed."""
        with postgres.connect(self.settings, "postgres") as connection:
            connection.execute("select pg_reload_conf()")

    def reload_schema_cache(self) -> None:
        """Have running PostgREST instances read the schema anew.

        They hear of it by NOTIFY themselves unless a pooler stands between.
        """
        if self.settings.pooled:
            for name in self.supervisor.processes():
                if name.startswith("postgrest-"):
                    self.supervisor.signal_program(name, signal.SIGUSR1)

    # -- secrets ---------------------------------------------------------------------------------

    def reload_secrets(self) -> None:
        """Have what runs read its secrets anew; no request is refused, no connection closed."""
        for name in self.supervisor.processes():
            if name.startswith("postgrest-"):
                self.supervisor.signal_program(name, signal.SIGUSR2)
            elif name == "pgbouncer":
                self.supervisor.signal_program(name, signal.SIGHUP)

    def forget_expired_keys(self) -> None:
        """Drop the retired keys whose tokens have all expired; quick where there is none.

        Leaves it to the next call where somebody else is at work on the stack.
        """
        if secret_files.expired(self.settings):
            with suppress(BlockingIOError), self.exclusive(wait=False):
                if secret_files.write_keys(self.settings):
                    self.reload_secrets()

    # -- down ------------------------------------------------------------------------------------

    def down(self, wipe: bool = False) -> None:
        """Stop everything, the public door first; with ``wipe`` remove the stack's folder too."""
        if not self.settings.state.exists():
            return
        with self.exclusive():
            if self.supervisor.running():
                names = list(self.supervisor.processes())
                for name in sorted(names, key=stop_order):
                    if self.supervisor.pid(name) is not None:
                        self.supervisor.stop_program(name)
                        self.say(f"{name}: stopped")
                self.supervisor.shutdown()
                self.say("supervisord: ended")
            else:
                self._clear_leftovers([])
            if wipe:
                shutil.rmtree(self.settings.state)
                self.say(f"{self.settings.state}: removed")

    def _clear_leftovers(self, listening: list[Listener]) -> None:
        """After a supervisord that was killed: wait until what it ran has ended with it."""
        pid_file = self.settings.socket_dir / "supervisord.pid"
        if pid_file.exists():
            self.say("supervisord: was killed; waiting for the rest of it to end")
            _end_supervisord(pid_file, self.supervisor.configuration_file)
            with suppress(NotReadyError):  # a port still taken is reported by name afterwards
                wait_for(lambda: all(is_free(one.port, one.host) for one in listening), 30.0)
            pid_file.unlink(missing_ok=True)
        postmaster = postgres.postmaster_pid(self.settings)
        if postmaster and alive(postmaster) and _works_in(postmaster, self.settings.data_dir):
            self.say("postgres: runs unsupervised, stopping it")
            service_user(self.settings.root).run(
                [
                    self.settings.pg_bin / "pg_ctl",
                    "stop",
                    "-m",
                    "fast",
                    "-D",
                    self.settings.data_dir,
                ],
                cwd=self.settings.state,
            )

    # -- status ----------------------------------------------------------------------------------

    def status(self) -> list[ProcessStatus]:
        """Describe each process in starting order; all are ``STOPPED`` where the stack is down."""
        settings = self.settings
        records = self.supervisor.processes()
        rows = []
        for name, address in addresses(settings).items():
            record = records.get(name, {})
            pid = record.get("pid") or None
            uptime = record["now"] - record["start"] if pid else None
            rows.append(
                ProcessStatus(name, record.get("statename", "STOPPED"), pid, uptime, address)
            )
        return rows

    @contextmanager
    def exclusive(self, wait: bool = True) -> Iterator[None]:
        """Let only one at a time change this stack; others wait, or get BlockingIOError."""
        state = self.settings.state
        try:
            state.mkdir(parents=True, exist_ok=True)
            lock = os.open(state / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            service_user(self.settings.root).own(state / ".lock")
        except PermissionError as error:
            raise StackError(
                f"{error.filename} may not be written: the stack belongs to another user",
                "Run the command as root (sudo), or use a stack of your own: --stack NAME",
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(lock)


def addresses(settings: Settings) -> dict[str, str]:
    """Name the processes of a stack in starting order, each with the address it listens on."""
    named = {"postgres": f"127.0.0.1:{settings.pg_port}"}
    if settings.pooled:
        named["pgbouncer"] = f"127.0.0.1:{settings.pooler_port}"
    for number, port in enumerate(settings.rest_ports, 1):
        named[f"postgrest-{number}"] = f"127.0.0.1:{port}"
    for number in range(1, settings.workers + 1):
        named[f"worker-{number}"] = ""
    named["haproxy"] = settings.url
    return named


def stop_order(name: str) -> tuple[int, str]:
    """Sort key: the door first, then who uses the database, then the database."""
    kinds = ("haproxy", "postgrest", "worker", "pgbouncer", "postgres")
    return kinds.index(name.partition("-")[0]), name


def _end_supervisord(pid_file: Path, configuration_file: Path) -> None:
    """End a supervisord that lives but does not answer; others' processes are left alone."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if os.fsencode(configuration_file) in command:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not alive(pid), 30, "supervisord's end")


def _works_in(pid: int, folder: Path) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()
    return False

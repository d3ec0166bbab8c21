"""The settings of one stack, kept in ``var/<stack>/settings.json``."""

import json
import os
import re
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from microblog.errors import StackError
from microblog.stack import binaries
from microblog.stack.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_STACK = "main"
MOST = 64  # instances of a stack, and workers
FIRST_REST_PORT = 8110
FIRST_REST_ADMIN_PORT = 8210
SOCKET_PATH_LIMIT = 107  # bytes in sockaddr_un.sun_path, without its final NUL


@dataclass
class Settings:
    """Ports, sizes and switches of a stack; everything else follows from these.

    The stack named ``main`` has fixed default ports; any other gets free ones when it is created,
    so that stacks run side by side. ``memory_mb`` is the memory the cluster is sized for, in MB
    (None: this machine's). ``most_instances``: for how many the cluster has connections at least,
    so that it need not restart when there are more. ``fsync`` off is for tests only: a crash may
    lose the cluster.
    """

    stack: str = DEFAULT_STACK
    root: Path = ROOT
    host: str = "127.0.0.1"
    port: int = 8080
    pg_port: int = 5442
    pooler_port: int = 6442
    rest_ports: list[int] = field(default_factory=list)
    rest_admin_ports: list[int] = field(default_factory=list)
    database: str = "microblog"
    instances: int = 1
    most_instances: int = 1
    workers: int = 1
    pooled: bool = False
    rest_pool: int = 10
    fsync: bool = True
    memory_mb: int | None = None

    def __post_init__(self) -> None:
        self.root = Path(self.root)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,30}", self.stack):
            raise StackError(
                f"{self.stack!r} is no name for a stack",
                "Use 1 to 31 lower-case letters, digits, - or _.",
            )
        if not 1 <= self.instances <= MOST or not 0 <= self.workers <= MOST:
            raise StackError(f"instances must be 1 to {MOST}, workers 0 to {MOST}")
        self._fit_rest_ports()

    # -- keeping ---------------------------------------------------------------------------------

    @classmethod
    def create(cls, stack: str = DEFAULT_STACK, **overrides: Any) -> Self:
        """Make the settings of a new stack; nothing is written before ``save``."""
        if stack != DEFAULT_STACK:
            wanted = ["port", "pg_port", "pooler_port"]
            for name, port in zip(wanted, free_ports(len(wanted)), strict=True):
                overrides.setdefault(name, port)
        return cls(stack=stack, **overrides)

    @classmethod
    def load(cls, stack: str | None = None, root: Path = ROOT) -> Self:
        """Read a stack's saved settings, or make them where the stack is new.

        Without a name, ``MICROBLOG_STACK`` decides, else ``main``.
        """
        stack = stack or os.environ.get("MICROBLOG_STACK") or DEFAULT_STACK
        fresh = cls.create(stack, root=root)
        if not fresh.file.exists():
            return fresh
        known = {f.name for f in fields(cls)} - {"stack", "root"}
        try:
            saved = json.loads(fresh.file.read_text())
            return cls(stack=stack, root=root, **{k: saved[k] for k in saved.keys() & known})
        except (ValueError, TypeError, AttributeError) as error:
            raise StackError(
                f"{fresh.file} cannot be read: {error}", "Mend it or remove it."
            ) from error

    def changed(self, **overrides: Any) -> Self:
        """Return a copy with those of ``overrides`` that are not None."""
        return replace(self, **{k: v for k, v in overrides.items() if v is not None})

    def save(self) -> None:
        """Write the settings to the stack's folder, whole or not at all."""
        self.state.mkdir(parents=True, exist_ok=True)
        values = {k: v for k, v in asdict(self).items() if k not in ("stack", "root")}
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(values, indent=2) + "\n")
        draft.replace(self.file)

    def _fit_rest_ports(self) -> None:
        """Have exactly one port pair per PostgREST, keeping those that are there."""
        for name, first in (
            ("rest_ports", FIRST_REST_PORT),
            ("rest_admin_ports", FIRST_REST_ADMIN_PORT),
        ):
            ports = list(getattr(self, name))[: self.instances]
            lacking = self.instances - len(ports)
            if self.stack == DEFAULT_STACK:
                ports += [first + i for i in range(len(ports), self.instances)]
            elif lacking:
                ports += free_ports(lacking)
            setattr(self, name, ports)

    # -- folders and files -----------------------------------------------------------------------

    @property
    def state(self) -> Path:
        """Everything that belongs to this stack and to no commit."""
        return self.root / "var" / self.stack

    @property
    def file(self) -> Path:
        """Where these settings are kept."""
        return self.state / "settings.json"

    @property
    def data_dir(self) -> Path:
        """PostgreSQL's data directory."""
        return self.state / "data"

    @property
    def socket_dir(self) -> Path:
        """Where PostgreSQL's and supervisor's sockets lie; refused where the path is too long."""
        folder = self.state / "run"
        longest = f"{folder}/supervisor.sock.4194304"  # what supervisor binds first
        if len(os.fsencode(longest)) > SOCKET_PATH_LIMIT:
            raise StackError(
                f"the path of the sockets is too long: {longest} has {len(longest)} bytes, "
                f"the system's limit is {SOCKET_PATH_LIMIT}",
                "Move the project to a folder with a shorter path.",
            )
        return folder

    @property
    def log_dir(self) -> Path:
        """Where the processes' output goes."""
        return self.state / "log"

    @property
    def secrets_dir(self) -> Path:
        """Generated passwords and keys, readable by the service user only."""
        return self.state / "secrets"

    # -- addresses -------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The public address, without a final slash."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"  # noqa: S104

    def socket_dsn(self, user: str = "postgres", dbname: str | None = None) -> str:
        """Return a libpq connection string over the cluster's own socket, without a password."""
        path = str(self.socket_dir).replace("\\", r"\\").replace("'", r"\'")
        return f"host='{path}' port={self.pg_port} user={user} dbname={dbname or self.database}"

    # -- programs, found when first asked for ----------------------------------------------------

    @cached_property
    def pg_bin(self) -> Path:
        """The folder of PostgreSQL's server programs, of the version that made the cluster."""
        version_file = self.data_dir / "PG_VERSION"
        made_by = int(version_file.read_text()) if version_file.exists() else None
        return binaries.postgres_bin(made_by)

    @cached_property
    def postgrest(self) -> Path:
        """PostgREST's program."""
        return binaries.postgrest(self.root)

    @cached_property
    def haproxy(self) -> Path:
        """HAProxy's program."""
        return binaries.program("haproxy")

    @cached_property
    def pgbouncer(self) -> Path:
        """PgBouncer's program."""
        return binaries.program("pgbouncer")

    @cached_property
    def sqitch(self) -> Path:
        """sqitch's program."""
        return binaries.program("sqitch")

    @cached_property
    def psql(self) -> Path:
        """The psql that belongs to the server in use."""
        beside = self.pg_bin / "psql"
        return beside if beside.exists() else binaries.program("psql")

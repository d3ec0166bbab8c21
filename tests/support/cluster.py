"""One PostgreSQL cluster for the whole session, with the schema deployed once as a template."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from microblog import migrate
from microblog.settings import ROOT, Settings
from microblog.stack import postgres
from microblog.stack.privileges import service_user
from microblog.stack.process import Process, alive, wait_for
from microblog.stack.services import write_configuration
from tests.support.database import Database

TEMPLATE = "microblog_template"
# All tests come from one address; those of the limits take this row away.
EXEMPT = "insert into app.rate_limit_exemptions (address, note) values ('127.0.0.0/8', 'tests')"
# "<stack> <template>": a test session uses this running cluster, and clones this database, instead
# of a cluster of its own. So tests.security runs tests against a schema it has weakened.
ATTACH = "MICROBLOG_TEST_CLUSTER"
BCRYPT_COST = 4  # the cheapest there is: tests sign up hundreds of users
MEMORY = Path("/dev/shm")
MEMORY_FREE = 8 * 2**30  # bytes: the log of a session alone takes up to 4 GiB


class Cluster:
    """A running cluster; ``clone`` makes a database from the template in about 0.05 s.

    ``prefix`` begins the names of its databases.
    """

    def __init__(self, settings: Settings, template: str = TEMPLATE, prefix: str = "db") -> None:
        self.settings = settings
        self.template = template
        self._names = (f"{prefix}{number}" for number in count(1))

    @contextmanager
    def clone(self, name: str | None = None) -> Iterator[Database]:
        """Give a database with the schema deployed and nobody in it; dropped at the end."""
        name = name or next(self._names)
        with postgres.connect(self.settings, "postgres") as connection:
            # Five times as fast as the default, which writes each page to the log.
            connection.execute(
                f"create database {name} template {self.template} strategy file_copy"
            )
        with self._dropped(name) as database:
            yield database

    @contextmanager
    def empty(self, name: str | None = None) -> Iterator[Database]:
        """Give a database without the schema; dropped at the end."""
        name = name or next(self._names)
        postgres.create_database(self.settings, name)
        with self._dropped(name) as database:
            yield database

    @contextmanager
    def _dropped(self, name: str) -> Iterator[Database]:
        database = Database(self.settings, name)
        try:
            yield database
        finally:
            database.close()
            postgres.drop_database(self.settings, name)

    def deploy_template(self) -> None:
        """Deploy the schema with verification, then close the template to connections."""
        migrate.deploy(self.settings, TEMPLATE)
        with postgres.connect(self.settings, TEMPLATE) as connection:
            connection.execute(
                "update app.settings set value = %s where name = 'bcrypt_cost'", [BCRYPT_COST]
            )
            connection.execute(EXEMPT)
        with postgres.connect(self.settings, "postgres") as connection:
            connection.execute(f"alter database {TEMPLATE} with allow_connections false")


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a cluster in a state folder of its own; stopped and removed at the end."""
    if ATTACH in os.environ:
        stack, template = os.environ[ATTACH].split()
        yield Cluster(Settings.load(stack), template, f"{template}_db")
        return
    remove_leftovers()
    settings = Settings.create(f"test-{os.getpid()}", fsync=False, memory_mb=1024, rest_pool=5)
    user = service_user(settings.root)
    process = Process(
        "postgres",
        postgres.argv(settings),
        settings.log_dir / "postgres.log",
        env=postgres.environment(settings),
        prefix=user.prefix,
        stop_signal=signal.SIGINT,
    )
    try:
        for folder in (settings.state, settings.socket_dir, settings.log_dir):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            user.own(folder)
        if folder := in_memory(settings):
            user.own(folder)
        write_configuration(settings)
        postgres.initialise(settings)
        process.start().wait_ready(lambda: postgres.ready(settings))
        cluster = Cluster(settings)
        cluster.deploy_template()
        yield cluster
    finally:
        process.stop(timeout=60)
        remove(settings.state)


def in_memory(settings: Settings) -> Path | None:
    """Lay the data in memory, where there is enough of it; returns the folder.

    Databases come and go by the hundreds, each of hundreds of files, which costs a file system on
    a disk more than all that PostgreSQL does.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_FREE:
        return None
    folder = Path(tempfile.mkdtemp(prefix="microblog-test-", dir=MEMORY))
    settings.data_dir.symlink_to(folder)
    return folder


def remove(state: Path) -> None:
    """Remove the folder of a cluster, and its data wherever they are."""
    data = state / "data"
    if data.is_symlink():
        shutil.rmtree(data.resolve(), ignore_errors=True)
    shutil.rmtree(state, ignore_errors=True)


def remove_leftovers() -> None:
    """Stop and remove the clusters of test sessions that were killed."""
    for folder in (ROOT / "var").glob("test-*"):
        match = re.fullmatch(r"test-([0-9]+)", folder.name)
        if not match or alive(int(match[1])):
            continue
        with suppress(OSError, ValueError, IndexError):
            postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            command = os.fsencode(folder / "data")
            with open(f"/proc/{postmaster}/cmdline", "rb") as cmdline:  # noqa: PTH123
                ours = command in cmdline.read().split(b"\0")
            if ours:
                os.kill(postmaster, signal.SIGQUIT)
                wait_for(lambda pid=postmaster: not alive(pid), 30, "an old cluster's end")
        remove(folder)

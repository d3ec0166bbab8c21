"""``microblog worker``."""

import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import click

from microblog.commands.common import require_made, stack_option
from microblog.page_cache import Keeper
from microblog.settings import Settings
from microblog.stack import Stack
from microblog.worker import run_worker


@click.command()
@stack_option
@click.option("--name", help="Its name in app.workers. Default: host and process id.")
@click.option("--dsn", envvar="MICROBLOG_WORKER_DSN", help="Another database than the stack's.")
@click.option(
    "--proxy",
    "proxies",
    envvar="MICROBLOG_PROXIES",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Admin socket of a proxy whose page cache it keeps; may be given several times.",
)
def command(
    settings: Settings, name: str | None, dsn: str | None, proxies: tuple[Path, ...]
) -> None:
    """Work on the job queue until stopped by SIGTERM or Ctrl-C.

    The stack runs its own workers (`up --workers N`); this one comes in addition.
    """
    if dsn is None:
        require_made(settings)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    chore = Stack(settings).forget_expired_keys
    dsn = dsn or settings.socket_dsn("worker")
    keeper = threading.Thread(target=Keeper(dsn, proxies).run, args=(stop,), daemon=True)
    if proxies:
        keeper.start()
    run_worker(dsn, name, stop, chore=chore)
    if proxies:
        keeper.join()

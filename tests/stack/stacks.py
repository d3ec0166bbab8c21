"""Whole stacks of the tests' own, small and quick, removed at the end."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from microblog.settings import ROOT, Settings
from microblog.stack import Stack, secret_files
from microblog.stack.process import alive
from tests.support.cluster import EXEMPT


class StartedStack(Stack):
    """A new stack, what its first start printed, and the secrets it made."""

    first_output: str
    first_secrets: set[str]


@contextmanager
def printed() -> Iterator[Callable[[], str]]:
    """Catch what this process and those that it starts print; gives what reads it."""
    with tempfile.TemporaryFile() as caught, ExitStack() as undo:
        for number in (1, 2):
            kept = os.dup(number)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, number)
            os.dup2(caught.fileno(), number)
        yield lambda: os.pread(caught.fileno(), 1_000_000, 0).decode()


def _remove_abandoned() -> None:
    """Stop and remove test stacks whose test run was killed."""
    for folder in (ROOT / "var").glob("t[0-9]*-*"):
        pid = int(folder.name[1:].partition("-")[0])
        if not alive(pid):
            Stack(Settings.load(folder.name)).down(wipe=True)


@pytest.fixture(scope="session")
def new_stack() -> Iterator[Callable[..., StartedStack]]:
    """Start stacks of one's own: ``new_stack(name, **settings)``; removed at the end."""
    _remove_abandoned()
    with ExitStack() as cleanup:

        def start(name: str, **overrides: Any) -> StartedStack:
            small = {"fsync": False, "memory_mb": 256, **overrides}
            steps: list[str] = []
            stack = StartedStack(Settings.create(f"t{os.getpid()}-{name}", **small), steps.append)
            cleanup.callback(stack.down, wipe=True)
            with printed() as read:
                stack.up()
                stack.first_output = "\n".join(steps) + read()
            stack.first_secrets = {
                secret_files.read(stack.settings, secret)
                for secret in (secret_files.JWT_SECRET, secret_files.AUTHENTICATOR_PASSWORD)
            }
            with psycopg.connect(stack.superuser_dsn(), autocommit=True) as connection:
                connection.execute(EXEMPT)
            return stack

        yield start

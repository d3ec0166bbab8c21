"""Whole stacks of the tests' own, small and quick, removed at the end."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from microblog.settings import ROOT, Settings
from microblog.stack import Stack
from microblog.stack.process import alive
from tests.support.cluster import EXEMPT


def _remove_abandoned() -> None:
    """Stop and remove test stacks whose test run was killed."""
    for folder in (ROOT / "var").glob("t[0-9]*-*"):
        pid = int(folder.name[1:].partition("-")[0])
        if not alive(pid):
            Stack(Settings.load(folder.name)).down(wipe=True)


@pytest.fixture(scope="session")
def new_stack() -> Iterator[Callable[..., Stack]]:
    """Start stacks of one's own: ``new_stack(name, **settings)``; removed at the end."""
    _remove_abandoned()
    with ExitStack() as cleanup:

        def start(name: str, **overrides: Any) -> Stack:
            small = {"fsync": False, "memory_mb": 256, **overrides}
            stack = Stack(Settings.create(f"t{os.getpid()}-{name}", **small))
            cleanup.callback(stack.down, wipe=True)
            stack.up()
            with psycopg.connect(stack.superuser_dsn(), autocommit=True) as connection:
                connection.execute(EXEMPT)
            return stack

        yield start

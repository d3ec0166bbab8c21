"""The keeper of the shared page cache, run in a thread beside a served API."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from microblog.page_cache import MAP, Keeper, Proxy
from microblog.stack.process import wait_for
from tests.support.servers import Served

# The cache's own session; of it there is one at a time.
KEEPING = """
select a.pid
from pg_locks l
join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and a.application_name = 'microblog cache'
  and a.datname = current_database()
"""


def keeper_pid(served: Served) -> int | None:
    """Return the backend of the session that keeps the cache, if one does."""
    return next(iter(served.database.values(KEEPING)), None)


@contextmanager
def keeping(served: Served, report: float = 0.1) -> Iterator[Keeper]:
    """Keep the cache of this API's proxy; ``report`` is how often, in seconds, it reports."""
    database, stop = served.database, threading.Event()
    keeper = Keeper(database.settings.socket_dsn("worker", database.name), [served.admin], report)
    thread = threading.Thread(target=keeper.run, args=(stop,))
    proxy = Proxy(served.admin)
    thread.start()
    try:
        # Whoever begins invalidates everything: what a test does comes after that.
        wait_for(lambda: " all 0\n" not in proxy.ask(f"show map {MAP}"), what="a keeper's begin")
        yield keeper
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()

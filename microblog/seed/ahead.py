"""Makes the next rows while the last ones are being sent."""

from collections.abc import Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
WAIT = 0.1  # seconds between looks at whether the other side is still there


def ahead(items: Iterator[Item], depth: int = 2) -> Iterator[Item]:
    """Yield the items, made by a thread that is up to ``depth`` of them ahead.

    What the thread raises is raised here. It ends with this generator, finished or not.
    """
    queue: Queue[Item] = Queue(depth)
    stopped = Event()
    failed: list[BaseException] = []

    def make() -> None:
        try:
            for item in items:
                while not stopped.is_set():
                    try:
                        queue.put(item, timeout=WAIT)
                        break
                    except Full:
                        continue
                if stopped.is_set():
                    return
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=make, name="rows", daemon=True)
    thread.start()
    try:
        while thread.is_alive() or not queue.empty():
            try:
                item = queue.get(timeout=WAIT)
            except Empty:
                continue
            yield item
        if failed:
            raise failed[0]
    finally:
        stopped.set()
        thread.join()

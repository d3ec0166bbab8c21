"""A stretch of network that can stall in one direction."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class Relay:
    """Passes connections on to a port of this machine, until ``hold`` lets no more through to it.

    What comes from there still arrives.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets = [self._server]
        self._threads = [threading.Thread(target=self._accept)]
        self._flows = threading.Event()
        self._flows.set()

    def hold(self) -> None:
        """Keep back what clients send from now on, until the end."""
        self._flows.clear()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._flows.set()
        for one in self._sockets[1:]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the end
            while True:
                client, _ = self._server.accept()
                self._sockets.append(client)
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets.append(server)
                for way in ((client, server, self._flows.wait), (server, client, lambda: None)):
                    thread = threading.Thread(target=self._pass_on, args=way)
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, wait: Callable[[], object]
    ) -> None:
        with suppress(OSError):  # either side hung up
            while data := source.recv(65536):
                wait()
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

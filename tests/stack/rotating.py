"""Requests that go on while a stack's secrets change, and what they were answered."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from microblog.stack import Stack
from microblog.stack.process import wait_for

PASSWORD = "correct horse battery"
READERS = 3


class Load:
    """Some clients read with the token of ``headers``, one logs in over and over."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: Counter[str] = Counter()
        with httpx.Client(base_url=url, timeout=30) as client:
            body = {"username": f"rotating_{id(self)}", "password": PASSWORD}
            answer = client.post("/rpc/signup", json=body)
        assert answer.status_code == 201, answer.text
        self.credentials = body
        self.headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        self._stop = threading.Event()

    def more(self, number: int = 30) -> None:
        """Wait until so many more requests were answered, logins among them."""
        reads, logins = self.answers["GET 200"], self.answers["login 200"]
        wait_for(lambda: self.answers["GET 200"] >= reads + number, 60, "reads")
        wait_for(lambda: self.answers["login 200"] >= logins + 2, 60, "logins")

    def read(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self._stop.is_set():
                answer = client.get("/rpc/me", headers=self.headers)
                self.answers[f"GET {answer.status_code}"] += 1

    def log_in(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self._stop.is_set():
                answer = client.post("/rpc/login", json=self.credentials)
                self.answers[f"login {answer.status_code}"] += 1
                token = answer.json().get("token", "")
                answer = client.get("/rpc/me", headers={"Authorization": f"Bearer {token}"})
                self.answers[f"GET {answer.status_code}"] += 1

    @contextmanager
    def running(self) -> Iterator["Load"]:
        threads = [threading.Thread(target=self.read) for _ in range(READERS)]
        threads.append(threading.Thread(target=self.log_in))
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)


@contextmanager
def load(stack: Stack) -> Iterator[Load]:
    """Keep requests coming; at the end each must have been answered with 200."""
    with Load(stack.url).running() as running:
        running.more()
        yield running
        running.more()
    assert set(running.answers) == {"GET 200", "login 200"}, running.answers

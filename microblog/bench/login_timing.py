"""Does the time of a refused login tell whether there is such a user?

Logins with a wrong password, of a user who exists and of a name that nobody has, take turns in
pairs of random order, one at a time. Reported is the difference of the two medians with a
confidence interval by the bootstrap (Efron 1979): pairs are drawn with replacement, so that a
machine that grows slower meanwhile slows both sides alike.
"""

import http.client
import json
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import numpy as np

from microblog.errors import StackError

ACCOUNTS = 4  # users who exist; several, so that no one row is special
WARM_UP = 10  # pairs that are not counted
RESAMPLES = 4000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Timing:
    """What was measured; all times in milliseconds.

    ``difference`` is the median of unknown names less that of users who exist, ``low`` and
    ``high`` its confidence interval. ``told_apart`` is how often somebody who sees one login of
    each, and takes the slower for the user who exists or for the one who does not, whichever is
    better, guesses right: 0.5 is by chance, 1 always.
    """

    samples: int
    known: float
    unknown: float
    difference: float
    low: float
    high: float
    confidence: float
    told_apart: float

    @property
    def within_noise(self) -> bool:
        """Whether the interval holds a difference of nothing."""
        return self.low <= 0 <= self.high

    def as_dict(self) -> dict[str, float | int | bool]:
        """Return all figures by name, for a file of results."""
        return {**asdict(self), "within_noise": self.within_noise}


def evaluate(known: Sequence[float], unknown: Sequence[float], seed: int = 0) -> Timing:
    """Compare the times (ms) of pairs; ``known[i]`` and ``unknown[i]`` were measured together.

    The same ``seed`` draws the same samples. Raises ValueError where there are fewer than two
    pairs, or not as many of each.
    """
    if len(known) != len(unknown) or len(known) < 2:
        raise ValueError(f"{len(known)} and {len(unknown)} times are no pairs")
    there, nobody = np.asarray(known, dtype=float), np.asarray(unknown, dtype=float)
    drawn = np.random.default_rng(seed).integers(0, len(there), (RESAMPLES, len(there)))
    differences = np.median(nobody[drawn], axis=1) - np.median(there[drawn], axis=1)
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(differences, [tail, 100 - tail])
    slower = np.subtract.outer(nobody, there)
    area = float(np.mean(slower > 0) + np.mean(slower == 0) / 2)  # Mann-Whitney U / (n m)
    return Timing(
        samples=len(there),
        known=float(np.median(there)),
        unknown=float(np.median(nobody)),
        difference=float(np.median(nobody) - np.median(there)),
        low=float(low),
        high=float(high),
        confidence=CONFIDENCE,
        told_apart=max(area, 1 - area),
    )


def measure(
    url: str, samples: int, seed: int = 0, progress: Callable[[int], None] = lambda _: None
) -> Timing:
    """Time ``samples`` pairs of refused logins at ``url`` and compare them.

    Makes a few accounts for it and deletes them. ``progress`` is told the number of pairs done.
    Raises StackError where a login is answered otherwise than by 401, by a rate limit for instance.
    """
    draw = random.Random(seed)  # noqa: S311 - the order of turns is no secret
    times: tuple[list[float], list[float]] = ([], [])
    with _client(url) as call, _accounts(call) as names:
        for done in range(1 - WARM_UP, samples + 1):
            # Names of one length: the request has the same size for both.
            pair = [(0, draw.choice(names)), (1, _name())]
            draw.shuffle(pair)
            for side, name in pair:
                took, status, answer = call("login", name, secrets.token_hex(12), "")
                if status != http.client.UNAUTHORIZED:
                    raise StackError(
                        f"a login that must be refused got {status}: {answer}",
                        "Measure on a stack of its own, with the limits of logins off.",
                    )
                if done > 0:
                    times[side].append(took)
            progress(max(done, 0))
    return evaluate(*times, seed=seed)


Call = Callable[[str, str, str, str], tuple[float, int, dict[str, str]]]


def _name() -> str:
    return f"timing_{secrets.token_hex(8)}"


@contextmanager
def _client(url: str) -> Iterator[Call]:
    """Keep one connection and give what makes a call on it: (milliseconds, status, answer)."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def call(name: str, username: str, password: str, token: str) -> tuple[float, int, dict]:
        fields = {"username": username, "password": password}
        if name == "account_delete":
            del fields["username"]
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        begun = time.perf_counter()
        connection.request("POST", f"/rpc/{name}", json.dumps(fields), headers)
        answer = connection.getresponse()
        content = answer.read()
        took = (time.perf_counter() - begun) * 1000
        return took, answer.status, json.loads(content) if content else {}

    try:
        yield call
    finally:
        connection.close()


@contextmanager
def _accounts(call: Call) -> Iterator[list[str]]:
    """Make the users who exist; delete them at the end."""
    made: list[tuple[str, str, str]] = []
    try:
        for _ in range(ACCOUNTS):
            name, password = _name(), secrets.token_hex(12)
            _, status, answer = call("signup", name, password, "")
            if status != http.client.CREATED:
                raise StackError(f"a sign-up got {status}: {answer}")
            made.append((name, password, answer["token"]))
        yield [name for name, _, _ in made]
    finally:
        for name, password, token in made:
            call("account_delete", name, password, token)

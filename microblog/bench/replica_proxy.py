"""The proxy before a primary and a replica: pages are read from the replica, all else goes on."""

from collections.abc import Sequence

from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack import proxy

BEFORE = "  use_backend passwords if password write\n"
FOLDER = "  default-path config\n"


def configuration(settings: Settings) -> str:
    """Return the proxy's own configuration, with a way to the replica for what reads pages.

    Raises StackError where the configuration has no place for it.
    """
    folder = settings.root / "api"
    text = (folder / "haproxy.cfg").read_text()
    if text.count(BEFORE) != 1 or text.count(FOLDER) != 1:
        raise StackError("api/haproxy.cfg is not as microblog/bench/replica_proxy.py expects it")
    return text.replace(BEFORE, f"  use_backend replicas if paged read\n{BEFORE}").replace(
        FOLDER, f"  default-path origin {folder}\n"
    )


def servers(settings: Settings, replicas: Sequence[tuple[int, int]]) -> str:
    """Return the second file: the stack's own instances, and those before replicas."""
    primaries = list(zip(settings.rest_ports, settings.rest_admin_ports, strict=True))
    return proxy.servers(primaries) + "\n" + proxy.backend("replicas", replicas)

"""TCP ports: which are free, and which to take for a stack beside others."""

import random
import socket

# Below the range from which Linux hands out ports to outgoing connections (32768 and up), so that
# a port stays ours while the process that listens on it is restarted.
LOWEST, HIGHEST = 18_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a process could listen on ``host:port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Pick ``count`` different free ports at random.

    Nothing reserves them: another process may take one before the caller does.
    """
    chosen: list[int] = []
    for port in random.sample(range(LOWEST, HIGHEST), HIGHEST - LOWEST):
        if len(chosen) == count:
            break
        if is_free(port, host):
            chosen.append(port)
    return chosen

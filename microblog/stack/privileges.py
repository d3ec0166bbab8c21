"""Who runs the stack: the caller, or an unprivileged user where the caller is root.

PostgreSQL refuses to run as root, and nothing else here needs to. Started by root, the supervisor
gets one ``setpriv`` prefix and its children inherit the user. That user may not be able to enter
the project's folder, or the one Python lies in (/root is closed to others): then, and only then,
it also keeps one capability, tried from the weakest:

    none               the folders are open to everyone
    dac_read_search    may read and enter every folder and file of the machine, write none
    dac_override       may also write; for containers, which grant this one but not the other
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from microblog.errors import MissingProgramError, StackError

CANDIDATES = ("postgres", "nobody")
CAPABILITIES = (None, "dac_read_search", "dac_override")


@dataclass(frozen=True)
class ServiceUser:
    """The user a stack's processes run as; ``prefix`` makes a command of the caller theirs."""

    name: str
    uid: int
    gid: int
    prefix: tuple[str, ...] = ()
    capability: str | None = None

    @property
    def advice(self) -> str:
        """What to tell the operator about the capability; empty where there is none."""
        if self.capability is None:
            return ""
        return (
            f"user {self.name} cannot enter this project's folder or its Python, so the stack's "
            f"processes keep the capability {self.capability}; to run without it, move the project "
            "to a folder that every user can enter (for example /srv) and run bin/setup there "
            "with PYTHON=/usr/bin/python3"
        )

    def own(self, *paths: Path) -> None:
        """Give files to this user; does nothing unless the caller is root."""
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(
        self,
        argv: Iterable[str | Path],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command as this user to its end and return its output; StackError on failure."""
        command = [*self.prefix, *(str(a) for a in argv)]
        done = subprocess.run(
            command,
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            name = Path(command[len(self.prefix)]).name
            raise StackError(f"{name} failed:\n{done.stdout.strip()}")
        return done.stdout


@lru_cache
def service_user(root: Path) -> ServiceUser:
    """Choose who runs the stacks of the project in ``root``.

    Raises StackError where the caller is root and no unprivileged user can read the project.
    """
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return ServiceUser(me.pw_name, me.pw_uid, me.pw_gid)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingProgramError(
            "setpriv is not installed, which a stack started by root needs",
            "Run: apt-get install util-linux",
        )
    account = _first_account()
    for capability in CAPABILITIES:
        prefix = _prefix(setpriv, account, capability)
        if _can_run(prefix, root):
            return ServiceUser(account.pw_name, account.pw_uid, account.pw_gid, prefix, capability)
    raise StackError(
        f"user {account.pw_name}, who would run the stack, cannot read {root} or {sys.executable}",
        "Move the project to a folder that every user can enter, or start it as another user.",
    )


def _first_account() -> pwd.struct_passwd:
    for name in CANDIDATES:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError(f"none of the users {', '.join(CANDIDATES)} exists", "Create user postgres.")


def _prefix(setpriv: str, account: pwd.struct_passwd, capability: str | None) -> tuple[str, ...]:
    kept = (f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}") if capability else ()
    return (
        setpriv,
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--init-groups",
        *kept,
        "--",
    )


# Run by the candidate. setpriv itself starts a program with root's rights of access, and a Python
# that cannot see its library may take another one: so it starts the program once more by itself,
# and compares libraries.
PROBE = """
import os, subprocess, sys
program, library, root, module = sys.argv[1:]
import psycopg, supervisor
os.listdir(root)
open(module).close()
assert os.__file__ == library
subprocess.run([program, "-c", "import psycopg"], check=True)
"""


def _can_run(prefix: tuple[str, ...], root: Path) -> bool:
    """Tell whether that user can run this Python with this package and start it in turn."""
    arguments = [sys.executable, os.__file__, str(root), __file__]
    try:
        done = subprocess.run(
            [*prefix, sys.executable, "-c", PROBE, *arguments],
            cwd="/",
            capture_output=True,
            timeout=60,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0

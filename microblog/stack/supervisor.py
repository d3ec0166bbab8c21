"""The process supervisor: its generated configuration, and talking to it.

supervisord (PyPI ``supervisor``) starts nothing by itself; ``Stack.up`` starts the programs in
order through its XML-RPC interface on a Unix socket, and supervisord restarts what dies.
"""

import hashlib
import http.client
import os
import shlex
import shutil
import signal
import subprocess
import sys
import xmlrpc.client
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from microblog.errors import StackError
from microblog.settings import Settings
from microblog.stack.privileges import service_user
from microblog.stack.process import alive, wait_for

# supervisor's fault codes that say "it is so already"
NOT_RUNNING, ALREADY_STARTED, SHUTDOWN_STATE = 70, 60, 6


@dataclass(frozen=True)
class Program:
    """One supervised process.

    ``fingerprint`` stands for the files it reads at its start: where it differs, the process is
    restarted by the next ``up``. ``stop_wait`` is in seconds, then it is killed.
    """

    name: str
    argv: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_wait: int = 15
    fingerprint: str = ""

    def section(self, log_dir: Path) -> str:
        """Return its section of supervisord's configuration."""
        command = shlex.join([*_tied_to_parent(self.stop_signal), *self.argv])
        variables = {**self.environment, "MICROBLOG_FINGERPRINT": self.fingerprint}
        environment = ",".join(f'{k}="{v}"' for k, v in sorted(variables.items()))
        return f"""\
[program:{self.name}]
command={_escaped(command)}
environment={_escaped(environment)}
autostart=false
autorestart=true
startsecs=1
startretries=60
stopsignal={self.stop_signal}
stopwaitsecs={self.stop_wait}
killasgroup=true
redirect_stderr=true
stdout_logfile={_escaped(str(log_dir / self.name))}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def fingerprint(*parts: Path | str) -> str:
    """Return a short digest of files' contents and of strings."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def _tied_to_parent(stop_signal: str) -> list[str]:
    """Have the kernel stop a program when supervisord dies: nothing runs on unsupervised."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", stop_signal, "--"] if setpriv else []


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.socket = settings.socket_dir / "supervisor.sock"
        self.configuration_file = settings.state / "supervisord.conf"

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of supervisor's XML-RPC interface, on a connection of its own.

        Raises OSError where nothing answers, xmlrpc.client.Fault where it refuses.
        """
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            proxy = xmlrpc.client.ServerProxy("http://localhost", transport)
            return getattr(proxy.supervisor, method)(*arguments)
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            transport.close()

    def configure(self, programs: Sequence[Program]) -> None:
        """Write supervisord's configuration."""
        state, log_dir = self.settings.state, self.settings.log_dir
        head = f"""\
; Generated at every start.
[unix_http_server]
file={_escaped(str(self.socket))}
chmod=0700

[supervisord]
logfile={_escaped(str(log_dir / "supervisord.log"))}
logfile_maxbytes=1MB
logfile_backups=1
pidfile={_escaped(str(self.settings.socket_dir / "supervisord.pid"))}
directory={_escaped(str(state))}
identifier=microblog-{self.settings.stack}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

"""
        text = head + "\n".join(p.section(log_dir) for p in programs)
        draft = self.configuration_file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(text)
        service_user(self.settings.root).own(draft)
        draft.replace(self.configuration_file)

    def running(self) -> bool:
        """Tell whether it answers."""
        with suppress(OSError, xmlrpc.client.Error, ValueError):
            return bool(self.call("getState")["statecode"] == 1)
        return False

    def start(self) -> None:
        """Start supervisord as the service user, detached from the caller."""
        user = service_user(self.settings.root)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.settings.state),
        }
        command = [
            *user.prefix, sys.executable, "-m", "supervisor.supervisord",
            "-c", str(self.configuration_file),
        ]  # fmt: skip
        done = subprocess.run(
            command,
            cwd=self.settings.state,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"supervisord did not start:\n{done.stdout.strip()}")
        wait_for(self.running, 15, "supervisord")

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return supervisor's record of each program, empty where it does not run."""
        with suppress(OSError, xmlrpc.client.Error):
            return {record["name"]: record for record in self.call("getAllProcessInfo")}
        return {}

    def pid(self, name: str) -> int | None:
        """Return the process id of a running program."""
        return self.processes().get(name, {}).get("pid") or None

    def apply(self) -> set[str]:
        """Take over a changed configuration; stop what it changed or dropped, and name it."""
        added, changed, removed = self.call("reloadConfig")[0]
        for name in [*changed, *removed]:
            self.stop_program(name)
            self.call("removeProcessGroup", name)
        for name in [*changed, *added]:
            self.call("addProcessGroup", name)
        return {*changed, *removed}

    def start_program(self, name: str) -> None:
        """Start one program; nothing happens where it runs or is about to."""
        try:
            self.call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise StackError(
                    f"{name} cannot be started: {fault.faultString}", self.log_end(name)
                ) from None

    def stop_program(self, name: str) -> None:
        """Stop one program and wait for its end; nothing happens where it does not run."""
        try:
            self.call("stopProcess", name, True)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != NOT_RUNNING:
                raise StackError(f"{name} cannot be stopped: {fault.faultString}") from None

    def signal_program(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one program; nothing happens where it does not run."""
        with suppress(xmlrpc.client.Fault):
            self.call("signalProcess", name, number.name.removeprefix("SIG"))

    def failed(self, name: str) -> str | None:
        """Return why a program is given up or keeps failing; None while it may come up."""
        record = self.processes().get(name, {})
        if record.get("statename") in ("FATAL", "BACKOFF", "EXITED"):
            return f"it is {record['statename']}: {record.get('spawnerr') or 'ended at once'}"
        return None

    def log_end(self, name: str, characters: int = 1500) -> str:
        """Return the end of a program's log."""
        path = self.settings.log_dir / f"{name}.log"
        return path.read_text(errors="replace")[-characters:].strip() if path.exists() else ""

    def shutdown(self) -> None:
        """End supervisord and wait for that."""
        pid = self.call("getPID")
        with suppress(OSError, xmlrpc.client.Error):
            self.call("shutdown")
        wait_for(lambda: not alive(pid), 60, "supervisord's end")

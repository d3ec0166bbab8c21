"""The commands a newcomer runs: bin/setup, make, microblog doctor."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from microblog.cli import COMMANDS
from microblog.settings import ROOT

CLI = ROOT / ".venv" / "bin" / "microblog"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_setup_again_finds_everything_and_needs_no_network() -> None:
    """Every package index is out of reach here, and nothing asks for one."""
    nowhere = "http://127.0.0.1:9"
    done = run("bin/setup", http_proxy=nowhere, https_proxy=nowhere, PIP_INDEX_URL=nowhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "distribution packages: all here" in done.stdout
    assert ".venv is as locked" in done.stdout
    assert re.search(r"PostgREST: .*postgrest, version \d+", done.stdout)
    assert all(line.startswith("setup: ") for line in done.stdout.splitlines())


def test_setup_elsewhere_says_what_is_missing_and_points_to_docker(tmp_path: Path) -> None:
    """A machine without apt-get, as macOS is: nothing can be installed by this script."""
    for tool in ("bash", "dirname", "mktemp", "rm", "tr", "sed", "id", "env"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    script = (ROOT / "bin" / "setup").read_text()
    elsewhere = tmp_path / "project" / "bin" / "setup"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(script.replace(":/usr/sbin:/sbin", "").replace("/usr/bin/python3", ""))
    done = run("/bin/bash", elsewhere, PATH=str(tmp_path), PYTHON="")
    assert done.returncode == 1
    for package in ("haproxy", "pgbouncer", "sqitch", "python3"):
        assert package in done.stderr
    assert "docker compose up" in done.stderr


def test_lock_files_pin_every_package_by_hash_and_name_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        packages = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==\S+.*\\$", text, re.MULTILINE)
        hashed = re.findall(r"^(\S+)==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
        assert len(packages) > 5
        assert len(packages) == len(hashed)
        assert "://" not in text
        assert "index-url" not in text
        wanted = (ROOT / name.replace("txt", "in")).read_text()
        asked = re.findall(r"^([A-Za-z][A-Za-z0-9._]*)", wanted, re.MULTILINE)
        assert {package.lower() for package in asked} <= {package.lower() for package in packages}


def test_make_lists_its_commands() -> None:
    shown = run("make", "--no-print-directory", "help").stdout
    assert shown == run("make", "--no-print-directory").stdout
    for target in ("demo", "test", "fuzz", "up", "down", "bench", "lint", "setup", "help"):
        assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE), target


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "make test"


def test_doctor_finds_this_machine_in_order() -> None:
    done = run(CLI, "doctor", "--stack", "doctor-only")
    assert done.returncode == 0, done.stdout
    for requirement in ("PostgreSQL", "PostgREST", "haproxy", "sqitch", "DBD::Pg", "service user"):
        assert re.search(rf"^ok +{requirement}: \S", done.stdout, re.MULTILINE), requirement
    assert not (ROOT / "var" / "doctor-only").exists()


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("PostgreSQL", "apt-get install -y postgresql"),
        ("PostgREST", "bin/setup"),
    ],
)
def test_doctor_says_what_is_missing_why_and_how_to_get_it(name: str, mend: str) -> None:
    done = run(
        CLI,
        "doctor",
        "--stack",
        "doctor-only",
        MICROBLOG_PG_BIN="/nowhere",
        MICROBLOG_POSTGREST="/nowhere/postgrest",
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if re.match(rf"missing +{name}:", line))
    assert lines[at + 1].strip().startswith("why:  ")
    assert mend in lines[at + 2]


def test_every_command_explains_itself() -> None:
    shown = run(CLI, "--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S", shown, re.MULTILINE), command
        assert run(CLI, command, "--help").returncode == 0, command


def test_errors_a_person_can_mend_come_without_a_traceback() -> None:
    done = run(CLI, "migrate", "--stack", "never-started")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: PostgreSQL does not run",
        "Start the stack: microblog up",
    ]

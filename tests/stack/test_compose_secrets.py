"""The secrets of a Docker stack: who gets which, and how they are rotated while it runs."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from microblog import migrate
from microblog.settings import ROOT, Settings
from microblog.stack import Stack, postgres
from microblog.stack.ports import free_ports
from microblog.stack.process import Process
from tests.stack.compose import SERVICES

DATABASE = "compose"
ROLES = ("postgres", "authenticator", "worker")


def secrets_script(folder: Path, *arguments: str) -> dict[str, str]:
    """Run docker/secrets.sh; returns all that its folder then holds, by path in it."""
    script = ["sh", ROOT / "docker" / "secrets.sh", *arguments]
    subprocess.run(script, env={**os.environ, "SECRETS_DIR": str(folder)}, check=True)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_secrets_are_made_once(tmp_path: Path) -> None:
    made = secrets_script(tmp_path)
    assert secrets_script(tmp_path) == made
    own = ("postgres", "authenticator", "worker", "jwt")
    assert {*own, "pgpass"} < set(made)
    assert len({made[name] for name in own}) == 4
    assert len(made["jwt"]) >= 32
    assert made["for/postgres/password"] == made["postgres"]
    for route in ("direct", "pooled"):
        parsed = psycopg.conninfo.conninfo_to_dict(made[f"for/postgrest/uri_{route}"])
        assert parsed["passfile"] == "/secrets/pgpass"
        assert "password" not in parsed
    for path, role in (
        ("pgpass", "postgres"), ("for/worker/pgpass", "worker"),
        ("for/postgrest/pgpass", "authenticator"),
    ):  # fmt: skip
        assert made[path] == f"*:*:*:{role}:{made[role]}\n"


def test_a_part_s_secrets_are_its_user_s_alone(tmp_path: Path) -> None:
    """Whatever the umask is; as root, which the container is, they are given to that user."""
    before = os.umask(0)
    try:
        secrets_script(tmp_path)
        secrets_script(tmp_path, "rotate", "key")
    finally:
        os.umask(before)
    users = {"": os.getuid()}
    for folder in (tmp_path / "for").iterdir():
        user = {"postgres": "999"}.get(folder.name) or SERVICES[folder.name]["user"]
        users[f"for/{folder.name}"] = int(user) if os.getuid() == 0 else os.getuid()
    assert len(users) == 5
    for name, user in users.items():
        folder = tmp_path / name
        for path in [folder, *(path for path in folder.iterdir() if path.is_file())]:
            mode = 0o700 if path.is_dir() else 0o600
            assert (path.stat().st_mode & 0o7777, path.stat().st_uid) == (mode, user), path


def test_every_secret_that_a_service_reads_is_made_for_it(tmp_path: Path) -> None:
    made = secrets_script(tmp_path)
    read = 0
    for name, service in SERVICES.items():
        text = json.dumps(service) + (
            (ROOT / "pgbouncer" / "compose.ini").read_text() if name == "pgbouncer" else ""
        )
        for path in re.findall(
            r"/secrets/(?!for/)([\w.]+)", text.replace("${MICROBLOG_ROUTE:-", "")
        ):
            read += 1
            assert f"for/{name}/{path}" in made, (name, path)
    assert read >= 5


def honoured(folder: Path) -> list[str]:
    """Return the keys that PostgREST honours, as text."""
    keys = json.loads((folder / "for" / "postgrest" / "jwks.json").read_text())["keys"]
    return [base64.urlsafe_b64decode(k["k"] + "=" * (-len(k["k"]) % 4)).decode() for k in keys]


def test_the_next_key_is_honoured_before_it_signs_and_an_old_one_up_to_its_time(
    tmp_path: Path,
) -> None:
    first = secrets_script(tmp_path)["jwt"]
    assert honoured(tmp_path) == [first]
    for _ in range(2):  # a rotation that broke off, and the one after it
        made = secrets_script(tmp_path, "rotate", "key")
        assert made["jwt"] == first
        assert honoured(tmp_path) == [first, made["jwt.next"]]
        assert len(made["jwt.next"]) >= 32
    for until in (int(time.time()), int(time.time()) + 1000):
        (tmp_path / f"jwt.until-{until}").write_text(f"until {until}")
    secrets_script(tmp_path)
    assert honoured(tmp_path) == [first, made["jwt.next"], f"until {until}"]


class Composed:
    """The database and the secrets of a Docker stack; its scripts run here, in no container.

    A command ``docker`` stands in for Docker: it notes what it is asked for, and runs what a
    container would run. PostgreSQL is reached by TCP and asks for passwords, as it does there.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder, self.bin = settings, folder / "secrets", folder / "bin"
        self.folder.mkdir()
        self.bin.mkdir()
        self.environment = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "SECRETS_DIR": str(self.folder),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(settings.pg_port),
            "PGDATABASE": DATABASE,
        }
        self.put(
            "docker",
            """echo "$@" >>"$0.log"
            case "$*" in
              *" run "*secrets*) shift 5; exec sh docker/secrets.sh "$@" ;;
              *" run "*migrate*) exec sh docker/migrate.sh ;;
            esac""",
        )

    def put(self, name: str, script: str) -> None:
        """Let a command be this script."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def remove(self, name: str) -> None:
        for path in self.bin.glob(f"{name}*"):
            path.unlink()

    def run(
        self, name: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        (self.bin / "docker.log").unlink(missing_ok=True)
        return subprocess.run(
            ["sh", ROOT / "docker" / f"{name}.sh", *arguments],
            env=self.environment | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def done(self, name: str, *arguments: str) -> None:
        ran = self.run(name, *arguments)
        assert ran.returncode == 0, ran.stderr

    def asked_of_docker(self) -> list[list[str]]:
        """Return what Docker was asked for by the last script that ran."""
        return [line.split() for line in (self.bin / "docker.log").read_text().splitlines()]

    def secret(self, name: str) -> str:
        return (self.folder / name).read_text()

    def logs_in(self, role: str, password: str) -> bool:
        login = f"host=127.0.0.1 port={self.settings.pg_port} dbname={DATABASE} user={role}"
        try:
            psycopg.connect(login, password=password, connect_timeout=10).close()
        except psycopg.OperationalError as error:
            assert "password authentication failed" in str(error)
            return False
        return True

    def all_log_in(self) -> None:
        """Every role logs in by its file, and each part's file says the same."""
        passwords = {role: self.secret(role) for role in ROLES}
        assert len(set(passwords.values())) == len(ROLES)
        for role, password in passwords.items():
            assert self.logs_in(role, password), role
        assert self.secret("for/postgres/password") == passwords["postgres"]
        assert (
            self.secret("for/pgbouncer/userlist.txt").split()[1].strip('"') == passwords[ROLES[1]]
        )
        for path, role in (
            ("pgpass", "postgres"), ("for/postgrest/pgpass", "authenticator"),
            ("for/worker/pgpass", "worker"),
        ):  # fmt: skip
            assert self.secret(path) == f"*:*:*:{role}:{passwords[role]}\n"

    def value(self, query: str) -> Any:
        """Run a statement in the database; returns the first column of its row, if it has one."""
        with postgres.connect(self.settings, DATABASE) as connection:
            cursor = connection.execute(query)
            row = cursor.fetchone() if cursor.description else None
        return row and row[0]

    def signing_key(self) -> str:
        return self.value("select value from app.secrets where name = 'jwt'")


@pytest.fixture(scope="module")
def composed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """A Docker stack's database, deployed; the tests share it, and each leaves it working."""
    settings = stack.settings
    made = Composed(settings, tmp_path_factory.mktemp("composed"))
    made.done("secrets")
    postgres.create_database(settings, DATABASE)
    try:  # the superuser's password is what the image gives to initdb
        made.value(f"alter role postgres password '{made.secret('for/postgres/password')}'")
        made.done("migrate")
        yield made
    finally:
        made.value("alter role postgres password null")
        migrate.install_secrets(settings)
        postgres.drop_database(settings, DATABASE)


def test_one_command_rotates(composed: Composed) -> None:
    """What it asks of Docker: first who checks learns the new key, then who signs with it."""
    names = (*ROLES, "jwt")
    before = {name: composed.secret(name) for name in names}
    composed.done("rotate")
    steps = composed.asked_of_docker()
    named = [[word for word in step if word in SERVICES] for step in steps]
    assert [(service, step[-1]) for (service,), step in zip(named, steps, strict=True)] == [
        ("secrets", "key"),
        ("postgrest", "postgrest"),
        ("secrets", "sign"),
        ("secrets", "passwords"),
        ("pgbouncer", "pgbouncer"),
    ]
    assert not [step for step in steps if {"up", "restart", "stop"} & set(step)]
    after = {name: composed.secret(name) for name in names}
    assert not set(before.values()) & set(after.values())
    assert composed.signing_key() == after["jwt"]
    assert set(honoured(composed.folder)) >= {before["jwt"], after["jwt"]}
    composed.all_log_in()
    for role in ROLES:
        assert not composed.logs_in(role, before[role])
    assert not list(composed.folder.rglob("*.next"))


def until_of(composed: Composed, key: str) -> int:
    """Return until when a key that signs no more is honoured, in seconds since 1970."""
    (path,) = (p for p in composed.folder.glob("jwt.until-*") if p.read_text() == key)
    return int(path.name.removeprefix("jwt.until-"))


@pytest.mark.parametrize("lifetime", [3600, 1_000_000])
def test_the_old_key_is_honoured_for_as_long_as_the_database_lets_its_tokens_last(
    composed: Composed, lifetime: int
) -> None:
    old = composed.signing_key()
    assert old == composed.secret("jwt")
    setting = "update app.settings set value = {} where name = 'session_lifetime'"
    composed.value(setting.format(lifetime))
    try:
        now = composed.value("select extract(epoch from now())::bigint")
        composed.done("rotate")
    finally:
        composed.value(setting.format(3600))
    assert now + lifetime <= until_of(composed, old) <= now + lifetime + 600
    assert old in honoured(composed.folder)


def test_the_old_key_is_honoured_until_the_last_session_that_it_signed_ends(
    composed: Composed,
) -> None:
    """Also where the lifetime of sessions was made shorter meanwhile."""
    old = composed.signing_key()
    last = composed.value(
        "with u as (insert into app.users (username) values ('lasting') returning id)"
        " insert into app.sessions (user_id, expires_at)"
        " select id, now() + interval '30 days' from u"
        " returning ceil(extract(epoch from expires_at))::bigint"
    )
    try:
        composed.done("rotate")
    finally:
        composed.value("delete from app.sessions")
    assert until_of(composed, old) >= last


def test_where_the_database_cannot_be_asked_both_keys_stay_and_the_next_rotation_ends_it(
    composed: Composed,
) -> None:
    old = composed.signing_key()
    passwords = [composed.secret(role) for role in ROLES]
    (port,) = free_ports(1)
    broken = composed.run("rotate", PGPORT=str(port))
    assert broken.returncode != 0
    assert "does not say how long tokens of the old key last" in broken.stderr
    assert "Connection refused" in broken.stderr
    assert [step[-1] for step in composed.asked_of_docker()] == ["key", "postgrest", "sign"]
    following = composed.secret("jwt.next")
    assert honoured(composed.folder)[:2] == [old, following]
    assert [composed.secret(role) for role in ROLES] == passwords
    composed.done("migrate")
    assert composed.signing_key() == composed.secret("jwt") == old
    composed.done("rotate")
    assert composed.signing_key() == composed.secret("jwt") == following
    assert not (composed.folder / "jwt.next").exists()
    assert old in honoured(composed.folder)


def test_the_database_signs_with_no_key_that_was_not_made(composed: Composed) -> None:
    key = composed.signing_key()
    ran = composed.run("secrets", "rotate", "sign")
    assert (ran.returncode, "no next key" in ran.stderr) == (1, True)
    assert composed.signing_key() == composed.secret("jwt") == key


def test_passwords_that_the_database_does_not_take_are_in_no_file_that_is_read(
    composed: Composed,
) -> None:
    before = [composed.secret(role) for role in ROLES]
    composed.put("psql", "echo refused >&2; exit 3")
    try:
        ran = composed.run("rotate")
        assert ran.returncode != 0
        ran = composed.run("secrets", "rotate", "passwords")
    finally:
        composed.remove("psql")
    assert ran.returncode == 1
    assert "the database does not take the new passwords" in ran.stderr
    assert [composed.secret(role) for role in ROLES] == before
    composed.all_log_in()
    composed.done("rotate")
    composed.all_log_in()


@pytest.mark.parametrize("then", ["it is rotated again", "the stack is started again"])
def test_a_rotation_of_passwords_that_is_killed_once_the_database_has_them_locks_nobody_out(
    composed: Composed, then: str
) -> None:
    """Each time one file further; afterwards every file is the database's again."""
    psql, mv = shutil.which("psql"), shutil.which("mv")
    broken = 0
    for files in range(100):
        composed.put(
            "psql",
            f"""case "$*" in *passwords.sql*) : >"${{0%/*}}/mv.count" ;; esac
            exec {psql} "$@" """,
        )
        composed.put(
            "mv",
            f"""if [ ! -e "$0.count" ]; then exec {mv} "$@"; fi
            if [ "$(wc -l <"$0.count")" = {files} ]; then kill -KILL $PPID; exit; fi
            echo >>"$0.count"
            exec {mv} "$@" """,
        )
        try:
            ran = composed.run("secrets", "rotate", "passwords")
        finally:
            composed.remove("psql")
            composed.remove("mv")
        if ran.returncode == 0:
            break
        # The script itself, or a part of it that runs in a shell of its own.
        assert ran.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), ran.stderr
        broken += 1
        if then == "it is rotated again":
            composed.done("secrets", "rotate", "passwords")
            assert not list(composed.folder.rglob("*.next"))
        else:
            composed.done("secrets")
            composed.put("sqitch", "")  # nothing is to be deployed
            composed.done("migrate")
            composed.remove("sqitch")
        composed.all_log_in()
    assert broken > 2 * len(ROLES)


def test_postgrest_reads_the_keys_that_the_script_writes() -> None:
    assert SERVICES["postgrest"]["environment"]["PGRST_JWT_SECRET"] == "@/secrets/jwks.json"
    assert SERVICES["keys"]["entrypoint"] == ["/bin/sh", "/docker/secrets.sh", "keep"]
    assert ":ro" not in next(v for v in SERVICES["keys"]["volumes"] if v.startswith("secrets:"))


def test_the_keeper_forgets_an_expired_key_and_tells_postgrest(
    stack: Stack, tmp_path: Path
) -> None:
    settings = stack.settings
    environment = {
        **os.environ,
        "SECRETS_DIR": str(tmp_path),
        "PGHOST": str(settings.socket_dir),
        "PGPORT": str(settings.pg_port),
    }
    script = ["sh", ROOT / "docker" / "secrets.sh"]
    old = tmp_path / f"jwt.until-{int(time.time()) + 1000}"
    old.write_text("x" * 48)
    subprocess.run(script, env=environment, check=True)
    assert len(honoured(tmp_path)) == 2
    old.rename(tmp_path / "jwt.until-1")
    with postgres.connect(settings) as listener:
        listener.execute("listen pgrst")
        keeper = Process("keep", [*script, "keep"], tmp_path / "log", env=environment)
        with keeper:
            (heard,) = listener.notifies(timeout=30, stop_after=1)
    assert heard.payload == "reload config"
    assert len(honoured(tmp_path)) == 1


def test_migrating_hands_the_database_its_secrets(composed: Composed) -> None:
    for _ in range(2):
        composed.all_log_in()
        assert composed.signing_key() == composed.secret("jwt")
        composed.value("alter role worker password null")
        composed.value("update app.secrets set value = repeat('x', 48)")
        composed.done("migrate")

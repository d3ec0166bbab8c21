"""docker-compose.yml describes the same stack as the local one, from the same files."""

import base64
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from microblog import migrate
from microblog.settings import ROOT, Settings
from microblog.stack import Stack, postgres, proxy, rest
from microblog.stack.fetch import VERSION as POSTGREST_VERSION
from microblog.stack.process import Process

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"secrets", "migrate"}


def mounts(service: str) -> dict[str, str]:
    """Return what a service mounts: path in the container -> path or volume here."""
    pairs = (entry.split(":") for entry in SERVICES[service].get("volumes", []))
    return {inside: outside for outside, inside, *_ in pairs}


def source_of(service: str, path: str) -> Path:
    """Return the project's file behind a path in a container."""
    for inside, outside in mounts(service).items():
        if path == inside or path.startswith(inside + "/"):
            return ROOT / (outside + path.removeprefix(inside))
    raise AssertionError(f"{service} mounts nothing at {path}")


def ini(path: str) -> dict[str, str]:
    lines = (ROOT / path).read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and line[0] not in ";#")
    return {name.strip(): value.strip().strip('"') for name, value in pairs}


@pytest.mark.parametrize("service", SERVICES)
def test_every_mounted_file_exists(service: str) -> None:
    for outside in mounts(service).values():
        if outside.startswith("."):
            assert (ROOT / outside).exists(), outside
        else:
            assert outside in COMPOSE["volumes"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_is_pinned(service: str) -> None:
    tag = SERVICES[service]["image"].rpartition(":")[2]
    assert re.search(r"\d+\.\d+", tag), SERVICES[service]["image"]


def test_the_workers_image_is_built_from_a_pinned_one_and_locked_packages() -> None:
    build = SERVICES["worker"]["build"]
    recipe = (ROOT / build["context"] / build["dockerfile"]).read_text()
    assert re.search(r"^FROM python:3\.\d+\.\d+", recipe, re.MULTILINE)
    assert "--require-hashes -r requirements.txt" in recipe
    for source in re.findall(r"^COPY (\S+) ", recipe, re.MULTILINE):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in (ROOT / ".dockerignore").read_text().split()


@pytest.mark.parametrize("service", sorted(set(SERVICES) - ONE_SHOT))
def test_every_lasting_service_is_watched_and_restarted(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[service]["restart"] == "unless-stopped"


def test_services_wait_for_what_they_need() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "completed_successfully" if needed in ONE_SHOT else "healthy"
            assert how["condition"] == f"service_{expected}", (name, needed)


def test_versions_are_those_the_project_asks_for() -> None:
    versions = {
        name: tuple(map(int, re.findall(r"\d+", service["image"].rpartition(":")[2])))
        for name, service in SERVICES.items()
    }
    assert versions["postgres"] >= (17,)
    assert versions["pgbouncer"][:3] >= (1, 25, 2)
    assert versions["haproxy"] >= (2, 6)
    told = SERVICES["haproxy"]["environment"]["MICROBLOG_POSTGREST_VERSION"]
    assert tuple(map(int, told.split("."))) == versions["postgrest"]
    assert SERVICES["postgrest"]["image"].endswith(f":v{POSTGREST_VERSION}")


def test_postgrest_reads_the_same_file_and_gets_every_variable_it_gets_here() -> None:
    service = SERVICES["postgrest"]
    local = Settings()
    assert source_of("postgrest", service["command"][1]) == Path(rest.argv(local)[1])
    here = rest.environment(local, local.rest_ports[0], local.rest_admin_ports[0])
    assert set(service["environment"]) == set(here)
    conf = ini("api/postgrest.conf")
    assert conf["db-schemas"] == "api"
    assert not {f"PGRST_{name.upper().replace('-', '_')}" for name in conf} & set(here)


def test_haproxy_reads_the_same_files_and_gets_every_variable_they_name() -> None:
    service = SERVICES["haproxy"]
    files = [source_of("haproxy", part) for part in service["command"] if part.endswith(".cfg")]
    assert files[0] == ROOT / "api" / "haproxy.cfg"
    text = "".join(path.read_text() for path in files)
    named = set(re.findall(r"\$\{(\w+)\}", text))
    optional = set(re.findall(r"\$\{(\w+)-", text))
    scripts = "".join(path.read_text() for path in (ROOT / "api").glob("*.lua"))
    named |= set(re.findall(r"%\[env\((\w+)\)\]", text))
    optional |= set(re.findall(r'tonumber\(os\.getenv\("(\w+)"\)\) or', scripts))
    named |= set(re.findall(r'os\.getenv\("(\w+)"\)', scripts)) - optional
    here = set(proxy.environment(Settings(), "", 0, Path("admin.sock")))
    assert named == here
    assert named <= set(service["environment"]) <= named | optional
    for path in proxy.configuration_files(Settings()):
        assert path.is_relative_to(ROOT / "api")


def test_haproxy_finds_postgrest_where_it_listens() -> None:
    environment = SERVICES["postgrest"]["environment"]
    servers = (ROOT / "api" / "haproxy.servers.cfg").read_text()
    port, admin = environment["PGRST_SERVER_PORT"], environment["PGRST_ADMIN_SERVER_PORT"]
    assert f" postgrest:{port} check port {admin} " in servers


def test_the_public_port_is_the_same() -> None:
    (published,) = SERVICES["haproxy"]["ports"]
    assert published == f"${{MICROBLOG_PORT:-{Settings().port}}}:8080"
    assert SERVICES["haproxy"]["environment"]["MICROBLOG_BIND"].endswith(":8080")


def test_postgres_reads_the_same_file() -> None:
    command = SERVICES["postgres"]["command"]
    config = next(part for part in command if part.startswith("config_file=")).partition("=")[2]
    shared = source_of("postgres", config)
    assert shared == ROOT / "postgres" / "postgresql.conf"
    assert str(shared) in postgres.configuration(Settings())
    environment = SERVICES["postgres"]["environment"]
    assert environment["POSTGRES_DB"] == Settings().database
    assert "--locale=C.UTF-8 --encoding=UTF8" in environment["POSTGRES_INITDB_ARGS"]


def test_pgbouncer_includes_the_same_file() -> None:
    entry = source_of("pgbouncer", "/etc/pgbouncer/pgbouncer.ini")
    included = re.search(r"^%include (\S+)$", entry.read_text(), re.MULTILINE)
    assert included
    assert source_of("pgbouncer", included[1]) == ROOT / "pgbouncer" / "pgbouncer.ini"
    assert ini("pgbouncer/pgbouncer.ini")["pool_mode"] == "transaction"
    port = ini("pgbouncer/compose.ini")["listen_port"]
    assert f" pooled=pgbouncer:{port};" in (ROOT / "docker" / "secrets.sh").read_text()


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
        secrets_script(tmp_path, "rotate", "passwords")
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


def test_a_service_mounts_the_secrets_of_its_own_and_no_others() -> None:
    mounted = {
        name: {v.removesuffix(":ro") for v in service.get("volumes", []) if v.startswith("secrets")}
        for name, service in SERVICES.items()
    }
    for part in ("postgres", "postgrest", "pgbouncer", "worker"):
        assert mounted.pop(part) == {f"secrets_{part}:/secrets"}
        assert f"secrets_{part}:/secrets:ro" in SERVICES[part]["volumes"]
    assert mounted.pop("secrets") == {"secrets:/secrets"} | {
        f"secrets_{part}:/secrets/for/{part}"
        for part in ("postgres", "postgrest", "pgbouncer", "worker")
    }
    assert mounted.pop("keys") == {
        "secrets:/secrets", "secrets_postgrest:/secrets/for/postgrest",
    }  # fmt: skip
    assert mounted.pop("migrate") == {"secrets:/secrets"}
    assert set().union(*mounted.values()) == set()


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


def test_no_secret_is_in_an_environment() -> None:
    """Which is shown by `docker inspect`, and inherited by all that a process starts."""
    scripts = [path.read_text() for path in (ROOT / "docker").iterdir()]
    for text in [(ROOT / "docker-compose.yml").read_text(), *scripts]:
        assert "PGPASSWORD" not in text
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or name.endswith("_FILE"), (name, value)


def test_secrets_rotate_and_old_keys_are_forgotten(tmp_path: Path) -> None:
    def honoured(files: dict[str, str]) -> list[str]:
        keys = [jwk["k"] for jwk in json.loads(files["for/postgrest/jwks.json"])["keys"]]
        return [base64.urlsafe_b64decode(k + "=" * (-len(k) % 4)).decode() for k in keys]

    first = secrets_script(tmp_path)
    assert honoured(first) == [first["jwt"]]
    second, third = (secrets_script(tmp_path, "rotate", "key") for _ in range(2))
    keys = {files["jwt"] for files in (first, second, third)}
    assert len(keys) == 3
    assert honoured(third)[0] == third["jwt"]
    assert set(honoured(third)) == keys
    for name, path in ((name, tmp_path / name) for name in third if name.startswith("jwt.until-")):
        assert 3600 < int(name.removeprefix("jwt.until-")) - time.time() < 3600 + 660
        if path.read_text() == first["jwt"]:
            path.rename(tmp_path / f"jwt.until-{int(time.time())}")
    assert set(honoured(secrets_script(tmp_path))) == {second["jwt"], third["jwt"]}

    fourth = secrets_script(tmp_path, "rotate", "passwords")
    for name in ("authenticator", "worker"):
        assert fourth[name] != third[name]
    assert fourth["jwt"] == third["jwt"]
    for path in ("for/postgrest/pgpass", "for/pgbouncer/userlist.txt"):
        assert fourth["authenticator"] in fourth[path]
    assert fourth["worker"] in fourth["for/worker/pgpass"]


def test_one_command_rotates(tmp_path: Path) -> None:
    """What it asks of Docker: first who checks learns the new key, then who signs with it."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$@" >>"$0.log"\n')
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", ROOT / "docker" / "rotate.sh"], env=environment, check=True)
    steps = [line.split() for line in (tmp_path / "docker.log").read_text().splitlines()]
    named = [[word for word in step if word in SERVICES] for step in steps]
    assert [(service, step[-1]) for (service,), step in zip(named, steps, strict=True)] == [
        ("secrets", "key"),
        ("postgrest", "postgrest"),
        ("migrate", "migrate"),
        ("secrets", "passwords"),
        ("migrate", "migrate"),
        ("pgbouncer", "pgbouncer"),
    ]
    assert not [step for step in steps if {"up", "restart", "stop"} & set(step)]


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
    subprocess.run(script, env=environment, check=True)
    subprocess.run([*script, "rotate", "key"], env=environment, check=True)
    (old,) = tmp_path.glob("jwt.until-*")
    old.rename(tmp_path / "jwt.until-1")
    keys = tmp_path / "for" / "postgrest" / "jwks.json"
    with postgres.connect(settings) as listener:
        listener.execute("listen pgrst")
        keeper = Process("keep", [*script, "keep"], tmp_path / "log", env=environment)
        with keeper:
            (heard,) = listener.notifies(timeout=30, stop_after=1)
    assert heard.payload == "reload config"
    assert len(json.loads(keys.read_text())["keys"]) == 1


def test_migrating_hands_the_database_its_secrets(stack: Stack, tmp_path: Path) -> None:
    settings = stack.settings
    environment = {
        **os.environ,
        "SECRETS_DIR": str(tmp_path),
        "PGHOST": str(settings.socket_dir),
        "PGPORT": str(settings.pg_port),
        "PGDATABASE": "compose",
    }
    secrets, deploy = (["sh", ROOT / "docker" / f"{name}.sh"] for name in ("secrets", "migrate"))
    subprocess.run(secrets, env=environment, check=True)
    postgres.create_database(settings, "compose")
    try:
        for _ in range(2):
            subprocess.run(deploy, env=environment, cwd=ROOT, check=True, capture_output=True)
        for role in ("authenticator", "worker"):
            login = f"host=127.0.0.1 port={settings.pg_port} dbname=compose user={role}"
            with psycopg.connect(login, password=(tmp_path / role).read_text()) as connection:
                assert connection.execute("select 1").fetchone() == (1,)
    finally:
        migrate.install_secrets(settings)
        postgres.drop_database(settings, "compose")

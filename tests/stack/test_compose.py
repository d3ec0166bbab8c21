"""docker-compose.yml describes the same stack as the local one, from the same files."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from microblog.settings import ROOT, Settings
from microblog.stack import postgres, proxy, rest
from microblog.stack.fetch import VERSION as POSTGREST_VERSION
from tests.stack.compose import COMPOSE, SERVICES

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
    named -= {"MICROBLOG_THREADS"}  # a container has the cores that it is given
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


def test_no_secret_is_in_an_environment() -> None:
    """Which is shown by `docker inspect`, and inherited by all that a process starts."""
    scripts = [path.read_text() for path in (ROOT / "docker").iterdir()]
    for text in [(ROOT / "docker-compose.yml").read_text(), *scripts]:
        assert "PGPASSWORD" not in text
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or name.endswith("_FILE"), (name, value)


@pytest.mark.parametrize("data", ["an empty folder", "a cluster"])
def test_the_server_starts_without_the_password_of_its_set_up(tmp_path: Path, data: str) -> None:
    """The image's two scripts, as far as they matter here: each exports what the file holds."""
    for name in ("docker-ensure-initdb.sh", "docker-entrypoint.sh"):
        script = tmp_path / name
        script.write_text(
            "#!/bin/sh\n"
            'export POSTGRES_PASSWORD="$(cat "${POSTGRES_PASSWORD_FILE:-/dev/null}")"\n'
            'echo "$0" "$@" >>"${0%/*}/ran"; env >>"${0%/*}/ran"\n'
        )
        script.chmod(0o755)
    (tmp_path / "password").write_text("a-long-secret")
    if data == "a cluster":
        (tmp_path / "PG_VERSION").write_text("17\n")
    service = SERVICES["postgres"]
    *shell, inside = service["entrypoint"]
    assert shell == ["/bin/sh"]
    subprocess.run(
        [*shell, source_of("postgres", inside), *service["command"]],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PGDATA": str(tmp_path),
            "POSTGRES_PASSWORD_FILE": str(tmp_path / "password"),
        },
        check=True,
    )
    before, started, after = (
        (tmp_path / "ran")
        .read_text()
        .partition(" ".join([str(tmp_path / "docker-entrypoint.sh"), *service["command"]]) + "\n")
    )
    assert started
    assert "PGDATA=" in after
    assert "a-long-secret" not in after
    assert "POSTGRES_PASSWORD_FILE" not in after
    assert ("POSTGRES_PASSWORD=a-long-secret" in before) == (data == "an empty folder")


def test_no_server_starts_where_the_set_up_failed(tmp_path: Path) -> None:
    for name, script in (
        ("docker-ensure-initdb.sh", "exit 3"), ("docker-entrypoint.sh", ': >"$PGDATA/started"'),
    ):  # fmt: skip
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    ran = subprocess.run(
        ["sh", ROOT / "docker" / "postgres.sh", "postgres"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "PGDATA": str(tmp_path)},
        check=False,
    )
    assert (ran.returncode, (tmp_path / "started").exists()) == (3, False)

"""How PostgREST gets here: PATH, the official release, npm; each said, none trusted unchecked."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from microblog.errors import MissingProgramError
from microblog.stack import binaries, fetch
from microblog.stack.ports import free_ports

PROGRAM = b'#!/bin/sh\necho "PostgREST 16.2"\n'


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder over HTTP; return it with its address."""
    folder = tmp_path / "releases"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have neither PostgREST nor npm on PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(binaries, "SEARCH_PATH", str(tools))
    for name in ("MICROBLOG_POSTGREST", "MICROBLOG_POSTGREST_URL", "MICROBLOG_POSTGREST_SHA256"):
        monkeypatch.delenv(name, raising=False)


def pack(path: Path, member: str = "postgrest", content: bytes = PROGRAM) -> str:
    """Write an archive with one program and return its SHA-256."""
    mode = "w:xz" if path.suffix == ".xz" else "w:gz"
    with tarfile.open(path, mode) as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def release(releases: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Offer an archive as the official release; ``sha256`` overrides its true checksum."""

    def offer(name: str = "postgrest.tar.xz", sha256: str = "", **content: object) -> str:
        folder, address = releases
        actual = pack(folder / name, **content)  # type: ignore[arg-type]
        monkeypatch.setenv("MICROBLOG_POSTGREST_URL", f"{address}/{name}")
        monkeypatch.setenv("MICROBLOG_POSTGREST_SHA256", sha256 or actual)
        return f"{address}/{name}"

    return offer


@pytest.mark.parametrize("name", ["postgrest.tar.xz", "postgrest.tar.gz"])
def test_release_is_downloaded_and_used_from_then_on(
    tmp_path: Path, release: Callable[..., str], name: str
) -> None:
    url = release(name)
    said: list[str] = []
    program = fetch.obtain(tmp_path, said.append)
    assert program == tmp_path / "var" / "bin" / "postgrest"
    assert binaries.version_of(program) == (16, 2)
    assert any(url in line for line in said)
    said.clear()
    assert fetch.obtain(tmp_path, said.append) == program
    assert len(said) == 1


def test_a_program_on_path_comes_first(tmp_path: Path, release: Callable[..., str]) -> None:
    release()
    own = tmp_path / "tools" / "postgrest"
    own.write_bytes(PROGRAM)
    own.chmod(0o755)
    assert fetch.obtain(tmp_path, [].append) == own
    assert not (tmp_path / "var").exists()


def test_an_old_program_on_path_is_not_used(tmp_path: Path, release: Callable[..., str]) -> None:
    release()
    old = tmp_path / "tools" / "postgrest"
    old.write_bytes(PROGRAM.replace(b"16.2", b"9.0.1"))
    old.chmod(0o755)
    program = fetch.obtain(tmp_path, [].append)
    assert program == tmp_path / "var" / "bin" / "postgrest"
    assert binaries.postgrest(tmp_path) == program


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"member": "other"}, "holds no postgrest"),
        ({"content": b"#!/nowhere/sh\n"}, "does not run here"),
    ],
)
def test_an_archive_that_is_not_what_it_should_be_is_refused(
    tmp_path: Path, release: Callable[..., str], offer: dict[str, object], reason: str
) -> None:
    release(**offer)
    said: list[str] = []
    with pytest.raises(MissingProgramError) as refused:
        fetch.obtain(tmp_path, said.append)
    assert any(reason in line for line in said)
    assert reason in refused.value.message
    assert not (tmp_path / "var" / "bin" / "postgrest").exists()


def test_every_path_tried_is_said_when_none_leads_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (closed,) = free_ports(1)
    url = f"http://127.0.0.1:{closed}/postgrest.tar.xz"
    monkeypatch.setenv("MICROBLOG_POSTGREST_URL", url)
    said: list[str] = []
    with pytest.raises(MissingProgramError) as refused:
        fetch.obtain(tmp_path, said.append)
    assert any(url in line for line in said)
    assert any("npm" in line for line in said)
    assert url in refused.value.message
    assert "npm" in refused.value.message
    assert "MICROBLOG_POSTGREST" in refused.value.hint


def test_an_address_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes the connection and never says a word."""
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)
    with http.server.socketserver.TCPServer(
        ("127.0.0.1", 0), http.server.BaseHTTPRequestHandler
    ) as silent:
        url = f"http://127.0.0.1:{silent.server_address[1]}/postgrest.tar.xz"
        monkeypatch.setenv("MICROBLOG_POSTGREST_URL", url)
        with pytest.raises(MissingProgramError, match="timed out"):
            fetch.obtain(tmp_path, [].append)


@pytest.mark.parametrize("stream", ["1", "2"], ids=["stdout", "stderr"])
@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            '{\n  "error": {\n    "code": "ECONNREFUSED",\n    "summary": "request failed",\n'
            '    "detail": "If you are behind a proxy"\n  }\n}',
            "npm failed: ECONNREFUSED: request failed",
        ),
        ("first\nno space left", "npm failed: no space left"),
        ("", "npm failed: without a word"),
    ],
)
def test_the_reason_that_npm_gives_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, reason: str, stream: str
) -> None:
    """npm is stood in for by a script that fails as npm does, on the output its version chooses."""
    (closed,) = free_ports(1)
    monkeypatch.setenv("MICROBLOG_POSTGREST_URL", f"http://127.0.0.1:{closed}/x.tar.xz")
    npm = tmp_path / "tools" / "npm"
    npm.write_text(f"#!/bin/sh\n/bin/cat >&{stream} <<'END'\n{output}\nEND\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(MissingProgramError) as refused:
        fetch.obtain(tmp_path, [].append)
    assert reason in refused.value.message


def test_an_npm_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (closed,) = free_ports(1)
    monkeypatch.setenv("MICROBLOG_POSTGREST_URL", f"http://127.0.0.1:{closed}/x.tar.xz")
    monkeypatch.setattr(fetch, "NPM_TIMEOUT", 0.2)
    npm = tmp_path / "tools" / "npm"
    npm.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    npm.chmod(0o755)
    with pytest.raises(MissingProgramError, match=r"npm did not answer within 0\.2 s"):
        fetch.obtain(tmp_path, [].append)


def test_npm_package_with_another_integrity_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """npm is stood in for by a script that packs what nobody pinned."""
    (closed,) = free_ports(1)
    monkeypatch.setenv("MICROBLOG_POSTGREST_URL", f"http://127.0.0.1:{closed}/x.tar.xz")
    pack(tmp_path / "evil.tgz", "package/postgrest")
    npm = tmp_path / "tools" / "npm"
    npm.write_text(
        '#!/bin/sh\nwhile [ "$1" != --pack-destination ]; do shift; done\n'
        f'/bin/cp {tmp_path}/evil.tgz "$2/"\n'
    )
    npm.chmod(0o755)
    with pytest.raises(MissingProgramError, match="integrity"):
        fetch.obtain(tmp_path, [].append)
    assert not (tmp_path / "var" / "bin" / "postgrest").exists()


def test_a_named_program_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROBLOG_POSTGREST", "/nowhere/postgrest")
    with pytest.raises(MissingProgramError, match="/nowhere/postgrest"):
        fetch.obtain(tmp_path, [].append)

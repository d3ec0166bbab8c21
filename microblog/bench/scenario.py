"""Scenarios: small declarative files under ``bench/scenarios``."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from microblog.errors import StackError
from microblog.settings import ROOT

BENCH = ROOT / "bench"


@dataclass(frozen=True)
class Load:
    """One side of a pair: a path to GET over HTTP, or a pgbench script.

    ``setup`` is SQL that is run before each round of this side (paths are relative to ``bench/``).
    """

    name: str
    path: str | None = None
    script: Path | None = None
    setup: Path | None = None


@dataclass(frozen=True)
class Scenario:
    """Two loads that take turns, with the number of concurrent clients."""

    name: str
    title: str
    unit: str
    kind: str
    clients: int
    subject: Load
    baseline: Load


def _load(table: dict[str, str], file: Path) -> Load:
    files = {key: BENCH / table[key] for key in ("script", "setup") if key in table}
    for path in files.values():
        if not path.is_file():
            raise StackError(f"{file} names {path}, which does not exist")
    return Load(name=table["name"], path=table.get("path"), **files)


def read(file: Path) -> Scenario:
    """Read one scenario; raise StackError where the file says something impossible."""
    table = tomllib.loads(file.read_text())
    try:
        scenario = Scenario(
            name=file.stem,
            title=table["title"],
            unit=table["unit"],
            kind=table["kind"],
            clients=table["clients"],
            subject=_load(table["subject"], file),
            baseline=_load(table["baseline"], file),
        )
    except KeyError as missing:
        raise StackError(f"{file} lacks {missing}") from missing
    wanted = {"http": "path", "sql": "script"}.get(scenario.kind)
    if wanted is None:
        raise StackError(f"{file}: kind is http or sql, not {scenario.kind}")
    for load in (scenario.subject, scenario.baseline):
        if getattr(load, wanted) is None:
            raise StackError(f"{file}: {load.name!r} needs a {wanted}")
    return scenario


def read_all(names: tuple[str, ...] = ()) -> list[Scenario]:
    """Read the named scenarios, or all there are, in the order of their names."""
    files = {file.stem: file for file in sorted((BENCH / "scenarios").glob("*.toml"))}
    unknown = [name for name in names if name not in files]
    if unknown:
        raise StackError(f"no scenario {unknown[0]}", f"There are: {', '.join(files)}.")
    return [read(files[name]) for name in names or files]

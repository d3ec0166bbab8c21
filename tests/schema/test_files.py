"""The folder sql/ and the plan say the same, and each script is what its name says."""

import re
from pathlib import Path

from microblog.settings import ROOT

SQL = ROOT / "sql"
HALVES = ("revert", "verify", "reworked")


def planned() -> list[str]:
    """The names of all changes in the plan, in its order."""
    lines = (ROOT / "sqitch.plan").read_text().splitlines()
    return [
        line.split()[0] for line in lines if line.strip() and not line.startswith(("%", "@", "#"))
    ]


def scripts(folder: Path) -> set[str]:
    """The names of the changes that have a script in this folder."""
    return {
        str(path.relative_to(folder).with_suffix(""))
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_each_change_has_deploy_revert_and_verify_and_nothing_else_lies_in_sql() -> None:
    changes = set(planned())
    assert len(changes) > 60
    assert scripts(SQL / "revert") == changes
    assert scripts(SQL / "verify") == changes
    deployed = {
        name for name in scripts(SQL) if not name.startswith(tuple(f"{h}/" for h in HALVES))
    }
    assert deployed == changes
    assert all(path.suffix == ".sql" for path in SQL.rglob("*") if path.is_file())


def test_a_change_is_named_once_and_lies_in_the_house() -> None:
    changes = planned()
    assert len(changes) == len(set(changes))
    assert all(
        re.fullmatch(r"(schema|functions|triggers)/[a-z][a-z_]*", change) for change in changes
    )


def test_each_script_says_what_it_is() -> None:
    for change in planned():
        deploy = (SQL / f"{change}.sql").read_text()
        assert deploy.startswith(f"-- Deploy microblog:{change} to pg\n"), change
        revert = (SQL / "revert" / f"{change}.sql").read_text()
        assert revert.startswith(f"-- Revert microblog:{change} from pg\n"), change
        verify = (SQL / "verify" / f"{change}.sql").read_text()
        assert verify.startswith(f"-- Verify microblog:{change} on pg\n"), change
        assert verify.rstrip().endswith("rollback;"), f"verify of {change} may leave traces"
        for script in (deploy, revert):
            assert "\nbegin;\n" in script and script.rstrip().endswith("commit;"), change


def test_what_a_script_requires_is_what_the_plan_requires() -> None:
    for line in (ROOT / "sqitch.plan").read_text().splitlines():
        if not line.strip() or line.startswith(("%", "@", "#")):
            continue
        change = line.split()[0]
        needs = re.search(r"\[([^\]]*)\]", line)
        deploy = (SQL / f"{change}.sql").read_text()
        said = re.findall(r"^-- requires: (\S+)$", deploy, re.MULTILINE)
        assert said == (needs[1].split() if needs else []), change


def test_a_script_has_no_select_star_no_tabs_and_fits_the_page() -> None:
    for path in SQL.rglob("*.sql"):
        text = path.read_text()
        assert "\t" not in text, path
        code = re.sub(r"--.*|'(?:[^']|'')*'", "", text)
        if path.parts[-3] not in ("revert", "verify"):
            assert not re.search(r"select\s+\*", code), path


def test_no_two_scripts_are_the_same() -> None:
    """Sqitch tells changes apart by the hash of their deploy scripts."""
    texts = [(SQL / f"{change}.sql").read_text() for change in planned()]
    assert len(set(texts)) == len(texts)

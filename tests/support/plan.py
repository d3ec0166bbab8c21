"""The sqitch plan, read."""

from pathlib import Path

from microblog.settings import ROOT

PLAN = ROOT / "sqitch.plan"
SQL = ROOT / "sql"


def lines() -> list[str]:
    """Return the plan's lines without pragmas, comments and blanks."""
    return [
        line.strip()
        for line in PLAN.read_text().splitlines()
        if line.strip() and not line.startswith(("%", "#"))
    ]


def changes() -> list[str]:
    """Return the names of all changes in the order they are deployed."""
    return [line.split()[0] for line in lines() if not line.startswith("@")]


def tags() -> list[str]:
    """Return the tags, ``@`` included, oldest first."""
    return [line.split()[0] for line in lines() if line.startswith("@")]


def deploy_script(change: str) -> Path:
    """Return the path of a change's deploy script."""
    return SQL / f"{change}.sql"


def revert_script(change: str) -> Path:
    """Return the path of a change's revert script."""
    return SQL / "revert" / f"{change}.sql"


def verify_script(change: str) -> Path:
    """Return the path of a change's verify script."""
    return SQL / "verify" / f"{change}.sql"

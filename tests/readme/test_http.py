"""docs/http.md lists the calls and the errors that there are."""

import re

from microblog.settings import ROOT
from tests.readme.test_readme import table
from tests.support.servers import Served

DOCUMENT = (ROOT / "docs" / "http.md").read_text()


def errors_in_sql() -> set[tuple[str, str]]:
    """Return (status, code) of every refusal written in sql/."""
    patterns = (
        r"http_error\(\s*(\d{3}),\s*'(\w+)'",
        r"tg_api__row_require\(\s*'(\d{3})',\s*'(\w+)'",
        r"'response\.status', '(\d{3})'(?:(?!\$\$).)*?'code', '(\w+)'",
    )
    files = [*(ROOT / "sql/functions").glob("*.sql"), *(ROOT / "sql/triggers").glob("*.sql")]
    return {
        (match[1], match[2])
        for path in files
        for pattern in patterns
        for match in re.finditer(pattern, path.read_text(), re.DOTALL)
    }


def test_the_errors_listed_are_those_of_the_schema() -> None:
    listed = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", DOCUMENT, re.M)

    assert len(listed) == len(set(listed))
    assert set(listed) == errors_in_sql()


def test_every_refusal_in_sql_has_a_status_and_a_code_that_are_read_here() -> None:
    """A refusal written in another way would escape the comparison above."""
    codes = {code for _, code in errors_in_sql()}
    for path in (ROOT / "sql/functions").glob("*.sql"):
        for code in re.findall(r"'code', '(\w+)'", path.read_text()):
            assert code in codes, f"{path.name}: {code}"
    calls = sum(
        len(re.findall(r"perform app\.http_error\((?!tg_argv)", path.read_text()))
        for folder in ("functions", "triggers")
        for path in (ROOT / "sql" / folder).glob("*.sql")
    )
    read = sum(
        len(re.findall(r"perform app\.http_error\(\s*\d{3},\s*'\w+'", path.read_text()))
        for folder in ("functions", "triggers")
        for path in (ROOT / "sql" / folder).glob("*.sql")
    )
    assert calls == read > 20


def test_every_call_that_the_api_describes_is_in_the_document_and_the_readme(api: Served) -> None:
    member = api.signup()
    described = member.get("/", headers={"Accept": "application/openapi+json"}).json()
    paths = set(described["paths"]) - {"/"}
    health = {"/rpc/up": "/up", "/rpc/health": "/health"}
    paths = {health.get(path, path) for path in paths}

    documented = set(re.findall(r"`(?:GET|POST|PATCH|DELETE) (/[a-z_/]+)", DOCUMENT))
    assert documented == paths
    assert {call.split()[1] for call, _ in table()} == paths


def test_every_refusal_of_the_proxy_is_in_the_document() -> None:
    files = [*(ROOT / "api/errors").glob("*.json"), *(ROOT / "api/errors").glob("*.http")]
    told = {re.search(r'"code": "(\w+)"', path.read_text())[1] for path in files}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (?:\d{3}|as said) \|", DOCUMENT, re.M)
    assert {code for row in rows for code in re.findall(r"\w+", row)} == told

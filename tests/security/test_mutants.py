"""The mutations still fit the schema, and their runner tells a hole from a harmless change.

All of them run with ``make mutants``; here a few do, so that the suite knows of a runner that
would call everything noticed.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microblog.settings import ROOT
from tests.security import document
from tests.security.mutants import (
    Laboratory,
    Mutation,
    MutationError,
    applies,
    laboratory,
    load,
    source,
)
from tests.support.cluster import Cluster
from tests.support.database import Database

MUTATIONS = load()
CALLS_OF_ANON = "tests/schema/test_grants.py::test_anon_may_call_exactly_this"
ADDRESS = "tests/stack/test_proxy.py::test_client_cannot_choose_its_address"


@pytest.fixture(scope="module")
def lab(cluster: Cluster) -> Iterator[Laboratory]:
    with laboratory(cluster) as laboratory_:
        yield laboratory_


def named(name: str) -> Mutation:
    (mutation,) = [mutation for mutation in MUTATIONS if mutation.name == name]
    return mutation


def taken(pattern: str) -> set[Any]:
    """Return what a pattern finds in the statements of all mutations."""
    statements = [statement for mutation in MUTATIONS for statement in mutation.sql]
    return {found for statement in statements for found in re.findall(pattern, statement)}


# -- the data ------------------------------------------------------------------------------------


def test_every_mutation_finds_what_it_takes_away(module_database: Database) -> None:
    """A function or a setting that was rewritten needs its mutation rewritten too."""
    lost = []
    for mutation in MUTATIONS:
        try:
            applies(mutation, module_database)
        except Exception as error:
            lost.append(f"{mutation.name}: {error}")
    assert lost == []


@pytest.mark.parametrize("function", ["app.pre_request", "app.rate_limit_hit_here"])
@pytest.mark.parametrize("text", ["nothing of the kind", "v_"])
def test_what_is_not_there_exactly_once_cannot_be_taken_away(
    module_database: Database, function: str, text: str
) -> None:
    """Neither of a function that has a script of its own, nor of one that is put together."""
    lost = Mutation("lost", "none", "", ("t",), function=function, replace=text, by="")
    with pytest.raises(MutationError, match=r"is \d+ times in"):
        applies(lost, module_database)


def test_every_test_that_a_mutation_names_exists() -> None:
    for node in {test for mutation in MUTATIONS for test in mutation.tests}:
        path, _, name = node.partition("::")
        tree = ast.parse((ROOT / path).read_text())
        functions = {f.name for f in tree.body if isinstance(f, ast.FunctionDef)}
        assert name.partition("[")[0] in functions, node


def test_every_policy_and_every_trigger_is_taken_away_once(module_database: Database) -> None:
    """A policy that lets everybody through takes nothing away."""
    policies = module_database.run(
        "select polname, polrelid::regclass::text from pg_policy"
        " where coalesce(pg_get_expr(polqual, polrelid), '') <> 'true'"
    )
    triggers = module_database.run(
        "select t.tgname, t.tgrelid::regclass::text from pg_trigger t"
        " join pg_class c on c.oid = t.tgrelid"
        " where c.relnamespace in ('app'::regnamespace, 'api'::regnamespace)"
        " and not t.tgisinternal and t.tgparentid = 0"
    )
    assert len(policies) >= 9 and len(triggers) >= 20
    pattern = r"(?:alter policy|drop trigger) (\w+) on (\S+)"
    assert set(policies + triggers) - taken(pattern) == set()


def test_every_constraint_is_taken_away_once(module_database: Database) -> None:
    """Those of partitions are made with the whole's."""
    constraints = module_database.values(
        "select conname from pg_constraint c where connamespace = 'app'::regnamespace"
        " and contype in ('c', 'f', 'p', 'u', 'x') and conparentid = 0"
        " and not exists (select from pg_inherits i where i.inhrelid = c.conrelid)"
    )
    assert len(constraints) >= 65
    assert set(constraints) - taken(r"drop constraint (\w+)") == set()


def test_every_setting_of_a_role_is_taken_away_once(module_database: Database) -> None:
    settings = module_database.run(
        "select r.rolname, split_part(c, '=', 1) from pg_db_role_setting s"
        " join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) c"
    )
    assert len(settings) >= 20
    assert set(settings) - taken(r"alter role (\w+) (?:reset|set) (\w+)") == set()


# What no mutation takes away, by a pattern of the rule, and why.
NO_PROTECTION = {
    r"set-header Retry-After 1 if \{ status 503 \}": "manners: when to ask again",
    r"set-header Connection close if \{ method HEAD": "for PostgREST's sake (api/test_after_head)",
    r"del-header X-Forwarded-For$": "what is set a few lines below takes its place",
    r"return status 204 if preflight": "lets through; the rule below it refuses",
    r"set-header Access-Control-(Allow-Methods|Allow-Headers|Max-Age)": "lets through, by the list",
    r"cache-control\|if-none-match\|pragma": "what is for the cache goes no further",
    r"X-Representation %|del-header Content-\w+ if \{ status 304": "how a 304 looks",
    r"del-header Transfer-Encoding if \{ status 304": "how a 304 looks",
    r"set-header (ETag|X-Cache|X-Conditional|(X-Filled-)?Age) ": "what an answer says of itself",
    r"del-header X-Filled-Age": "what a copy says of itself, to the proxy alone",
    r"set-header Cache-Control no-cache if shared": "nothing of what is shared is anybody's own",
    r"file errors/not_found.json if \{ status 404 \}": "PostgREST's empty answer gets words",
    r"set-var\(txn\.(origin|preflight)\)": "lets through, by the list",
    r"set-var\(txn\.role\)": "without it every token is refused",
    r"set-path /rpc/(up|health) ": "short names",
    r"set-var\(txn\.call\)|set-path %\[var\(txn\.call\)\]": "without it nothing is found",
    r"set-var\(txn\.shared\) bool": "without it nothing is shared",
    r"set-var\(txn\.representation\) var": "how long a tag is",
    r"set-var\(txn\.cursor\)": "a tag is of its address, and equals that of no other page",
    r" set-var\(txn\.(asked|is_conditional|tags)\)": "without it a page is sent again",
    r"set-var\(txn\.plain\) .* !accepts ": "without it PostgREST makes the page",
    r"wait-for-body time 5s if digested": "what is not here whole has no tag",
    r"set-var\(txn\.(age|resident)\)": "what an answer says of itself",
}
# All but what shares (cache-use, cache-store, set-map), asks a script (lua), adds to an answer
# (add-header), lets a copy through as it is (allow) or says what is tried again (disable-l7-retry).
RULE = re.compile(
    r"^ +(?:http-(?:request|response|after-response)"
    r" (?:return|deny|del-header|replace-value|set-header|track-sc\d|sc-inc-gpc\d\(\d\)"
    r"|wait-for-body|(?:un)?set-var(?:-fmt)?\([\w.]+\)|set-query|set-path|set-uri)"
    r"|use_backend) .*\n?",
    re.MULTILINE,
)


def test_every_rule_of_the_proxy_is_taken_away_once() -> None:
    """Or it stands above why it protects nothing; and nothing stands there that is not needed."""
    text = (ROOT / "api" / "haproxy.cfg").read_text()
    touched = [
        (start, start + len(mutation.replace))
        for mutation in MUTATIONS
        if mutation.file == "api/haproxy.cfg"
        for start in [text.index(mutation.replace)]
    ]
    rules = list(RULE.finditer(text))
    assert len(rules) >= 100
    alone = [
        rule[0].strip()
        for rule in rules
        if not any(start < rule.end() and rule.start() < end for start, end in touched)
    ]
    excluded = {rule: [p for p in NO_PROTECTION if re.search(p, rule)] for rule in alone}
    assert [rule for rule, patterns in excluded.items() if not patterns] == []
    assert {p for patterns in excluded.values() for p in patterns} == set(NO_PROTECTION)


# Refusals in words that no mutation takes away, by a pattern of <script>.<code>, and why.
CONSTRAINED = "a constraint refuses it too, in worse words"
REFUSED_ANYWAY = {
    r"signup\.username_(invalid|taken)$": CONSTRAINED,
    r"api_users_update\.(username_taken|description_too_long)$": CONSTRAINED,
    r"api_follows_write\.(followed_id_required|self_follow|user_not_found)$": CONSTRAINED,
    r"api_posts_insert\.(idempotency_key_invalid|gone_meanwhile)$": CONSTRAINED,
    r"posts_normalize\.content_(empty|too_long)$": CONSTRAINED,
    r"filter_require\.filter_required$|row_require\.tg_argv$": "its triggers are taken away",
    r"(replies|user_require)\.": "without it there is an empty page",
    r"(bcrypt|http_error)\.busy$": "a wait that was given up is an error in any case",
    r"login\.credentials_required$": "nobody's password is null",
    r"jwt\.no_signing_key$": "without a key there is no token",
}
REFUSAL = re.compile(r"(?:perform|select) app\.http_error\(\s*[^,]+,\s*'?(\w+)")
CONDITION = re.compile(r"^ *(?:if|elsif|when|begin)\b", re.MULTILINE)
FUNCTION = re.compile(r"create function (\w+\.\w+)\(")


def test_every_refusal_in_words_is_taken_away_once() -> None:
    """With its condition, or where its function is called for nothing else. Or it stands above."""
    alone = []
    scripts = [*(ROOT / "sql/functions").glob("*.sql"), *(ROOT / "sql/triggers").glob("*.sql")]
    refusals = [(path, found) for path in scripts for found in REFUSAL.finditer(path.read_text())]
    for path, found in refusals:
        text = path.read_text()
        (*_, function) = FUNCTION.findall(text, 0, found.start())
        (*_, condition) = CONDITION.finditer(text, 0, found.start())
        guarded = range(condition.start(), text.index(";", found.end()))
        if not any(
            (mutation.function == function and touches(mutation, text, guarded))
            or f"{function}(" in mutation.replace
            for mutation in MUTATIONS
        ):
            alone.append(f"{path.stem}.{found[1]}")
    assert len(refusals) >= 40
    reasons = {refusal: [p for p in REFUSED_ANYWAY if re.search(p, refusal)] for refusal in alone}
    assert [refusal for refusal, patterns in reasons.items() if not patterns] == []
    assert {p for patterns in reasons.values() for p in patterns} == set(REFUSED_ANYWAY)


def touches(mutation: Mutation, text: str, part: range) -> bool:
    """Tell whether a function's mutation changes some of this part of its script."""
    whole = (source(mutation.function) or text).removeprefix("create or replace ")
    start = text.index(whole) + whole.index(mutation.replace)
    return start < part.stop and part.start < start + len(mutation.replace)


def test_the_document_lists_and_counts_the_mutations_as_they_are() -> None:
    text = document.DOCUMENT.read_text()
    remedy = "make mutants MUTANTS_ARGS=--document"
    assert document.between(text) == document.table(MUTATIONS), remedy
    assert [int(n) for n, _ in document.COUNT.findall(text)] == [len(MUTATIONS)], remedy


def test_the_document_keeps_what_it_says_of_the_last_run_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "security.md"
    copy.write_text(document.DOCUMENT.read_text())
    monkeypatch.setattr(document, "DOCUMENT", copy)
    for survivors, fate in (
        (["one", "two"], "2 not noticed: one, two."),
        ([], "all were noticed."),
    ):
        document.write(MUTATIONS, document.outcome(document.where(), len(MUTATIONS), survivors))
        document.write(MUTATIONS[1:])
        ((number, told),) = document.COUNT.findall(copy.read_text())
        assert int(number) == len(MUTATIONS) - 1
        assert f"there were {len(MUTATIONS)}; {fate}" in told


# -- the runner ----------------------------------------------------------------------------------


def test_a_grant_too_many_is_noticed(lab: Laboratory) -> None:
    verdict = lab.try_out(named("functions-public"))
    assert verdict.is_killed, verdict


def test_a_weakened_file_is_noticed_and_put_back(lab: Laboratory) -> None:
    mutation = named("address-by-the-client")
    assert mutation.tests == (ADDRESS,)
    verdict = lab.try_out(mutation)
    assert verdict.is_killed, verdict
    assert (lab.copy / mutation.file).read_text() == (ROOT / mutation.file).read_text()


def test_a_harmless_change_survives(lab: Laboratory) -> None:
    comment = Mutation(
        name="harmless",
        group="none",
        what="nothing",
        tests=(CALLS_OF_ANON,),
        sql=("comment on table app.posts is 'Something else'",),
    )
    verdict = lab.try_out(comment)
    assert (verdict.noticed, verdict.survived) == ((), (CALLS_OF_ANON,))
    assert not verdict.is_killed


def test_what_keeps_a_test_from_running_is_not_taken_for_its_failure(lab: Laboratory) -> None:
    gone = Mutation("gone", "none", "", (f"{CALLS_OF_ANON}_any_more",), sql=("select 1",))
    with pytest.raises(MutationError, match="pytest ended with 4"):
        lab.try_out(gone)
    fatal = Mutation(
        name="fatal",
        group="none",
        what="PostgREST does not start",
        tests=("tests/api/test_access.py::test_plans_are_off",),
        file="api/postgrest.conf",
        replace='log-level = "error"',
        by='log-level = "no such level"',
    )
    with pytest.raises(MutationError, match="could not run"):
        lab.try_out(fatal)


def test_a_test_that_fails_anyway_proves_nothing(lab: Laboratory) -> None:
    (lab.copy / "tests" / "test_failing.py").write_text("def test_failing():\n    assert False\n")
    with pytest.raises(MutationError, match="fail without any mutation"):
        lab.baseline([CALLS_OF_ANON, "tests/test_failing.py::test_failing"])

"""What holds for every answer, whatever was asked."""

import re

from microblog.settings import ROOT
from tests.fuzz.wire import Answer, Request
from tests.support.database import Database

WORD = re.compile(r"[a-z_][a-z0-9_]{2,}")

# Hashes, statements, places in functions, PostgREST's own names for its queries.
INSIDES = re.compile(
    r'\$2[abxy]\$|"api"\.|FROM "|SELECT |INSERT INTO|_postgrest_t|pgrst_(?!scalar)|PL/pgSQL|'
    r"\bline \d+ at |\bSQL (statement|function)|DETAIL:|CONTEXT:|\b127\.0\.0\.1\b|\.s\.PGSQL|"
    r"\b(postgres|postgrest|haproxy|libpq|hs|warp)\b|stack depth|/(tmp|var|usr|work|root|home)/"
)


LARGEST = 200_000  # bytes; a page of 100 rows, each with a person embedded, has at most half of it
# Seconds beyond statement_timeout: a statement is cancelled when its time is over, and the
# way there and back takes milliseconds: so much where the machine has other things to do.
ALLOWANCE = 1.0

TIMEOUT = """
select max(extract(epoch from split_part(setting, '=', 2)::interval))::float
from pg_roles, unnest(rolconfig) setting
where rolname in ('anon', 'member') and setting like 'statement_timeout=%'
"""
SLOWEST = """
select coalesce(max(s.max_exec_time + s.max_plan_time), 0) / 1000
from extensions.pg_stat_statements s
where s.dbid = (select oid from pg_database where datname = current_database())
  and s.userid in ('anon'::regrole, 'member'::regrole, 'authenticator'::regrole)
"""


class Rules:
    """No server error, no endless answer, four fields in every refusal, nothing private anywhere.

    Nothing runs on past the statement_timeout of its role: a statement that was cancelled is a 504,
    and one that was not would keep its client waiting, and stand in pg_stat_statements. Nothing is
    counted to the end, and no semicolon separates anything.

    Private is every name of the schemas that HTTP does not serve, unless the contract, which
    everybody may read, uses the word. A word that the client itself sent is no leak.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.timeout: float = database.value(TIMEOUT)  # seconds
        contract = (ROOT / "docs" / "http.md").read_text().lower()
        contract += "".join(p.read_text() for p in (ROOT / "api" / "errors").iterdir()).lower()
        names = database.values(
            """
            with hidden as (
              select oid from pg_namespace where nspname in ('app', 'dba', 'sqitch', 'extensions')
            )
            select relname::text from pg_class where relnamespace in (table hidden)
            union select proname::text from pg_proc where pronamespace in (table hidden)
            union select conname::text from pg_constraint where connamespace in (table hidden)
            union select a.attname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
              where c.relnamespace in (table hidden)
                and c.relnamespace <> 'extensions'::regnamespace
            union select tgname::text from pg_trigger
            union select polname::text from pg_policy
            union select rolname::text from pg_roles
            """
        )
        columns = database.values(
            "select a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid"
            " where c.relnamespace = 'api'::regnamespace"
        )
        public = {*WORD.findall(contract), *columns}
        self.private = {name for name in names if "_" in name or len(name) > 4} - public
        # English, or the names of what the public functions are made of.
        self.private -= {"change", "project", "planner", "event", "requires", "conflicts", "armor"}
        self.private.discard("base64url")  # what a token is not
        assert {
            "credentials",
            "password_hash",
            "pre_request",
            "feed_entries",
        } <= self.private

    def check(self, request: Request, answer: Answer) -> None:
        """Raise AssertionError where the answer breaks a rule."""
        shown = f"{request}\n{answer.status} {answer.headers}\n{answer.text[:2000]}"
        assert answer.status < 500, shown
        assert answer.seconds < self.timeout + ALLOWANCE, f"{answer.seconds} s: {shown}"
        assert len(answer.body) < LARGEST, shown
        self.check_ways_around(request, answer, shown)
        if not request.is_http and answer.status == 400 and "x-request-id" not in answer.headers:
            return  # the proxy's built-in page
        assert "x-request-id" in answer.headers, shown
        if answer.status >= 400 and request.method != "HEAD":
            error = answer.json()
            assert set(error) == {"code", "message", "details", "hint"}, shown
            assert error["message"], shown
        if request.path != "/" or answer.status >= 400:
            self.check_words(request, answer, shown)

    def check_statements(self) -> None:
        """See that no statement of a request ever ran longer than it may."""
        assert self.slowest() < self.timeout + ALLOWANCE

    def slowest(self) -> float:
        """Return how long the longest statement of any request took, in seconds."""
        return float(self.database.value(SLOWEST))

    def check_ways_around(self, request: Request, answer: Answer, shown: str) -> None:
        """See that nothing went by the proxy that PostgREST reads in another way."""
        assert b";" not in request.query or answer.status >= 400, shown
        counts = (b"count=planned", b"count=estimated")  # the others read all that they count
        if not any(count in request.sent(b"prefer") for count in counts):
            assert answer.headers.get("content-range", "*").endswith("*"), shown

    def check_words(self, request: Request, answer: Answer, shown: str) -> None:
        """See that nothing private is said."""
        headers = " ".join(v for n, v in answer.headers.items() if n != "server")
        said = f"{answer.text} {headers}"
        leaked = self.private.intersection(WORD.findall(said.lower()))
        leaked = {word for word in leaked if word not in request.said}
        assert not leaked, f"{leaked} in {shown}"
        inside = INSIDES.search(said)
        assert inside is None or inside[0].lower() in request.said, f"{inside} in {shown}"

"""What holds for every answer, whatever was asked."""

import json
import re
from ipaddress import ip_address

from microblog.settings import ROOT
from tests.fuzz.wire import Answer, Request
from tests.support.database import Database

WORD = re.compile(r"[a-z_][a-z0-9_]{2,}")

# Hashes, statements, places in functions, PostgREST's own names for its queries.
INSIDES = re.compile(
    r'\$2[abxy]\$|"api"\.|FROM "|SELECT |INSERT INTO|_postgrest_t|pgrst_(?!scalar)|PL/pgSQL|'
    r"\bline \d+ at |\bSQL (statement|function)|DETAIL:|CONTEXT:|\.s\.PGSQL|"
    r"\b(postgres|postgrest|haproxy|libpq|hs|warp)\b|stack depth|/(tmp|var|usr|work|root|home)/"
)

# What may be an address, to be looked at by ip_address: 12:30:00 is none, 300.1.1.1 is none.
ADDRESS = re.compile(
    r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)"
    r"|(?<![\w.])(?=:*[\da-f])(?:[\da-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[\da-f]{1,4})?"
    r"(?![\w:])"
)

# Words that answers may say though something inside has the same name. Public besides is what HTTP
# serves, the committed inventory.
PUBLIC = {
    *("author", "expires_at"),  # fields of a feed's row and of a login
    *("bytes", "cache", "change", "invalidations", "misses", "queue", "worker"),  # of /health
    "rate_limits_unavailable",  # a code
    *("address", "every", "value"),  # English, of our refusals
    *("conflicts", "event", "project", "requires"),  # and of PostgREST's and PostgreSQL's
    *("armor", "base64url"),  # functions of pgcrypto; what a token is not
}

PARTS = ("columns", "arguments")  # of an endpoint

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


def served() -> set[str]:
    """Return the names of tables, columns, calls and arguments that HTTP serves."""
    inventory = json.loads((ROOT / "tests" / "api" / "endpoints.json").read_text())
    words = {word for path in inventory for word in path.split("/")}
    return words.union(
        *(endpoint.get(kind, []) for endpoint in inventory.values() for kind in PARTS)
    )


def addresses(said: str) -> set[str]:
    """Return what is an IPv4 or IPv6 address, in lower case."""
    found = set()
    for candidate in ADDRESS.findall(said.lower()):
        try:
            ip_address(candidate)
        except ValueError:
            continue
        found.add(candidate)
    return found


class Rules:
    """No server error, no endless answer, four fields in every refusal, nothing private anywhere.

    Nothing runs on past the statement_timeout of its role: a statement that was cancelled is a 504,
    and one that was not would keep its client waiting, and stand in pg_stat_statements. Nothing is
    counted to the end, and no semicolon separates anything.

    Private is every name of the schemas that HTTP does not serve, unless it is that of something
    served as well, or listed as public; and every address. A word that the client itself sent is no
    leak.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.timeout: float = database.value(TIMEOUT)  # seconds
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
        assert set(names) >= PUBLIC, f"nothing is named {PUBLIC - set(names)}"
        self.private = {name for name in names if "_" in name or len(name) > 4} - PUBLIC - served()
        assert {
            "credentials",
            "password_hash",
            "pre_request",
            "feed_entries",
            "quota",
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
        told = {address for address in addresses(said) if address not in request.said}
        assert not told, f"{told} in {shown}"
        inside = INSIDES.search(said)
        assert inside is None or inside[0].lower() in request.said, f"{inside} in {shown}"

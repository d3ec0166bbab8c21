"""Rate limits at the proxy: whom it names, and what no limit of the database counts or tells."""

import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import count

import httpx
import pytest

from microblog.page_cache import Proxy
from microblog.stack.process import wait_for
from tests.support.client import Api, Member, expect, refused
from tests.support.cluster import Cluster
from tests.support.database import Database
from tests.support.places import Place, limits_told
from tests.support.servers import Served, serve_api
from tests.support.tokens import claims_of, forged

_names = count(1)

# Fails in PostgreSQL as it is asked to.
FAILS = """
create function api.fails() returns json language plpgsql stable as $$
begin
  raise exception using errcode = current_setting('request.headers')::json ->> 'x-client-info';
end
$$
"""


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


IPV6 = has_ipv6()


@pytest.fixture(scope="module")
def door(cluster: Cluster) -> Iterator[Served]:
    """The public contract with the limits as they are shipped, for everybody."""
    with cluster.clone() as database:
        database.run("delete from app.rate_limit_exemptions")
        database.run(FAILS)
        database.run("grant execute on function api.fails() to anon")
        hosts = ("127.0.0.1", "[::1]") if IPV6 else ("127.0.0.1",)
        with serve_api(database, hosts=hosts) as served:
            yield served


@pytest.fixture
def here(door: Served) -> Iterator[Place]:
    with Place(door) as place:
        yield place


@pytest.fixture
def member(here: Place) -> Member:
    return here.signup(f"at_the_door_{next(_names)}")


def ask_from(address: str, served: Served, path: str, token: str | None = None) -> httpx.Response:
    """Send a GET over a connection that comes from this IPv6 address, as its first line says."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with closing(HTTPConnection("127.0.0.1", served.announced, timeout=30)) as connection:
        connection.connect()
        connection.sock.sendall(f"PROXY TCP6 {address} 2001:db8::80 40000 80\r\n".encode())
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return httpx.Response(
            answer.status,
            headers=answer.getheaders(),
            content=answer.read(),
            request=httpx.Request("GET", f"{served.url}{path}"),
        )


def counted(database: Database, key: str) -> int:
    """How many calls the limit of all requests has counted of an address."""
    query = "select hits from dba.rate_limit_keys where rule = 'address' and key = %s"
    return database.value(query, [key]) or 0


# -- by IPv6 -------------------------------------------------------------------------------------


@pytest.mark.skipif(not IPV6, reason="this machine has no IPv6 loopback")
def test_who_comes_by_ipv6_is_counted_by_network_and_exempt_by_address(door: Served) -> None:
    database = door.database
    url = door.url.replace("127.0.0.1", "[::1]")
    with closing(Api(url, proxied=True)) as api:
        for left in (59, 58):
            told = limits_told(expect(200, api.get("/rpc/feed_public")))
            assert (told["name"], told["remaining"]) == ("anonymous", left)
        assert counted(database, "::/64") == 2

        exempt = "insert into app.rate_limit_exemptions (address) values (%s)"
        database.run(exempt, ["::2"])  # of the same /64
        try:
            told = limits_told(expect(200, api.get("/rpc/feed_public")))
            assert told["remaining"] == 57
            database.run(exempt, ["::1"])
            wait_for(lambda: limits_told(api.get("/rpc/feed_public")) == {}, 10, "the exemption")
            before = counted(database, "::/64")
            assert limits_told(expect(200, api.get("/rpc/feed_public"))) == {}
            assert counted(database, "::/64") == before
        finally:
            database.run("delete from app.rate_limit_exemptions")


# -- what is counted, and cannot tell; what is not counted ---------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/posts?id=eq.x", None, 400, "22P02"),
        ("GET", "/users?id=eq.99999999999999999999", None, 400, "22003"),
        ("GET", "/nothing_there", None, 404, "42P01"),
        ("POST", "/posts", {"content": "a\0"}, 400, "22P05"),
        ("PATCH", "/users?id=eq.1", {"id": 5}, 403, "42501"),
        ("GET", "/rpc/fails", "42501", 403, "42501"),
        ("GET", "/rpc/fails", "57014", 504, "too_slow"),
        ("GET", "/rpc/fails", "55P03", 503, "busy"),
        ("GET", "/rpc/fails", "XX000", 500, "HTTP500"),
        ("GET", "/rpc/fails", "P0001", 400, "HTTP400"),
    ],
)
def test_an_error_of_postgresql_s_own_is_counted_and_tells_no_limit(
    here: Place, member: Member, method: str, path: str, body: object, status: int, code: str
) -> None:
    before = counted(here.database, here.address)
    if path == "/rpc/fails":
        answer = here.get(path, headers={"X-Client-Info": str(body)})
    else:
        answer = member.api.request(method, path, member.token, json=body)
    refused(status, code, answer)
    assert limits_told(answer) == {}
    assert counted(here.database, here.address) == before + 1


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/posts", {"content": "a\0"}, "22P05"),
        ("/posts", {"content": "a", "parent_id": "x"}, "22P02"),
        ("/rpc/login", {"username": "a", "password": "a\0"}, "22P05"),
        ("/rpc/login?select=id", {"username": "a", "password": "a"}, "HTTP400"),
    ],
)
def test_what_postgresql_cannot_read_is_its_own_error_even_beyond_a_limit(
    here: Place, member: Member, path: str, body: dict, code: str
) -> None:
    """The refusal waits for the rows, or for the name, and these are never there."""
    here.database.run(
        "update app.rate_limit_buckets b set hit_count = b.past_counts[21] + l.quota"
        " from app.rate_limits l where l.id = b.rule_id and l.name = 'address' and b.key = %s",
        [here.address],
    )
    refused(429, "rate_limited", member.post(path.partition("?")[0], json={}))
    refused(400, code, member.post(path, json=body))


def a_forged_token(member: Member) -> str:
    """Signed by somebody else."""
    return forged(claims_of(member), "x" * 32)


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("OPTIONS", "/posts", {}, 200, None),
        ("OPTIONS", "/rpc/me", {"headers": {"Origin": "http://localhost:3000"}}, 200, None),
        ("GET", "/rpc/me", {"token": a_forged_token}, 401, "token_invalid"),
        ("GET", "/rpc/me", {"token": lambda _: "nonsense"}, 401, "token_invalid"),
        ("GET", "/posts?content=eq.x", {}, 400, "query_not_supported"),
        ("GET", "/rpc/feed_public?x=1", {}, 400, "parameter_unknown"),
        ("GET", "/no/such/address", {}, 404, "not_found"),
        ("GET", "/rpc/nothing_there", {}, 404, "PGRST202"),
        ("GET", "/users?id=in.5", {}, 400, "PGRST100"),
        ("POST", "/posts", {"content": b"{"}, 400, "PGRST102"),
        ("GET", "/users", {"headers": {"Accept": "text/html"}}, 415, "PGRST107"),
        ("POST", "/posts", {"content": b"x" * 70_000}, 413, "HTTP413"),
    ],
)
def test_what_the_database_is_not_asked_is_not_counted(
    here: Place,
    member: Member,
    method: str,
    path: str,
    options: dict,
    status: int,
    code: str | None,
) -> None:
    token = options.get("token", lambda member: member.token)(member)
    before = counted(here.database, here.address)
    sent = {name: value for name, value in options.items() if name != "token"}
    answer = expect(status, here.request(method, path, token, **sent))
    assert code is None or answer.json()["code"] == code
    assert limits_told(answer) == {}
    assert counted(here.database, here.address) == before


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/users?id=eq.0", "application/vnd.pgrst.object+json", 406),
        ("/", "application/openapi+json", 200),
    ],
)
def test_what_postgrest_makes_of_an_answer_is_counted_and_tells_no_limit(
    here: Place, member: Member, path: str, accept: str, status: int
) -> None:
    before = counted(here.database, here.address)
    answer = expect(status, member.get(path, headers={"Accept": accept}))
    assert limits_told(answer) == {}
    assert counted(here.database, here.address) == before + 1


def test_whether_the_database_answers_is_counted_by_itself(here: Place) -> None:
    for left in (599, 598):
        told = limits_told(expect(200, here.get("/up")))
        assert told == {"name": "up", "quota": 600, "remaining": left}
    assert counted(here.database, here.address) == 0


def test_a_copy_from_the_shared_cache_is_not_counted(here: Place) -> None:
    path = f"/rpc/user_cached?user_id={here.database.user()}"
    made = expect(200, here.get(path))
    assert made.headers["X-Cache"] == "miss"
    before = counted(here.database, here.address)
    copy = expect(200, here.get(path))
    assert copy.headers["X-Cache"] == "hit"
    assert limits_told(copy) == limits_told(made) == {}
    assert counted(here.database, here.address) == before == 1


# -- the proxy's own limit -----------------------------------------------------------------------


def test_who_has_much_refused_without_the_database_is_refused_at_the_door(
    database: Database,
) -> None:
    """Tokens that were never good, and requests that PostgREST does not understand."""
    database.run("delete from app.rate_limit_exemptions")
    with (
        serve_api(database, MICROBLOG_UNASKED="4") as served,
        Place(served) as here,
        Place(served) as elsewhere,
    ):
        member = here.signup()
        for _ in range(6):  # what the database counts, and what costs no more than this refusal
            refused(400, "22P02", here.get("/posts?id=eq.x"))
            refused(404, "not_found", here.get("/no/such/address"))
        for n in range(5):
            if n % 2:
                refused(404, "PGRST202", here.get("/rpc/nothing_there"))
            else:
                refused(401, "token_invalid", here.get("/rpc/me", a_forged_token(member)))
        for answer in (here.get("/rpc/feed_public"), here.get("/rpc/me", member.token)):
            refused(429, "HTTP429", answer)
            assert answer.headers["Retry-After"] == "20"
        expect(200, elsewhere.get("/rpc/me", member.token))
        assert counted(database, here.address) == 7


def test_of_ipv6_the_door_takes_a_network_for_one_client(database: Database) -> None:
    """Whoever has one address of a /64 has all of them."""
    with serve_api(database, announced=True, MICROBLOG_UNASKED="4") as served:
        forged_token = a_forged_token(served.signup())
        for n in range(5):
            address = f"2001:db8:1:1::{n}"
            if n % 2:
                refused(404, "PGRST202", ask_from(address, served, "/rpc/nothing_there"))
            else:
                refused(401, "token_invalid", ask_from(address, served, "/rpc/me", forged_token))
        refused(429, "HTTP429", ask_from("2001:db8:1:1:ffff::", served, "/rpc/feed_public"))
        expect(200, ask_from("2001:db8:1:2::", served, "/rpc/feed_public"))


def test_a_network_that_met_its_limit_is_left_to_postgrest_for_a_moment(
    database: Database,
) -> None:
    """Even an address of it that no limit holds; such a one of another network is not."""
    database.run("update app.rate_limits set quota = 1 where name = 'address'")
    for address in ("2001:db8:1:1::2", "2001:db8:1:2::2"):
        database.run("insert into app.rate_limit_exemptions (address) values (%s)", [address])
    with serve_api(database, announced=True) as served:

        def asked_by(address: str) -> bool:
            """Whether the proxy asks the database for this address, answered in time or not."""
            before = Proxy(served.admin).answered()
            expect(200, ask_from(address, served, "/rpc/feed_public"))
            after = Proxy(served.admin).answered()
            return any(after[way] > before[way] for way in ("feeds_direct", "feeds_fallback"))

        def neighbour_left() -> bool:
            refused(429, "rate_limited", ask_from("2001:db8:1:1::1", served, "/rpc/feed_public"))
            assert asked_by("2001:db8:1:2::2")
            return not asked_by("2001:db8:1:1::2")

        expect(200, ask_from("2001:db8:1:1::1", served, "/rpc/feed_public"))
        # For two seconds at most, and each thread of the proxy knows of its own connections alone.
        wait_for(neighbour_left, 30, "a neighbour to be left to PostgREST")

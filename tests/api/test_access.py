"""Who may call what: anonymous callers, other people's rows, other schemas."""

import pytest

from tests.support.client import expect, refused
from tests.support.refusals import told
from tests.support.servers import Served

OPEN = [
    "/users", "/posts", "/follows", "/rpc/feed_public", "/rpc/up", "/rpc/health", "/up", "/health",
    "/",
]  # fmt: skip
MEMBERS_ONLY = [
    ("GET", "/rpc/me"), ("GET", "/rpc/feed_timeline"), ("GET", "/rpc/feed_mine"),
    ("GET", "/rpc/feed_following"), ("GET", "/rpc/feed_timeline_cached"),
    ("POST", "/rpc/feed_timeline"), ("POST", "/rpc/logout"),
    ("POST", "/rpc/password_change"), ("POST", "/rpc/account_delete"), ("POST", "/posts"),
    ("DELETE", "/posts?id=eq.1"), ("DELETE", "/posts"), ("POST", "/follows"),
    ("DELETE", "/follows?followed_id=eq.1"), ("PATCH", "/users?id=eq.1"), ("POST", "/users"),
    ("PUT", "/posts?id=eq.1"), ("PATCH", "/posts?id=eq.1"), ("DELETE", "/users?id=eq.1"),
]  # fmt: skip


# -- without a token -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", OPEN)
def test_what_anybody_may_read(api: Served, path: str) -> None:
    expect(200, api.get(path))
    assert expect(200, api.request("HEAD", path)).content == b""


def test_what_anybody_may_read_about_a_post_and_a_user(api: Served) -> None:
    member = api.signup()
    post = member.write()["id"]
    for path in (
        f"/rpc/thread?post_id={post}",
        f"/rpc/replies?post_id={post}",
        f"/rpc/followers?user_id={member.id}",
        f"/rpc/following?user_id={member.id}",
    ):
        expect(200, api.get(path))
        expect(200, member.get(path))


@pytest.mark.parametrize(("method", "path"), MEMBERS_ONLY)
def test_what_needs_a_token_says_how_to_get_one(api: Served, method: str, path: str) -> None:
    options = {} if method in ("GET", "DELETE") else {"json": {}}
    answer = api.request(method, path, **options)
    told(401, "token_required", answer, "needs a token", "/rpc/login", "/rpc/signup", "Bearer")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "LINK"])
@pytest.mark.parametrize("path", ["/rpc/me", "/users", "/posts", "/rpc/nothing", "/nothing", "/"])
def test_no_method_on_no_path_is_a_server_error(api: Served, method: str, path: str) -> None:
    member = api.signup()
    for token in (None, member.token):
        answer = api.request(method, path, token, json={})
        assert answer.status_code < 500, answer.text


# -- other schemas -------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", ["app", "dba", "extensions", "public", "sqitch", "pg_catalog"])
def test_no_other_schema_is_served(api: Served, schema: str) -> None:
    member = api.signup()
    for method, path, header in (
        ("GET", "/users", "Accept-Profile"),
        ("GET", "/credentials", "Accept-Profile"),
        ("HEAD", "/users", "Accept-Profile"),
        ("POST", "/posts", "Content-Profile"),
        ("POST", "/rpc/jwt_sign", "Content-Profile"),
        ("DELETE", "/users?id=eq.1", "Content-Profile"),
        ("PATCH", "/users?id=eq.1", "Content-Profile"),
    ):
        body = {"json": {}} if method in ("POST", "PATCH") else {}
        answer = api.request(method, path, member.token, headers={header: schema}, **body)
        expect(406, answer)
        if method != "HEAD":
            refused(406, "PGRST106", answer)


def test_no_private_table_or_view_is_reachable(api: Served) -> None:
    member = api.signup()
    relations = api.database.values(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname in ('app', 'dba', 'extensions', 'sqitch') and c.relkind in"
        " ('r', 'v', 'p') and c.relname not in ('users', 'posts', 'follows')"
    )
    assert {"credentials", "sessions", "secrets", "feed_entries", "jobs"} <= set(relations)
    for relation in relations:
        for token in (None, member.token):
            refused(404, "42P01", api.get(f"/{relation}", token))
        told(405, "method_not_allowed", member.post(f"/{relation}", json={}))


def test_no_private_function_is_reachable(api: Served) -> None:
    member = api.signup()
    functions = api.database.values(
        "select distinct p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname in ('app', 'dba', 'extensions')"
        " and not exists (select from pg_proc q join pg_namespace m on m.oid = q.pronamespace"
        "   where m.nspname = 'api' and q.proname = p.proname)"
    )
    assert {"pre_request", "jwt_sign", "job_work", "account_close", "crypt"} <= set(functions)
    for function in functions:
        refused(404, "PGRST202", member.post(f"/rpc/{function}", json={}))
        assert api.post(f"/rpc/{function}", json={}).status_code in (401, 404)


@pytest.mark.parametrize(
    "select",
    ["credentials(*)", "sessions(*)", "author:users(credentials(*))", "idempotency_keys(*)"]
    + ["author:users(sessions(*))", "feed_entries(*)", "post_counter_deltas(*)"],
)
def test_no_private_table_can_be_embedded(api: Served, module_rest: Served, select: str) -> None:
    """The proxy refuses, and where it does not stand, PostgREST."""
    told(400, "select_not_supported", api.signup().get("/posts", params={"select": select}))
    refused(400, "PGRST200", module_rest.get("/posts", params={"select": select}))


@pytest.mark.parametrize("column", ["deleted_at", "password_hash", "xmin", "ctid"])
def test_no_hidden_column_can_be_selected_filtered_or_ordered_by(
    api: Served, module_rest: Served, column: str
) -> None:
    """The proxy refuses, and where it does not stand, the view does not have it."""
    told(400, "select_not_supported", api.get(f"/users?select={column}"))
    for query in (f"{column}=is.null", f"order={column}"):
        told(400, "query_not_supported", api.get(f"/users?{query}"))
    for query in (f"select={column}", f"{column}=is.null", f"order={column}"):
        refused(400, "42703", module_rest.get(f"/users?{query}"))


def test_a_semicolon_is_refused_and_encoded_belongs_to_a_value(
    api: Served, module_rest: Served
) -> None:
    """PostgREST by itself takes one for a separator, and hands out whole rows."""
    member = api.signup()
    query = f"username=in.({member.username},a{{}}limit=0)"
    told(400, "separator_not_supported", api.get("/users?limit=2;%73elect=array_agg"))
    told(400, "separator_not_supported", api.get("/users?" + query.format(";")))
    assert "array_agg" in expect(200, module_rest.get("/users?limit=2;%73elect=array_agg")).text
    (row,) = expect(200, api.get("/users?" + query.format("%3B"))).json()
    assert row["username"] == member.username


def test_no_exact_count_hides_between_quotes(api: Served, module_rest: Served) -> None:
    """PostgREST by itself understands it."""
    api.signup()
    headers = {"Prefer": 'a="x, count=exact, b=y"'}
    told(400, "preference_not_supported", api.get("/users", headers=headers))
    counted = module_rest.get("/users?limit=1", headers=headers)
    assert counted.headers["content-range"] != "0-0/*"


@pytest.mark.parametrize("select", ["count()", "id.max()", "id.sum()"])
def test_aggregates_are_off(api: Served, module_rest: Served, select: str) -> None:
    told(400, "select_not_supported", api.get("/posts", params={"select": select}))
    refused(400, "PGRST123", module_rest.get("/posts", params={"select": select}))


@pytest.mark.parametrize("options", ["", "; options=analyze"])
@pytest.mark.parametrize("path", ["/posts", "/users", "/rpc/feed_public", "/rpc/users_popular"])
def test_plans_are_off(api: Served, module_rest: Served, path: str, options: str) -> None:
    """By the public door, and past it."""
    member = api.signup()
    headers = {"Accept": f"application/vnd.pgrst.plan+json{options}"}
    for served in (api, module_rest):
        for token in (None, member.token):
            refused(415, "PGRST107", served.get(path, token, headers=headers))


# -- mass assignment -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", 1),
        ("replies_count", 1000),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("is_reply", True),
        ("is_reply", False),
    ],
)
def test_a_post_takes_content_and_parent_and_nothing_else(
    api: Served, column: str, value: object
) -> None:
    member = api.signup()
    for body in ({"content": "x", column: value}, [{"content": "x", column: value}]):
        refused(403, "42501", member.post("/posts", json=body))
    assert member.ids("feed_mine") == []


def test_nobody_posts_in_another_s_name(api: Served) -> None:
    member, other = api.signups(2)
    for author in (other.id, member.id, None):
        answer = member.post("/posts", json={"content": "as you", "author_id": author})
        refused(403, "42501", answer)
    form = f"content=as+you&author_id={other.id}"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    told(415, "HTTP415", member.post("/posts", content=form, headers=kind), "application/json")
    csv = f"content,author_id\nas you,{other.id}\n"
    told(415, "HTTP415", member.post("/posts", content=csv, headers={"Content-Type": "text/csv"}))
    assert member.ids("feed_mine") == other.ids("feed_mine") == []


def test_columns_that_are_left_out_on_request_are_left_out(api: Served) -> None:
    member, other = api.signups(2)
    body = {"content": "mine after all", "author_id": other.id}
    expect(201, member.post("/posts?columns=content", json=body))
    assert other.ids("feed_mine") == []
    assert len(member.ids("feed_mine")) == 1


def test_no_upsert_overwrites_a_post(api: Served) -> None:
    author, other = api.signups(2)
    post = author.write("original")
    body = {"id": post["id"], "content": "overwritten"}
    merge = {"Prefer": "resolution=merge-duplicates"}
    told(400, "upsert_not_supported", other.post("/posts", json=body, headers=merge))
    told(400, "query_not_supported", other.post("/posts?on_conflict=id", json=body, headers=merge))
    assert api.get(f"/posts?id=eq.{post['id']}").json() == [post]

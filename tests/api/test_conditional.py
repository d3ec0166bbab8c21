"""Conditional requests (RFC 9110, 13): a page that the client has is not sent again."""

import pytest

from tests.support.client import Api, Member, expect, refused
from tests.support.horizon import forget
from tests.support.servers import Served

PRIVATE = ("feed_timeline", "feed_following", "feed_mine")


def asked(answered: object) -> bool:
    """Whether the proxy made this answer itself, having asked the database."""
    return "server" not in answered.headers  # type: ignore[attr-defined]


@pytest.fixture
def pair(api: Served) -> tuple[Member, Member]:
    """A reader of somebody who has posted, and that author."""
    reader, author = api.signups(2)
    reader.follow(author)
    for number in range(4):
        author.write(f"post {number}")
    return reader, author


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_that_is_unchanged_is_answered_without_a_body(
    api: Served, pair: tuple[Member, Member], name: str, method: str
) -> None:
    reader = pair[1] if name == "feed_mine" else pair[0]
    page = expect(200, reader.page(name))
    headers = {"If-None-Match": page.headers["ETag"]}
    answer = api.request(method, f"/rpc/{name}", reader.token, headers=headers)
    assert expect(304, answer).content == b""
    assert answer.headers["ETag"] == page.headers["ETag"]
    assert answer.headers["Cache-Control"] == page.headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Accept", "Origin"} <= set(answer.headers["Vary"].split(", "))
    assert answer.headers["X-Request-Id"]
    assert asked(answer) == (name != "feed_mine")
    again = expect(200, reader.page(name))  # on the connection that a 304 without a body left
    assert again.content == page.content


def test_pages_for_everybody_and_threads_have_tags_too(
    api: Served, pair: tuple[Member, Member]
) -> None:
    reader, author = pair
    post = author.write("asked")["id"]
    author.write("answered", post)
    for path in ("feed_public?limit=5", f"replies?post_id={post}", f"thread?post_id={post}"):
        tag = expect(200, reader.get(f"/rpc/{path}")).headers["ETag"]
        unchanged = {"If-None-Match": tag}
        assert expect(304, reader.get(f"/rpc/{path}", headers=unchanged)).content == b""
        author.write("another", post) if "feed" not in path else author.write("new")
        assert expect(200, reader.get(f"/rpc/{path}", headers=unchanged)).headers["ETag"] != tag


@pytest.mark.parametrize(
    "form", ["{}", "W/{}", '"other", {}', '{}, "other"', '"a,b" , W/{},"c"', "*"]
)
def test_if_none_match_is_a_list_of_tags_strong_or_weak_or_a_star(
    pair: tuple[Member, Member], form: str
) -> None:
    reader, _ = pair
    tag = reader.page("feed_timeline").headers["ETag"]
    expect(304, reader.get("/rpc/feed_timeline", headers={"If-None-Match": form.format(tag)}))


@pytest.mark.parametrize("form", ['"other"', "{inner}", '"x{inner}"', '"{inner}x"', "W/", '""'])
def test_what_only_looks_like_the_tag_is_another(pair: tuple[Member, Member], form: str) -> None:
    reader, _ = pair
    inner = reader.page("feed_timeline").headers["ETag"].strip('"')
    headers = {"If-None-Match": form.format(inner=inner)}
    expect(200, reader.get("/rpc/feed_timeline", headers=headers))


def test_a_tag_is_of_one_address_one_form_and_one_reader(pair: tuple[Member, Member]) -> None:
    """The same rows, written out otherwise or for somebody else, are another representation."""
    reader, author = pair
    twin = reader.api.signup()
    twin.follow(author)
    forms = [
        ("/rpc/feed_timeline", {}),
        ("/rpc/feed_following", {}),
        ("/rpc/feed_timeline?limit=20", {}),
        ("/rpc/feed_timeline?select=id", {}),
        ("/rpc/feed_timeline", {"Accept": "application/vnd.pgrst.array+json"}),
        ("/rpc/feed_timeline", {"Accept": "text/csv"}),
    ]
    answers = [expect(200, reader.get(path, headers=headers)) for path, headers in forms]
    answers.append(expect(200, twin.get("/rpc/feed_timeline")))
    tags = [answer.headers["ETag"] for answer in answers]
    assert len(set(tags)) == len(tags)
    for tag in tags[1:]:
        expect(200, reader.get("/rpc/feed_timeline", headers={"If-None-Match": tag}))
    assert twin.get("/rpc/feed_timeline", headers={"If-None-Match": tags[0]}).status_code == 200


def test_a_forged_token_or_a_dead_one_gets_no_304(pair: tuple[Member, Member]) -> None:
    reader, _ = pair
    tag = reader.page("feed_timeline").headers["ETag"]
    head, claims, _ = reader.token.split(".")
    unsigned = f"{head}.{claims}.x"
    for tags in (tag, "*"):
        headers = {"If-None-Match": tags}
        forged = reader.api.get("/rpc/feed_timeline", unsigned, headers=headers)
        refused(401, "token_invalid", forged)
    expect(204, reader.post("/rpc/logout", json={}))
    for tags in (tag, "*"):
        headers = {"If-None-Match": tags}
        refused(401, "session_ended", reader.get("/rpc/feed_timeline", headers=headers))


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=-1"])
def test_what_would_be_refused_is_refused(pair: tuple[Member, Member], query: str) -> None:
    reader, _ = pair
    for headers in ({}, {"If-None-Match": "*"}):
        expect(400, reader.get(f"/rpc/feed_timeline?{query}", headers=headers))


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?cursor=%00", {}, 400),
        ("?select=description", {}, 400),
        ("?post_id=1", {}, 404),
        ("", {"Accept": "image/png"}, 415),
        ("", {"Accept-Profile": "app"}, 406),
    ],
)
def test_a_tag_or_a_star_turns_no_refusal_into_a_304(
    pair: tuple[Member, Member], query: str, headers: dict[str, str], status: int
) -> None:
    reader, _ = pair
    tag = expect(200, reader.get("/rpc/feed_timeline")).headers["ETag"]
    for tags in ("*", tag):
        asking = {"If-None-Match": tags, **headers}
        assert reader.get(f"/rpc/feed_timeline{query}", headers=asking).status_code == status
    expect(304, reader.get("/rpc/feed_timeline", headers={"If-None-Match": tag}))


def test_of_two_cursors_the_page_and_its_tag_know_the_same(pair: tuple[Member, Member]) -> None:
    reader, author = pair
    ids = [row["id"] for row in reader.page("feed_timeline").json()]
    path = f"/rpc/feed_timeline?cursor={ids[1]}&cursor={ids[-1] + 1}"
    page = reader.get(path)
    author.write("new")
    again = reader.get(path, headers={"If-None-Match": page.headers.get("ETag", '"x"')})
    assert again.status_code in (page.status_code, 304)
    if again.status_code == 304:
        assert reader.get(path).content == page.content


def test_a_304_counts_like_any_request_and_a_limit_holds(own_api: Served) -> None:
    """The proxy's own address is exempt in tests, so this one takes a rule by user."""
    own_api.database.run("delete from app.rate_limit_exemptions")
    own_api.database.run(
        "update app.rate_limits set quota = case name when 'feeds' then 4 else 100000 end"
    )
    reader = own_api.signup()
    left = []
    tag = ""
    for _ in range(4):
        answer = reader.get("/rpc/feed_timeline", headers={"If-None-Match": tag} if tag else {})
        expect(304 if tag else 200, answer)
        tag = answer.headers["ETag"]
        left.append(answer.headers["X-RateLimit-Remaining"])
    assert left == ["3", "2", "1", "0"]
    answer = reader.get("/rpc/feed_timeline", headers={"If-None-Match": tag})
    refused(429, "rate_limited", answer)
    assert int(answer.headers["Retry-After"]) > 0
    assert own_api.database.value("select max(hit_count) from app.rate_limit_buckets") >= 4


def test_a_page_below_the_horizon_has_a_tag_that_postgrest_checks(own_api: Served) -> None:
    reader, author = own_api.signups(2)
    reader.follow(author)
    author.write("before")
    forget(own_api.database, reader.id)
    page = expect(200, reader.page("feed_timeline"))
    answer = reader.get("/rpc/feed_timeline", headers={"If-None-Match": page.headers["ETag"]})
    assert not asked(expect(304, answer))


def test_without_the_database_at_hand_the_answer_is_the_same(own_api: Served) -> None:
    """The connections that the proxy keeps are cut: it goes on, and takes new ones."""
    reader = own_api.signup()
    reader.write("here")
    headers = {"If-None-Match": reader.page("feed_timeline").headers["ETag"]}
    assert asked(expect(304, reader.get("/rpc/feed_timeline", headers=headers)))
    cut = own_api.database.values(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where usename = 'proxy' and datname = current_database()"
    )
    assert cut == [True] * len(cut) and cut
    own_api.database.run("alter role proxy nologin")
    try:
        for _ in range(len(cut) + 3):
            answer = expect(304, reader.get("/rpc/feed_timeline", headers=headers))
            assert not asked(answer)
    finally:
        own_api.database.run("alter role proxy login")
    assert asked(expect(304, reader.get("/rpc/feed_timeline", headers=headers)))


def test_postgrest_without_the_proxy_has_no_tags(rest: Api) -> None:
    """What a page depends on besides its rows is known to the proxy alone."""
    reader = rest.signup()
    answer = expect(200, reader.get("/rpc/feed_timeline", headers={"If-None-Match": "*"}))
    assert "ETag" not in answer.headers

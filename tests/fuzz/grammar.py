"""Requests in PostgREST's grammar, and beyond it: what a client may come to send, and an attacker.

The grammar is that of PostgREST's documentation (API reference: tables and views, functions,
resource embedding, preferences, media types), valid and mangled alike. What is asked is all of the
committed inventory, which tests/api/test_openapi.py compares with the OpenAPI document.
"""

import json
from typing import TypeVar
from urllib.parse import quote

from hypothesis import strategies as st

from microblog.settings import ROOT
from tests.fuzz.wire import Request

T = TypeVar("T")

COLUMNS = [
    "id", "username", "description", "created_at", "followers_count", "author_id", "content",
    "parent_id", "is_reply", "replies_count", "follower_id", "followed_id",
]  # fmt: skip
STRANGE = [
    "password_hash", "deleted_at", "jti", "xmin", "ctid", "tableoid", "count", "array_agg",
    "json_agg", "row_to_json", "pg_typeof", "users", "posts", "*", "", "''", '"id"', "id.id",
]  # fmt: skip
ENDPOINTS = sorted(json.loads((ROOT / "tests" / "api" / "endpoints.json").read_text()))
TABLES = [path for path in ENDPOINTS if not path.startswith("/rpc/")]
CALLS = [path for path in ENDPOINTS if path.startswith("/rpc/")]
SHORT = ["/up", "/health"]  # paths of the proxy's own
HIDDEN = ["credentials", "sessions", "feed_entries", "user_counters", "pg_class", "secrets"]
OPERATORS = [
    "eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch", "in", "is",
    "isdistinct", "fts", "plfts", "phfts", "wfts", "fts(english)", "fts(nolang)", "cs", "cd", "ov",
    "sl", "sr", "nxr", "nxl", "adj", "eq(any)", "like(all)", "ilike(any)", "in(any)", "",
]  # fmt: skip
CASTS = ["text", "xml", "regclass", "regrole", "bit", "json", "nosuch", "public.posts", "bytea"]


def plain(path: str) -> str:
    """Return the name of a table without its slash."""
    return path.removeprefix("/")


def mostly(usual: st.SearchStrategy[T], odd: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """``usual``, and one time in eight ``odd``."""
    return st.sampled_from([usual] * 7 + [odd]).flatmap(lambda chosen: chosen)


odd_text = st.sampled_from(
    [
        "",
        "null",
        "NaN",
        "-1",
        "0",
        "1",
        "5",
        "true",
        "(1,2)",
        "{1,2}",
        "()",
        "(",
        ")",
        "*",
        "%",
        "'",
    ]
    + ['"', "\\", "--", ";", "/*", "1e400000", "9" * 30, "9" * 400, "2**63", "1.5", "$1", "é", "😀"]
    + [
        "\x00",
        "\n",
        "\r\nX-A: b",
        "(a*)*b",
        "%' or 1=1",
        "01",
        "+1",
        " 1",
        "infinity",
        "[1]",
        "a.b",
    ]
)
values = mostly(st.integers(1, 4000).map(str) | odd_text, st.integers().map(str) | st.text())
columns = st.sampled_from(COLUMNS)
names = mostly(columns | st.sampled_from(STRANGE), st.text(max_size=8))


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """``op.value``, negated now and then, a list where the operator takes one."""
    negated = draw(mostly(st.just(""), st.sampled_from(["not.", "not.not."])))
    operator = draw(st.sampled_from(["eq", "lt", "in", "is"]) | st.sampled_from(OPERATORS))
    if operator == "in" and draw(st.booleans()):
        value = "(" + ",".join(draw(st.lists(values, max_size=4))) + ")"
    else:
        value = draw(values)
    return f"{negated}{operator}.{value}"


def tree(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """``and(…)`` and ``or(…)`` around conditions."""
    parts = st.lists(inner, max_size=3).map(",".join)
    return st.tuples(st.sampled_from(["and", "or", "not.and", "not.or"]), parts).map(
        lambda p: f"{p[0]}({p[1]})"
    )


logic = st.recursive(st.tuples(names, conditions()).map(".".join), tree, max_leaves=6)


@st.composite
def items(draw: st.DrawFn) -> str:
    """One item of a select: a column, with alias, JSON path, cast or aggregate."""
    nothing = st.just("")
    return (
        draw(mostly(nothing, st.sampled_from(["a:", "author:", "...", ":"])))
        + draw(names)
        + draw(mostly(nothing, st.sampled_from(["->x", "->>0", "->>username", "->-1"])))
        + draw(mostly(nothing, st.sampled_from([".count()", ".sum()", ".max()", ".nosuch()"])))
        + draw(mostly(nothing, st.sampled_from(CASTS).map("::{}".format)))
    )


def embed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """``alias:table!hint(…)``."""
    hints = ["", "!inner", "!left", "!follower_id", "!follows_followed_id_fkey", "!nosuch"]
    return st.builds(
        "{}{}{}({})".format,
        st.sampled_from(["", "author:", "..."]),
        mostly(st.sampled_from(TABLES).map(plain), st.sampled_from(HIDDEN)),
        st.sampled_from(hints),
        st.lists(inner, max_size=3).map(",".join),
    )


plain_select = st.lists(columns, min_size=1, max_size=4).map(",".join)
selects = (
    plain_select
    | st.just("*,author:users(id,username)")
    | st.lists(st.recursive(items(), embed, max_leaves=8), min_size=1, max_size=3).map(",".join)
)
orders = st.lists(
    st.tuples(
        columns | names | st.just("users(id)"),
        st.sampled_from(["", ".asc", ".desc", ".nullsfirst", ".desc.nullslast", ".nosuch"]),
    ).map("".join),
    max_size=3,
).map(",".join)
numbers = st.sampled_from(["0", "1", "5", "100", "101", "999", "1000", "-1", "abc", "", "9" * 30])

PLAIN = [
    "id=eq.{}", "id=in.({})", "id=lt.{}", "id=gte.{}", "author_id=eq.{}", "parent_id=eq.{}",
    "username=eq.{}", "follower_id=eq.{}", "followed_id=eq.{}", "followed_id=in.({})",
    "post_id={}", "user_id={}", "cursor={}", "limit={}",
]  # fmt: skip
parameters = (
    st.tuples(st.sampled_from(PLAIN), st.integers(-1, 5000) | values).map(
        lambda p: p[0].format(p[1]).partition("=")[::2]
    )
    | st.tuples(names, conditions())
    | st.tuples(st.sampled_from(["and", "or", "not.and", "posts.or", "users.and"]),
                st.lists(logic, max_size=3).map(",".join).map("({})".format))
    | st.tuples(st.sampled_from(["select", "select", "posts.select"]), selects)
    | st.tuples(st.sampled_from(["order", "users.order", "posts.order"]), orders)
    | st.tuples(st.sampled_from(["limit", "offset", "posts.limit", "users.offset"]), numbers)
    | st.tuples(st.sampled_from(["columns", "on_conflict"]), plain_select | orders)
    | st.tuples(st.sampled_from(["cursor", "post_id", "user_id", "limit", "apikey"]), values)
    | st.tuples(names, values)
)  # fmt: skip


# What the contract offers: most of these are answered.
SOUND = {
    "/users": ["id=eq.{}", "id=in.({},7)", "id=gt.{}", "username=eq.user_{}", "order=id.desc"],
    "/posts": ["id=lt.{}", "author_id=eq.{}", "parent_id=eq.{}", "order=id.desc", "id=in.({},7)"],
    "/follows": [
        "follower_id=eq.{}", "followed_id=eq.{}", "followed_id=in.({},7)", "order=followed_id",
    ],
}  # fmt: skip
OF_PAGES = ["cursor={}", "limit=7", "post_id={}", "user_id={}"]


# To some parsers a semicolon separates parameters, too.
separators = st.sampled_from(["&"] * 15 + [";"])


@st.composite
def sound(draw: st.DrawFn, path: str) -> bytes:
    """A query that the contract offers, with up to two parameters of any kind beside it."""
    offered = SOUND.get(path, OF_PAGES)
    number = st.integers(1, 4000)
    pairs = [p.format(draw(number)) for p in draw(st.lists(st.sampled_from(offered), max_size=3))]
    if path in SOUND:
        pairs += draw(st.lists(st.sampled_from(["limit=3", "offset=9", "select=*"]), max_size=2))
    beside = draw(st.lists(parameters, max_size=1))
    return draw(separators).join(pairs + ["=".join(map(quote, pair)) for pair in beside]).encode()


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    """A query string, encoded in one of the ways that clients encode."""
    pairs = draw(st.lists(parameters, max_size=2))
    if not pairs or draw(st.booleans()):
        pairs.append(("select", draw(selects)))
    if draw(st.integers(0, 9)) == 3:
        pairs.append(draw(st.sampled_from(pairs)))
    safe = draw(st.sampled_from(["", "(),.:*!", "(),.:*!>-\"'$ {}[]\\|^`<"]))
    text = (
        draw(separators)
        .join(
            quote(name, safe=safe)
            + draw(st.sampled_from(["="] * 20 + [""]))
            + quote(value, safe=safe)
            for name, value in pairs
        )
        .encode()
    )
    if draw(st.integers(0, 12)) == 0:  # not UTF-8, a NUL, not encoded at all
        text += draw(
            st.sampled_from([b"%ff", b"%c0%80", b"%00", b"%", b"%zz", b"\xff", b"#", b" "])
        )
    if draw(st.integers(0, 30)) == 0:
        text += b"&id=in.(" + b"1," * draw(st.integers(1000, 20000)) + b"1)"
    return text


paths = mostly(
    st.sampled_from(TABLES) | st.sampled_from(CALLS),
    st.sampled_from([*SHORT, "/", "/nosuch", *map("/{}".format, HIDDEN)])
    | st.sampled_from([*HIDDEN, "pre_request", "jwt_sign", "crypt", ""]).map("/rpc/{}".format)
    | st.text(max_size=12).map(lambda text: "/" + quote(text)),
)

PREFER = [
    "return=representation", "return=minimal", "return=headers-only", "count=exact",
    "count=planned", "count=estimated", "resolution=merge-duplicates", "handling=lenient",
    "resolution=ignore-duplicates", "missing=default", "missing=null", "handling=strict",
    "tx=rollback", "tx=commit", "timezone=Asia/Tokyo", "timezone=nosuch", "max-affected=0",
    "params=single-object", "params=multiple-objects", "nosuch", "",
    'a="x, count=exact, b=y"', 'a="x, resolution=merge-duplicates, b=y"', 'a="', "\x0bcount=exact",
]  # fmt: skip
ACCEPT = [
    "application/json", "*/*", "text/csv", "application/vnd.pgrst.object+json", "text/plain",
    "application/vnd.pgrst.plan+json", "application/vnd.pgrst.plan; options=analyze|verbose",
    "application/vnd.pgrst.object+json;nulls=stripped", "application/geo+json", "text/xml",
    "application/vnd.pgrst.array+json;nulls=stripped", "application/octet-stream", "image/*", "",
    "application/openapi+json", "text/html, */*;q=0.1", "nosuch", "a/b;q=x",
]  # fmt: skip
TYPES = [
    "application/json", "application/json; charset=utf-8", "application/json;charset=utf-16",
    "text/csv", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream",
    "application/vnd.pgrst.object+json", "text/xml", "multipart/form-data; boundary=x", "nosuch",
]  # fmt: skip
odd_bytes = st.sampled_from([b"", b"\xff", b"a\xc0\x80", b"\x01", b"'", b'"', b"x" * 5000, b"%00"])
header_values = values.map(lambda text: text.encode().translate(None, b"\r\n\x00")) | odd_bytes
headers = st.one_of(
    st.tuples(st.just("Prefer"), st.lists(st.sampled_from(PREFER), max_size=3).map(", ".join)),
    st.tuples(st.just("Accept"), st.sampled_from(ACCEPT)),
    st.tuples(st.just("Content-Type"), st.sampled_from(TYPES)),
    st.tuples(st.just("Range"), st.sampled_from(
        ["0-9", "5-1", "9-", "-5", "items=0-9", "bytes=0-", "99999-", "0-99999999999999999999", "x"]
    )),
    st.tuples(st.sampled_from(["Accept-Profile", "Content-Profile"]),
              st.sampled_from(["api", "app", "dba", "pg_catalog", ""])),
    st.tuples(st.just("Authorization"), st.sampled_from(["", "Bearer", "Bearer x.y.z", "Basic x"])),
).map(lambda pair: (pair[0].encode(), pair[1].encode())) | st.tuples(
    st.sampled_from([
        b"Idempotency-Key", b"If-None-Match", b"X-Forwarded-For", b"X-Page-Limit", b"Origin",
        b"Cookie", b"User-Agent", b"Prefer", b"Accept", b"Range-Unit", b"X-Client-Info",
        b"X-HTTP-Method-Override", b"Expect-Nothing", b"Accept-Encoding", b"Content-Encoding",
    ]),
    header_values,
)  # fmt: skip

# Public words only: what is written comes back in later answers, and must not look like a leak.
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "hello", "😀" * 200, "x" * 201, "a\x00b", " ", "correct horse battery"])
    | st.text("abc é字\u0301\u200b\ud800", max_size=10)
)  # fmt: skip
keys = st.sampled_from(
    COLUMNS
    + ["limit", "cursor", "post_id", "user_id", "username", "password", "all", "", "zzz"]
    + ["current_password", "new_password", "deleted_at", "password_hash"]
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
JSON_BODIES = st.dictionaries(keys, scalars | json_values, max_size=4)
WRITES = [
    {"content": "hello"}, {"content": "hello", "parent_id": 1}, {"followed_id": 7},
    {"description": "me"}, {"username": "somebody_else"}, {"post_id": 1}, {"user_id": 7},
    {"username": "nobody", "password": "not the password"}, {"cursor": "5", "limit": 3}, {},
]  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A JSON body, well made or not, or something else."""
    kind = draw(st.integers(0, 9))
    if kind <= 3:
        return json.dumps(draw(st.sampled_from(WRITES))).encode()
    if kind <= 5:
        value = draw(JSON_BODIES | st.lists(JSON_BODIES, max_size=3) | json_values)
        return json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if kind == 6:  # deep
        depth = draw(st.sampled_from([10, 1000, 20000]))
        key = draw(keys).encode()
        return b'{"' + key + b'":' + b"[" * depth + b"]" * depth + b"}"
    if kind == 7:  # long
        key, digits = draw(keys).encode(), draw(st.sampled_from([400, 20000]))
        return b'{"' + key + b'":' + b"9" * digits + b"}"
    if kind == 8:
        return draw(st.sampled_from(
            [b"", b"null", b"[]", b"{}", b"{", b"[{}]", b"[null]", b"7", b'"x"', b"\xff", b"\x00"]
            + [b'{"content":"\\u0000"}', b'{"content":"\\ud800"}', b'{"content":"\xff"}', b"[[]]"]
            + [b'{"content":"a","content":"b"}', b"content\nhello\n", b"content=a&x=%ff", b"NaN"]
            + [b"[" + b'{"content":"a"},' * 120 + b'{"content":"a"}]', b"\xef\xbb\xbf{}", b"{}{}"]
        ))  # fmt: skip
    return draw(st.binary(max_size=30))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Any request."""
    method = draw(
        mostly(
            st.sampled_from(["GET", "GET", "POST", "POST", "PATCH", "DELETE", "HEAD"]),
            st.sampled_from(["PUT", "OPTIONS", "TRACE", "LINK", "PROPFIND"]),
        )
    )
    path = draw(paths)
    target = path.encode()
    query = draw(queries() | sound(path) if method == "GET" else mostly(st.just(b""), queries()))
    if query:
        target += b"?" + query
    sent = draw(st.lists(headers, max_size=2))
    body = None
    if method not in ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE") or draw(st.integers(0, 9)) == 0:
        body = draw(bodies())
        if not any(name == b"Content-Type" for name, _ in sent):
            sent.append((b"Content-Type", b"application/json"))
    return Request(method, target, tuple(sent), body)


@st.composite
def questions(draw: st.DrawFn) -> Request:
    """A GET in well-formed PostgREST, of a table or a page, mostly beyond the contract."""
    asked = st.one_of(
        st.tuples(st.just("select"), st.lists(st.sampled_from(STRANGE), min_size=1, max_size=1)),
        st.tuples(st.just("select"), st.lists(columns | embeds, min_size=1, max_size=3)),
        st.tuples(st.just("order"), st.lists(columns | st.sampled_from(STRANGE), min_size=1)),
        st.tuples(
            columns, st.tuples(st.sampled_from(OPERATORS), values).map(".".join).map(as_list)
        ),
        st.tuples(st.sampled_from(["limit", "offset"]), numbers.map(as_list)),
    )
    path = draw(st.sampled_from(TABLES) | st.sampled_from(CALLS + SHORT))
    pairs = draw(st.lists(asked, min_size=1, max_size=2))
    query = "&".join(f"{name}={quote(','.join(parts))}" for name, parts in pairs)
    sent = draw(st.lists(headers, max_size=1)) if draw(st.booleans()) else []
    return Request("GET", f"{path}?{query}".encode(), tuple(sent))


def as_list(text: str) -> list[str]:
    """Return a list of one."""
    return [text]


embeds = st.recursive(
    st.sampled_from(["*", "id", "count", "array_agg"]),
    lambda inner: st.builds(
        "{}({})".format,
        st.sampled_from(
            ["users", "posts", "users!follower_id", "follows!follows_followed_id_fkey"]
            + ["author:users", "follows!follows_follower_id_fkey", "credentials"]
        ),
        inner,
    ),
    max_leaves=6,
)

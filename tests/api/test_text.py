"""What counts as text: code points, white space of all of Unicode, bytes that are no text."""

import json
import socket
import unicodedata
from urllib.parse import urlsplit

import pytest

from tests.support.client import Member, expect, refused
from tests.support.refusals import told
from tests.support.servers import Served

# The White_Space property of Unicode (PropList.txt), the zero-width space, the byte order mark.
WHITE_SPACE = [
    *map(chr, range(0x09, 0x0E)),
    *" \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\ufeff",
    *map(chr, range(0x2000, 0x200B)),
]
COMBINED = "e\u0301"  # one letter to the eye, two code points
FAMILY = "👨\u200d👩\u200d👧"  # one picture, five code points
FLAG = "🇩🇪"  # one flag, two code points


def content_of(member: Member, content: str) -> str:
    return member.write(content)["content"]


@pytest.mark.parametrize(
    "unit", ["a", "é", "字", "😀", COMBINED, FAMILY, FLAG, "\u202e", "'", '"', "\\", "&"]
)
def test_200_code_points_fit_and_one_more_does_not(api: Served, unit: str) -> None:
    member = api.signup()
    longest = unit * (200 // len(unit))
    longest += "." * (200 - len(longest))
    assert content_of(member, longest) == longest
    answer = member.post("/posts", json={"content": longest + unit[0]})
    told(400, "content_too_long", answer, "at most 200", "201", "code points")
    assert member.profile()["posts_count"] == 1


def test_text_is_kept_as_it_was_written(api: Served) -> None:
    """Composed and decomposed stay what they are; nothing is escaped, folded or normalised."""
    member = api.signup()
    decomposed = unicodedata.normalize("NFD", "Ångström")
    for text in (
        "Ångström", decomposed, "ﬁ Ⅷ ß ẞ", "a  b\n\n\tc", "<b>&amp;</b>", "'; drop table posts--",
        "%s %00 \\u0000 \\x00 \\", '{"json": [1]}', "\u200d\u0301", "\u202eright to left",
        "a\u0001b", "e\u0301" * 100, "😀" * 200, "null", "0", "{}",
    ):  # fmt: skip
        assert content_of(member, text) == text
        assert member.page("feed_mine", limit=1).json()[0]["content"] == text


@pytest.mark.parametrize("space", WHITE_SPACE, ids=lambda c: f"U+{ord(c):04X}")
def test_only_white_space_is_no_content(api: Served, space: str) -> None:
    member = api.signup()
    for content in (space, space * 200, space * 500):
        answer = member.post("/posts", json={"content": content})
        told(400, "content_empty", answer, "needs content", "white space")


def test_white_space_of_all_kinds_together_is_no_content(api: Served) -> None:
    answer = api.signup().post("/posts", json={"content": "".join(WHITE_SPACE)})
    refused(400, "content_empty", answer)


@pytest.mark.parametrize("space", WHITE_SPACE, ids=lambda c: f"U+{ord(c):04X}")
def test_white_space_around_is_trimmed_and_does_not_count(api: Served, space: str) -> None:
    member = api.signup()
    text = "a" + space + "b"
    assert content_of(member, space * 3 + text + space * 3) == text
    assert content_of(member, space * 10 + "x" * 200 + space * 10) == "x" * 200


def test_nothing_but_white_space_is_trimmed(api: Served) -> None:
    member = api.signup()
    visible = [chr(code) for code in range(0x21, 0x7F)]
    body = [{"content": f"{char} {char}"} for char in visible]
    rows = expect(
        201, member.post("/posts", json=body, headers={"Prefer": "return=representation"})
    ).json()
    assert [row["content"] for row in rows] == [post["content"] for post in body]


@pytest.mark.parametrize("mark", ["\u0301", "\u200d", "\ufe0f", "\u2060", "\u00ad"])
def test_a_lone_mark_is_a_character(api: Served, mark: str) -> None:
    assert content_of(api.signup(), mark) == mark


# -- what is not text ----------------------------------------------------------------------------

NOT_UTF8 = {
    "a lone byte": b"\xff",
    "a cut sequence": b"\xe2\x82",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xc0\x80",
    "half a surrogate pair": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "Latin-1": "é".encode("latin-1"),
}
HTTP400 = pytest.mark.parametrize("text", NOT_UTF8.values(), ids=NOT_UTF8.keys())


@HTTP400
def test_a_body_that_is_HTTP400_is_400(api: Served, text: bytes) -> None:
    member = api.signup()
    for body in (b'{"content": "a' + text + b'b"}', b'{"con' + text + b'tent": "x"}', text):
        answer = member.post("/posts", content=body, headers={"Content-Type": "application/json"})
        refused(400, "PGRST102", answer)
    assert member.profile()["posts_count"] == 0


@pytest.mark.parametrize("body", [b'{"content": "a\\ud800b"}', b'{"content": "a\x00b"}'])
def test_half_a_surrogate_pair_and_a_raw_nul_are_no_json(api: Served, body: bytes) -> None:
    answer = api.signup().post("/posts", content=body, headers={"Content-Type": "application/json"})
    refused(400, "PGRST102", answer)


def test_nul_is_no_text_anywhere(api: Served) -> None:
    member = api.signup()
    for answer in (
        member.post("/posts", json={"content": "a\0b"}),
        member.post("/posts", json={"content": "\0"}),
        member.patch(f"/users?id=eq.{member.id}", json={"description": "a\0b"}),
        api.post("/rpc/signup", json={"username": "a\0b", "password": "x" * 8}),
        api.post("/rpc/signup", json={"username": "nul", "password": "long enough\0"}),
        api.login(member.username, "long enough\0"),
        api.get("/rpc/feed_public?cursor=%00"),
    ):
        refused(400, "22P05", answer)
    assert member.profile()["posts_count"] == 0


def percent(text: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in text)


@HTTP400
def test_an_address_that_is_HTTP400_is_400(api: Served, text: bytes) -> None:
    member = api.signup()
    for path in (
        f"/posts?content=eq.{percent(text)}",
        f"/users?username=eq.a{percent(text)}b",
        f"/posts?select={percent(text)}",
        f"/posts?{percent(text)}=eq.1",
        f"/rpc/feed_public?cursor={percent(text)}",
        f"/rpc/replies?post_id={percent(text)}",
    ):
        told(400, "HTTP400", member.get(path), "UTF-8", "percent-encoded")


@pytest.mark.parametrize("text", ["é", "字", "😀", "\ufffd", "\U0010ffff"])
def test_an_address_in_utf8_is_understood(api: Served, text: str) -> None:
    assert expect(200, api.get("/users", params={"username": f"eq.{text}"})).json() == []
    told(400, "cursor_invalid", api.page("/rpc/feed_public", cursor=text), f'"{text}"')


@HTTP400
@pytest.mark.parametrize("header", ["Idempotency-Key", "User-Agent", "Prefer", "Accept", "Cookie"])
def test_a_header_that_is_HTTP400_is_400(api: Served, header: str, text: bytes) -> None:
    member = api.signup()
    status, body = raw_post(member, header, b"a" + text + b"b")
    assert status == 400
    assert json.loads(body)["code"] == "HTTP400"
    assert member.profile()["posts_count"] == 0


def test_a_header_in_utf8_is_understood(api: Served) -> None:
    member = api.signup()
    for _ in range(2):
        assert raw_post(member, "Idempotency-Key", "clé 😀".encode())[0] == 201
    assert member.profile()["posts_count"] == 1


def raw_post(member: Member, header: str, value: bytes) -> tuple[int, bytes]:
    """POST /posts with a header of any bytes, which HTTP libraries refuse to send."""
    address = urlsplit(member.api.url)
    body = b'{"content": "x"}'
    request = (
        f"POST /posts HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
        f"Authorization: Bearer {member.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{header}: "
    ).encode()
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(request + value + b"\r\n\r\n" + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest

"""What counts as white space at the ends of a post, and what counts as a character."""

import sys
import unicodedata

import pytest

from tests.support.database import Database

# Unicode's White_Space property (PropList.txt, Unicode 15), and two that show as nothing.
WHITE = [
    *range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
    0x205F, 0x3000,
]  # fmt: skip
INVISIBLE = [0x200B, 0xFEFF]


@pytest.fixture(scope="module")
def shared(module_database: Database) -> Database:
    return module_database


def trimmed(shared: Database, text: str) -> str:
    return shared.value("select app.text_trimmed(%s)", [text])


@pytest.mark.parametrize("code", WHITE + INVISIBLE, ids=lambda code: f"U+{code:04X}")
def test_white_space_goes_at_both_ends_and_stays_within(shared: Database, code: int) -> None:
    space = chr(code)
    assert trimmed(shared, f"{space}{space}a{space}b{space}") == f"a{space}b"
    assert trimmed(shared, space * 3) == ""


def test_nothing_else_is_trimmed(shared: Database) -> None:
    """Every other character of Unicode that exists survives at both ends."""
    others = [
        chr(code)
        for code in range(1, sys.maxunicode + 1)
        if code not in WHITE + INVISIBLE and not 0xD800 <= code <= 0xDFFF
    ]
    lost = shared.values(
        "select ascii(c) from unnest(%s::text[]) c where app.text_trimmed(c || 'x' || c)"
        " <> c || 'x' || c",
        [others],
    )
    assert lost == []
    assert len(others) > 1_000_000


def test_python_and_unicode_agree_on_the_list() -> None:
    """Of the separators Unicode knows, none is missing above."""
    separators = {
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Zs", "Zl", "Zp")
    }
    assert separators <= set(WHITE)


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        ("  two  words \n", "two  words"),
        ("\u3000全角\u3000", "全角"),
        ("\U0001f468\u200d\U0001f467", "\U0001f468\u200d\U0001f467"),
        ("e\u0301", "e\u0301"),
        ("x" * 200 + " " * 50, "x" * 200),
    ],
)  # fmt: skip
def test_a_post_is_stored_trimmed_and_otherwise_as_it_came(
    database: Database, content: str, stored: str
) -> None:
    """Composed and combining characters are not normalised, a joiner within an emoji stays."""
    database.post(database.user(), content)
    assert database.values("select content from app.posts") == [stored]


@pytest.mark.parametrize("content", ["", " ", "\t\n", "\u200b\u3000\ufeff", "\u00a0" * 300])
def test_a_post_of_nothing_but_space_is_refused_in_words(database: Database, content: str) -> None:
    with pytest.raises(Exception, match="content_empty"):
        database.post(database.user(), content)


@pytest.mark.parametrize("unit", ["x", "é", "\U0001f642", "e\u0301", "\u200d"])
def test_characters_are_code_points(database: Database, unit: str) -> None:
    """Not bytes, not UTF-16 units, not what the eye counts."""
    author = database.user()
    fits = 200 // len(unit)
    database.post(author, unit * fits)
    with pytest.raises(Exception, match="content_too_long"):
        database.post(author, unit * (fits + 1))

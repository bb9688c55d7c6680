"""RTF written by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.rich_text import rtf_blocks


def blocks(body: str) -> list[tuple[str, int, str]]:
    found, _ = rtf_blocks(("{\\rtf1\\ansi\\ansicpg1252\\deff0" + body + "}").encode("latin-1"))
    return [(block.category, block.depth, block.text.strip()) for block in found]


def test_headings_by_style_and_by_outline() -> None:
    assert blocks(
        "{\\stylesheet{\\s1 heading 2;}{\\s2 Title;}}\\pard\\s2 Policy\\par\\pard\\s1 Days\\par\\pard\\outlinelevel0 "
        "Leave\\par\\pard Plain\\par"
    ) == [("title", 0, "Policy"), ("title", 1, "Days"), ("title", 0, "Leave"), ("text", 0, "Plain")]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("caf\\'e9", "café"),
        ("\\u8364?5", "€5"),
        ("\\uc0\\u8364 5", "€5"),
        ("\\u-10179?\\u-8704?!", "😀!"),
        ("a\\~b\\_c\\emdash d", "a\xa0b\u2011c—d"),
        ("\\{a\\\\b\\}", "{a\\b}"),
        ("one\r\n two", "one two"),
        ("{\\fonttbl{\\f1\\fcharset204 X;}}{\\f1 \\'c4\\'e0}", "Да"),
        ("{\\fonttbl{\\f1\\fcharset128 X;}}{\\f1 \\'93\\'fa\\'96\\{}", "日本"),
        ("a{\\*\\generator Program 7;}b", "ab"),
        ("a{\\pict\\wmetafile8 0123456789abcdef}b", "ab"),
        ("a\\bin5 {{{{{b", "ab"),
        ('{\\field{\\*\\fldinst HYPERLINK "x"}{\\fldrslt here}}', "here"),
    ],
)
def test_characters(written: str, text: str) -> None:
    assert blocks(f"\\pard {written}\\par") == [("text", 0, text)]


def test_tables_lists_and_notes() -> None:
    assert blocks(
        "\\trowd\\pard\\intbl Grade\\cell Days\\cell\\row\\trowd\\pard\\intbl Junior\\par staff\\cell 25\\cell\\row"
        "\\pard{\\listtext\\'b7\\tab}\\ls1 Ask\\par\\pard See{\\footnote\\pard The note.\\par} here.\\par"
    ) == [
        ("table", 0, "Grade | Days\nJunior staff | 25"),
        ("list_item", 0, "Ask"),
        ("text", 0, "See here."),
        ("text", 0, "The note."),
    ]


def test_hidden_and_deleted_words_and_running_titles_are_no_text() -> None:
    assert blocks(
        "{\\header\\pard Running\\par}\\pard Shown{\\v  obey me}{\\deleted  gone}\\v  away\\v0  again{\\*\\atnid x}"
        "{\\*\\annotation a remark}.\\par"
    ) == [("text", 0, "Shown again.")]


def test_the_title_is_among_the_properties() -> None:
    found, title = rtf_blocks(b"{\\rtf1{\\info{\\title Leave \\'fcber alles}{\\author Nobody}}\\pard a\\par}")
    assert title == "Leave über alles" and [block.text for block in found] == ["a"]


def test_what_is_torn_is_read_as_far_as_it_goes() -> None:
    found, _ = rtf_blocks(b"{\\rtf1\\pard First.\\par\\pard Second is torn")
    assert [block.text for block in found] == ["First.", "Second is torn"]


def test_thousands_of_open_groups_are_refused() -> None:
    with pytest.raises(RecursionError):  # which the reading turns into "unsafe"
        rtf_blocks(b"{\\rtf1" + b"{" * 5000)


_PIECES = st.sampled_from(
    ["{", "}", "\\par ", "\\'e9", "\\'", "\\u8364?", "\\u", "\\bin9 ", "\\*", "\\v ", "\\cell ", "\\row ", "\\intbl ",
     "\\footnote ", "\\fonttbl ", "\\stylesheet ", "\\s1 ", "word ", "\\ansicpg99999 ", "\\uc9 ", "\\\n"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=40))
def test_any_order_of_words_is_read(pieces: list[str]) -> None:
    found, _ = rtf_blocks(b"{\\rtf1 " + "".join(pieces).encode("latin-1"))
    assert all(isinstance(block.text, str) for block in found)

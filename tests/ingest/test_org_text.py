"""Org files: what is a heading, and what is for Emacs alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.org_text import org_blocks


def test_org() -> None:
    blocks, title = org_blocks(
        "#+TITLE: Leave ~policy~\n#+AUTHOR: nobody\n* TODO [#A] Leave :hr:rules:\n:PROPERTIES:\n:ID: 7\n:END:\n"
        "SCHEDULED: <2026-01-05>\nAsk your manager\nfirst, see [[file:x.org][the form]] or [[https://a.example]].\n"
        "- [X] one\n  goes on\n- two\n\n** Days\n| Grade | Days |\n|-------+------|\n| Junior | 25 |\n"
        "#+BEGIN_SRC sh\n* no heading\n#+END_SRC\n# a remark\n#+BEGIN_QUOTE\nQuoted words.\n#+END_QUOTE\n"
    )
    assert title == "Leave policy"
    assert [(block.category, block.depth, block.text) for block in blocks] == [
        ("title", 0, "Leave"),
        ("text", 0, "Ask your manager first, see the form or https://a.example."),
        ("list_item", 0, "one goes on"),
        ("list_item", 0, "two"),
        ("title", 1, "Days"),
        ("table", 0, "Grade | Days\nJunior | 25"),
        ("code", 0, "* no heading"),
        ("text", 0, "Quoted words."),
    ]


def test_what_is_not_closed_is_read_to_the_end() -> None:
    blocks, _ = org_blocks("#+BEGIN_SRC\nfirst\nsecond")
    assert [block.text for block in blocks] == ["first\nsecond"]
    blocks, _ = org_blocks(":LOGBOOK:\nfor Emacs\n* Heading\nText")
    assert [block.text for block in blocks] == ["Heading", "Text"]


@given(st.lists(st.sampled_from(["* a", "** b", "word", "- c", "| d |", "", "[[", "~e", "=f="]), max_size=15))
def test_every_word_of_the_text_is_kept(lines: list[str]) -> None:
    blocks, _ = org_blocks("\n".join(lines))
    kept = "".join(block.text for block in blocks)
    assert all(kept.count(letter) == sum(letter in line for line in lines) for letter in "abcef")

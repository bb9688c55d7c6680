from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.model import Category, Element
from ui.section import ELLIPSIS, section_around


def document(*parts: tuple[Category, int, str], place: dict[str, str | int] | None = None) -> tuple[str, list[Element]]:
    elements, texts, at = [], [], 0
    for ordinal, (category, depth, text) in enumerate(parts):
        elements.append(Element(ordinal, category, depth, at, at + len(text), None, place or {}))
        texts.append(text)
        at += len(text) + 2
    return "\n\n".join(texts), elements


POLICY = document(
    ("title", 0, "Policy"),
    ("text", 0, "Preamble."),
    ("title", 1, "Leave"),
    ("text", 0, "Leave is twenty weeks."),
    ("title", 2, "Twins"),
    ("text", 0, "Two more for twins."),
    ("title", 1, "Pay"),
    ("text", 0, "Pay is full."),
)


def shown(text: str, elements: list[Element], quote: str, **options: int) -> list[str]:
    start = text.index(quote)
    section = section_around(text, elements, start, start + len(quote), **options)
    return ["".join(part.text for part in block.parts) for block in section.blocks]


def test_the_section_reaches_from_its_heading_to_the_next_of_its_depth() -> None:
    assert shown(*POLICY, "twenty weeks") == ["Leave", "Leave is twenty weeks.", "Twins", "Two more for twins."]
    assert shown(*POLICY, "Two more") == ["Twins", "Two more for twins."]
    assert shown(*POLICY, "Pay is full.") == ["Pay", "Pay is full."]


def test_headings_above_lead_to_the_section() -> None:
    text, elements = POLICY
    start = text.index("Two more")
    assert section_around(text, elements, start, start + 8).headings == ("Policy", "Leave")


def test_a_quote_over_two_sections_shows_both() -> None:
    text, elements = POLICY
    start, end = text.index("Two more"), text.index("full")
    section = section_around(text, elements, start, end)
    assert "".join(part.text for block in section.blocks for part in block.parts if part.marked) == (
        "Two more for twins.PayPay is "
    )


def test_a_slide_is_shown_whole() -> None:
    text, elements = document(("title", 0, "One"), ("text", 0, "First."), ("text", 0, "Second."), place={"slide": 4})
    other = Element(3, "text", 0, len(text) + 2, len(text) + 8, None, {"slide": 5})
    assert shown(text + "\n\nThird.", [*elements, other], "Second") == ["One", "First.", "Second."]


def test_what_is_far_away_is_cut_with_an_ellipsis() -> None:
    text, elements = document(("text", 0, "a" * 500 + "QUOTE" + "b" * 500))
    assert shown(text, elements, "QUOTE", around=10) == [ELLIPSIS + "a" * 10 + "QUOTE" + "b" * 10 + ELLIPSIS]


def test_a_span_in_no_element_is_still_shown() -> None:
    section = section_around("some text", [], 5, 9)
    assert [(part.text, part.marked) for part in section.blocks[0].parts] == [("some ", False), ("text", True)]


CATEGORIES: tuple[Category, ...] = ("title", "text", "table", "list_item")


@given(
    st.lists(st.tuples(st.sampled_from(CATEGORIES), st.integers(0, 3), st.text("ab \n", min_size=1)), min_size=1),
    st.data(),
)
def test_what_is_marked_is_the_quote_and_nothing_else(
    parts: list[tuple[Category, int, str]], data: st.DataObject
) -> None:
    text, elements = document(*parts)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    section = section_around(text, elements, start, end)
    marked = "".join(part.text for block in section.blocks for part in block.parts if part.marked)
    touched = [one for one in elements if one.start < end and start < one.end]
    expected = "".join(text[max(start, one.start) : min(end, one.end)] for one in touched) or text[start:end]
    assert marked == expected

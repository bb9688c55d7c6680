"""Which rules of a page hold for which of its elements, and what their values mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from ingest.stylesheets import TRANSPARENT, StyleSheet, alike, colour, pixels

PAGE = html.document_fromstring(
    "<body><div id='Box' class='Note wide'><p class='small'><span>A</span></p></div><p style='COLOR: Red'>B</p></body>"
)
SPAN, INNER, OUTER = PAGE.find(".//span"), PAGE.findall(".//p")[0], PAGE.findall(".//p")[1]


def sheet(css: str) -> StyleSheet:
    made = StyleSheet()
    made.add(css)
    return made


@pytest.mark.parametrize(
    "selector",
    ["span", "*", "#box span", ".note span", "div.note.wide > p span", "body div p > span", "h1, span", "P.SMALL SPAN"],
)
def test_a_rule_reaches_the_elements_it_names(selector: str) -> None:
    assert sheet(f"{selector} {{ display: none }}").style_of(SPAN) == {"display": "none"}


@pytest.mark.parametrize("selector", ["div > span", ".note > span", "#other span", "p.large span", "h1 span", ".not"])
def test_a_rule_leaves_other_elements_alone(selector: str) -> None:
    assert sheet(f"{selector} {{ display: none }}").style_of(SPAN) == {}


def test_the_heavier_rule_wins_then_the_later_then_the_own_style_and_urgent_ones_go_before_all() -> None:
    assert sheet("#box p { color: red } .small { color: blue }").style_of(INNER) == {"color": "red"}
    assert sheet("p { color: red } p { color: blue }").style_of(INNER) == {"color": "blue"}
    assert sheet("p { color: blue }").style_of(OUTER) == {"color": "red"}
    assert sheet("p { color: blue !important }").style_of(OUTER) == {"color": "blue"}


def test_comments_groups_and_media() -> None:
    assert sheet("/* p { display: none } */ p { color: red /* } */ }").style_of(INNER) == {"color": "red"}
    assert sheet("@media screen { p { display: none } }").style_of(INNER) == {"display": "none"}
    assert sheet("@supports (display: grid) { @media all { p { display: none } } }").style_of(INNER)
    assert sheet("@media print { p { display: none } }").style_of(INNER) == {}
    assert sheet("@keyframes fade { p { opacity: 0 } }").style_of(INNER) == {}
    assert sheet("p { color: red").style_of(INNER) == {}
    assert sheet("} } p { color: red }").style_of(INNER) == {"color": "red"}


def test_what_is_shown_in_some_state_is_not_hidden_for_good() -> None:
    menu = sheet(".note p { display: none } .note:hover p { display: block }")
    assert menu.style_of(INNER) == {"display": "none"} and menu.shown_sometimes(INNER)
    assert not sheet("p { display: none } p:hover { color: red; display: none }").shown_sometimes(INNER)


def test_a_sheet_knows_when_it_does_not_know_all() -> None:
    assert sheet("p { color: white } div > p { background: black }").complete
    assert not sheet("@import 'other.css';").complete
    assert not sheet("p + div { background: black }").complete
    assert not sheet("p:first-child { background: black }").complete
    assert not sheet("p { color: red }\n" * 10_001).complete


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("#fff", (255, 255, 255)),
        ("#FFFFFE", (255, 255, 254)),
        ("#00000000", TRANSPARENT),
        ("rgb(1, 2,3)", (1, 2, 3)),
        ("rgb(300 0 0 / 50%)", (255, 0, 0)),
        ("rgba(0,0,0,0)", TRANSPARENT),
        ("rgb(1.2.3, 0, 0)", None),
        ("var(--ink)", None),
        ("Grey", (128, 128, 128)),
        ("transparent", TRANSPARENT),
    ],
)
def test_colours(value: str, meant: object) -> None:
    assert colour(value) == meant


def test_alike() -> None:
    assert alike((255, 255, 255), (250, 250, 250)) and not alike((255, 255, 255), (200, 255, 255))


@pytest.mark.parametrize(
    ("value", "px"), [("12px", 12.0), ("0", 0.0), ("-9999px", -9999.0), (".5em", 10.0), ("50%", 10.0), ("auto", None)]
)
def test_lengths(value: str, px: float | None) -> None:
    assert pixels(value, 20.0) == px


@given(st.text(max_size=200), st.text("rgba(.,%)#0123456789abcdef ", max_size=30))
def test_any_text_is_a_sheet_and_a_value(css: str, value: str) -> None:
    sheet(css + "p{" + css + "}").style_of(INNER)
    colour(value)
    pixels(value)

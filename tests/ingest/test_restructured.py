"""reStructuredText: what docutils does not know keeps its words, and nothing outside the text is reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import html

from ingest.restructured import rst_html


def words(text: str) -> str:
    page, _ = rst_html(text)
    return " ".join(html.document_fromstring(page.encode()).find("body").text_content().split())


def test_headings_follow_their_order() -> None:
    page, warnings = rst_html("Leave\n=====\n\nWords.\n\nDays\n----\n\nMore.\n\nOther\n-----\n\nEnd.\n")
    root = html.document_fromstring(page.encode())
    assert [(h.tag, h.text_content()) for h in root.iter("h1", "h2", "h3")] == [
        ("h1", "Leave"), ("h2", "Days"), ("h2", "Other"),
    ]  # fmt: skip
    assert warnings == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (".. versionadded:: 2.1\n   Leave in hours.\n", "2.1 Leave in hours."),
        (".. admonition-of-ours:: Mind\n   :class: x\n\n   The *rule* holds.\n", "Mind The rule holds."),
        ("See :ref:`the rules <rules>` and :func:`~a.b`.\n", "See the rules and a.b."),
        (".. toctree::\n\n   secret\n\nShown.\n", "Shown."),
        (".. outer::\n\n   .. inner::\n\n      Deep words.\n", "Deep words."),
        ("Words.\n\n.. |d| date::\n", "Words."),
        (".. contents::\n\nA\n=\n\nx\n\nB\n=\n\ny\n", "A x B y"),
        (".. a remark that is not shown\n\nShown.\n", "Shown."),
    ],
)
def test_words_of_directives_and_roles(text: str, shown: str) -> None:
    assert words(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        ".. include:: {0}\n",
        ".. literalinclude:: {0}\n",
        ".. csv-table:: T\n   :file: {0}\n",
        ".. raw:: html\n   :file: {0}\n",
    ],
)
def test_no_file_is_read_and_its_name_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.txt").write_text("the secret words")
    page, warnings = rst_html(text.format(tmp_path / "secret.txt") + "\nShown.\n")
    assert "the secret words" not in page and "Shown." in page
    assert len(warnings) == 1 and "secret.txt" in warnings[0]


def test_raw_html_is_not_passed_on() -> None:
    page, _ = rst_html(".. raw:: html\n\n   <script>alert(1)</script>\n\nShown.\n")
    assert "<script" not in page and "Shown." in page


@pytest.mark.parametrize(
    "text", ["Title\n===", "*open", "`a", ".. |", "::", "+--+\n|a", "=== ===\na", ".. x::\n.. y::"]
)
def test_broken_text_is_read(text: str) -> None:
    assert isinstance(rst_html(text)[0], str)

"""Markdown as a web page, by Python-Markdown, with what would keep that busy for minutes kept from it."""

from __future__ import annotations

import re
from typing import Final

import markdown

_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE: Final = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
# Python-Markdown wants an empty line before a list, which writers and other renderers do not.
_LIST_AFTER_TEXT: Final = re.compile(
    r"^((?![ \t]*(?:[-*+>|#]|\d+[.)]))[^\n`~]*\S)[ \t]*\n"  # a line of text
    r"((?:[-*+]|1[.)])[ \t]+\S)",  # a list's first item
    re.MULTILINE,
)
_EXTENSIONS: Final = ("tables", "fenced_code", "sane_lists")
# Each of these opens something whose end is looked for to the end of the paragraph: quadratic and worse.
_MARKS: Final = re.compile(r"[\[!<*_`(\\{&]")
_MAX_MARKS: Final = 1500  # of one paragraph; a paragraph of 200 links has 800
_TABS: Final = re.compile(r"\t{200}")  # Python-Markdown expands them one by one


def front_matter(text: str) -> tuple[str, str]:
    """The title that site generators keep above a page, and the text below; the first is no text of the page."""
    front = _FRONT_MATTER.match(text)
    if not front:
        return "", text
    found = _FRONT_TITLE.search(front[1])
    return (found[2] if found else ""), text[front.end() :]


def is_readable(text: str) -> bool:
    """Whether Markdown's marks are as many as people write, so that rendering takes time linear in the text."""
    if _TABS.search(text):
        return False
    return all(sum(1 for _ in _MARKS.finditer(part)) <= _MAX_MARKS for part in re.split(r"\n[ \t]*\n", text))


def rendered(text: str) -> str:
    """HTML of canonical text that `is_readable`."""
    return markdown.markdown(_LIST_AFTER_TEXT.sub("\\1\n\n\\2", text), extensions=_EXTENSIONS)

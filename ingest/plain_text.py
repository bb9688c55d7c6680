"""Plain text: where its paragraphs lie and which of its lines are titles. Conservative: in doubt it is text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

LIST_MARK: Final = re.compile(r"\s*([-*•◦▪‣·–]|\(?(\d{1,3}|[a-z])[.)])\s+")
_UNDERLINE: Final = re.compile(r"([=\-~^*#_])\1{2,}\s*$")
_NUMBERED_TITLE: Final = re.compile(
    r"(\d{1,2}(\.\d{1,3}){0,4}\.?|[IVX]{1,5}\.|(Chapter|Section|Part|Article|§)\s+[\dIVX]+\.?:?)\s+\S"
)
_FINAL: Final = re.compile(r"[.!?:;,…。！？]['\"’”)\]]*$")


def text_paragraphs(text: str) -> Iterator[tuple[str, int | None]]:
    """Paragraphs in order, each with the depth of the title it is, or None.

    Wrapped lines are joined by spaces; a line break that was meant (an address, a verse) stays a line break.

    Args:
        text: canonical, so that line breaks are `\\n`.
    """
    groups = [group.strip("\n") for group in re.split(r"\n[ \t]*\n", text)]
    groups = [group for group in groups if group.strip()]
    for at, group in enumerate(groups):
        lines = [line.rstrip() for line in group.split("\n") if line.strip()]
        while len(lines) >= 2 and _UNDERLINE.match(lines[1]) and not _UNDERLINE.match(lines[0]):
            yield lines[0].strip(), 0 if lines[1].lstrip()[0] in "=#*" else 1
            lines = lines[2:]
        if not lines:
            continue
        following = groups[at + 1] if at + 1 < len(groups) else ""
        first = lines[0].strip()
        if len(lines) == 1:
            yield first, _title_depth(first, following)
            continue
        marked = sum(bool(LIST_MARK.match(line)) for line in lines) > 1
        if _NUMBERED_TITLE.match(first) and len(first) <= 80 and not marked:
            depth = _title_depth(first, "\n".join(lines[1:]))
            if depth is not None:
                yield first, depth
                lines = lines[1:]
        yield from ((part, None) for part in _unwrapped(lines))


def _unwrapped(lines: list[str]) -> Iterator[str]:
    longest = max(map(len, lines))
    current: list[str] = []
    for line in lines:
        if current and LIST_MARK.match(line):
            yield _flow(current, longest)
            current = []
        current.append(line)
    if current:
        yield _flow(current, longest)


def _flow(lines: list[str], longest: int) -> str:
    """Join by a space where the next line's first word had no room left; else the break was meant."""
    text = lines[0].strip()
    for before, line in itertools.pairwise(lines):
        word = line.split(maxsplit=1)[0]
        meant = len(before) + 1 + len(word) < 0.75 * longest or longest < 40
        text += ("\n" if meant else " ") + line.strip()
    return text


def _title_depth(line: str, following: str) -> int | None:
    """How deep a line stands as a title, or None when it is none. `following` is the text after it."""
    words = line.split()
    if not following.strip() or len(line) > 100 or len(words) > 14 or _FINAL.search(line):
        return None
    letters = [character for character in line if character.isalpha()]
    if len(letters) < 2:
        return None
    if _NUMBERED_TITLE.match(line):
        number = words[0].rstrip(".")
        return number.count(".") if number[0].isdigit() else 0
    if LIST_MARK.match(line):
        return None
    if len(letters) >= 3 and line.upper() == line and any(character.isupper() for character in letters):
        return 0
    begins = following.lstrip().split("\n")[0]
    paragraph = len(following.split()) >= 12 and not LIST_MARK.match(following)
    if line[0].isupper() and len(line) <= 70 and paragraph and (len(begins) > len(line) or "\n" in following):
        return 1
    return None

"""A model's quote to the words of the document: found in the passage it names, or not used at all.

What is cited is always the source's own span, never the model's copy of it. A quote is searched as it is first, and
then without the differences that copying makes and meaning does not know: white space, line-end and soft hyphens, the
style of quotation marks and dashes, upper and lower case, compatibility forms. Another letter, digit or sign is another
quote. A span may not begin or end inside a word or a number: "5 days" is no quote of "15 days", nor "able to" of
"unable to".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from assistant.model import Evidence, Passage, Resolved
from ingest.model import Span

MAX_QUOTE_CHARS: Final = 600
MIN_QUOTE_WORDS: Final = 2  # unless it is an identifier or a number

_QUOTE_MARKS: Final = "\"'`´‘’‚‛“”„‟′″‹›«»「」『』"
_DASHES: Final = "-‐‑‒–—―−﹘﹣－\u0002"  # U+0002 is how PDFium marks a hyphen at the end of a line
_HYPHENS: Final = "-‐‑"
_ELLIPSIS: Final = re.compile(r"\[\s*(?:\.\.\.|…)\s*\]|\(\s*(?:\.\.\.|…)\s*\)|\.{3,}|…")
_ENDS: Final = re.compile(rf"(?:[\s{re.escape(_QUOTE_MARKS)}]|{_ELLIPSIS.pattern})+")
_SPOKEN: Final = re.compile(r"\w+")
# Scripts that write without spaces, where a span may begin after any character.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17d3\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_NUMBER_JOINTS: Final = ".,:/'’\u00a0\u2009\u202f"  # 1.5  1,000  9:30  3/4  1'000
_NEAR: Final = 12  # characters looked at on either side of a span


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a quote is not used; in words, for the record."""

    reason: str


@dataclass(frozen=True, slots=True)
class Squashed:
    """A text without what copying changes, and where each of its characters came from."""

    text: str
    spans: tuple[Span, ...]  # of the source, one for each character of `text`; equal for those of one ligature


def resolve(evidence: Evidence, passages: Mapping[str, Passage]) -> Resolved | Unresolved:
    """Find a quote in the passage it names. Of several places the first is taken.

    Returns:
        The source's own words with offsets into the version's canonical text, or the reason why there are none.
    """
    passage = passages.get(evidence.passage_id.strip())
    if passage is None:
        return Unresolved(f"{evidence.passage_id[:40]!r} is not a passage that was given")
    if len(evidence.quote) > MAX_QUOTE_CHARS:
        return Unresolved(f"the quotation has {len(evidence.quote)} characters; {MAX_QUOTE_CHARS} are the most")
    given = evidence.quote.strip()
    trimmed = _trimmed(given)
    if not _says_enough(trimmed):
        return Unresolved(f"the quotation {given[:40]!r} is too short to prove anything")
    span = find_quote(given, passage.text)
    if span is None and trimmed != given:
        span = find_quote(trimmed, passage.text)
    if span is None and trimmed.rstrip(".,;:") != trimmed:  # a full stop where the source's sentence goes on
        span = find_quote(trimmed.rstrip(".,;:"), passage.text)
    if span is not None:
        start, end = span
        return Resolved(passage, passage.start + start, passage.start + end, passage.text[start:end])
    if _ELLIPSIS.search(trimmed):
        return Unresolved("the quotation leaves words out; parts that do not stand together must be quoted one by one")
    return Unresolved(f"the quotation is not in passage {passage.id}")


def find_quote(quote: str, text: str) -> Span | None:
    """The first span of `text` that says `quote` word for word, whole words only, or None.

    Either `text[start:end] == quote`, or both are equal after `squash`.
    """
    quote = quote.strip()
    if not quote:
        return None
    for start in _places(quote, text):
        if _is_whole(text, start, start + len(quote)):
            return start, start + len(quote)
    wanted, source = squash(quote), squash(text)
    if not wanted.text:
        return None
    for at in _places(wanted.text, source.text):
        last = at + len(wanted.text)
        start, end = source.spans[at][0], source.spans[last - 1][1]
        splits_character = (at > 0 and source.spans[at - 1] == source.spans[at]) or (
            last < len(source.spans) and source.spans[last] == source.spans[last - 1]
        )
        if not splits_character and _is_whole(text, start, end):
            return start, end
    return None


def squash(text: str) -> Squashed:
    """Take away what copying changes.

    NFKC and case folding (but a superscript stays one: 10² is not 102); every quotation mark is one; invisible
    characters go; white space goes, except between two digits; hyphens and dashes go, except beside a digit, where
    they mean a range, a sign or a part of an identifier.
    """
    kept: list[str] = []
    spans: list[Span] = []
    gap, gap_start, gap_end = "", 0, 0  # separators since the last solid character: "", " " or "-"

    def close_gap(following: str) -> None:
        before = kept[-1] if kept else ""
        if (gap == "-" and (_is_digit(before) or _is_digit(following))) or (
            gap == " " and _is_digit(before) and _is_digit(following)
        ):
            kept.append(gap)
            spans.append((gap_start, gap_end))

    for characters, start, end in _characters(text):
        if characters in (" ", "-"):
            if not gap or gap < characters:  # of " - " only the dash itself is kept
                gap, gap_start = characters, start
            if gap == characters:
                gap_end = end
            continue
        if gap:
            close_gap(characters[0])
            gap = ""
        kept.extend(characters)
        spans.extend([(start, end)] * len(characters))
    if gap:
        close_gap("")
    return Squashed("".join(kept), tuple(spans))


def _characters(text: str) -> Iterator[tuple[str, int, int]]:
    """Each character with its combining marks, folded; any white space as " ", any dash as "-", invisible ones not."""
    at, length = 0, len(text)
    while at < length:
        start = at
        character = text[at]
        at += 1
        while at < length and text[at] >= "\u0300" and unicodedata.category(text[at])[0] == "M":
            at += 1
        if at - start == 1:
            if character.isspace():
                yield " ", start, at
                continue
            if character in _DASHES:
                yield "-", start, at
                continue
            if " " < character <= "~":  # most of most texts
                yield character.lower() if character not in _QUOTE_MARKS else "'", start, at
                continue
        folded = _folded(text[start:at])
        if folded:
            yield folded, start, at


def _folded(cluster: str) -> str:
    if cluster[0] in _QUOTE_MARKS:
        return "'"
    visible = "".join(one for one in cluster if not _is_invisible(one))
    if len(visible) == 1 and visible.isnumeric() and not visible.isdecimal():
        return visible.casefold()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    return folded.replace(" ", "")


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cf", "Cc") or "\ufe00" <= character <= "\ufe0f"


def _is_digit(character: str) -> bool:
    return character.isnumeric()


def _places(wanted: str, text: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether a span neither begins nor ends inside a word, a compound or a number."""
    before, after = _visible(text[max(0, start - _NEAR) : start]), _visible(text[end : end + _NEAR])
    if unicodedata.category(text[start])[0] == "M":
        return False
    if after and unicodedata.category(after[0])[0] == "M":
        return False
    return not _cuts(before, text[start]) and not _cuts(after[::-1], text[end - 1], at_end=True)


def _visible(text: str) -> str:
    text = text.replace("\u0002", "-")
    return "".join(one for one in text if one.isspace() or not _is_invisible(one))


def _cuts(beyond: str, edge: str, *, at_end: bool = False) -> bool:
    """Whether `edge` and what lies beyond it, nearest last, are one word or number."""
    if not beyond or not _in_word(edge):
        return False
    near = beyond[-1]
    if _in_word(near):
        return not (_UNSPACED.match(edge) or _UNSPACED.match(near))
    further = beyond[-2:-1]
    if near == "\n" and not at_end and further and further in _HYPHENS:  # "non-" ending a line belongs to "smokers"
        near, further = further, beyond[-3:-2]
    if near in _HYPHENS:
        is_sign = not at_end and _is_digit(edge) and (not further or further.isspace() or further in "([")
        return is_sign or _in_word(further)
    if _is_digit(edge):
        if (near == "−" and not at_end) or (near in "%‰" and at_end):
            return True
        return near in _NUMBER_JOINTS + "–" and _is_digit(further)
    return at_end and near in "'’" and further.casefold() == "t"  # "you can" is no quote of "you can't"


def _in_word(character: str) -> bool:
    return bool(character) and (character.isalnum() or character == "_")


def _trimmed(quote: str) -> str:
    """Without the quotation marks and ellipses a model sets around a quote."""
    leading = _ENDS.match(quote)
    quote = quote[leading.end() :] if leading else quote
    trailing = next((one for one in _ENDS.finditer(quote) if one.end() == len(quote)), None)
    return quote[: trailing.start()] if trailing else quote


def _says_enough(quote: str) -> bool:
    words = _SPOKEN.findall(quote)
    if sum(max(1, len(_UNSPACED.findall(word)) // 2) for word in words) >= MIN_QUOTE_WORDS:
        return True
    return any(any(one.isdigit() for one in word) or "_" in word for word in words)

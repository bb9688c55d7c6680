"""Where sentences begin and end, as spans of the text they stand in.

Rules and not a model: they cost next to nothing, give the same result everywhere, and leave the text untouched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ingest.model import Span

MAX_SENTENCE_CHARS: Final = 600

_BLANK_LINE = re.compile(r"\n\s*\n")
_CLOSERS = "\"'”’»›)\\]}」』）】〉》"
_STOP = re.compile(rf"[.!?…]+[{_CLOSERS}]*(?:\[\d{{1,3}}\])*|[。！？｡।॥؟۔։]+[{_CLOSERS}]*")
_SPACED_STOPS: Final = frozenset(".!?…")  # these end a sentence only before white space, the others always
_BULLET = re.compile(r"\s*(?:[•‣▪▫◦●○·∙–—*+-]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{2,5})[.)])\s+\S")
_LAST_WORD = re.compile(r"[^\s\"'“”‘’«»(\[{/]*\Z")
_NEXT_WORD = re.compile(r"\s+[\"'“”‘’«»(\[{¿¡]*(\w+)?")
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3})*")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")

# never the end of a sentence: something must follow
_TITLES: Final = frozenset(
    """
    dr mr mrs ms prof rev gen sen hon gov capt col lt sgt messrs mme mlle e.g i.e cf vs viz approx ca incl excl resp
    z.b d.h u.a s.o s.u bzw ggf evtl vgl inkl zzgl abzgl p.ex
    """.split()  # noqa: SIM905 - kept readable
)
# abbreviations only before a number: "No. 5", but "The answer is no. Ask again."
_BEFORE_NUMBERS: Final = frozenset(
    """
    no nos nr art arts sec secs fig figs eq eqs vol vols ch chap pp p pg par para app ext tel abs ziff kap tab ver v
    rev jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun max min ed eds
    """.split()  # noqa: SIM905 - kept readable
)
# may end a sentence; they do when the next word likes to begin one
_MAY_END: Final = frozenset(
    """
    inc ltd co corp llc plc bros jr sr st mt dept est assn univ gmbh al etc ave blvd rd usw a.m p.m u.s u.k u.n e.u
    ph.d
    """.split()  # noqa: SIM905 - kept readable
)
_BEGINNERS: Final = frozenset(
    """
    the a an this that these those it its he she we they you i his her their our your my in on at if when while for
    from by to as but and or so yet however there here all any each every some most many no not what who why how
    where which after before once since until although because please see use note with without such both do does
    did is are was were can could may must shall should will would der die das ein eine es er sie wir ihr ich im am
    bei wenn le la les un une il elle nous vous el los las una
    """.split()  # noqa: SIM905 - kept readable
)
_MONTHS: Final = frozenset(
    """
    januar februar märz april mai juni juli august september oktober november dezember jänner
    """.split()  # noqa: SIM905 - kept readable
)


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Spans of the sentences in text[start:end], as offsets into text.

    Ordered, disjoint, without white space at either end; together they hold every character that is not white space.
    None crosses a blank line. A line with " | " in it (a row of a table) is one sentence; a list item begins a new one.
    What would be longer than 600 characters is cut at a line break, else after ; : or a comma, else at white space.
    Time is linear in the length.
    """
    end = len(text) if end is None else end
    spans: list[Span] = []
    for low, high in _runs(text, start, end):
        is_row = text.find(" | ", low, high) >= 0
        for first, last in ((low, high),) if is_row else _sentences(text, low, high):
            spans += _bounded(text, first, last)
    return spans


def _runs(text: str, start: int, end: int) -> Iterator[Span]:
    """Stretches of running text: between blank lines, one per table row, one per list item."""
    at = start
    while at < end:
        blank = _BLANK_LINE.search(text, at, end)
        stop, following = blank.span() if blank else (end, end)
        if text.find("\n", at, stop) < 0:
            yield at, stop  # most elements are one line
        else:
            yield from _lines(text, at, stop)
        at = following


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    run = at = start
    after_row = in_item = False
    while at < end:
        stop = text.find("\n", at, end)
        stop = end if stop < 0 else stop
        is_row = text.find(" | ", at, stop) >= 0
        is_item = not is_row and _BULLET.match(text, at, stop) is not None
        # an item may be wrapped: then its next line goes on in the middle of a sentence
        ends_item = in_item and not text[at:stop].lstrip()[:1].islower()
        if at > run and (is_row or after_row or is_item or ends_item):
            yield run, at
            run, in_item = at, False
        after_row, in_item = is_row, in_item or is_item
        at = stop + 1
    if run < end:
        yield run, end


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    at = start
    for stop in _STOP.finditer(text, start, end):
        border = stop.end()
        if text[stop.start()] in _SPACED_STOPS:
            if border >= end or not text[border].isspace() or not _ends(text, at, stop, end):
                continue
        elif border >= end:
            continue
        yield at, border
        at = border
    yield at, end


def _ends(text: str, start: int, stop: re.Match[str], end: int) -> bool:
    """Whether the full stop, followed by white space, ends the sentence that began at start."""
    following = _NEXT_WORD.match(text, stop.end(), min(end, stop.end() + 40))
    following_word = (following[1] or "") if following else ""
    if following_word[:1].islower():
        return False
    if stop[0] != ".":
        return True
    low = max(start, stop.start() - 24)
    last = _LAST_WORD.search(text, low, stop.start())
    word = last[0] if last else ""
    if not word:
        return True
    begins = following_word.casefold() in _BEGINNERS
    if _NUMBER.fullmatch(word):
        if following_word.casefold() in _MONTHS and len(word) <= 2:
            return False  # German: "am 3. Mai"
        return (
            bool(text[start : stop.start() - len(word)].strip(" \t\n([{\"'“‘*•-–"))
            if stop.start() - start < 32
            else True
        )
    folded = word.casefold().lstrip("-–—*•.,;:")
    if folded in _TITLES:
        return False
    if folded in _BEFORE_NUMBERS:
        return not following_word[:1].isdigit()
    if folded in _MAY_END or _DOTTED.fullmatch(word):
        return begins
    if len(word) == 1 and word.isupper():
        return begins  # an initial, unless "Plan B. The next ..."
    return True


def _bounded(text: str, start: int, end: int) -> Iterator[Span]:
    """The span without white space at its ends, in pieces of at most MAX_SENTENCE_CHARS; nothing if it is blank."""
    start, end = trimmed(text, start, end)
    while end - start > MAX_SENTENCE_CHARS:
        cut = cut_before(text, start, start + MAX_SENTENCE_CHARS)
        low, high = trimmed(text, start, cut)
        if low < high:
            yield low, high
        start, end = trimmed(text, cut, end)
    if start < end:
        yield start, end


def cut_before(text: str, start: int, limit: int) -> int:
    """The best place to cut text[start:limit], in its last two thirds if there is one."""
    low = start + max(1, (limit - start) // 3)
    for marks in ("\n", " | ", ";；", ":：", ",，、"):
        if marks == " | ":
            cut = text.rfind(marks, low, limit) + 1  # rows in pieces begin with the bar, and the spaces fall away
        else:
            cut = max(_rfind_ending(text, mark, low, limit) for mark in marks)
        if cut > low:
            return cut
    for cut in range(limit, low, -1):
        if text[cut - 1].isspace():
            return cut
    return limit


def _rfind_ending(text: str, mark: str, low: int, limit: int) -> int:
    """Just behind the last such mark that ends a part: ASCII ones need white space behind them ("10:30", "1,000")."""
    if not mark.isascii() or mark == "\n":
        return text.rfind(mark, low, limit) + 1
    return max(text.rfind(mark + " ", low, limit), text.rfind(mark + "\n", low, limit)) + 1


def trimmed(text: str, start: int, end: int) -> Span:
    """The span without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end

"""What in a text an owner should look at before others trust it: words for an assistant, characters no one sees.

Nothing here is a barrier. A document is data wherever it is read; what is found is told to its owner.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Final

from ingest.instruction_patterns import PATTERNS, Pattern
from ingest.model import Finding, Span

MAX_EXCERPT_CHARS: Final = 200
_MAX_FINDINGS: Final = 20  # an owner who has seen twenty knows
_NEAR_CHARS: Final = 200  # matches closer than this are one finding
_CONTEXT_CHARS: Final = 60

# Small letters of other scripts, and of phonetic writing, each before the Latin letter it looks like.
_LOOKALIKES: Final = dict(
    (
        *zip("авеѕіјкмнорстухһԁԛԝ", "abesijkmhopctyxhdqw", strict=True),  # Cyrillic
        *zip("αβεηικνορτυχω", "abenikvoptuxw", strict=True),  # Greek
        *zip("ոսօհց", "nuohg", strict=True),  # Armenian
        *zip("ıɑɡɩɪʟʀʏɴʜʙɢᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢ", "iagiilrynhbgacdejkmoptuvwz", strict=True),  # phonetic
    )
)
_COMBINING: Final = range(0x300, 0x370)
_SELECTORS: Final = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_REACH_CHARS: Final = 250  # from a pattern's trigger to the far end of its match
_GAP: Final = r"[\s_*\"'’,-]+"  # what may stand where a pattern has a blank


# -- words that address an assistant -----------------------------------------------------------------------------------


def instructions_in(text: str) -> tuple[Finding, ...]:
    """Passages of a canonical text that address an assistant, in order; at most 20.

    Returns:
        Findings of kind "instruction", with the span in `text` of the telling words and an excerpt around them.
    """
    folded, true_offset = _fold(text)
    matches = sorted(
        (match.start(), match.end(), pattern.tells)
        for pattern, triggers, expression in _compiled()
        for window in _windows(folded, triggers)
        for match in expression.finditer(folded, *window)
    )
    findings: list[Finding] = []
    covered = -_NEAR_CHARS
    for start, end, tells in matches:
        if start - covered >= _NEAR_CHARS:
            if len(findings) == _MAX_FINDINGS:
                break
            while start < end and folded[start].isspace():
                start += 1
            span = true_offset(start), true_offset(end - 1) + 1
            words = f"Words that {tells} stand in the text. They stay there: Quoth reads them as text, not as orders."
            findings.append(Finding("instruction", words, _around(text, span), None, *span))
        covered = max(covered, end)
    return tuple(findings)


def _windows(folded: str, triggers: Iterable[str]) -> list[Span]:
    """Where a match can lie; trying every expression everywhere takes ten times as long."""
    spots: list[int] = []
    for trigger in triggers:
        at = folded.find(trigger)
        while at >= 0:
            spots.append(at)
            at = folded.find(trigger, at + 1)
    windows: list[Span] = []
    for spot in sorted(spots):
        start, end = max(spot - _REACH_CHARS, 0), spot + _REACH_CHARS
        if windows and start <= windows[-1][1]:
            start = windows.pop()[0]
        windows.append((start, end))
    return windows


@cache
def _compiled() -> tuple[tuple[Pattern, tuple[str, ...], re.Pattern[str]], ...]:
    return tuple(
        (pattern, tuple(map(_look, pattern.triggers)), re.compile(_spaced(_look(pattern.expression))))
        for pattern in PATTERNS
    )


def _look(expression: str) -> str:
    """An expression as folded text looks; its own letters outside ASCII alone, so that its syntax stays."""
    return "".join(c if c.isascii() else _fold_character(c) for c in expression)


def _spaced(expression: str) -> str:
    """Line breaks fall away; blanks become gaps, but for those inside brackets."""
    expression = re.sub(r"\n\s*", "", expression)
    pieces: list[str] = []
    inside = escaped = False
    for at, character in enumerate(expression):
        gap = character == " " and not inside
        optional = gap and expression[at + 1 : at + 2] == "?"
        pieces.append(f"(?:{_GAP})" if optional else _GAP if gap else character)
        if not escaped and character in "[]":
            inside = character == "["
        escaped = character == "\\" and not escaped
    return "".join(pieces)


def _fold(text: str) -> tuple[str, Callable[[int], int]]:
    """Text as patterns are matched against it, and the offset in `text` of each of its offsets.

    Small letters without accents, compatibility forms and look-alikes made plain, what has no width taken out.
    """
    lowered = text.lower()
    if lowered.isascii():
        return lowered, _same
    if len(lowered) != len(text):
        lowered = text
    folds = {c: fold for c in set(lowered) if (fold := _fold_character(c)) != c}
    folded = _replaced(lowered, folds)
    uneven = [c for c, fold in folds.items() if len(fold) != 1]
    if not uneven:
        return folded, _same
    anchors, targets = [0], [0]  # from each folded offset on, one to one, to the next
    drift = 0
    for match in re.finditer(f"[{re.escape(''.join(uneven))}]", lowered):
        at = match.start()
        anchors.append(at + drift)
        targets.append(at)
        drift += len(folds[match[0]]) - 1
        anchors.append(at + 1 + drift)
        targets.append(at + 1)

    def true_offset(offset: int) -> int:
        index = bisect.bisect_right(anchors, offset) - 1
        there = targets[index] + offset - anchors[index]
        return min(there, targets[index + 1] - 1) if index + 1 < len(targets) else there

    return folded, true_offset


def _replaced(text: str, folds: Mapping[str, str]) -> str:
    if len(folds) > 40:
        return text.translate({ord(c): fold for c, fold in folds.items()})
    for character, fold in folds.items():  # far faster for the handful of dashes and quotes of most texts
        text = text.replace(character, fold)
    return text


def _same(offset: int) -> int:
    return offset


def _fold_character(character: str) -> str:
    code = ord(character)
    if code in _COMBINING or code in _SELECTORS or unicodedata.category(character) == "Cf":
        return ""
    if "\uac00" <= character <= "\ud7a3":  # a Korean syllable is not three letters
        return character
    parts = unicodedata.normalize("NFKD", character).casefold()
    if len(parts) > 1:
        parts = "".join(part for part in parts if not unicodedata.combining(part))
    folded = "".join(_LOOKALIKES.get(part, part) for part in parts)
    if len(folded) != 1 and not folded.isalpha():
        folded = character
    if folded.isascii() or unicodedata.category(folded[0])[0] not in "PSZ":
        return folded
    return {"Pd": "-", "Pi": "'", "Pf": "'"}.get(unicodedata.category(folded[0]), " ")


def _around(text: str, span: Span) -> str:
    """The telling words with some of what surrounds them, on one line."""
    start = max(span[0] - _CONTEXT_CHARS, 0)
    end = min(max(span[1] + _CONTEXT_CHARS, start + MAX_EXCERPT_CHARS), len(text))
    return excerpt_of(text[start:end])


def excerpt_of(text: str) -> str:
    """The beginning of a text on one line, at most 200 characters."""
    line = " ".join(text[: 20 * MAX_EXCERPT_CHARS].split())
    return line if len(line) <= MAX_EXCERPT_CHARS else line[: MAX_EXCERPT_CHARS - 1].rstrip() + "…"


# -- characters that no one sees ---------------------------------------------------------------------------------------

_TAG_BLOCK: Final = range(0xE0000, 0xE0080)
_SPELLING_TAGS: Final = range(0xE0020, 0xE007F)
# a flag of England, Scotland or Wales is a black flag and tag characters
_TAG_RUN: Final = re.compile("(\U0001f3f4?)([\U000e0000-\U000e007f]+)")
_OVERRIDE: Final = re.compile("[\u202d\u202e]")
# What has no width, between two letters of scripts that never need it there; or more of it than any script needs.
_ZERO_WIDTH: Final = "\u180e\u200b-\u200d\u2060-\u2064\ufeff"
_SPLIT_WORD: Final = re.compile(
    f"(?<=[A-Za-z\u00c0-\u024f\u0370-\u052f])[{_ZERO_WIDTH}]+(?=[A-Za-z\u00c0-\u024f\u0370-\u052f])"
)
_LONG_RUN: Final = re.compile(f"[{_ZERO_WIDTH}]{{4,}}")
_SELECTOR_RUN: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_SUSPECTS: Final = frozenset(
    map(chr, (0x180E, *range(0x200B, 0x200E), 0x202D, 0x202E, *range(0x2060, 0x2065), 0xFEFF, *_SELECTORS, *_TAG_BLOCK))
)
_FEW: Final = 3  # a web page has a break or two in long words


def invisible_in(raw: str) -> Finding | None:
    """Characters that a reader does not see, in a text before it was made canonical.

    Not reported, because ordinary: soft hyphens, a byte order mark, joiners and direction marks that scripts and emoji
    need, flags, and one or two optional breaks inside long words.

    Returns:
        One finding that counts them by kind; its excerpt is what tag characters or selectors spell, if they do.
    """
    if raw.isascii() or not _SUSPECTS.intersection(raw):
        return None
    tags = [run[2] for run in _TAG_RUN.finditer(raw) if not (run[1] and len(run[2]) <= 7)]
    overrides = len(_OVERRIDE.findall(raw))
    split = _SPLIT_WORD.findall(raw)
    runs = _LONG_RUN.findall(raw)
    selectors = _SELECTOR_RUN.findall(raw)
    widthless = sum(map(len, split)) if len(split) >= _FEW or runs or tags or overrides else 0
    widthless = max(widthless, sum(map(len, runs)))
    counts = (
        (sum(map(len, tags)), "tag characters"),
        (overrides, "bidirectional overrides, which show text in another order than it is stored"),
        (widthless, "characters without width inside words"),
        (sum(map(len, selectors)), "variation selectors in a row"),
    )
    if not any(count for count, _ in counts):
        return None
    listed = "; ".join(f"{count:,} {name}" for count, name in counts if count)
    spelt = "".join(chr(ord(c) - 0xE0000) for run in tags for c in run if ord(c) in _SPELLING_TAGS) or _bytes_of(
        selectors
    )
    return Finding(
        "invisible_characters",
        f"The file holds characters that no reader sees: {listed}. They are not part of the text.",
        excerpt_of(spelt),
    )


def _bytes_of(selectors: Iterable[str]) -> str:
    """What variation selectors spell when each stands for a byte."""
    codes = (ord(c) for run in selectors for c in run)
    content = bytes(code - 0xFE00 if code < 0xFE10 else code - 0xE0100 + 16 for code in codes)
    spelt = content.decode("utf-8", "replace")
    return spelt if spelt.isprintable() and "\ufffd" not in spelt else ""

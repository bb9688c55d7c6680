"""What changed between two texts: paragraphs that stayed, came, went or changed, and the words within the changed.

Paragraphs are aligned by Python's difflib (Ratcliff and Obershelp's gestalt matching) after the lines both ends share
are set aside. Work is bounded: what is too long to be aligned is told as removed and added, which is never wrong.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ingest.model import Span

Kind = Literal["same", "added", "removed", "changed"]

MOST_PARAGRAPHS: Final = 3_000  # on either side, after the common ends; more is told as one replacement
MOST_WORDS: Final = 1_500  # of one changed paragraph, on either side
MOST_WORD_WORK: Final = 20_000_000  # sum over changed paragraphs of (old words x new words)
LIKE_ENOUGH: Final = 0.35  # share of common words from which two paragraphs are one that changed
PARAGRAPH: Final = re.compile(r".+?(?:\n\s*\n|\Z)", re.DOTALL)
WORD: Final = re.compile(r"\d+(?:[.,:]\d+)*\w*|\w+|\s+|[^\w\s]")  # 6.50 and 11:30 change as a whole


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words inside a changed paragraph: what stands there in both, only in the old, or only in the new."""

    kind: Literal["same", "added", "removed"]
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """Paragraphs of the old text and what stands in the new text in their place.

    The changes of one comparison cover both texts without gap or overlap, in order.
    """

    kind: Kind
    old: Span  # half-open offsets; empty when added
    new: Span  # half-open offsets; empty when removed
    pieces: tuple[Piece, ...] = ()  # of a changed paragraph


def compare(old: str, new: str) -> list[Change]:
    """The changes that lead from `old` to `new`, in the order of the texts."""
    before, after = _paragraphs(old), _paragraphs(new)
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    changes = [_Draft("same", one, other) for one, other in zip(before[:head], after[:head], strict=True)]
    middle_old, middle_new = before[head : len(before) - tail], after[head : len(after) - tail]
    changes += _aligned(middle_old, middle_new)
    if tail:
        changes += [_Draft("same", one, other) for one, other in zip(before[-tail:], after[-tail:], strict=True)]
    return _placed(changes)


def apply(old: str, new: str, changes: Sequence[Change]) -> str:
    """What the changes make of `old`: unchanged parts from it, everything else from their words or from `new`."""
    parts = []
    for change in changes:
        if change.kind == "same":
            parts.append(old[slice(*change.old)])
        elif change.pieces:
            parts.append("".join(piece.text for piece in change.pieces if piece.kind != "removed"))
        else:
            parts.append(new[slice(*change.new)])
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Draft:
    kind: Kind
    old: str
    new: str
    pieces: tuple[Piece, ...] = ()


def _paragraphs(text: str) -> list[str]:
    return PARAGRAPH.findall(text)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _aligned(old: list[str], new: list[str]) -> list[_Draft]:
    if not old or not new or max(len(old), len(new)) > MOST_PARAGRAPHS:
        return _replaced(old, new)
    drafts: list[_Draft] = []
    budget = MOST_WORD_WORK
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=max(len(old), len(new)) > 500)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            drafts += [_Draft("same", one, other) for one, other in zip(old[i:j], new[k:m], strict=True)]
        elif tag == "replace":
            pairs = min(j - i, m - k)
            for one, other in zip(old[i : i + pairs], new[k : k + pairs], strict=True):
                cut_old, cut_new = WORD.findall(one), WORD.findall(other)
                cost = len(cut_old) * len(cut_new)
                if max(len(cut_old), len(cut_new)) > MOST_WORDS or cost > budget:
                    drafts += _replaced([one], [other])
                    continue
                budget -= cost
                pieces = _pieces(cut_old, cut_new)
                drafts += _replaced([one], [other]) if pieces is None else [_Draft("changed", one, other, pieces)]
            drafts += _replaced(old[i + pairs : j], new[k + pairs : m])
        else:
            drafts += _replaced(old[i:j], new[k:m])
    return drafts


def _replaced(old: Sequence[str], new: Sequence[str]) -> list[_Draft]:
    return [*(_Draft("removed", one, "") for one in old), *(_Draft("added", "", one) for one in new)]


def _pieces(old: list[str], new: list[str]) -> tuple[Piece, ...] | None:
    """The words of a changed paragraph; None when too little of it stayed to call it the same paragraph."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    kept = sum(1 for a, _, size in matcher.get_matching_blocks() for word in old[a : a + size] if not word.isspace())
    longer = max(sum(not word.isspace() for word in old), sum(not word.isspace() for word in new))
    if kept < LIKE_ENOUGH * longer:
        return None
    pieces = []
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(old[i:j])))
            continue
        if j > i:
            pieces.append(Piece("removed", "".join(old[i:j])))
        if m > k:
            pieces.append(Piece("added", "".join(new[k:m])))
    return tuple(pieces)


def _placed(drafts: Sequence[_Draft]) -> list[Change]:
    changes, at_old, at_new = [], 0, 0
    for draft in drafts:
        old, new = (at_old, at_old + len(draft.old)), (at_new, at_new + len(draft.new))
        changes.append(Change(draft.kind, old, new, draft.pieces))
        at_old, at_new = old[1], new[1]
    return changes

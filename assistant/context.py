"""From hits to what an answer is made from. Each step says what it left out and why:

copies fall away, then what says nearly the same; a superseded document gives way to its successor; neighbours of one
document become one passage; what is left of the budget lets the best passages grow within their section. The order is
that of the ranks, best first: orders that put the best last measured no better. Passages that disagree stay, and are
marked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from assistant.conflicts import conflicts_between
from assistant.model import Context, Passage
from assistant.quantities import quantities
from ingest.access import Reader
from retrieval.model import Hit
from retrieval.surroundings import Place, Surroundings

SHINGLE_WORDS: Final = 3
NEARLY_THE_SAME: Final = 0.8  # Jaccard similarity of word triples; Broder 1997
APART_CHARS: Final = 4  # at most, between neighbours: the blank line and a space

CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class ContextSettings:
    max_passages: int = 8
    max_tokens: int = 3000
    nearly_the_same: float = NEARLY_THE_SAME  # above 1: only exact copies fall away
    join: bool = True  # neighbours of one document become one passage
    grown: int = 3  # passages that take in their neighbours while there is room
    reach: int = 1  # neighbouring chunks on each side


def assemble(
    hits: Sequence[Hit],
    reader: Reader,
    surroundings: Surroundings,
    count_tokens: CountTokens,
    settings: ContextSettings,
) -> Context:
    """Passages in rank order within the budget.

    Args:
        hits: best first.
        count_tokens: of the embedder's tokenizer; close enough to a chat model's for a budget.
    """
    left_out: list[str] = []
    kept = _without_superseded(hits, left_out)
    kept = _without_copies(kept, settings.nearly_the_same, left_out)
    for hit in kept[settings.max_passages :]:
        left_out.append(f"{hit.source}: ranked below the first {settings.max_passages} passages")
    passages = [_passage(hit) for hit in kept[: settings.max_passages]]
    # by rank before joining: else a neighbour far down the ranks takes the room of a better passage
    passages, used = _within_budget(passages, count_tokens, settings.max_tokens, left_out)
    if settings.join:
        passages = _joined(passages, reader, surroundings)
    if settings.grown:
        passages, used = _grown(passages, used, reader, surroundings, count_tokens, settings)
    named = tuple(replace(passage, id=f"P{number}") for number, passage in enumerate(passages, 1))
    return Context(named, used, tuple(left_out), conflicts_between(named))


def _without_superseded(hits: Sequence[Hit], left_out: list[str]) -> list[Hit]:
    found = {hit.document for hit in hits}
    kept = []
    for hit in hits:
        if hit.superseded_by in found:
            left_out.append(f"{hit.source}: superseded by a document that was found too")
        else:
            kept.append(hit)
    return kept


def _without_copies(hits: Sequence[Hit], nearly_the_same: float, left_out: list[str]) -> list[Hit]:
    """Drop what stands above already, but never a passage with another number, date or time in it."""
    kept: list[tuple[Hit, str, frozenset[tuple[str, ...]], frozenset[object]]] = []
    for hit in hits:
        words = hit.text.casefold().split()
        squashed = " ".join(words)
        shingles = frozenset(zip(*(words[at:] for at in range(SHINGLE_WORDS)), strict=False))
        numbers: frozenset[object] | None = None
        said = None
        for other, other_words, other_shingles, other_numbers in kept:
            if squashed == other_words:
                said = f"{hit.source}: the same words as a passage above"
                break
            if _similarity(shingles, other_shingles) < nearly_the_same:
                continue
            numbers = numbers if numbers is not None else _numbers(hit.text)
            if numbers == other_numbers:
                said = f"{hit.source}: nearly the same words as {other.source}, above"
                break
        if said is not None:
            left_out.append(said)
        else:
            kept.append((hit, squashed, shingles, numbers if numbers is not None else _numbers(hit.text)))
    return [hit for hit, *_ in kept]


def _similarity(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    if not one or not other:
        return 0.0
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _numbers(words: str) -> frozenset[object]:
    return frozenset((found.kind, found.values, found.unit) for found in quantities(words))


def _joined(passages: Sequence[Passage], reader: Reader, surroundings: Surroundings) -> list[Passage]:
    """Neighbours of one version as one passage, at the better one's rank."""
    joined: list[Passage] = []
    for passage in passages:
        at = next((i for i, one in enumerate(joined) if _touch(one, passage)), None)
        if at is None:
            joined.append(passage)
        else:
            joined[at] = _spanning(joined[at], min(joined[at].start, passage.start), max(joined[at].end, passage.end))
            joined[at] = replace(joined[at], chunks=(*joined[at].chunks, *passage.chunks))
    return _with_text(joined, passages, reader, surroundings)


def _touch(one: Passage, other: Passage) -> bool:
    same = (one.document, one.version) == (other.document, other.version)
    return same and one.start - APART_CHARS <= other.end and other.start <= one.end + APART_CHARS


def _spanning(passage: Passage, start: int, end: int) -> Passage:
    return replace(passage, start=start, end=end)


def _with_text(
    passages: list[Passage], before: Sequence[Passage], reader: Reader, surroundings: Surroundings
) -> list[Passage]:
    """Read the words of passages whose span changed; one that may no longer be read falls away."""
    known = {(one.document, one.version, one.start, one.end) for one in before}
    changed = [one for one in passages if (one.document, one.version, one.start, one.end) not in known]
    places = [Place(one.document, one.version, one.start, one.end) for one in changed]
    words = dict(zip((id(one) for one in changed), surroundings.texts(reader, places), strict=True))
    found = []
    for passage in passages:
        text = words.get(id(passage), passage.text)
        if text is not None and len(text) == passage.end - passage.start:
            found.append(replace(passage, text=text))
    return found


def _within_budget(
    passages: Sequence[Passage], count_tokens: CountTokens, max_tokens: int, left_out: list[str]
) -> tuple[list[Passage], int]:
    kept: list[Passage] = []
    used = 0
    for passage, cost in zip(passages, count_tokens([passage.text for passage in passages]), strict=True):
        if kept and used + cost > max_tokens:
            left_out.append(f"{passage.source}: no room within {max_tokens} tokens")
            continue
        kept.append(passage)
        used += cost
    return kept, used


def _grown(
    passages: list[Passage],
    used: int,
    reader: Reader,
    surroundings: Surroundings,
    count_tokens: CountTokens,
    settings: ContextSettings,
) -> tuple[list[Passage], int]:
    """Let the best passages take in what stands around them in their section, while there is room and no overlap."""
    first = passages[: settings.grown]
    sections = surroundings.sections(
        reader, [chunk for passage in first for chunk in passage.chunks], reach=settings.reach
    )
    grown = list(passages)
    room = settings.max_tokens - used
    for at, passage in enumerate(first):
        around = [sections[chunk] for chunk in passage.chunks if chunk in sections]
        start = min((one.start for one in around), default=passage.start)
        end = max((one.end for one in around), default=passage.end)
        bigger = _spanning(passage, min(start, passage.start), max(end, passage.end))
        cost = sum(one.tokens for one in around)  # more than it takes: what it holds already is counted again
        others = (one for number, one in enumerate(grown) if number != at)
        if bigger != passage and cost <= room and not any(_touch(bigger, one) for one in others):
            grown[at] = bigger
            room -= cost
    grown = _with_text(grown, passages, reader, surroundings)
    return grown, sum(count_tokens([passage.text for passage in grown])) if grown else 0


def _passage(hit: Hit) -> Passage:
    return Passage(
        id="",
        source=hit.source,
        collection=hit.collection,
        title=hit.title,
        heading=hit.heading,
        document=hit.document,
        version=hit.version,
        page=hit.page,
        start=hit.start,
        end=hit.end,
        text=hit.text,
        chunks=(hit.chunk,),
        updated=hit.updated,
    )

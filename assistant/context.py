"""From hits to what an answer is made from: whole chunks in rank order, copies dropped, a token budget kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from assistant.model import Context, Passage
from retrieval.model import Hit


def assemble(
    hits: Sequence[Hit], count_tokens: Callable[[Sequence[str]], list[int]], *, max_passages: int, max_tokens: int
) -> Context:
    """Passages in rank order; what is left out is said.

    Args:
        hits: best first.
        count_tokens: of the embedder's tokenizer; close enough to a chat model's for a budget.
    """
    passages: list[Passage] = []
    left_out: list[str] = []
    texts: set[str] = set()
    for hit in hits:
        squashed = " ".join(hit.text.split()).casefold()
        if squashed in texts:
            left_out.append(f"{hit.source}: the same words as a passage above")
            continue
        if len(passages) < max_passages:
            texts.add(squashed)
            passages.append(_passage(hit))
        else:
            left_out.append(f"{hit.source}: ranked below the first {max_passages} passages")
    costs = count_tokens([passage.text for passage in passages])
    kept: list[Passage] = []
    used = 0
    for passage, cost in zip(passages, costs, strict=True):
        if kept and used + cost > max_tokens:
            left_out.append(f"{passage.source}: no room within {max_tokens} tokens")
            continue
        kept.append(replace(passage, id=f"P{len(kept) + 1}"))
        used += cost
    return Context(tuple(kept), used, tuple(left_out))


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

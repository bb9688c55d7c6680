"""From what was shown of the drafts to the answer that is kept, and to the record of how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assistant.asking_back import WHICH
from assistant.drafting import Draft
from assistant.model import Answer, Begun, Context, Status
from assistant.records import answer_text, usage_total
from retrieval.model import SearchResult


def made_answer(
    question: str, begun: Begun, found: SearchResult, context: Context, draft: Draft, nearest: int
) -> Answer:
    """The whole answer, without its timings.

    Args:
        nearest: passages that an abstention shows.
    """
    missing = draft.end.missing if draft.end else None
    status: Status = "answered"
    if draft.choices:
        status, missing = "clarifying", None
    elif not draft.claims:
        status = "abstained"
        missing = " ".join(part for part in (missing, searched_words(found)) if part)
    elif missing or draft.end is None:
        status = "partial"
        missing = missing or "The answer broke off; what is shown was verified before that."
    end_model = draft.end.model if draft.end else (draft.answerer.name if draft.answerer else "quoted")
    notes = [note for note in (draft.degraded, *draft.notes, *found.notes) if note]
    return Answer(
        id=begun.answer,
        conversation=begun.conversation,
        question=question,
        status=status,
        text=WHICH if draft.choices else answer_text(draft.claims),
        claims=tuple(draft.claims),
        citations=tuple(draft.citations),
        passages=context.passages[:nearest] if status == "abstained" else context.passages,
        missing=missing,
        model=end_model,
        prompt_version=draft.answerer.prompt_version if draft.answerer else "quoted",
        degraded="; ".join(notes) or None,
        usage=usage_total(draft.usages),
        timings_ms={},
        rejected=tuple(draft.rejected),
        confidence=draft.end.confidence if draft.end else None,
        choices=draft.choices,
    )


def how_made(
    found: SearchResult, context: Context, draft: Draft, described: Mapping[str, Any], checker: str
) -> dict[str, Any]:
    """How an answer was made, in numbers and names that hold no text of documents.

    Args:
        described: the settings, as they are kept with each answer.
    """
    return {
        "settings": dict(described),
        "search": {
            "readable_chunks": found.readable_chunks,
            "route": found.route,
            "language": found.language,
            "terms": len(found.idf),
            "found": len(found.hits),
        },
        "context": {
            "passages": len(context.passages),
            "tokens": context.tokens,
            "left_out": len(context.left_out),
            "conflicts": len(context.conflicts),
            "earlier_turns": bool(context.earlier),
            "earlier": draft.earlier,
        },
        "chain": draft.chain,
        "routed": draft.routed,
        "drafted": draft.drafted,
        "repeated": draft.repeated,
        "repair": draft.repair,
        "checker": checker,
        "moderation": draft.moderation,
    }


def searched_words(found: SearchResult) -> str:
    """What was looked through and for, in words, so that an abstention can be judged."""
    if found.readable_chunks == 0:
        within = f" ({'; '.join(found.filters)})" if found.filters else ""
        return f"There is no document that you may read yet{within}. Add some, or ask those who own them for access."
    passages = "passage" if found.readable_chunks == 1 else "passages"
    return f"Searched {found.readable_chunks:,} {passages} that you may read for “{found.searched or found.question}”."

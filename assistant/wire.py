"""The contract's JSON: what scripts, the HTTP API and evaluation runs read."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from assistant.model import Answer, Citation, Newer
from ingest.intake_rows import Item
from ingest.model import Document, Locator, Receipt
from retrieval.model import Hit, SearchResult


def answer_json(answer: Answer) -> dict[str, Any]:
    timings = answer.timings_ms
    return {
        "answer": str(answer.id),
        "conversation": str(answer.conversation),
        "question": answer.question,
        "status": answer.status,
        "text": answer.text,
        "claims": [
            {"text": c.text, "verdict": c.verdict, "score": c.score, "citations": list(c.citations)}
            for c in answer.claims
        ],
        "citations": [citation_json(citation) for citation in answer.citations],
        "passages": [
            {
                "source": p.source,
                "collection": p.collection,
                "title": p.title,
                "document": str(p.document),
                "version": p.version,
                "page": p.page,
                "start": p.start,
                "end": p.end,
                "text": p.text,
            }
            for p in answer.passages
        ],
        "missing": answer.missing,
        "choices": list(answer.choices),
        "model": answer.model,
        "prompt_version": answer.prompt_version,
        "degraded": answer.degraded,
        "rejected": [asdict(rejection) for rejection in answer.rejected],
        "usage": asdict(answer.usage),
        "timings_ms": {
            **{name: timings.get(name) for name in ("retrieve", "first_token", "first_verified_claim", "total")},
            **timings,
        },
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    return {
        "marker": citation.marker,
        "source": citation.source,
        "collection": citation.collection,
        "title": citation.title,
        "document": str(citation.document),
        "version": citation.version,
        "page": citation.page,
        "end_page": citation.end_page,
        "locator": locator_json(citation.locator),
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "newer": None if citation.newer is None else newer_json(citation.newer),
    }


def newer_json(newer: Newer) -> dict[str, Any]:
    """What has replaced a cited version: whether the quotation stands in it, and where."""
    start, end = newer.span or (None, None)
    return {"version": newer.version, "stands": newer.span is not None, "start": start, "end": end}


def locator_json(locator: Locator | None) -> dict[str, Any] | None:
    """What places a span for a person; None for plain text."""
    if locator is None:
        return None
    found: dict[str, Any] = dict(locator.place)
    if locator.boxes:
        found["boxes"] = [list(box) for box in locator.boxes]
    if locator.more:
        found["more"] = {str(page): [list(box) for box in boxes] for page, boxes in locator.more.items()}
    if locator.page is not None and "boxes" not in found:
        found.setdefault("page", locator.page)
    return found or None


def search_json(result: SearchResult, *, explain: bool = False) -> dict[str, Any]:
    """The result; with `explain` also what led to it."""
    found: dict[str, Any] = {
        "question": result.question,
        "stage": result.stage,
        "hits": [hit_json(hit) for hit in result.hits],
        "timings_ms": dict(result.timings_ms),
        "notes": list(result.notes),
    }
    if explain:
        found["explain"] = {
            "terms": {term: round(weight, 4) for term, weight in result.idf.items()},
            "language": result.language,
            "filters": list(result.filters),
            "readable_chunks": result.readable_chunks,
            "route": result.route or None,
            "scores": [{stage: round(score, 6) for stage, score in hit.scores.items()} for hit in result.hits],
        }
    return found


def hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "score": round(hit.score, 6),
        "source": hit.source,
        "collection": hit.collection,
        "title": hit.title,
        "document": str(hit.document),
        "version": hit.version,
        "chunk": str(hit.chunk),
        "page": hit.page,
        "start": hit.start,
        "end": hit.end,
        "heading": list(hit.heading),
        "text": hit.text,
        "ranks": dict(hit.ranks),
    }


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    return {**asdict(receipt), "document": None if receipt.document is None else str(receipt.document)}


def document_json(document: Document) -> dict[str, Any]:
    return {
        "document": str(document.id),
        "collection": document.collection,
        "source": document.source,
        "title": document.title,
        "owner": document.owner,
        "readers": list(document.readers),
        "version": document.version,
        "media_type": document.media_type,
        "pages": document.pages,
        "chunks": document.chunks,
        "bytes": document.bytes,
        "updated_at": document.updated_at.isoformat(),
        "review_by": _day(document.review_by),
        "effective_from": _day(document.effective_from),
        "expires_on": _day(document.expires_on),
        "superseded_by": None if document.superseded_by is None else str(document.superseded_by),
        "parent": None if document.parent is None else str(document.parent),
        "findings": document.findings,
        "warnings": document.warnings,
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def item_json(item: Item) -> dict[str, Any]:
    """One file's way through the queue."""
    return {
        "job": str(item.id),
        "batch": str(item.batch),
        "kind": item.kind,
        "collection": item.identity.collection,
        "source": item.identity.source,
        "state": item.state,
        "stage": item.stage,
        "done": item.done,
        "total": item.total,
        "bytes": item.byte_count,
        "starts": item.starts,
        "queued_at": item.queued_at.isoformat(),
        "started_at": None if item.started_at is None else item.started_at.isoformat(),
        "finished_at": None if item.finished_at is None else item.finished_at.isoformat(),
        "receipt": None if item.receipt is None else receipt_json(item.receipt),
    }

"""The chain of answerers at work on one question: who is asked, what is shown of their drafts, what is put right."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from assistant.answer_cache import Kept
from assistant.errors import LimitReached, ModelError, ModelMisconfigured
from assistant.gateway import Call, CallsModel, called, status_of
from assistant.model import (
    Answerer,
    AnswerId,
    Citation,
    Claim,
    ClaimShown,
    Context,
    DraftClaim,
    DraftEnd,
    Progress,
    Rejection,
    Usage,
)
from assistant.verifying import Judges, Verifier
from ingest.access import Reader
from retrieval.model import SearchResult

REPAIRED: Final = 5  # claims that were left out, of which a model may put right
REPAIR_LEAST_S: Final = 3.0  # left of the deadline for which that is worth a call


@dataclass(frozen=True, slots=True)
class Question:
    """One question on its way: what was found for it, who judges what is said to it, and until when."""

    text: str
    found: SearchResult
    context: Context
    judges: Judges
    started: float  # time.perf_counter()
    deadline: float  # time.monotonic()

    @property
    def reader(self) -> Reader:
        return self.judges.reader

    @property
    def passages(self) -> Context:
        """The context with what tools have found so far, as passages like the others, and no more tools."""
        if self.context.tools is None:
            return self.context
        found = (*self.context.passages, *self.context.tools.passages)
        return replace(self.context, passages=found, tools=None)


@dataclass(slots=True)
class Draft:
    """What has been shown so far, by one answerer or several."""

    id: AnswerId
    claims: list[Claim] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    end: DraftEnd | None = None
    answerer: Answerer | None = None
    degraded: str | None = None
    first_verified_ms: float | None = None
    chain: list[dict[str, str]] = field(default_factory=list)  # who was asked, and what became of it
    earlier: dict[str, Any] | None = None  # how a model was told of the conversation
    routed: dict[str, Any] | None = None  # which model was put first, and why
    drafted: int = 0  # claims, of all answerers
    repeated: bool = False  # whether the cache had a draft for it
    repair: dict[str, int] | None = None
    moderation: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)  # what worked less well than set up, besides the answerers
    choices: tuple[str, ...] = ()  # what may be meant, checked
    items: list[DraftClaim | DraftEnd] = field(default_factory=list)  # as the last answerer gave them

    @property
    def may_be_repeated(self) -> bool:
        """Whether a model came to its end without a word of apology."""
        return self.end is not None and self.degraded is None and isinstance(self.answerer, CallsModel)

    def kept(self, context: Context) -> Kept:
        assert self.answerer is not None
        documents = frozenset(passage.document for passage in context.passages)
        return Kept(tuple(self.items), self.answerer.name, self.answerer.prompt_version, documents)


def draft_answer(
    answerers: Sequence[Answerer], question: Question, draft: Draft, verifier: Verifier
) -> Iterator[ClaimShown | Progress]:
    """Try the chain until one answerer comes to an end; a later one replaces nothing that was already shown."""
    if not question.context.passages:
        draft.answerer, draft.end = answerers[-1], DraftEnd(model=answerers[-1].name)
        return
    failures: list[str] = []
    for answerer in called(answerers, question.reader, draft.id, deadline=question.deadline):
        draft.answerer = answerer
        rejected_before = len(draft.rejected)
        draft.items = []
        try:
            yield from _shown(answerer, question, draft, verifier)
        except (ModelError, ModelMisconfigured) as error:
            failure = str(error) if isinstance(error, LimitReached) else f"{answerer.name}: {error}"
            if failure not in failures:  # a limit stands before every model of the chain
                failures.append(failure)
            if error.usage is not None:
                draft.usages.append(error.usage)
            draft.end = None
            draft.chain.append({"answerer": answerer.name, "outcome": status_of(error)})
            if draft.claims:
                break
            yield Progress("The model did not answer; trying the next way")
            continue
        yield from _repaired(answerer, question, draft, verifier, draft.rejected[rejected_before:])
        if draft.end is not None and draft.end.choices and not draft.claims:
            draft.choices = verifier.choices(draft.end, question.passages, question.judges)
            outcome = "asked back" if draft.choices else "unverified"
            draft.chain.append({"answerer": answerer.name, "outcome": outcome})
            if draft.choices:
                break
            failures.append(f"{answerer.name}: what it asked back is not in the documents")
            continue
        answered = draft.claims or len(draft.rejected) == rejected_before
        draft.chain.append({"answerer": answerer.name, "outcome": "done" if answered else "unverified"})
        if answered:
            break  # it answered, or said that the documents do not
        failures.append(f"{answerer.name}: nothing it said could be verified")
    if failures:
        draft.degraded = "; ".join(failures)


def _shown(answerer: Answerer, question: Question, draft: Draft, verifier: Verifier) -> Iterator[ClaimShown]:
    """What holds of one answerer's draft, as it comes."""
    with _closing(answerer.draft(question.text, question.context, question.found)) as drafted:
        for item in drafted:
            draft.items.append(item)
            if isinstance(item, DraftEnd):
                draft.end = item
                draft.usages.append(item.usage)
                continue
            shown = _verified(item, question, draft, verifier)
            if shown is not None:
                if draft.first_verified_ms is None:
                    draft.first_verified_ms = ms_since(question.started)
                yield shown


def _repaired(
    answerer: Answerer, question: Question, draft: Draft, verifier: Verifier, left_out: Sequence[Rejection]
) -> Iterator[ClaimShown]:
    """One attempt of a model to put right what was left out of its draft, after all that could be shown."""
    rejected = tuple(left_out[:REPAIRED])
    if not rejected or not isinstance(answerer, CallsModel) or question.deadline - time.monotonic() < REPAIR_LEAST_S:
        return
    shown_before = {claim.text for claim in draft.claims}
    draft.repair = {"claims": len(rejected), "shown": 0}
    again = answerer.for_call(Call(question.reader, "repair", draft.id, question.deadline, question.deadline))
    context = replace(question.passages, rejected=rejected)
    try:
        with _closing(again.draft(question.text, context, question.found)) as drafted:
            for item in drafted:
                if isinstance(item, DraftEnd):
                    draft.usages.append(item.usage)
                elif item.text not in shown_before:
                    draft.items.insert(len(draft.items) - 1, item)  # before the end, for who is given this draft again
                    shown = _verified(item, question, draft, verifier)
                    if shown is not None:
                        draft.repair["shown"] += 1
                        yield shown
    except (ModelError, ModelMisconfigured) as error:  # what was shown stands without it
        if error.usage is not None:
            draft.usages.append(error.usage)


def _verified(item: DraftClaim, question: Question, draft: Draft, verifier: Verifier) -> ClaimShown | None:
    """The claim as it is shown, kept with the others; or why not."""
    draft.drafted += 1
    shown = verifier.verified(item, question.passages, draft.citations, question.judges)
    if isinstance(shown, Rejection):
        draft.rejected.append(shown)
        return None
    draft.citations.extend(shown.new_citations)
    draft.claims.append(shown.claim)
    return shown


@contextmanager
def _closing(drafted: Iterator[DraftClaim | DraftEnd]) -> Iterator[Iterator[DraftClaim | DraftEnd]]:
    """End a draft that is given up at once and here: its call is settled, and no collector of garbage has to."""
    try:
        yield drafted
    finally:
        close = getattr(drafted, "close", None)  # of a generator
        if close is not None:
            close()


def ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)

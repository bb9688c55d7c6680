"""Answering's main path: search, assemble, draft, resolve each quote, check each claim, show, keep."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from assistant.answer_cache import AnswerCache, Kept, Repeated, Turn, key_of
from assistant.asking_back import WHICH, checked, taken
from assistant.citing import Unresolved, resolve
from assistant.context import ContextSettings, assemble
from assistant.earlier_turns import earlier_turns
from assistant.errors import LimitReached, ModelError, ModelMisconfigured
from assistant.gateway import Call, CallsModel, called, status_of
from assistant.model import (
    Answer,
    Answerer,
    AnswerEvent,
    AnswerId,
    Begun,
    Checker,
    Citation,
    Claim,
    ClaimShown,
    Context,
    ConversationId,
    DraftClaim,
    DraftEnd,
    Passage,
    Progress,
    Rejection,
    Resolved,
    Status,
    Toolbox,
    Usage,
)
from assistant.moderation import DECLINED, DECLINED_UNSEEN, Moderation
from assistant.records import STOPPED, Answers, Trace, answer_text, usage_total
from assistant.rewording import Rewording
from ingest.access import Reader
from ingest.catalog import Catalog
from ingest.errors import QuothError, UsageError
from ingest.metering import Caller, in_name_of
from retrieval.model import SearchResult
from retrieval.narrowing import Narrowing
from retrieval.search import Search
from retrieval.standalone import standalone
from retrieval.surroundings import Place, Surroundings

if TYPE_CHECKING:
    from assistant.model_tools import ModelTools

FLAGGED: Final = "(a statement that moderation held back)"
REPAIRED: Final = 5  # claims that were left out, of which a model may put right
REPAIR_LEAST_S: Final = 3.0  # left of the deadline for which that is worth a call
EARLIER_TURNS: Final = 8  # of a conversation, that a model is told of


@dataclass(frozen=True, slots=True)
class AnsweringSettings:
    hits: int = 12  # searched for each question
    context: ContextSettings = field(default_factory=ContextSettings)
    deadline_s: float = 60.0  # from the question on, after which models are given up, however many stand in the chain
    nearest: int = 3  # passages shown when the documents do not say


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is searched for, and what it took to come to it."""

    text: str
    usages: tuple[Usage, ...] = ()
    notes: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
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


class Answering:
    """Answers questions over one store. Holds no state between questions."""

    def __init__(
        self,
        search: Search,
        surroundings: Surroundings,
        catalog: Catalog,
        answers: Answers,
        answerers: Sequence[Answerer],
        checker: Checker,
        count_tokens: Callable[[Sequence[str]], list[int]],
        settings: AnsweringSettings,
        *,
        rewording: Rewording | None = None,
        cache: AnswerCache | None = None,
        tools: ModelTools | None = None,
        moderation: Moderation | None = None,
        described: Mapping[str, Any] | None = None,
    ) -> None:
        self._search = search
        self._surroundings = surroundings
        self._catalog = catalog
        self._answers = answers
        self._answerers = answerers  # tried in order; quoted answers end the chain
        self._checker = checker
        self._count_tokens = count_tokens
        self._settings = settings
        self._rewording = rewording  # makes follow-up questions stand by themselves; else a rule does
        self._cache = cache
        self._tools = tools  # what a model may look up itself
        self._moderation = moderation  # looks at questions and claims; none: nobody does
        self._described = described or {}  # the settings, as they are kept with each answer

    def ask(
        self,
        question: str,
        reader: Reader,
        *,
        collection: str | None = None,
        conversation: ConversationId | None = None,
        narrowing: Narrowing | None = None,
        asked_before: Sequence[str] = (),
    ) -> Iterator[AnswerEvent]:
        """Yield progress and verified claims as they come; the last event is the whole Answer, already kept.

        Args:
            asked_before: the questions that led to this one, oldest first, of a client that keeps its conversations
                itself; not read where there is a `conversation`.

        Raises:
            UsageError: an empty question, or a conversation that is not the reader's.
            ServiceError: the database does not answer. A failing model is not an error: the next one answers, and
                quoted answers in the end.
        """
        started = time.perf_counter()
        deadline = time.monotonic() + self._settings.deadline_s
        if conversation is not None and not self._answers.owns(reader, conversation):
            raise UsageError(f"You have no conversation {str(conversation)!r}. Ask without one to start it.")
        question = self._taken(question, reader, conversation)
        begun = Begun(AnswerId(uuid.uuid4()), conversation or ConversationId(uuid.uuid4()))
        yield begun
        yield Progress("Searching the documents you may read")
        earlier = self._answers.questions(reader, conversation) if conversation is not None else asked_before
        draft = _Draft(begun.answer)
        caller = Caller(reader, draft.id, deadline, spent=draft.usages.append)
        moderation = None if self._moderation is None else in_name_of(self._moderation, caller)
        declined = None if moderation is None else self._declined(moderation, question, draft)
        if declined is not None:
            yield self._unanswered(question, reader, begun, draft, declined, started)
            return
        asked = self._standalone(question, earlier, Call(reader, "reword", draft.id, deadline, deadline))
        draft.usages.extend(asked.usages)
        found = self._search.search(
            asked.text, reader, k=self._settings.hits, collection=collection, narrowing=narrowing, caller=caller
        )
        checker = in_name_of(self._checker, caller)
        within = f" [{'; '.join(found.filters)}]" if found.filters else ""
        notes = (*found.notes, *asked.notes)
        found = replace(found, question=question.strip(), searched=asked.text + within, notes=notes)
        context = assemble(found.hits, reader, self._surroundings, self._count_tokens, self._settings.context)
        if conversation is not None and len(self._answerers) > 1:  # quotations have no use for it
            turns = self._answers.conversation(reader, conversation, latest=EARLIER_TURNS)
            context = replace(context, earlier=earlier_turns(turns))
        retrieved_ms = _ms_since(started)
        key = key_of(question, found, context, self._answerers, self._checker.name, collection, narrowing)
        box: Toolbox | None = None
        if self._tools is not None and context.passages:
            box = self._tools.box(reader, context, collection=collection, narrowing=narrowing, caller=caller)
            context = replace(context, tools=box)
        try:
            yield Progress(f"Reading {len(context.passages)} passages")
            with self._turn(key, deadline) as turn:
                answerers = (
                    self._answerers if turn is None or turn.kept is None else [Repeated(turn.kept), *self._answerers]
                )
                draft.repeated = turn is not None and turn.kept is not None
                yield from self._drafted(
                    answerers, checker, moderation, question, reader, context, found, draft, started, deadline
                )
                if turn is not None and box is not None and box.uses:
                    turn.keep_apart()
                elif turn is not None and draft.may_be_repeated:
                    turn.keep(draft.kept(context))
        except GeneratorExit:  # the reader stopped it: what was shown was verified, and is kept
            context = _with_found(context)
            stopped = self._answer(question, begun, found, context, draft)
            stopped = replace(stopped, status="partial", missing=STOPPED, timings_ms={"total": _ms_since(started)})
            with suppress(QuothError):  # a store that fails now must not keep the reader from stopping
                uses = tuple(box.uses) if box else ()
                made = self._made(found, context, draft)
                self._answers.save(reader, stopped, Trace(found, context, "", uses, made))
            raise
        context = _with_found(context)
        answer = self._answer(question, begun, found, context, draft)
        answer = replace(
            answer,
            timings_ms={
                **{f"search_{name}": value for name, value in found.timings_ms.items()},
                **asked.timings_ms,
                "retrieve": retrieved_ms,
                "first_token": draft.end.first_token_ms if draft.end else None,
                "first_verified_claim": draft.first_verified_ms,
                "total": _ms_since(started),
            },
        )
        uses = tuple(box.uses) if box else ()
        raw_output = draft.end.raw_output if draft.end else ""
        made = self._made(found, context, draft)
        self._answers.save(reader, answer, Trace(found, context, raw_output, uses, made))
        yield answer

    def _declined(self, moderation: Moderation, question: str, draft: _Draft) -> str | None:
        """Why a question is not answered at all, in words; None for one that is."""
        judged = moderation.look(question)
        draft.moderation = {"question": ", ".join(judged.flagged) or ("not looked at" if judged.failed else "passed")}
        if not judged.blocks(moderation.when_down):
            if judged.failed is not None:
                draft.notes.append(judged.failed)
            return None
        return DECLINED if judged.flagged else DECLINED_UNSEEN

    def _unanswered(
        self, question: str, reader: Reader, begun: Begun, draft: _Draft, why: str, started: float
    ) -> Answer:
        """A question that moderation held back, kept as every other is; nothing was searched for."""
        assert self._moderation is not None
        found, context = SearchResult(question.strip(), "reranked", (), {}), Context((), 0)
        answer = replace(
            self._answer(question, begun, found, context, draft), missing=why, model=self._moderation.name,
            prompt_version="moderation", timings_ms={"total": _ms_since(started)},
        )  # fmt: skip
        self._answers.save(reader, answer, Trace(found, context, "", made=self._made(found, context, draft)))
        return answer

    def _made(self, found: SearchResult, context: Context, draft: _Draft) -> dict[str, Any]:
        """How an answer was made, in numbers and names that hold no text of documents."""
        return {
            "settings": dict(self._described),
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
            },
            "chain": draft.chain,
            "drafted": draft.drafted,
            "repeated": draft.repeated,
            "repair": draft.repair,
            "checker": self._checker.name,
            "moderation": draft.moderation,
        }

    def _taken(self, said: str, reader: Reader, conversation: ConversationId | None) -> str:
        """What is asked; a number or the words of a choice stand for the question they complete."""
        latest = self._answers.conversation(reader, conversation, latest=1) if conversation is not None else []
        if not latest or latest[0].status != "clarifying":
            return said
        return taken(said, latest[0].question, latest[0].choices) or said

    def _standalone(self, question: str, earlier: Sequence[str], call: Call) -> _Asked:
        """The question as it is searched for: by the model where there is one and it answers, else by the rule."""
        if self._rewording is None or not earlier:
            return _Asked(standalone(question, earlier).text)
        try:
            made = self._rewording.standalone(question, earlier, call=call)
        except (ModelError, ModelMisconfigured) as error:
            usages = () if error.usage is None else (error.usage,)
            note = f"The question was completed from the one before by a rule: {error}"
            return _Asked(standalone(question, earlier).text, usages, (note,))
        return _Asked(made.text, (made.usage,), timings_ms={"standalone": made.ms})

    def _turn(self, key: str | None, deadline: float) -> Turn | nullcontext[None]:
        """The draft kept for a key, or the turn to make it; nothing where no model is asked."""
        if self._cache is None or key is None or not any(isinstance(one, CallsModel) for one in self._answerers):
            return nullcontext()
        return self._cache.turn(key, wait_s=(deadline - time.monotonic()) / 2)

    def _drafted(
        self,
        answerers: Sequence[Answerer],
        checker: Checker,
        moderation: Moderation | None,
        question: str,
        reader: Reader,
        context: Context,
        found: SearchResult,
        draft: _Draft,
        started: float,
        deadline: float,
    ) -> Iterator[ClaimShown | Progress]:
        """Try the chain until one answerer comes to an end; a later one replaces nothing that was already shown."""
        if not context.passages:
            draft.answerer, draft.end = self._answerers[-1], DraftEnd(model=self._answerers[-1].name)
            return
        failures: list[str] = []
        for answerer in called(answerers, reader, draft.id, deadline=deadline):
            draft.answerer = answerer
            rejected_before = len(draft.rejected)
            draft.items = []
            try:
                for item in answerer.draft(question, context, found):
                    draft.items.append(item)
                    if isinstance(item, DraftEnd):
                        draft.end = item
                        draft.usages.append(item.usage)
                        continue
                    shown = self._verified(item, reader, _with_found(context), draft, checker, moderation)
                    if shown is not None:
                        if draft.first_verified_ms is None:
                            draft.first_verified_ms = _ms_since(started)
                        yield shown
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
            yield from self._repaired(
                answerer,
                checker,
                moderation,
                question,
                reader,
                _with_found(context),
                found,
                draft,
                rejected_before,
                deadline,
            )
            if draft.end is not None and draft.end.choices and not draft.claims:
                draft.choices = self._choices(draft.end, reader, _with_found(context))
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

    def _repaired(
        self,
        answerer: Answerer,
        checker: Checker,
        moderation: Moderation | None,
        question: str,
        reader: Reader,
        context: Context,
        found: SearchResult,
        draft: _Draft,
        rejected_before: int,
        deadline: float,
    ) -> Iterator[ClaimShown]:
        """One attempt of a model to put right what was left out of its draft, after all that could be shown."""
        rejected = tuple(draft.rejected[rejected_before:][:REPAIRED])
        if not rejected or not isinstance(answerer, CallsModel) or deadline - time.monotonic() < REPAIR_LEAST_S:
            return
        shown_before = {claim.text for claim in draft.claims}
        draft.repair = {"claims": len(rejected), "shown": 0}
        again = answerer.for_call(Call(reader, "repair", draft.id, deadline, deadline))
        try:
            for item in again.draft(question, replace(context, rejected=rejected), found):
                if isinstance(item, DraftEnd):
                    draft.usages.append(item.usage)
                elif item.text not in shown_before:
                    draft.items.insert(len(draft.items) - 1, item)  # before the end, for who is given this draft again
                    shown = self._verified(item, reader, context, draft, checker, moderation)
                    if shown is not None:
                        draft.repair["shown"] += 1
                        yield shown
        except (ModelError, ModelMisconfigured) as error:  # what was shown stands without it
            if error.usage is not None:
                draft.usages.append(error.usage)

    def _verified(
        self,
        item: DraftClaim,
        reader: Reader,
        context: Context,
        draft: _Draft,
        checker: Checker,
        moderation: Moderation | None,
    ) -> ClaimShown | None:
        """Resolve a claim's quotes and check its support; only what passes both is shown."""
        draft.drafted += 1
        passages = {passage.id: passage for passage in context.passages}
        resolved: list[Resolved] = []
        for evidence in item.evidence:
            result = resolve(evidence, passages)
            if isinstance(result, Unresolved):
                draft.rejected.append(Rejection(item.text, result.reason))
                return None
            resolved.append(result)
        if not resolved:
            draft.rejected.append(Rejection(item.text, "no quotation was given for it"))
            return None
        verdict = checker.check(
            item.text, [one.quote for one in resolved], around=[_around(one.passage) for one in resolved]
        )
        if verdict.failed is not None and verdict.failed not in draft.notes:
            draft.notes.append(verdict.failed)
        if not verdict.supported:
            draft.rejected.append(Rejection(item.text, verdict.reason))
            return None
        if moderation is not None:
            judged = moderation.look(item.text)
            if judged.failed is not None and judged.failed not in draft.notes:
                draft.notes.append(judged.failed)
            if judged.blocks(moderation.when_down):
                draft.rejected.append(Rejection(FLAGGED, ", ".join(judged.flagged) or "nobody could look at it"))
                return None
        markers: list[int] = []
        new: list[Citation] = []
        for one in resolved:
            citation = self._cited(one, reader, [*draft.citations, *new])
            if citation is None:
                draft.rejected.append(Rejection(item.text, "the quotation is not in the stored version"))
                return None
            if citation.marker > len(draft.citations) + len(new):
                new.append(citation)
            markers.append(citation.marker)
        draft.citations.extend(new)
        claim = Claim(item.text, "supported", round(verdict.score, 4), tuple(dict.fromkeys(markers)), verdict.reason)
        draft.claims.append(claim)
        return ClaimShown(claim, tuple(new))

    def _cited(self, one: Resolved, reader: Reader, known: Sequence[Citation]) -> Citation | None:
        """The citation of a resolved quote, checked against the stored version; known spans keep their marker."""
        for citation in known:
            if (citation.document, citation.version, citation.start, citation.end) == (
                one.passage.document, one.passage.version, one.start, one.end,
            ):  # fmt: skip
                return citation
        stored, locator = self._catalog.stored_span(
            reader, one.passage.document, one.passage.version, one.start, one.end
        )
        if stored != one.quote:
            return None
        return Citation(
            marker=len(known) + 1,
            source=one.passage.source,
            collection=one.passage.collection,
            title=one.passage.title,
            document=one.passage.document,
            version=one.passage.version,
            page=locator.page,
            end_page=locator.end_page,
            locator=locator,
            start=one.start,
            end=one.end,
            quote=one.quote,
        )

    def _answer(
        self,
        question: str,
        begun: Begun,
        found: SearchResult,
        context: Context,
        draft: _Draft,
    ) -> Answer:
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
            passages=context.passages[: self._settings.nearest] if status == "abstained" else context.passages,
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

    def _choices(self, end: DraftEnd, reader: Reader, context: Context) -> tuple[str, ...]:
        """What may be meant, in words of passages that the reader may read at this moment."""

        def readable(passage: Passage) -> bool:
            place = Place(passage.document, passage.version, passage.start, passage.end)
            return self._surroundings.texts(reader, [place]) == [passage.text]

        return checked(end.choices, context.passages, readable) if end.choices else ()


def _with_found(context: Context) -> Context:
    """The context with what tools have found so far, as passages like the others, and no more tools."""
    if context.tools is None:
        return context
    return replace(context, passages=(*context.passages, *context.tools.passages), tools=None)


def searched_words(found: SearchResult) -> str:
    """What was looked through and for, in words, so that an abstention can be judged."""
    if found.readable_chunks == 0:
        within = f" ({'; '.join(found.filters)})" if found.filters else ""
        return f"There is no document that you may read yet{within}. Add some, or ask those who own them for access."
    passages = "passage" if found.readable_chunks == 1 else "passages"
    return f"Searched {found.readable_chunks:,} {passages} that you may read for “{found.searched or found.question}”."


def _around(passage: Passage) -> str:
    """What a quote stands in: what its headings name, it is about."""
    return "\n".join((passage.title, *passage.heading, passage.text))


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)

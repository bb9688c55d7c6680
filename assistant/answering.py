"""Answering's main path: search, assemble, draft, resolve each quote, check each claim, show, keep."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from assistant.answer_cache import AnswerCache, Repeated, Turn, key_of
from assistant.asking_back import taken
from assistant.context import ContextSettings, assemble
from assistant.conversation_summaries import ConversationSummaries
from assistant.drafting import Draft, Question, draft_answer, ms_since
from assistant.earlier_turns import earlier_turns
from assistant.errors import ModelError, ModelMisconfigured
from assistant.gateway import Call, CallsModel
from assistant.made_answer import how_made, made_answer
from assistant.model import (
    Answer,
    Answerer,
    AnswerEvent,
    AnswerId,
    Begun,
    Checker,
    Context,
    ConversationId,
    Progress,
    Toolbox,
    Usage,
)
from assistant.model_routing import ModelRouting
from assistant.moderation import DECLINED, DECLINED_UNSEEN, Moderation
from assistant.records import STOPPED, Answers, Trace
from assistant.rewording import Rewording
from assistant.verifying import Judges, Verifier
from ingest.access import Reader
from ingest.catalog import Catalog
from ingest.errors import QuothError, UsageError
from ingest.metering import Caller, in_name_of
from retrieval.model import SearchResult
from retrieval.narrowing import Narrowing
from retrieval.search import Search
from retrieval.standalone import standalone
from retrieval.surroundings import Surroundings

if TYPE_CHECKING:
    from assistant.model_tools import ModelTools

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
        summaries: ConversationSummaries | None = None,
        routing: ModelRouting | None = None,
        moderation: Moderation | None = None,
        described: Mapping[str, Any] | None = None,
    ) -> None:
        self._search = search
        self._surroundings = surroundings
        self._verifier = Verifier(catalog, surroundings)
        self._answers = answers
        self._answerers = answerers  # tried in order; quoted answers end the chain
        self._checker = checker
        self._count_tokens = count_tokens
        self._settings = settings
        self._rewording = rewording  # makes follow-up questions stand by themselves; else a rule does
        self._cache = cache
        self._tools = tools  # what a model may look up itself
        self._summaries = summaries  # of long conversations; none: their latest turns are told
        self._routing = routing  # which model is asked first; none: the first of the chain
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
        draft = Draft(begun.answer)
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
        judges = Judges(reader, in_name_of(self._checker, caller), moderation, draft.notes)
        within = f" [{'; '.join(found.filters)}]" if found.filters else ""
        notes = (*found.notes, *asked.notes)
        found = replace(found, question=question.strip(), searched=asked.text + within, notes=notes)
        context = assemble(found.hits, reader, self._surroundings, self._count_tokens, self._settings.context)
        if conversation is not None and len(self._answerers) > 1:  # quotations have no use for it
            call = Call(reader, "summarise", draft.id, deadline, deadline)
            context = replace(context, earlier=self._remembered(reader, conversation, call, draft))
        retrieved_ms = ms_since(started)
        chain = self._answerers
        if self._routing is not None:
            chain, draft.routed = self._routing.routed(chain, question, context, found)
        key = key_of(question, found, context, chain, self._checker.name, collection, narrowing)
        box: Toolbox | None = None
        if self._tools is not None and context.passages:
            box = self._tools.box(reader, context, collection=collection, narrowing=narrowing, caller=caller)
            context = replace(context, tools=box)
        wanted = Question(question, found, context, judges, started, deadline)
        try:
            yield Progress(f"Reading {len(context.passages)} passages")
            with self._turn(key, deadline) as turn:
                answerers = chain if turn is None or turn.kept is None else [Repeated(turn.kept), *chain]
                draft.repeated = turn is not None and turn.kept is not None
                yield from draft_answer(answerers, wanted, draft, self._verifier)
                if turn is not None and box is not None and box.uses:
                    turn.keep_apart()
                elif turn is not None and draft.may_be_repeated:
                    turn.keep(draft.kept(context))
        except GeneratorExit:  # the reader stopped it: what was shown was verified, and is kept
            stopped = self._made(wanted, begun, draft)
            stopped = replace(stopped, status="partial", missing=STOPPED, timings_ms={"total": ms_since(started)})
            with suppress(QuothError):  # a store that fails now must not keep the reader from stopping
                self._keep(stopped, wanted, draft, box)
            raise
        answer = replace(
            self._made(wanted, begun, draft),
            timings_ms={
                **{f"search_{name}": value for name, value in found.timings_ms.items()},
                **asked.timings_ms,
                "retrieve": retrieved_ms,
                "first_token": draft.end.first_token_ms if draft.end else None,
                "first_verified_claim": draft.first_verified_ms,
                "total": ms_since(started),
            },
        )
        self._keep(answer, wanted, draft, box, draft.end.raw_output if draft.end else "")
        yield answer

    def _made(self, question: Question, begun: Begun, draft: Draft) -> Answer:
        return made_answer(question.text, begun, question.found, question.passages, draft, self._settings.nearest)

    def _keep(
        self, answer: Answer, question: Question, draft: Draft, box: Toolbox | None, raw_output: str = ""
    ) -> None:
        made = how_made(question.found, question.passages, draft, self._described, self._checker.name)
        uses = tuple(box.uses) if box else ()
        self._answers.save(question.reader, answer, Trace(question.found, question.passages, raw_output, uses, made))

    def _declined(self, moderation: Moderation, question: str, draft: Draft) -> str | None:
        """Why a question is not answered at all, in words; None for one that is."""
        judged = moderation.look(question)
        draft.moderation = {"question": ", ".join(judged.flagged) or ("not looked at" if judged.failed else "passed")}
        if not judged.blocks(moderation.when_down):
            if judged.failed is not None:
                draft.notes.append(judged.failed)
            return None
        return DECLINED if judged.flagged else DECLINED_UNSEEN

    def _unanswered(
        self, question: str, reader: Reader, begun: Begun, draft: Draft, why: str, started: float
    ) -> Answer:
        """A question that moderation held back, kept as every other is; nothing was searched for."""
        assert self._moderation is not None
        found, context = SearchResult(question.strip(), "reranked", (), {}), Context((), 0)
        answer = replace(
            made_answer(question, begun, found, context, draft, 0), missing=why, model=self._moderation.name,
            prompt_version="moderation", timings_ms={"total": ms_since(started)},
        )  # fmt: skip
        made = how_made(found, context, draft, self._described, self._checker.name)
        self._answers.save(reader, answer, Trace(found, context, "", made=made))
        return answer

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

    def _remembered(self, reader: Reader, conversation: ConversationId, call: Call, draft: Draft) -> str:
        """What models are told of the conversation so far."""
        if self._summaries is None:
            return earlier_turns(self._answers.conversation(reader, conversation, latest=EARLIER_TURNS))
        told = self._summaries.told(reader, conversation, call)
        draft.usages.extend(told.usages)
        if told.note is not None:
            draft.notes.append(told.note)
        draft.earlier = {"turns": told.turns, "shortened": told.shortened, "by": told.by}
        return told.text

    def _turn(self, key: str | None, deadline: float) -> Turn | nullcontext[None]:
        """The draft kept for a key, or the turn to make it; nothing where no model is asked."""
        if self._cache is None or key is None or not any(isinstance(one, CallsModel) for one in self._answerers):
            return nullcontext()
        return self._cache.turn(key, wait_s=(deadline - time.monotonic()) / 2)

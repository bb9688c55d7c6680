"""What is measured: anything that answers a case. Quoth itself here; others in `evals.outside`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from assistant.answering import Answering
from assistant.bootstrap import Quoth
from assistant.model import Answer, ConversationId, Passage
from evals.cases import Case
from ingest.access import Reader
from ingest.model import DocumentId
from retrieval.model import Hit
from retrieval.search import Search

UNKNOWN_DOCUMENT: Final = DocumentId(UUID(int=0))  # what a citation of another system names that is not in the store
CANDIDATE_DEPTH: Final = 100  # chunks of each first stage among which gold is looked for


@dataclass(frozen=True, slots=True)
class Given:
    """What came back for one case."""

    answer: Answer
    context: tuple[Passage, ...] | None  # all that the answerer was given; None: nobody says
    kept: bool = True  # whether the store keeps the answer


class System(Protocol):
    """Answers cases. Called from several threads at a time."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What decides its answers, for the run's record."""
        ...

    def candidates(self, question: str, asker: Reader) -> tuple[Hit, ...] | None:
        """Every chunk that a stage brought, where it searches the store by stages; else None."""
        ...

    def answer(self, case: Case, asker: Reader) -> Given:
        """
        Raises:
            UsageError: the case cannot be asked; the others go on.
            ServiceError: a service fails; the run stops and can be gone on with.
        """
        ...


@dataclass(frozen=True, slots=True)
class QuothSystem:
    """The product as it is wired, or wired otherwise, asked as a reader would."""

    quoth: Quoth
    collection: str | None = None
    answering: Answering | None = None  # None: that of the store
    searching: Search | None = None
    name: str = ""  # of another wiring

    @property
    def facts(self) -> Mapping[str, str]:
        settings = self.quoth.settings
        return {
            "embedder": self.quoth.embedder.space,
            "reranker": settings.reranker,
            "checker": self.quoth.checker.name,
            "prompt": settings.prompt,
            "models": settings.models or "quoted",
            "abstain_below": "" if settings.abstain_below is None else f"{settings.abstain_below:g}",
            "redact": settings.redact,
            **({"system": self.name} if self.name else {}),
        }

    def candidates(self, question: str, asker: Reader) -> tuple[Hit, ...] | None:
        searching = self.searching or self.quoth.searching
        return searching.candidates(question, asker, depth=CANDIDATE_DEPTH, collection=self.collection).hits

    def answer(self, case: Case, asker: Reader) -> Given:
        answering = self.answering or self.quoth.answering
        conversation: ConversationId | None = None
        last: Answer | None = None
        for question in (*case.turns, case.question):
            for event in answering.ask(question, asker, collection=self.collection, conversation=conversation):
                if isinstance(event, Answer):
                    last, conversation = event, event.conversation
        if last is None:
            raise RuntimeError(f"asking {case.id!r} ended without an answer")
        return Given(last, self.quoth.answers.get(asker, last.id).passages)  # also for an abstention

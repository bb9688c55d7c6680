"""What is measured: anything that answers a case. Quoth itself here; others in `evals.outside`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from assistant.bootstrap import Quoth
from assistant.model import Answer, ConversationId, Passage
from evals.cases import Case
from ingest.access import Reader


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

    @property
    def searches_store(self) -> bool:
        """Whether it answers from the store by Quoth's own search, whose stages can then be looked at."""
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
    """The product as it is wired, asked as a reader would."""

    quoth: Quoth
    collection: str | None = None
    searches_store: bool = field(default=True, init=False)

    @property
    def facts(self) -> Mapping[str, str]:
        settings = self.quoth.settings
        return {
            "embedder": self.quoth.embedder.space,
            "reranker": settings.reranker,
            "checker": self.quoth.checker.name,
            "models": settings.models or "quoted",
            "abstain_below": "" if settings.abstain_below is None else f"{settings.abstain_below:g}",
            "redact": settings.redact,
        }

    def answer(self, case: Case, asker: Reader) -> Given:
        conversation: ConversationId | None = None
        last: Answer | None = None
        for question in (*case.turns, case.question):
            for event in self.quoth.ask(question, asker, collection=self.collection, conversation=conversation):
                if isinstance(event, Answer):
                    last, conversation = event, event.conversation
        if last is None:
            raise RuntimeError(f"asking {case.id!r} ended without an answer")
        return Given(last, self.quoth.answers.get(asker, last.id).passages)  # also for an abstention

"""Where a question goes that the documents do not answer: to whom, how urgent, what about. A person decides.

By rule it goes to the owner of the nearest document. A chat model, where there is one, proposes better; what it says is
taken only where it names an owner of documents that the reader may read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from assistant.errors import ModelOutputBroken
from assistant.gateway import Call, Gateway
from assistant.model_forms import FormCalls, ModelForm, form_prompt
from assistant.prompting import marked
from ingest.access import Reader
from ingest.database import Database
from ingest.document_list import Wanted, documents_by_id, list_documents
from ingest.model import Document, DocumentId
from ingest.redaction import Redactor

if TYPE_CHECKING:
    from assistant.model_stream import ModelStream

Urgency = Literal["low", "normal", "high"]
URGENCIES: Final[tuple[Urgency, ...]] = get_args(Urgency)
DEADLINE_S: Final = 8.0  # a person waits for the proposal
MAX_OUTPUT_TOKENS: Final = 600  # reasoning counts against it
MOST_SUBJECT_CHARS: Final = 120
LOOKED_AT: Final = 200  # documents whose owners are offered
OFFERED: Final = 30  # owners
TITLES: Final = 4  # of each
SENT_CHARS: Final = 1000  # of the question
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["owner", "urgency", "subject"],
    "properties": {
        "owner": {"type": "string", "description": "One of OWNERS, copied exactly."},
        "urgency": {"type": "string", "enum": list(URGENCIES)},
        "subject": {"type": "string", "description": "What the question is about, at most ten words."},
    },
}
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An owner, and documents of theirs that the reader may read, nearest first."""

    owner: str
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A proposal; nothing is sent because of it."""

    owner: str
    urgency: Urgency
    subject: str  # one line


def candidates(database: Database, reader: Reader, nearest: Sequence[DocumentId]) -> list[Candidate]:
    """Owners of documents that the reader may read; those of the nearest documents first."""
    near = documents_by_id(database, reader, list(dict.fromkeys(nearest)))
    others = list_documents(database, reader, Wanted(order="updated"), limit=LOOKED_AT).documents
    by_owner: dict[str, dict[DocumentId, Document]] = {}
    for document in (*(near[one] for one in nearest if one in near), *others):
        if document.owner:
            by_owner.setdefault(document.owner, {}).setdefault(document.id, document)
    return [Candidate(owner, tuple(known.values())) for owner, known in by_owner.items()]


def route_by_rule(nearest: Document) -> Route:
    """The owner of the nearest document, about that document."""
    return Route(nearest.owner, "normal", one_line(nearest.title or nearest.source))


class QuestionRouting:
    """Asks one model. Threads may share one instance.

    Args:
        redactor: takes out what must not be sent; None sends all as it is.
    """

    def __init__(
        self,
        stream_factory: Callable[[], ModelStream],
        model: str,
        *,
        deadline_s: float = DEADLINE_S,
        redactor: Redactor | None = None,
        gateway: Gateway | None = None,
    ) -> None:
        prompt = form_prompt("route", SCHEMA, OFFERED, TITLES, SENT_CHARS)
        form = ModelForm("route", prompt, SCHEMA, MAX_OUTPUT_TOKENS, "proposal")
        self._calls = FormCalls(stream_factory, model, form, deadline_s=deadline_s, gateway=gateway)
        self.deadline_s = deadline_s
        self._redactor = redactor

    def route_question(self, question: str, offered: Sequence[Candidate], *, call: Call) -> Route:
        """The model's proposal.

        Args:
            offered: who may be proposed, the owner of the nearest document first; not empty.

        Raises:
            ModelError, ModelMisconfigured: no proposal came, or not one of these owners.
        """
        offered = offered[:OFFERED]
        lines = [
            f"{one_line(one.owner)}: {'; '.join(one_line(d.title or d.source) for d in one.documents[:TITLES])}"
            for one in offered
        ]
        texts = {
            "OWNERS": "\n".join(lines),
            "NEAREST": lines[0],
            "QUESTION": question[:SENT_CHARS],
        }
        redaction = self._redactor.call() if self._redactor else None
        if redaction is not None:
            texts = {name: redaction.redact(text) for name, text in texts.items()}

        def read(output: str) -> Route:
            route = _route(output, redaction.restore if redaction is not None else str)
            owner = next((one.owner for one in offered if one_line(one.owner) == route.owner), None)
            if owner is None:
                raise ModelOutputBroken("The model named nobody who owns a document that you may read.")
            return Route(owner, route.urgency, route.subject)

        return self._calls.answer(marked(list(texts.items())), read, call=call).value


def one_line(text: str) -> str:
    """A text as one line of a mail's head or of a list; what nobody sees is taken out."""
    return " ".join(_CONTROLS.sub(" ", text).split())[:MOST_SUBJECT_CHARS]


def _route(output: str, restore: Callable[[str], str]) -> Route:
    try:
        said = json.loads(output)
        owner, urgency, subject = (said[name] for name in ("owner", "urgency", "subject"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelOutputBroken("The model's proposal is not in the form that was asked for.") from error
    if not isinstance(owner, str) or not isinstance(subject, str) or urgency not in URGENCIES:
        raise ModelOutputBroken("The model's proposal is not in the form that was asked for.")
    subject = one_line(restore(subject))
    if not subject:
        raise ModelOutputBroken("The model's proposal says nothing.")
    return Route(one_line(restore(owner)), urgency, subject)

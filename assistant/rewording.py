"""A follow-up question made to stand by itself by a chat model; the rule of `retrieval.standalone` stands behind.

Only the reader's own questions are sent, no text of documents. What comes back is searched for under the reader's
access, as any question is, and answered is what was asked; so the worst that a bad form can do is to find too little.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from assistant.errors import ModelOutputBroken
from assistant.gateway import Call, Gateway, nobodys_call
from assistant.model import Usage
from assistant.model_forms import FormCalls, ModelForm, form_prompt
from assistant.prompting import Prompt, marked
from ingest.redaction import Redactor

if TYPE_CHECKING:
    from assistant.model_stream import ModelStream

DEADLINE_S: Final = 4.0  # the search waits for it
MAX_OUTPUT_TOKENS: Final = 600  # reasoning counts against it
EARLIER: Final = 4  # questions sent
SENT_CHARS: Final = 1000  # of each question
LONGEST: Final = 500  # characters of a question that was made
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["question"],
    "properties": {"question": {"type": "string", "description": "The last question, leaning on nothing before it."}},
}
_UNSTORABLE: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reworded:
    """A question that can be searched for by itself, and what it cost."""

    text: str
    usage: Usage
    ms: float


class Rewording:
    """Asks one model. Threads may share one instance.

    Args:
        stream_factory: called at first use; gives the connection that the answering models use too.
        deadline_s: for the whole call, retries included.
        redactor: takes out of the questions what must not be sent; None sends them as they are.
        gateway: asked before each call and told of its end; none: every call goes through.
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
        form = ModelForm("standalone", standalone_prompt(), SCHEMA, MAX_OUTPUT_TOKENS, "question")
        self._calls = FormCalls(stream_factory, model, form, deadline_s=deadline_s, gateway=gateway)
        self._deadline_s = deadline_s
        self._redactor = redactor

    def standalone(self, question: str, earlier: Sequence[str], *, call: Call | None = None) -> Reworded:
        """The question as it would be asked without the questions before it.

        Args:
            earlier: the questions of the same conversation, oldest first; the last four are sent.
            call: in whose name, and until when at most.

        Raises:
            ModelError, ModelMisconfigured: no usable question came in time; `usage` is what it cost all the same.
        """
        redaction = self._redactor.call() if self._redactor else None
        if redaction is not None:
            question, earlier = redaction.redact(question), [redaction.redact(one) for one in earlier]

        def read(output: str) -> str:
            text = _question(output)
            return redaction.restore(text) if redaction is not None else text

        message = question_message(question, earlier)
        said = self._calls.answer(message, read, call=call or nobodys_call(self._deadline_s))
        return Reworded(said.value, said.usage, said.ms)


@functools.cache
def standalone_prompt() -> Prompt:
    """The rules of completing, and a version that changes with them."""
    return form_prompt("standalone", SCHEMA, EARLIER, SENT_CHARS)


def question_message(question: str, earlier: Sequence[str]) -> str:
    """The user message: the earlier questions, then the one to complete, each between markers, none too long."""
    texts = [one[:SENT_CHARS] for one in (*earlier[-EARLIER:], question)]
    names = [*(f"EARLIER E{number}" for number in range(1, len(texts))), "QUESTION"]
    return marked(list(zip(names, texts, strict=True)))


def _question(output: str) -> str:
    try:
        said = json.loads(output)["question"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelOutputBroken("The model's question is not in the form that was asked for.") from error
    text = " ".join(_UNSTORABLE.sub(" ", said).split()) if isinstance(said, str) else ""
    if not text or len(text) > LONGEST:
        raise ModelOutputBroken("The model gave no question, or one too long to search for.")
    return text

"""Drafts of cases by a chat model: structured output through the gateway. A quote that is not found is no draft."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from assistant.errors import ModelOutputBroken
from assistant.gateway import Call
from assistant.model_forms import FormCalls, ModelForm, first_model
from assistant.prompting import FRAME_BYTES, Prompt, marked
from evals.kept_cases import MOST_QUESTION_CHARS
from ingest.access import Reader

if TYPE_CHECKING:
    from assistant.bootstrap import Quoth

DEADLINE_S: Final = 60.0  # nobody waits for one question
MAX_OUTPUT_TOKENS: Final = 1500  # reasoning counts against it
MOST: Final = 2  # questions a passage
MOST_KIND_CHARS: Final = 30
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["cases"],
    "properties": {
        "cases": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["question", "quote", "type", "unanswerable"],
                "properties": {
                    "question": {"type": "string"},
                    "quote": {"type": "string", "description": "The sentence that answers it, letter by letter."},
                    "type": {"type": "string"},
                    "unanswerable": {"type": "string", "description": "A near question without an answer, or empty."},
                },
            },
        }
    },
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model proposed of a passage; nothing of it is checked yet."""

    question: str
    quote: str
    kind: str
    unanswerable: str  # "": none


class ModelDrafting:
    """Asks the first model that QUOTH_MODELS names.

    Raises:
        ConfigurationError: where it is first asked, if the model cannot be reached as the settings say.
    """

    def __init__(self, quoth: Quoth) -> None:
        first = first_model(quoth.settings.models, quoth.openai_client)
        if first is None:
            raise ValueError("no model is named")
        self.model, stream = first
        form = ModelForm("cases", prompt(), SCHEMA, MAX_OUTPUT_TOKENS, "proposal")
        self._calls = FormCalls(stream, self.model, form, deadline_s=DEADLINE_S, gateway=quoth.gateway)
        self._redactor = quoth.redactor

    def drafts(self, title: str, section: str, passage: str, reader: Reader) -> list[Asked]:
        """What the model would ask about a passage.

        Raises:
            ModelError, ModelMisconfigured: nothing usable came.
        """
        texts: Mapping[str, str] = {"TITLE": title, "SECTION": section, "PASSAGE": passage}
        redaction = self._redactor.call() if self._redactor else None
        if redaction is not None:
            texts = {name: redaction.redact(text) for name, text in texts.items()}
        restore: Callable[[str], str] = redaction.restore if redaction is not None else str
        deadline = time.monotonic() + DEADLINE_S
        call = Call(reader, "propose", None, deadline, deadline, bulk=True)
        message = marked([(name, text) for name, text in texts.items() if text])
        return self._calls.answer(message, lambda output: _read(output, restore), call=call).value


def prompt() -> Prompt:
    """The rules as sent; the version changes with them."""
    text = resources.files("evals").joinpath("propose-cases.md").read_text("utf-8").strip().replace("MOST", str(MOST))
    digest = hashlib.sha256(json.dumps([text, SCHEMA], sort_keys=True).encode())
    sent_bytes = len(text.encode()) + len(json.dumps(SCHEMA)) + FRAME_BYTES
    return Prompt(text, f"cases-{digest.hexdigest()[:8]}", sent_bytes)


def _read(output: str, restore: Callable[[str], str]) -> list[Asked]:
    try:
        said = json.loads(output)["cases"]
        found = [
            Asked(
                " ".join(restore(str(one["question"])).split())[:MOST_QUESTION_CHARS],
                restore(str(one["quote"])),
                str(one["type"]).strip().lower()[:MOST_KIND_CHARS],
                " ".join(restore(str(one["unanswerable"] or "")).split())[:MOST_QUESTION_CHARS],
            )
            for one in said[:MOST]
        ]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelOutputBroken("The model's proposal is not in the form that was asked for.") from error
    return [one for one in found if one.question]

"""A follow-up question made to stand by itself by a chat model; the rule of `retrieval.standalone` stands behind.

Only the reader's own questions are sent, no text of documents. What comes back is searched for under the reader's
access, as any question is, and answered is what was asked; so the worst that a bad form can do is to find too little.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from assistant.errors import ModelError, ModelMisconfigured, ModelOutputBroken, ModelRefused
from assistant.gateway import Call, Gateway, nobodys_call
from assistant.model import Usage
from assistant.prompting import FRAME_BYTES, Prompt, marked
from ingest.redaction import Redactor

if TYPE_CHECKING:
    import openai
    from openai.types.responses import Response

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
_REASONS: Final = re.compile(r"(?:gpt-[5-9]|o\d)(?!.*chat)")  # models that take `reasoning` and `verbosity`
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
        self._stream = functools.cache(stream_factory)
        self._model = model
        self._deadline_s = deadline_s
        self._redactor = redactor
        self._gateway = gateway or Gateway()

    def standalone(self, question: str, earlier: Sequence[str], *, call: Call | None = None) -> Reworded:
        """The question as it would be asked without the questions before it.

        Args:
            earlier: the questions of the same conversation, oldest first; the last four are sent.
            call: in whose name, and until when at most.

        Raises:
            ModelError, ModelMisconfigured: no usable question came in time; `usage` is what it cost all the same.
        """
        from assistant.model_failures import REFUSED, coded_failure, incomplete_failure

        call = call or nobodys_call(self._deadline_s)
        started = time.perf_counter()
        ended: Response | None = None
        begun = False
        redaction = self._redactor.call() if self._redactor else None
        if redaction is not None:
            question, earlier = redaction.redact(question), [redaction.redact(one) for one in earlier]
        message = question_message(question, earlier)
        prompt = standalone_prompt()
        sent_bytes = len(message.encode("utf-8", "replace")) + prompt.sent_bytes
        with self._gateway.call(
            call, self._model, sent_bytes=sent_bytes, max_output_tokens=MAX_OUTPUT_TOKENS
        ) as account:
            deadline_s = min(self._deadline_s, call.deadline - time.monotonic())
            try:
                with closing(self._stream().events(self._request(message), deadline_s=deadline_s)) as events:
                    for event in events:
                        begun = True
                        if event.type in ("response.refusal.delta", "response.refusal.done"):
                            raise ModelRefused(REFUSED)
                        if event.type == "error":
                            raise coded_failure(event.code)
                        if event.type in ("response.completed", "response.incomplete", "response.failed"):
                            ended = event.response
                if ended is None:
                    raise ModelOutputBroken("The model's question broke off before its end.")
                if ended.status == "failed":
                    raise coded_failure(ended.error.code if ended.error else None)
                if ended.status == "incomplete":
                    raise incomplete_failure(ended)
                text = _question(ended.output_text)
                if redaction is not None:
                    text = redaction.restore(text)
            except (ModelError, ModelMisconfigured) as error:
                if begun:
                    error.usage = self._used(ended, len(message))
                raise
            finally:
                if begun:
                    account.used(self._used(ended, len(message)))
        return Reworded(text, account.usage, round((time.perf_counter() - started) * 1000, 2))

    def _used(self, ended: Response | None, sent_chars: int) -> Usage:
        """What the service reports, or an estimate where it was cut off before."""
        if ended is not None and ended.usage is not None:
            return self._gateway.prices.usage_of(ended, self._model)
        sent_chars += len(standalone_prompt().instructions)
        return self._gateway.prices.estimated_usage(self._model, sent_chars, LONGEST)

    def _request(self, message: str) -> dict[str, Any]:
        prompt = standalone_prompt()
        text: dict[str, Any] = {
            "format": {"type": "json_schema", "name": "standalone", "strict": True, "schema": SCHEMA}
        }
        request: dict[str, Any] = {
            "model": self._model,
            "instructions": prompt.instructions,
            "input": [{"role": "user", "content": message}],
            "text": text,
            "max_output_tokens": MAX_OUTPUT_TOKENS,
            "store": False,
            "truncation": "disabled",
            "prompt_cache_key": prompt.version,
        }
        if _REASONS.match(self._model):
            request["reasoning"] = {"effort": "low"}
            text["verbosity"] = "low"
        return request


@functools.cache
def standalone_prompt() -> Prompt:
    """The rules of completing, and a version that changes with them."""
    text = resources.files("assistant").joinpath("prompts/standalone.md").read_text("utf-8").strip()
    digest = hashlib.sha256(json.dumps([text, SCHEMA, EARLIER, SENT_CHARS], sort_keys=True).encode())
    sent_bytes = len(text.encode()) + len(json.dumps(SCHEMA)) + FRAME_BYTES
    return Prompt(text, f"standalone-{digest.hexdigest()[:8]}", sent_bytes)


def rewording_from(
    setting: str | None,
    client_factory: Callable[[], openai.OpenAI],
    *,
    redactor: Redactor | None = None,
    gateway: Gateway | None = None,
) -> Rewording | None:
    """Completing by the first model that QUOTH_MODELS names; None for None. Connects when it is first asked."""
    name = (setting or "").split(",")[0].strip()
    if not name:
        return None

    def stream() -> ModelStream:
        from assistant.model_stream import ModelStream  # loads the SDK

        return ModelStream(client_factory(), attempts=2)

    return Rewording(stream, name, redactor=redactor, gateway=gateway)


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

"""One small question to a chat model, answered in a form of ours: a follow-up completed, a question's way proposed.

It passes the gateway like every call, has a deadline of its own, and comes back read or as an error.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from assistant.errors import ModelError, ModelMisconfigured, ModelOutputBroken, ModelRefused
from assistant.gateway import Call, Gateway
from assistant.model import Usage
from assistant.prompting import FRAME_BYTES, Prompt

if TYPE_CHECKING:
    import openai
    from openai.types.responses import Response

    from assistant.model_stream import ModelStream
    from ingest.redaction import Redactor

_REASONS: Final = re.compile(r"(?:gpt-[5-9]|o\d)(?!.*chat)")  # models that take `reasoning` and `verbosity`

Read = TypeVar("Read")
Asking = TypeVar("Asking")


@dataclass(frozen=True, slots=True)
class ModelForm:
    """What is asked for, whatever the question."""

    name: str
    prompt: Prompt
    schema: Mapping[str, Any]
    max_output_tokens: int  # reasoning counts against it
    made: str  # "question": how failures name what was asked for


@dataclass(frozen=True, slots=True)
class Said(Generic[Read]):
    """What came back, and what it cost."""

    value: Read
    usage: Usage
    ms: float


def form_prompt(name: str, *parts: object) -> Prompt:
    """The rules in prompts/NAME.md; the version changes with them and with `parts`, the schema first."""
    text = resources.files("assistant").joinpath(f"prompts/{name}.md").read_text("utf-8").strip()
    digest = hashlib.sha256(json.dumps([text, *parts], sort_keys=True).encode())
    sent_bytes = len(text.encode()) + len(json.dumps(parts[0])) + FRAME_BYTES
    return Prompt(text, f"{name}-{digest.hexdigest()[:8]}", sent_bytes)


class FormCalls:
    """Asks one model. Threads may share one instance.

    Args:
        stream_factory: called at first use; gives the connection that the answering models use too.
        deadline_s: for a whole call, retries included.
        gateway: asked before each call and told of its end; none: every call goes through.
    """

    def __init__(
        self,
        stream_factory: Callable[[], ModelStream],
        model: str,
        form: ModelForm,
        *,
        deadline_s: float,
        gateway: Gateway | None = None,
    ) -> None:
        self._stream = functools.cache(stream_factory)
        self._model = model
        self._form = form
        self._deadline_s = deadline_s
        self._gateway = gateway or Gateway()

    def answer(self, message: str, read: Callable[[str], Read], *, call: Call) -> Said[Read]:
        """Ask, and read what comes.

        Args:
            read: makes the value of the output's text; its ModelOutputBroken counts as the call's.

        Raises:
            ModelError, ModelMisconfigured: nothing usable came in time; `usage` is what it cost all the same.
        """
        from assistant.model_failures import REFUSED, coded_failure, incomplete_failure

        form = self._form
        started = time.perf_counter()
        ended: Response | None = None
        begun = False
        sent_bytes = len(message.encode("utf-8", "replace")) + form.prompt.sent_bytes
        with self._gateway.call(
            call, self._model, sent_bytes=sent_bytes, max_output_tokens=form.max_output_tokens
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
                    raise ModelOutputBroken(f"The model's {form.made} broke off before its end.")
                if ended.status == "failed":
                    raise coded_failure(ended.error.code if ended.error else None)
                if ended.status == "incomplete":
                    raise incomplete_failure(ended)
                value = read(ended.output_text)
            except (ModelError, ModelMisconfigured) as error:
                if begun:
                    error.usage = self._used(ended, len(message))
                raise
            finally:
                if begun:
                    account.used(self._used(ended, len(message)))
        return Said(value, account.usage, round((time.perf_counter() - started) * 1000, 2))

    def _used(self, ended: Response | None, sent_chars: int) -> Usage:
        """What the service reports, or an estimate where it was cut off before."""
        if ended is not None and ended.usage is not None:
            return self._gateway.prices.usage_of(ended, self._model)
        sent_chars += len(self._form.prompt.instructions)
        return self._gateway.prices.estimated_usage(self._model, sent_chars, self._form.max_output_tokens)

    def _request(self, message: str) -> dict[str, Any]:
        form = self._form
        text: dict[str, Any] = {
            "format": {"type": "json_schema", "name": form.name, "strict": True, "schema": dict(form.schema)}
        }
        request: dict[str, Any] = {
            "model": self._model,
            "instructions": form.prompt.instructions,
            "input": [{"role": "user", "content": message}],
            "text": text,
            "max_output_tokens": form.max_output_tokens,
            "store": False,
            "truncation": "disabled",
            "prompt_cache_key": form.prompt.version,
        }
        if _REASONS.match(self._model):
            request["reasoning"] = {"effort": "low"}
            text["verbosity"] = "low"
        return request


def first_model(
    setting: str | None, client_factory: Callable[[], openai.OpenAI]
) -> tuple[str, Callable[[], ModelStream]] | None:
    """The first model that QUOTH_MODELS names, and what connects to it when it is first asked; None for None."""
    name = (setting or "").split(",")[0].strip()
    if not name:
        return None

    def stream() -> ModelStream:
        from assistant.model_stream import ModelStream  # loads the SDK

        return ModelStream(client_factory(), attempts=2)

    return name, stream


def by_first_model(
    kind: Callable[..., Asking],
    setting: str | None,
    client_factory: Callable[[], openai.OpenAI],
    *,
    redactor: Redactor | None = None,
    gateway: Gateway | None = None,
) -> Asking | None:
    """What asks the first model that QUOTH_MODELS names for a form; None for None. Connects when it is first asked."""
    first = first_model(setting, client_factory)
    if first is None:
        return None
    name, stream = first
    return kind(stream, name, redactor=redactor, gateway=gateway)

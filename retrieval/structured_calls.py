"""One question to a chat model, answered in a form of ours within a deadline, in one piece."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ingest.errors import CallFailed, outcome_of_status
from ingest.metering import OPERATOR, Caller, Meter, Purpose, Unmetered
from retrieval.timed_calls import TimedCalls

if TYPE_CHECKING:
    import openai

FRAME_BYTES: Final = 600  # of tokens that a service adds for roles and the form
_REASONS: Final = re.compile(r"(?:gpt-[5-9]|o\d)(?!.*chat)")  # models that take `reasoning`


@dataclass(frozen=True, slots=True)
class Form:
    """What a model is told whatever it is asked, and the form of its answer."""

    name: str
    instructions: str
    schema: Mapping[str, Any]
    max_output_tokens: int  # reasoning counts against it


@dataclass(frozen=True, slots=True)
class Words:
    """How failures are told: '`who` did not take `sent`', '`who` did not finish `made`'."""

    who: str
    sent: str
    made: str


class StructuredCalls:
    """Asks one model. Threads may share one instance.

    Args:
        client_factory: called at first use; gives key and address, its own retries are not used.
        model: of the Responses API.
        purpose: what its calls are counted as.
    """

    def __init__(
        self,
        client_factory: Callable[[], openai.OpenAI],
        model: str,
        form: Form,
        words: Words,
        purpose: Purpose,
        meter: Meter | None = None,
    ) -> None:
        self._client_factory = client_factory
        self._model = model
        self._form = form
        self._words = words
        self._purpose: Purpose = purpose
        self._meter = meter or Unmetered()
        self._form_bytes = len((form.instructions + json.dumps(dict(form.schema))).encode()) + FRAME_BYTES
        self._calls = TimedCalls()
        self._client: openai.AsyncOpenAI | None = None

    def answer(self, message: str, *, within_s: float, caller: Caller = OPERATOR) -> str:
        """The text of the answer, which may still not be of the form.

        Raises:
            ServiceError: the model does not answer in time, cannot be reached, or does not come to an end; or the
                meter lets nothing through.
            ConfigurationError: the meter needs the operator to act.
        """
        import openai  # here, because it takes most of a second and few set-ups use it

        form, words = self._form, self._words
        request: dict[str, Any] = {
            "model": self._model,
            "instructions": form.instructions,
            "input": [{"role": "user", "content": message}],
            "text": {"format": {"type": "json_schema", "name": form.name, "strict": True, "schema": dict(form.schema)}},
            "max_output_tokens": form.max_output_tokens,
            "store": False,
            "truncation": "disabled",
        }
        if _REASONS.match(self._model):
            request["reasoning"] = {"effort": "low"}
        if self._client is None:
            client = self._client_factory()
            self._client = openai.AsyncOpenAI(
                api_key=client.api_key,
                organization=client.organization,
                project=client.project,
                base_url=client.base_url,
                max_retries=0,
            )
        within_s = caller.left_s(within_s)
        sent_bytes = len(message.encode("utf-8", "replace")) + self._form_bytes
        with self._meter.begin(
            caller, self._purpose, self._model, sent_bytes=sent_bytes, max_output_tokens=form.max_output_tokens,
            within_s=within_s,
        ) as account:  # fmt: skip
            try:
                response = self._calls.result(self._client.responses.create(**request), within_s=within_s)
            except TimeoutError as error:
                account.unanswered(len(message) + len(form.instructions))
                raise CallFailed(f"{words.who} did not answer within {within_s:.3g} s.", "unavailable") from error
            except openai.APIStatusError as error:  # its message may quote the documents: not repeated
                outcome = outcome_of_status(error.status_code, error.code)
                raise CallFailed(
                    f"{words.who} did not take {words.sent} (HTTP {error.status_code}).", outcome
                ) from error
            except (openai.OpenAIError, ValueError, TypeError) as error:
                raise CallFailed(f"{words.who} could not be reached or understood.", "unavailable") from error
            account.answered(response)
            if response.status != "completed":
                outcome = "unavailable" if response.status == "failed" else "broken"
                raise CallFailed(f"{words.who} did not finish {words.made}.", outcome)
            return response.output_text

"""Questions and statements looked at by a moderation endpoint before they are answered and shown.

It is off unless QUOTH_MODERATION names a model. What is flagged is not answered, or not shown; which categories it was
flagged for is kept for the record, not told to the reader.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ingest.errors import CallFailed, ConfigurationError, ServiceError, outcome_of_status
from ingest.metering import OPERATOR, Caller, Meter, Unmetered
from retrieval.timed_calls import TimedCalls

if TYPE_CHECKING:
    import openai

    from ingest.redaction import Redactor

DEADLINE_S: Final = 4.0  # for one text; the reader waits for it
DECLINED: Final = "This question was not answered: it goes against the rules that the operator has set for questions."
DECLINED_UNSEEN: Final = (
    "This question was not answered: it could not be looked at as the operator's rules ask. Ask again in a minute."
)
WhenDown = Literal["answer", "refuse"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of looking at a text."""

    flagged: tuple[str, ...] = ()  # categories, as the service names them
    failed: str | None = None  # in words: why nobody looked

    def blocks(self, when_down: WhenDown) -> bool:
        return bool(self.flagged) or (self.failed is not None and when_down == "refuse")


class Moderation:
    """Asks one model of the moderation endpoint. Threads may share one instance.

    Args:
        client_factory: called at first use; gives the connection, its own retries are not used.
        when_down: what happens to texts that nobody could look at: they pass, and the answer says so, or they do not.
        deadline_s: for one text, which nothing stretches.
        redactor: takes personal data out of what is sent.
    """

    def __init__(
        self,
        client_factory: Callable[[], openai.AsyncOpenAI],
        model: str,
        *,
        when_down: WhenDown = "answer",
        deadline_s: float = DEADLINE_S,
        redactor: Redactor | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._client = functools.cache(client_factory)  # shared by the copies
        self._model = model
        self.when_down: WhenDown = when_down
        self._deadline_s = deadline_s
        self._redactor = redactor
        self._meter = meter or Unmetered()
        self._calls = TimedCalls()
        self._caller = OPERATOR

    @property
    def name(self) -> str:
        return self._model

    def for_caller(self, caller: Caller) -> Moderation:
        """This moderation for one answer; the connection is shared."""
        bound = copy.copy(self)
        bound._caller = caller
        return bound

    def look(self, text: str) -> Judged:
        """The categories that a text is flagged for. A service that fails is not an error: the result says so."""
        try:
            return Judged(flagged=self._flagged(text))
        except (ServiceError, ConfigurationError) as error:
            return Judged(failed=f"{self._model} did not look at it: {error}")

    def _flagged(self, text: str) -> tuple[str, ...]:
        import openai  # here, because it takes most of a second and few set-ups use it

        sent = text if self._redactor is None else self._redactor.alone(text)
        within_s = self._caller.left_s(self._deadline_s)
        client = self._client()
        with self._meter.begin(
            self._caller, "moderate", self._model, sent_bytes=len(sent.encode("utf-8", "replace")), within_s=within_s,
            free=True,
        ):  # fmt: skip
            try:
                made = self._calls.result(client.moderations.create(model=self._model, input=sent), within_s=within_s)
                result = made.results[0]
                flagged = result.flagged
                categories = result.categories.model_dump(by_alias=True) if flagged else {}
            except TimeoutError as error:
                raise CallFailed(f"it did not answer within {within_s:.3g} s.", "unavailable") from error
            except openai.APIStatusError as error:  # its message may quote the text: not repeated
                outcome = outcome_of_status(error.status_code, error.code)
                raise CallFailed(f"it did not take the text (HTTP {error.status_code}).", outcome) from error
            except (openai.OpenAIError, ValueError, TypeError, AttributeError, IndexError) as error:
                raise CallFailed("it could not be reached or understood.", "unavailable") from error
        return tuple(sorted(name for name, on in categories.items() if on)) or (("flagged",) if flagged else ())


def moderation_from(
    setting: str,
    when_down: WhenDown,
    client_factory: Callable[[], openai.AsyncOpenAI],
    *,
    redactor: Redactor | None = None,
    meter: Meter | None = None,
) -> Moderation | None:
    """The moderation that QUOTH_MODERATION names; None for 'off'.

    Raises:
        ConfigurationError: for anything else than off and openai:MODEL.
    """
    if setting == "off":
        return None
    scheme, _, model = setting.partition(":")
    if scheme != "openai" or not model.strip():
        raise ConfigurationError(
            f"QUOTH_MODERATION={setting!r} is not known. Use off or openai:omni-moderation-latest."
        )
    return Moderation(client_factory, model.strip(), when_down=when_down, redactor=redactor, meter=meter)

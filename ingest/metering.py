"""In whose name a remote model is called, and the seam to what counts such calls.

Whoever calls a model from this folder or from retrieval is handed a Meter; the gateway of the assistant is one. A call
is made in the name of a Caller, which objects that call models are bound to:

    vector = in_name_of(embedder, Caller(reader)).embed([question], kind="query")[0]
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self, TypeVar, runtime_checkable
from uuid import UUID

from ingest.access import LOCAL, Reader

if TYPE_CHECKING:
    from openai.types.responses import Response

Purpose = Literal[
    "answer", "repair", "reword", "route", "rerank", "judge", "embed", "moderate", "propose", "summarise", "transcribe"
]


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls of models used."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Caller:
    """In whose name models are called, for which answer, and until when."""

    reader: Reader
    answer: UUID | None = None
    deadline: float = math.inf  # time.monotonic() at which every call is given up
    bulk: bool = False  # work of the queue: it counts for the organisation, not for who handed it over
    spent: Callable[[Usage], object] = lambda usage: None  # told what each call used

    def left_s(self, most_s: float) -> float:
        """Seconds that a call may take: what is left, at most `most_s`."""
        return min(most_s, self.deadline - time.monotonic())


OPERATOR: Final = Caller(LOCAL)  # of what nobody in particular asked for


class Account(Protocol):
    """One call under way; leaving the `with` settles it, whatever happened."""

    def answered(self, response: Response) -> None:
        """It came to an end, and says itself what it used."""
        ...

    def embedded(self, tokens: int) -> None:
        """Texts of so many tokens were embedded."""
        ...

    def unanswered(self, sent_chars: int) -> None:
        """It was given up on the way, and may be charged all the same: an estimate is booked."""
        ...


class Meter(Protocol):
    """Asked before each call of a model, and told of its end."""

    def begin(
        self,
        caller: Caller,
        purpose: Purpose,
        model: str,
        *,
        sent_bytes: int,
        max_output_tokens: int = 0,
        within_s: float,
        free: bool = False,
    ) -> AbstractContextManager[Account]:
        """Leave for one call; use it in a `with`.

        Args:
            sent_bytes: of everything that is sent, in UTF-8; no tokenizer makes more tokens of it than that.
            within_s: until it has ended for certain.
            free: it costs no money, whatever the model.

        Raises:
            ServiceError: not now: no time or too little of a limit is left, or the model failed too often.
            ConfigurationError: not until the operator acts.
        """
        ...


class Ledger(Protocol):
    """Keeps what a call may use at most while hours lie between its beginning and its end, in whatever process."""

    def hold(
        self, call: UUID, caller: Caller, purpose: Purpose, model: str, *, sent_bytes: int, within_s: float,
        share: float,
    ) -> Mapping[str, Any]:  # fmt: skip
        """Reserve it; what is returned goes into JSON and settles it. The same call is reserved once.

        Args:
            share: of the usual price that it costs.

        Raises:
            as `Meter.begin`
        """
        ...

    def settle_held(self, held: Mapping[str, Any], outcome: str, *, tokens: int, ms: float) -> None:
        """Book what it did use; a second time changes nothing."""
        ...


class _Uncounted(AbstractContextManager["_Uncounted"]):
    def answered(self, response: Response) -> None: ...

    def embedded(self, tokens: int) -> None: ...

    def unanswered(self, sent_chars: int) -> None: ...

    def __exit__(self, *raised: object) -> None: ...


class Unmetered:
    """A Meter that lets every call through and counts none: of tools that have no store."""

    def begin(self, caller: Caller, purpose: Purpose, model: str, **how: Any) -> _Uncounted:
        return _Uncounted()


@runtime_checkable
class CallsRemotely(Protocol):
    """Something that calls models, in a caller's name."""

    def for_caller(self, caller: Caller) -> Self: ...


Calling = TypeVar("Calling")


def in_name_of(calling: Calling, caller: Caller) -> Calling:
    """The same, bound to a caller where it calls models; as it is where it does not."""
    return calling.for_caller(caller) if isinstance(calling, CallsRemotely) else calling

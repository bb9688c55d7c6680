"""The gate that every call of a model passes: who calls, whether it may, and what became of it.

    with gateway.call(call, model, sent_bytes=9_000, max_output_tokens=3_000) as account:
        ...                        # the call itself
        account.used(usage)

A model that keeps failing is left alone (breaker.py); what a call may cost at most is reserved before it and settled
after it, and its record kept (budgets.py). To ingest and retrieval, which know nothing of it, it is a Meter.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self, runtime_checkable
from uuid import UUID

from assistant.breaker import Breakers, Pass
from assistant.budgets import Budgets, Reservation
from assistant.errors import LimitReached, ModelError, ModelOutputBroken, ModelRefused, ModelUnavailable
from assistant.limits import Counter
from assistant.model import Answerer, AnswerId, Usage
from assistant.prices import Prices
from assistant.watching import CallMade, Watch
from ingest.access import LOCAL, Reader
from ingest.errors import CallFailed, ConfigurationError, ServiceError
from ingest.metering import Caller, Purpose

if TYPE_CHECKING:
    from openai.types.responses import Response

LOG: Final = logging.getLogger("quoth.models")
LEAST_S: Final = 0.2  # left of the deadline for which a call is worth beginning

Status = Literal["done", "refused", "unavailable", "broken", "misconfigured", "left"]


@dataclass(frozen=True, slots=True)
class Call:
    """In whose name a model is called, what for and until when."""

    reader: Reader
    purpose: Purpose
    answer: AnswerId | None  # that it is made for
    deadline: float  # time.monotonic() at which it is given up
    begin_by: float  # by which its first word must have come; at most `deadline`
    bulk: bool = False  # see Caller
    spent: Callable[[Usage], object] = lambda usage: None


@runtime_checkable
class CallsModel(Answerer, Protocol):
    """An answerer that calls a model in somebody's name."""

    def for_call(self, call: Call) -> Answerer: ...


def called(answerers: Sequence[Answerer], reader: Reader, answer: AnswerId, *, deadline: float) -> Iterator[Answerer]:
    """The answerers of a chain, each bound to its call when its turn comes.

    A model whose first word does not come within its share of the time left is given up, so that the next has a turn;
    one that has begun may use all of it.
    """
    left = sum(isinstance(one, CallsModel) for one in answerers)
    for one in answerers:
        if isinstance(one, CallsModel):
            now = time.monotonic()
            begin_by = now + max(0.0, deadline - now) / left
            left -= 1
            yield one.for_call(Call(reader, "answer", answer, deadline, begin_by))
        else:
            yield one


def nobodys_call(deadline_s: float) -> Call:
    """A call that nobody is charged for: of tools that use a model without a store."""
    deadline = time.monotonic() + deadline_s
    return Call(LOCAL, "answer", None, deadline, deadline)


class Account:
    """One call under way; leaving the `with` settles it, whatever happened."""

    def __init__(
        self, call: Call, model: str, prices: Prices, leave: Pass | None, budgets: Budgets | None,
        reservation: Reservation | None, watches: Sequence[Watch] = (),
    ) -> None:  # fmt: skip
        self._call = call
        self._model = model
        self._prices = prices
        self._leave = leave
        self._budgets = budgets
        self._reservation = reservation
        self._watches = watches
        self._started = time.perf_counter()
        self.usage = Usage()  # what it has used, as far as is known

    def used(self, usage: Usage) -> None:
        self.usage = usage

    def answered(self, response: Response) -> None:
        self.used(self._prices.usage_of(response, self._model))

    def embedded(self, tokens: int) -> None:
        self.used(self._prices.embedding_usage(self._model, tokens))

    def unanswered(self, sent_chars: int) -> None:
        self.used(self._prices.estimated_usage(self._model, sent_chars, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave is not None:
            _tell(self._leave, error)
        self._call.spent(self.usage)
        ms = round((time.perf_counter() - self._started) * 1000, 2)
        if self._budgets is not None and self._reservation is not None:
            try:
                self._budgets.settle(self._reservation, status_of(error), self.usage, ms)
            except ServiceError as failed:
                if error is None:
                    raise
                # what ended the call is what is to be told; its reservation expires by itself
                LOG.warning("a call of %s could not be settled: %s", self._model, failed)
        _show(self._watches, self._call, self._model, status_of(error), self.usage, ms)


class Gateway:
    """What stands between this process and its models. Threads share it.

    Args:
        breakers: none: a failing model is called again and again.
        budgets: none: nothing is limited or recorded.
        watches: told of each call.
    """

    def __init__(
        self,
        breakers: Breakers | None = None,
        budgets: Budgets | None = None,
        prices: Prices | None = None,
        watches: Sequence[Watch] = (),
    ) -> None:
        self._breakers = breakers
        self._budgets = budgets
        self.prices = prices or Prices()
        self._watches = watches

    def call(self, call: Call, model: str, *, sent_bytes: int, max_output_tokens: int) -> Account:
        """Leave for one call; use it in a `with`.

        Args:
            sent_bytes: of everything that is sent, in UTF-8; no tokenizer makes more tokens of it than that.

        Raises:
            ModelUnavailable: no time is left, or the model's breaker is open.
            LimitReached: a limit leaves too little for it.
            ModelMisconfigured: its price is not known, and a limit on money holds.
            ServiceError: the database does not answer.
        """
        return self._entered(call, model, sent_bytes, max_output_tokens, least_s=LEAST_S)

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
    ) -> Account:
        """As Meter; raises as `call`."""
        deadline = time.monotonic() + within_s
        answer = None if caller.answer is None else AnswerId(caller.answer)
        call = Call(caller.reader, purpose, answer, deadline, deadline, caller.bulk, caller.spent)
        return self._entered(call, model, sent_bytes, max_output_tokens, free=free)

    def hold(
        self, call: UUID, caller: Caller, purpose: Purpose, model: str, *, sent_bytes: int, within_s: float,
        share: float,
    ) -> dict[str, Any]:  # fmt: skip
        """As Ledger; raises as `call`."""
        held: dict[str, Any] = {"call": str(call), "purpose": purpose, "model": model, "share": share, "counters": []}
        if self._budgets is not None:
            most = self.prices.most_usd(model, sent_bytes, 0)
            reservation = self._budgets.reserve(
                caller.reader, purpose, model, None, tokens=sent_bytes,
                cost_usd=None if most is None else most * share, within_s=within_s, bulk=True, call=call,
            )  # fmt: skip
            held["counters"] = [[one.scope, one.unit, one.period] for one in reservation.counters]
        return held

    def settle_held(self, held: Mapping[str, Any], outcome: str, *, tokens: int, ms: float) -> None:
        usage = self.prices.embedding_usage(held["model"], tokens, share=held["share"])
        if self._budgets is not None:
            counters = tuple(Counter(*one) for one in held["counters"])
            self._budgets.settle(Reservation(UUID(held["call"]), LOCAL, counters), outcome, usage, ms)
        for watch in self._watches:
            watch.called(CallMade(held["purpose"], held["model"], None, outcome, usage, time.time(), ms))

    def _entered(
        self, call: Call, model: str, sent_bytes: int, max_output_tokens: int, *, least_s: float = 0.0,
        free: bool = False,
    ) -> Account:  # fmt: skip
        left_s = call.deadline - time.monotonic()
        if left_s <= least_s:
            raise ModelUnavailable("No time was left for it.")
        # what else a model is asked for has a deadline of its own, and being too slow for that is not being down
        circuit = model if call.purpose == "answer" else f"{model} for {call.purpose}"
        try:
            leave = self._breakers.enter(circuit) if self._breakers is not None else None
        except ModelUnavailable:
            _show(self._watches, call, model, "left alone")
            raise
        try:
            reservation = None
            if self._budgets is not None:
                reservation = self._budgets.reserve(
                    call.reader,
                    call.purpose,
                    model,
                    call.answer,
                    tokens=sent_bytes + max_output_tokens,
                    cost_usd=0.0 if free else self.prices.most_usd(model, sent_bytes, max_output_tokens),
                    within_s=left_s,
                    bulk=call.bulk,
                )
        except BaseException as error:
            if leave is not None:
                leave.given_up()
            if isinstance(error, LimitReached):
                _show(self._watches, call, model, "limited")
            raise
        return Account(call, model, self.prices, leave, self._budgets, reservation, self._watches)


def _show(
    watches: Sequence[Watch], call: Call, model: str, status: str, usage: Usage | None = None, ms: float = 0.0
) -> None:
    for watch in watches:
        watch.called(CallMade(call.purpose, model, call.answer, status, usage or Usage(), time.time(), ms))


def status_of(error: BaseException | None) -> Status:
    """What became of a call that ended so."""
    match error:
        case None:
            return "done"
        case ModelRefused():
            return "refused"
        case ModelUnavailable():
            return "unavailable"
        case ModelError():
            return "broken"
        case CallFailed():
            return error.outcome
        case ConfigurationError():
            return "misconfigured"
        case _:
            return "left"


def _tell(leave: Pass, error: BaseException | None) -> None:
    """The breaker counts what the service does, not what it is asked for."""
    by_service = (isinstance(error, ModelOutputBroken) and error.by_service) or (
        isinstance(error, CallFailed) and error.outcome == "unavailable"
    )
    if isinstance(error, ModelUnavailable) or by_service:
        leave.failed()
    elif error is None or isinstance(error, (ModelError, CallFailed)):
        leave.succeeded()
    else:
        leave.given_up()

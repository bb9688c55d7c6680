"""A breaker for each model: one that keeps failing is left alone for a while, and then tried by one call at a time.

closed: calls go through. A number of failures within a window, without a success in between, opens it.
open: calls are refused at once, so that the chain goes on to the next model without waiting.
half-open: when the rest is over, one call goes through as a probe; it closes the breaker or opens it again.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from assistant.errors import ModelUnavailable

State = Literal["closed", "open", "half-open"]

FAILURES: Final = 4  # that open it
WINDOW_S: Final = 60.0  # within which they must fall
REST_S: Final = 20.0  # before a probe
PROBE_S: Final = 300.0  # after which a probe that told nothing is forgotten


@dataclass(slots=True)
class _Circuit:
    """What is known of one model."""

    failed_at: deque[float] = field(default_factory=deque)
    opened_at: float | None = None
    probe: Pass | None = None
    probed_at: float = 0.0


class Pass:
    """Leave for one call. Its outcome is told with exactly one of the three; `given_up` when in doubt."""

    def __init__(self, breakers: Breakers, model: str) -> None:
        self._breakers = breakers
        self._model = model

    def succeeded(self) -> None:
        self._breakers._told(self, self._model, "succeeded")

    def failed(self) -> None:
        self._breakers._told(self, self._model, "failed")

    def given_up(self) -> None:
        """It says nothing about the model: the reader left, or the request itself was wrong."""
        self._breakers._told(self, self._model, "given up")


class Breakers:
    """The breakers of one process, by model; threads share them.

    Args:
        failures: within `window_s`, without a success in between, that open a breaker.
        rest_s: from opening to the first probe.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        window_s: float = WINDOW_S,
        rest_s: float = REST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._window_s = window_s
        self._rest_s = rest_s
        self._clock = clock
        self._lock = threading.Lock()
        self._circuits: dict[str, _Circuit] = {}

    def enter(self, model: str) -> Pass:
        """Leave to call a model now.

        Raises:
            ModelUnavailable: its breaker is open, or half-open with a probe under way.
        """
        with self._lock:
            circuit = self._circuits.setdefault(model, _Circuit())
            leave = Pass(self, model)
            if circuit.opened_at is None:
                return leave
            left_s = circuit.opened_at + self._rest_s - self._clock()
            if left_s > 0:
                raise ModelUnavailable(
                    f"The model failed again and again and is left alone for {math.ceil(left_s)} more seconds."
                )
            if circuit.probe is not None and self._clock() < circuit.probed_at + PROBE_S:
                raise ModelUnavailable("The model failed again and again; whether it is back is being tried.")
            circuit.probe, circuit.probed_at = leave, self._clock()
            return leave

    def state(self, model: str) -> State:
        with self._lock:
            circuit = self._circuits.get(model)
            if circuit is None or circuit.opened_at is None:
                return "closed"
            return "open" if self._clock() < circuit.opened_at + self._rest_s else "half-open"

    def states(self) -> dict[str, State]:
        """Of every model that was called."""
        with self._lock:
            names = list(self._circuits)
        return {name: self.state(name) for name in names}

    def _told(self, leave: Pass, model: str, outcome: Literal["succeeded", "failed", "given up"]) -> None:
        with self._lock:
            circuit = self._circuits[model]
            now = self._clock()
            was_probe = circuit.probe is leave
            if was_probe:
                circuit.probe = None
            if circuit.opened_at is not None and not was_probe:
                return  # a call from before it opened: the probe decides
            if outcome == "succeeded":
                circuit.failed_at.clear()
                circuit.opened_at = None
            elif outcome == "failed":
                circuit.failed_at.append(now)
                while circuit.failed_at[0] < now - self._window_s:
                    circuit.failed_at.popleft()
                if was_probe or len(circuit.failed_at) >= self._failures:
                    circuit.opened_at = now
                    circuit.failed_at.clear()

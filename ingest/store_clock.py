"""One clock for all processes of a store: the database's, as each of them reads it.

Machines disagree about the time. What one of them writes down and another compares (how long a session, a key or a
reservation holds, the day on which a document expires) is told by the database's clock: in SQL by clock_timestamp(),
elsewhere by this. It asks once a minute and counts on from there by a clock that nobody sets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ingest.errors import ServiceError

ASKED_AGAIN_S: Final = 60.0


def elapsed_s() -> float:
    """Seconds since some moment; also those in which the machine slept, where it can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Seen:
    there: datetime
    at_s: float
    again_s: float  # when it is to be asked again


class StoreClock:
    """The time of day of a store, in UTC; threads share it.

    Args:
        ask: the database's clock_timestamp(); may raise ServiceError.
        elapsed: seconds that pass evenly, whatever this machine believes of the time.
    """

    def __init__(self, ask: Callable[[], datetime], elapsed: Callable[[], float] = elapsed_s) -> None:
        self._ask = ask
        self._elapsed = elapsed
        self._seen: Seen | None = None
        self._asking = threading.Lock()

    def __call__(self) -> datetime:
        """
        Raises:
            ServiceError: the database has never answered. One that is away now leaves the clock running.
        """
        seen = self._seen
        if seen is None or self._elapsed() >= seen.again_s:
            seen = self._renewed(seen)
        return seen.there + timedelta(seconds=self._elapsed() - seen.at_s)

    def _renewed(self, known: Seen | None) -> Seen:
        if not self._asking.acquire(blocking=known is None):
            assert known is not None
            return known  # another thread asks
        try:
            if self._seen is not None and self._seen is not known:
                return self._seen
            try:
                there, at_s = self._ask().astimezone(UTC), self._elapsed()
            except ServiceError:
                if known is None:
                    raise
                there, at_s = known.there, known.at_s
            self._seen = Seen(there, at_s, self._elapsed() + ASKED_AGAIN_S)
            return self._seen
        finally:
            self._asking.release()

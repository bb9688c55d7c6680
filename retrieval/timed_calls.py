"""Calls over the network that end at a deadline which nothing stretches.

A client's own timeout counts from read to read, so a server that drips a byte now and then holds a call open. Here it
runs as a task on an event loop of its own thread; the deadline cancels it, and its connection closes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

GRACE_S = 1.0  # for the loop's thread to report its own deadline

Made = TypeVar("Made")


class TimedCalls:
    """Runs calls from any number of threads; its own thread starts with the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def result(self, call: Coroutine[Any, Any, Made], *, within_s: float) -> Made:
        """What the call returns or raises.

        Raises:
            TimeoutError: it took longer; it has been cancelled.
        """
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="timed-calls", daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(call, within_s), self._loop)
        try:
            return future.result(within_s + GRACE_S)
        except concurrent.futures.CancelledError as error:
            raise TimeoutError from error
        finally:
            future.cancel()

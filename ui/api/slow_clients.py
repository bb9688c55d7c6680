"""Connections whose request does not come: its head has a deadline, its body one that grows with what has arrived.

uvicorn closes a connection that says nothing between two requests. One that sends a byte now and then it would keep for
ever, and with a few hundred of them there are no files left to open for anybody else.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

TIMED_OUT: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """For one request; a file that is uploaded over a slow line is still taken."""

    head_s: float = 15.0
    body_s: float = 30.0
    bytes_per_s: float = 20_000.0  # of a body that takes longer than `body_s`


def with_deadlines(deadlines: Deadlines) -> type[asyncio.Protocol]:
    """uvicorn's protocol (its setting `http`), which answers 408 and closes when a request takes longer to come."""
    base: Any = AutoHTTPProtocol

    class Deadlined(base):
        _timer: asyncio.TimerHandle | None = None
        _awaited = ""  # "head", "body", or nothing while the request is worked on
        _since_s = 0.0
        _came = 0

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._await_next()

        def data_received(self, data: bytes) -> None:
            self._came += len(data)
            super().data_received(data)
            self._await_next()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _await_next(self) -> None:
            cycle = self.cycle
            done = cycle is None or cycle.response_complete
            awaited = "head" if done else "body" if cycle.more_body else ""
            if awaited == self._awaited:
                return
            self._stop()
            self._awaited = awaited
            if awaited:
                self._since_s, self._came = self.loop.time(), 0
                wait_s = deadlines.head_s if awaited == "head" else deadlines.body_s
                self._timer = self.loop.call_later(wait_s, self._look)

        def _look(self) -> None:
            self._timer = None
            if self._awaited == "body":
                if self.cycle.response_complete:  # it did not want the rest: what comes next is a head
                    self._awaited = ""
                    return
                if self.flow.read_paused:  # it is we who do not read
                    self._since_s = self.loop.time()
                left_s = self._since_s + deadlines.body_s + self._came / deadlines.bytes_per_s - self.loop.time()
                if left_s > 0:
                    self._timer = self.loop.call_later(left_s, self._look)
                    return
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                self.transport.write(TIMED_OUT)
            self.transport.close()

        def _stop(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Deadlined

"""A database that is there and does not answer: stopped by a debugger, frozen with its machine, or cut off in silence.

Such a server closes no connection, and its own time limits do not run: whoever asks it would wait for as long as it
sleeps. So a thread looks now and then at the connections that have been in use for long. Only if the server also lets
nobody in any more, twice in a row, are they cut; those who waited are then told that the database does not answer. A
server that is merely slow, or has no connection to spare, is not touched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from typing import Final

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

LOG: Final = logging.getLogger("quoth.database")
LONG_S: Final = 10.0  # in use; most are for some milliseconds
LOOK_EVERY_S: Final = 2.0
KNOCK_S: Final = 10  # for a new connection; a busy machine takes a second
KNOCKS: Final = 2


class Unanswered:
    """Cuts connections to a server that answers nobody. One per store and process.

    Args:
        conninfo: where the server is, with the password.
        long_s: how long a connection is in use before the server is asked at all.
    """

    def __init__(
        self, conninfo: str, *, long_s: float = LONG_S, look_every_s: float = LOOK_EVERY_S, knock_s: int = KNOCK_S
    ) -> None:
        self._conninfo = conninfo
        self._long_s = long_s
        self._look_every_s = look_every_s
        self._knock_s = knock_s
        self._lock = threading.Lock()
        self._in_use: dict[int, tuple[float, DBAPIConnection]] = {}
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, engine: Engine) -> None:
        """Watch the connections of an engine from now on. Looking begins when the first of them is used."""

        def taken(connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
            with self._lock:
                self._in_use[id(connection)] = (time.monotonic(), connection)
                if self._thread is None and not self._closed.is_set():
                    self._thread = threading.Thread(target=self._look, name="unanswered", daemon=True)
                    self._thread.start()

        def given_back(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
            with self._lock:
                self._in_use.pop(id(connection), None)

        def ended(connection: DBAPIConnection, record: ConnectionPoolEntry, *_: object) -> None:
            given_back(connection, record)

        event.listen(engine, "checkout", taken)
        event.listen(engine, "checkin", given_back)
        event.listen(engine, "close", ended)
        event.listen(engine, "invalidate", ended)

    def close(self) -> None:
        self._closed.set()

    def _look(self) -> None:
        while not self._closed.wait(self._look_every_s):
            if self._long() and not any(self._answers() for _ in range(KNOCKS)):
                cut = self._cut()
                LOG.error("the database answers nobody: %d connections that waited for it were cut", cut)

    def _long(self) -> list[DBAPIConnection]:
        before = time.monotonic() - self._long_s
        with self._lock:
            return [connection for since, connection in self._in_use.values() if since < before]

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self._conninfo, connect_timeout=self._knock_s):
                return True
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.Error:
            return True  # an answer, if only that it takes nobody now; one that is gone ends its connections itself

    def _cut(self) -> int:
        """End the way to the server beneath those who wait; their wait ends with an error."""
        count = 0
        for connection in self._long():
            with contextlib.suppress(OSError, psycopg.Error, AttributeError):
                with socket.socket(fileno=os.dup(connection.pgconn.socket)) as way:
                    way.shutdown(socket.SHUT_RDWR)
                count += 1
        return count

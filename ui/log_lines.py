"""The log of a process, on standard error: lines for people, or one JSON object each for a collector.

A line says what happened where, never what somebody asked or a document says: of an error that is logged with its
traceback only the places and the class are written, as its message may quote either. Other packages' loggers are
quieter than `warning` whatever QUOTH_LOG_LEVEL says, as some of them write what they send.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

from ingest.errors import ConfigurationError, trace_of

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
OURS: Final = ("quoth", "ingest", "retrieval", "assistant", "evals", "ui")
OTHERS_WITH_HANDLERS: Final = ("streamlit", "uvicorn")
REQUEST_ID: Final[ContextVar[str]] = ContextVar("quoth_request_id", default="")

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class TextLines(logging.Formatter):
    """Level, logger and message, as people read it."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s:%(name)s:%(message)s")

    def formatException(self, ei: _Raised) -> str:  # the base class's name
        return "" if ei[1] is None else trace_of(ei[1])


class JsonLines(TextLines):
    """One JSON object: time (ISO 8601, UTC), level, logger, message, and where there is one request_id and trace."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        request = REQUEST_ID.get()
        if request:
            line["request_id"] = request
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def start_logging(environ: Mapping[str, str]) -> None:
    """Have this process log as QUOTH_LOG and QUOTH_LOG_LEVEL say; called by entry points, again without harm.

    Raises:
        ConfigurationError: a form or a level that does not exist.
    """
    form = environ.get("QUOTH_LOG", "").strip().lower() or "text"
    named = environ.get("QUOTH_LOG_LEVEL", "").strip().lower() or "error"
    if form not in ("text", "json"):
        raise ConfigurationError(f"QUOTH_LOG={form!r} must be text or json.")
    if named not in LEVELS:
        raise ConfigurationError(f"QUOTH_LOG_LEVEL={named!r} must be one of {', '.join(LEVELS)}.")
    level = LEVELS[named]
    formatter = JsonLines() if form == "json" else TextLines()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    for name in [one for one in logging.root.manager.loggerDict if one.partition(".")[0] in OTHERS_WITH_HANDLERS]:
        for other in logging.getLogger(name).handlers:
            other.setFormatter(formatter)

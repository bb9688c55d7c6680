"""Everything that can go wrong, split by who can mend it.

QuothError
├── DocumentError        the document's owner: encrypted, empty, unsupported ...
├── UsageError           the person who gave the command
├── ConfigurationError   the operator: a setting, a refusal to run unsafely
├── SessionEnded         whoever asks: sign in again
└── ServiceError         wait or retry: the database or a model is unavailable
    ├── NoRoom               a disk is full: whoever operates Quoth makes room, and what waits goes on by itself
    └── CallFailed           a call of a model came to nothing; `outcome` says how

"The documents do not say" is a result, not an error. Every message quotes the value it is about and ends with the
way out.
"""

from __future__ import annotations

import errno
import traceback
from typing import Literal, get_args

Reason = Literal[
    "unsupported_type",
    "empty",
    "encrypted",
    "corrupt",
    "too_large",
    "timeout",
    "unsafe",
    "unreadable",
    "ambiguous_name",
]
Outcome = Literal["refused", "unavailable", "broken", "misconfigured"]
SESSION_ENDED = "Your session has ended. Sign in again."
REASONS: tuple[Reason, ...] = get_args(Reason)


class QuothError(Exception):
    """Root of the tree; never raised itself."""


def trace_of(error: BaseException) -> str:
    """Where an error happened, for the log: without its message, which may quote a document."""
    return "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__


class DocumentError(QuothError):
    """One document could not be taken in; the others are not affected.

    Attributes:
        reason: one of the closed set that scripts branch on.
        detail: the same in words, with what the owner can do.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


class UsageError(QuothError):
    """The command or the question is wrong as given (exit code 2)."""


class SessionEnded(QuothError):
    """Whoever asks was somebody, and is nobody any more."""


class ConfigurationError(QuothError):
    """A setting is wrong, or running as asked would be unsafe (exit code 2)."""


class ServiceError(QuothError):
    """The database or a model does not answer; waiting or retrying may help (exit code 3)."""


class NoRoom(ServiceError):
    """A disk is full, here or the database's: whoever operates Quoth makes room, and what waits goes on by itself."""


def is_full(error: BaseException | None) -> bool:
    """Whether a file could not be written because its disk, or its owner's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class CallFailed(ServiceError):
    """A call of a model came to nothing.

    Attributes:
        outcome: "unavailable" counts against the service; the others are about what it was asked or how it is set up.
    """

    def __init__(self, words: str, outcome: Outcome) -> None:
        super().__init__(words)
        self.outcome: Outcome = outcome


def outcome_of_status(status: int, code: str | None = None) -> Outcome:
    """What an HTTP status of a model's service says of the call."""
    if code in ("insufficient_quota", "billing_hard_limit_reached"):
        return "misconfigured"
    if status in (408, 409, 429) or status >= 500:
        return "unavailable"
    return "misconfigured"

"""What can go wrong while answering, beyond ingest.errors.

QuothError
├── ServiceError
│   └── ModelError            the model did not give a usable answer; the quoted answer steps in
│       ├── ModelUnavailable      429, 5xx, connection, time-out, circuit open: the next model may answer
│       │   └── LimitReached      a limit of Quoth's own leaves no room for the call
│       ├── ModelRefused          a refusal or a content filter
│       └── ModelOutputBroken     truncated, malformed, incomplete
└── ConfigurationError
    └── ModelMisconfigured    400, 401, 403, 404, quota: the operator must act
"""

from __future__ import annotations

from assistant.model import Usage
from ingest.errors import ConfigurationError, ServiceError


class ModelError(ServiceError):
    """The model gave no usable answer; `str()` says why in words that a reader may see."""

    usage: Usage | None = None  # what the failed call used all the same


class ModelUnavailable(ModelError):
    """Rate limited, overloaded, unreachable or too slow."""


class LimitReached(ModelUnavailable):
    """A limit on what models may be used for leaves too little; `str()` says which, and when it ends."""


class ModelRefused(ModelError):
    """The model or its filter declined to answer."""


class ModelOutputBroken(ModelError):
    """The answer was cut short or is not what was asked for."""

    by_service = False  # whether the service is at fault rather than what it was asked


class ModelMisconfigured(ConfigurationError):
    """Wrong key, unknown model, no quota: nothing that waiting mends."""

    usage: Usage | None = None

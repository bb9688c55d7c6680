"""Who sends a request: a key, a token of the identity provider, or, on this machine without sign-in, `local`."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from assistant.api_keys import PREFIX, ApiKeys
from assistant.callers import LOCAL_CALLER, Caller, NotAllowed, NotSignedIn, Role
from assistant.shared_doors import SharedDoors
from assistant.sign_in import BearerTokens
from ui.api.problems import TooMany

LOG: Final = logging.getLogger("quoth.doors")


class Identities:
    """Finds out who sends a request.

    Args:
        local: whether a request without any identity is this machine's own user; only where no sign-in is configured
            and the server listens on loopback.
    """

    def __init__(self, keys: Callable[[], ApiKeys], tokens: BearerTokens | None, *, local: bool) -> None:
        self._keys = keys
        self._tokens = tokens
        self._local = local

    def caller(self, authorization: str | None) -> Caller:
        """Whom the value of an Authorization header stands for.

        Raises:
            NotSignedIn: nobody.
            ServiceError: the identity provider does not answer.
        """
        if not authorization:
            if self._local:
                return LOCAL_CALLER
            raise NotSignedIn("Show who you are: Authorization: Bearer, and a key or a token.")
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise NotSignedIn("Only Authorization: Bearer is understood, with a key or a token.")
        if token.startswith(PREFIX):
            return self._keys().caller(token)
        if self._tokens is not None:
            return self._tokens.caller(token)
        if self._local:
            return LOCAL_CALLER  # clients of OpenAI's API must send some key
        raise NotSignedIn("This is not a key of Quoth. `quoth keys create` makes one.")


class Throttle:
    """How often each caller may ask, at all processes of one store together."""

    def __init__(self, shared: Callable[[], SharedDoors], per_minute: float) -> None:
        self._shared = shared
        self._per_minute = per_minute

    def take(self, who: str) -> None:
        """
        Raises:
            TooMany: with the seconds until the next one.
        """
        wait_s = self._shared().take(who, self._per_minute)
        if wait_s:
            whole = math.ceil(wait_s)
            raise TooMany(f"More than {self._per_minute:g} requests a minute. Try again in {whole} s.", whole)


BEARER: Final = HTTPBearer(
    auto_error=False, description="A key (`quoth keys create`) or a token of the identity provider"
)


def caller_of(request: Request, _: Annotated[object, Depends(BEARER)]) -> Caller:
    """The request's caller, counted against their limit."""
    identities: Identities = request.app.state.identities
    try:
        caller = identities.caller(request.headers.get("authorization"))
    except NotSignedIn as error:
        LOG.warning("refused: %s %s: %s", request.method, request.url.path, error)
        raise
    throttle: Throttle = request.app.state.throttle
    throttle.take(caller.reader.name)
    return caller


def having(role: Role):  # type: ignore[no-untyped-def]  # what Depends takes
    """A dependency: the caller, who must have a role."""

    def check(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        try:
            caller.must(role)
        except NotAllowed:
            LOG.warning("refused: %s %s to %s, who is no %s", request.method, request.url.path, caller.way, role)
            raise
        return caller

    return check


Asking = Annotated[Caller, Depends(caller_of)]
Owning = Annotated[Caller, Depends(having("owner"))]
Evaluating = Annotated[Caller, Depends(having("evaluator"))]
Administering = Annotated[Caller, Depends(having("admin"))]

"""Sign-in by the organisation's identity provider: its settings, and bearer tokens checked against its public keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from assistant.callers import Caller, NotSignedIn, Role, roles_from, roles_of
from ingest.errors import ConfigurationError, ServiceError, UsageError
from ingest.groups import claimed_reader

ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
TIMEOUT_S: Final = 5.0
KEYS_KEPT_S: Final = 3600.0
ASKED_AGAIN_S: Final = 30.0  # at the soonest, for a key that is not among those known
LEEWAY_S: Final = 60  # that the provider's clock may be apart from the database's


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people show who they are. Without an issuer nobody signs in, and only this machine may ask."""

    issuer: str
    client_id: str
    client_secret: str
    audience: str  # what bearer tokens must be meant for
    name_claim: str
    groups_claim: str
    roles: Mapping[Role, frozenset[str]]
    session_hours: float

    @property
    def metadata_url(self) -> str:
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    def caller(self, claims: Mapping[str, Any], way: str) -> Caller:
        """Whom verified claims speak of.

        Raises:
            NotSignedIn: they name nobody, or somebody that nobody can be.
        """
        name = claims.get(self.name_claim)
        if not isinstance(name, str) or not name:
            raise NotSignedIn(f"The sign-in says nothing of {self.name_claim!r}, which Quoth takes for the name.")
        if self.name_claim == "email" and claims.get("email_verified") is False:
            raise NotSignedIn("The identity provider has not verified this address.")
        given = claims.get(self.groups_claim, ())
        listed = [given] if isinstance(given, str) else given if isinstance(given, (list, tuple)) else ()
        groups = [one for one in listed if isinstance(one, str)]
        try:
            reader = claimed_reader(name, groups)
        except UsageError as error:
            raise NotSignedIn(str(error)) from error
        return Caller(reader, roles_of(reader.groups, self.roles), way)


def sign_in_from(environ: Mapping[str, str]) -> SignIn | None:
    """What the environment says of sign-in; None: there is none.

    Raises:
        ConfigurationError: it is set in part, or not so that tokens could be trusted.
    """

    def value(name: str, default: str = "") -> str:
        return environ.get(name, "").strip() or default

    issuer, client = value("QUOTH_OIDC_ISSUER"), value("QUOTH_OIDC_CLIENT_ID")
    roles = roles_from(value("QUOTH_ROLES"))
    if not issuer:
        if client or value("QUOTH_OIDC_CLIENT_SECRET"):
            raise ConfigurationError("QUOTH_OIDC_CLIENT_ID is set and QUOTH_OIDC_ISSUER is not. Set both, or neither.")
        return None
    parts = urlsplit(issuer)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigurationError(f"QUOTH_OIDC_ISSUER={issuer!r} must be an https address.")
    if not client:
        raise ConfigurationError("QUOTH_OIDC_ISSUER is set and QUOTH_OIDC_CLIENT_ID is not. Set both, or neither.")
    hours = value("QUOTH_SESSION_HOURS", "12")
    try:
        session_hours = float(hours)
    except ValueError:
        session_hours = 0
    if not 0.01 <= session_hours <= 24 * 30:
        raise ConfigurationError(f"QUOTH_SESSION_HOURS={hours!r} must be a number from 0.01 to 720.")
    return SignIn(
        issuer,
        client,
        value("QUOTH_OIDC_CLIENT_SECRET"),
        value("QUOTH_OIDC_AUDIENCE", client),
        value("QUOTH_OIDC_NAME", "email"),
        value("QUOTH_OIDC_GROUPS", "groups"),
        roles,
        session_hours,
    )


class BearerTokens:
    """Checks access tokens of one identity provider. Its public keys are asked for when needed, and kept.

    Args:
        now_s: Unix time; a door gives the database's, so that a token ends at the same moment at all of them.
    """

    def __init__(self, sign_in: SignIn, now_s: Callable[[], float] = time.time) -> None:
        self._sign_in = sign_in
        self._now_s = now_s
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._asked_at = float("-inf")

    def caller(self, token: str) -> Caller:
        """Whom a token speaks of.

        Raises:
            NotSignedIn: it is not one of this provider's, is meant for somebody else, or holds no more.
            ServiceError: the provider's keys cannot be had.
        """
        keys = self._known(older_than_s=KEYS_KEPT_S)
        try:
            decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            keys = self._known(older_than_s=ASKED_AGAIN_S)  # signed with a key that is new, perhaps
            try:
                decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError) as error:
                raise NotSignedIn("This token is not one of the identity provider's.") from error
        registry = jwt.JWTClaimsRegistry(
            now=int(self._now_s()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._sign_in.issuer},
            aud={"essential": True, "value": self._sign_in.audience},
            exp={"essential": True},
        )
        try:
            registry.validate(decoded.claims)
        except JoseError as error:
            raise NotSignedIn("This token has expired, or was issued for somebody else.") from error
        return self._sign_in.caller(decoded.claims, "token")

    def _known(self, *, older_than_s: float) -> KeySet:
        with self._lock:
            now = time.monotonic()
            if self._keys is None or now - self._asked_at > older_than_s:
                try:
                    self._keys = self._fetched()
                    self._asked_at = now
                except (httpx.HTTPError, ValueError, KeyError, JoseError) as error:
                    if self._keys is None:
                        raise ServiceError(
                            f"The identity provider {self._sign_in.issuer!r} does not answer. Try again in a moment."
                        ) from error
            return self._keys

    def _fetched(self) -> KeySet:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            metadata = client.get(self._sign_in.metadata_url).raise_for_status().json()
            if metadata["issuer"] != self._sign_in.issuer:
                raise ValueError("the provider says it is another")
            return KeySet.import_key_set(client.get(metadata["jwks_uri"]).raise_for_status().json())

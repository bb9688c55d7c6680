"""Bearer tokens against a real identity provider on loopback, and against forgeries of its tokens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from assistant.callers import NotSignedIn
from assistant.sign_in import BearerTokens, SignIn, sign_in_from
from ingest.errors import ConfigurationError, ServiceError


class Provider:
    """Publishes its metadata and keys, as providers do, and signs what it is told to."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"kid": "first"})
        self.asked = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/.well-known/openid-configuration":
                    found: Mapping[str, Any] = {"issuer": provider.issuer, "jwks_uri": f"{provider.issuer}/keys"}
                else:
                    provider.asked += 1
                    found = KeySet([provider.key]).as_dict(private=False)
                body = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.issuer, "aud": "quoth", "exp": now + 300, "iat": now, "email": "ada@example.org",
            "groups": ["hr", "quoth-admins"], **more,
        }  # fmt: skip

    def token(self, **more: Any) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, self.claims(**more), self.key)


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def sign_in(provider: Provider) -> SignIn:
    found = sign_in_from(
        {"QUOTH_OIDC_ISSUER": provider.issuer, "QUOTH_OIDC_CLIENT_ID": "quoth", "QUOTH_ROLES": "admin=quoth-admins"}
    )
    assert found is not None
    return found


def test_a_token_stands_for_its_person_with_groups_and_roles(provider: Provider, sign_in: SignIn) -> None:
    caller = BearerTokens(sign_in).caller(provider.token())
    assert (caller.reader.name, caller.reader.groups) == ("ada@example.org", {"hr", "quoth-admins"})
    assert caller.may("admin") and not caller.reader.reads_all


def test_tokens_that_do_not_hold_are_refused(provider: Provider, sign_in: SignIn) -> None:
    tokens = BearerTokens(sign_in)
    now = int(time.time())
    other = RSAKey.generate_key(2048, parameters={"kid": "first"})
    public = json.dumps(provider.key.as_dict(private=False)).encode()
    forged = {
        "expired": provider.token(exp=now - 120),
        "without an end": jwt.encode(
            {"alg": "RS256", "kid": "first"},
            {k: v for k, v in provider.claims().items() if k != "exp"},
            provider.key,
        ),
        "for somebody else": provider.token(aud="another"),
        "by somebody else": provider.token(iss="https://elsewhere.example"),
        "not yet": provider.token(nbf=now + 600),
        "signed by another key": jwt.encode({"alg": "RS256", "kid": "first"}, provider.claims(), other),
        "signed with the public key": jwt.encode(
            {"alg": "HS256", "kid": "first"}, provider.claims(), OctKey.import_key(public)
        ),
        "unsigned": "eyJhbGciOiJub25lIn0." + provider.token().split(".")[1] + ".",
        "nonsense": "a.b.c",
        "nobody": provider.token(email=None),
        "local": provider.token(email="local"),
        "a group for a name": provider.token(email="user:ada"),
        "an address not verified": provider.token(email_verified=False),
    }
    for what, token in forged.items():
        with pytest.raises(NotSignedIn):
            tokens.caller(token)
            pytest.fail(what)


@pytest.mark.parametrize(("ahead_s", "held"), [(-3600, False), (-90, False), (-30, True), (300, True), (330, True)])
def test_a_token_holds_by_the_clock_that_is_given_and_a_minute_of_grace(
    provider: Provider, sign_in: SignIn, ahead_s: int, held: bool
) -> None:
    now = int(time.time())
    token = provider.token(nbf=now, exp=now + 300)
    tokens = BearerTokens(sign_in, lambda: now + ahead_s)
    if held:
        assert tokens.caller(token).reader.name == "ada@example.org"
    else:
        with pytest.raises(NotSignedIn):
            tokens.caller(token)
    with pytest.raises(NotSignedIn):
        BearerTokens(sign_in, lambda: now + 390).caller(token)


def test_a_claim_makes_nobody_another_person_nor_everyone(provider: Provider, sign_in: SignIn) -> None:
    claimed = provider.token(groups=["user:bo", "everyone", "*", "hr", 7, ""])
    assert BearerTokens(sign_in).caller(claimed).reader.groups == {"hr"}


def test_new_keys_of_the_provider_are_taken_up_and_not_asked_for_each_time(provider: Provider, sign_in: SignIn) -> None:
    tokens = BearerTokens(sign_in)
    for _ in range(5):
        tokens.caller(provider.token())
    assert provider.asked == 1
    provider.key = RSAKey.generate_key(2048, parameters={"kid": "second"})
    tokens._asked_at -= 60  # a minute later
    assert tokens.caller(provider.token()).reader.name == "ada@example.org"
    for _ in range(5):
        with pytest.raises(NotSignedIn):
            tokens.caller(jwt.encode({"alg": "ES256"}, provider.claims(), ECKey.generate_key("P-256")))
    assert provider.asked == 2, "forged tokens do not make Quoth ask the provider each time"


def test_a_provider_that_is_away_is_a_service_error(provider: Provider, sign_in: SignIn) -> None:
    token = provider.token()
    provider.server.shutdown()
    provider.server.server_close()
    with pytest.raises(ServiceError, match="does not answer"):
        BearerTokens(sign_in).caller(token)


def test_settings_that_could_not_be_trusted_are_refused() -> None:
    assert sign_in_from({}) is None
    for wrong in (
        {"QUOTH_OIDC_ISSUER": "http://provider.example", "QUOTH_OIDC_CLIENT_ID": "quoth"},
        {"QUOTH_OIDC_ISSUER": "https://provider.example"},
        {"QUOTH_OIDC_CLIENT_ID": "quoth"},
        {"QUOTH_OIDC_ISSUER": "https://p.example", "QUOTH_OIDC_CLIENT_ID": "q", "QUOTH_SESSION_HOURS": "soon"},
        {"QUOTH_ROLES": "boss=me"},
    ):
        with pytest.raises(ConfigurationError):
            sign_in_from(wrong)

"""What `quoth doctor` looks at on this machine and in its settings, before and beside the store."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx

from assistant.api_keys import PEPPER_FILE
from assistant.settings import Settings
from assistant.sign_in import SignIn
from ingest.audit import KEY_FILE

MIN_FREE_BYTES: Final = 500_000_000
LITTLE_FREE: Final = 0.05  # of the disk
SECRET_FILES: Final = (KEY_FILE, PEPPER_FILE, "cookies.key")
TIMEOUT_S: Final = 5.0
FEWEST_TOKENS: Final = 4_000  # a question with its passages takes about as many
THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        kind: an "advice" that is not followed hurts nobody today, and does not change the command's exit code.
    """

    name: str
    ok: bool
    detail: str
    cure: str = ""
    kind: Literal["fault", "advice"] = "fault"


def disk(settings: Settings) -> Check:
    """Postgres stops writing on a full disk, and a restore of what it was doing needs room too."""
    place = settings.home
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    share = usage.free / usage.total
    enough = usage.free > MIN_FREE_BYTES
    return Check(
        "disk",
        enough and share > LITTLE_FREE,
        f"{usage.free / 1e9:.1f} GB free at {place}, {share:.0%} of it",
        "Free some space, or move QUOTH_HOME and QUOTH_ORIGINALS to a larger disk.",
        "advice" if enough else "fault",
    )


def home_writable(home: Path) -> Check:
    """Tried, not asked: a read-only mount lets the modes look well."""
    place = home
    while not place.exists():
        place = place.parent
    probe = place / f".quoth-doctor-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Check(
            "home", False, f"{place}: {error.strerror}", "Set QUOTH_HOME to a folder that this user may write to."
        )
    return Check("home", True, str(home))


def private_files(home: Path) -> Iterator[Check]:
    """Keys that other users of the machine could read."""
    for name in SECRET_FILES:
        file = home / name
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except OSError:
            continue
        yield Check(
            f"mode of {name}",
            not mode & 0o077,
            f"{mode:03o}",
            f"Others may read this secret. Run: chmod 600 {file}",
        )


def metrics_port(settings: Settings) -> Check | None:
    """Whether QUOTH_METRICS_PORT is free, or answered by Quoth itself."""
    if settings.metrics is None:
        return None
    host, port = settings.metrics
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _shows_our_metrics(host, port):
            return Check("metrics", True, f"shown at {host}:{port}")
        return Check(
            "metrics", False, f"{host}:{port}: {error.strerror}", "Set QUOTH_METRICS_PORT to a free port, or unset it."
        )
    return Check(
        "metrics",
        host in THIS_MACHINE,
        f"{host}:{port} is free",
        "Metrics can be read by whoever reaches the port. Let only the collector's network reach it.",
        "advice",
    )


def _shows_our_metrics(host: str, port: int) -> bool:
    try:
        shown = httpx.get(f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{port}/metrics", timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return "quoth_" in shown.text


def limits(settings: Settings) -> Iterator[Check]:
    """Limits that refuse everybody, and limits on nothing."""
    if settings.limits and settings.models is None:
        yield Check("limits", False, f"{len(settings.limits)} set, and no model that they could hold for",
                    "Name models in QUOTH_MODELS, or unset QUOTH_LIMITS.", "advice")  # fmt: skip
    for limit in settings.limits:
        nothing = limit.amount == 0
        too_few = limit.unit == "tokens" and limit.amount < FEWEST_TOKENS
        if nothing or too_few:
            yield Check(
                "limits",
                False,
                f"{limit.who} {limit} " + ("allows nothing" if nothing else "is less than one answer takes"),
                f"Raise it in QUOTH_LIMITS to {FEWEST_TOKENS} tokens or more, or remove it: it refuses every question."
                if too_few
                else "Raise it in QUOTH_LIMITS, or remove it: every question is answered by quotation alone.",
            )


def public_address(settings: Settings, sign_in: SignIn | None) -> Check | None:
    """Where people come from elsewhere: over https and signed in, else a proxy shows everybody every document."""
    if settings.public_url is None:
        if sign_in is None:
            return None
        return Check(
            "address", False, "people sign in, and QUOTH_PUBLIC_URL is unset",
            "Set QUOTH_PUBLIC_URL to the address that people reach the app by; else they are sent back to localhost "
            "after signing in.", "advice",
        )  # fmt: skip
    parts = urlsplit(settings.public_url)
    here = parts.hostname in THIS_MACHINE
    if not here and sign_in is None:
        return Check(
            "address", False, f"{settings.public_url}, without sign-in",
            "Whoever reaches this address reads every document. Set QUOTH_OIDC_ISSUER and QUOTH_OIDC_CLIENT_ID.",
        )  # fmt: skip
    return Check(
        "address",
        bool(parts.hostname) and (here or parts.scheme == "https") and parts.path in ("", "/"),
        f"{settings.public_url}; people come back from signing in to {settings.public_url}/oauth2callback",
        "QUOTH_PUBLIC_URL must be an https address without a path, and its /oauth2callback must be registered with the "
        "identity provider as the redirect address.",
    )


def issuer(sign_in: SignIn | None) -> Check | None:
    """Whether the identity provider answers, and calls itself what QUOTH_OIDC_ISSUER does."""
    if sign_in is None:
        return None
    try:
        found = httpx.get(sign_in.metadata_url, timeout=TIMEOUT_S).raise_for_status().json()
        named, keys = str(found["issuer"]), str(found["jwks_uri"])
        httpx.get(keys, timeout=TIMEOUT_S).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        return Check(
            "sign-in", False, f"{sign_in.issuer}: {type(error).__name__}",
            "Quoth must reach the identity provider's /.well-known/openid-configuration and the keys that it names: "
            "check QUOTH_OIDC_ISSUER, the network and HTTPS_PROXY.",
        )  # fmt: skip
    return Check(
        "sign-in",
        named == sign_in.issuer,
        f"{sign_in.issuer}" if named == sign_in.issuer else f"{sign_in.issuer} calls itself {named}",
        f"Set QUOTH_OIDC_ISSUER to {named} exactly, with or without a slash at its end; else no token is believed.",
    )


def mail_server(environ: Mapping[str, str]) -> Check | None:
    """Whether the mail server of hand-offs can be spoken to; nobody signs in there and nothing is sent."""
    url = environ.get("QUOTH_SMTP_URL", "").strip()
    if not url:
        if environ.get("QUOTH_SMTP_FROM", "").strip() or environ.get("QUOTH_HANDOFF_MAIL", "").strip():
            return Check("mail", False, "an address is set, and no mail server",
                         "Set QUOTH_SMTP_URL, or unset QUOTH_SMTP_FROM and QUOTH_HANDOFF_MAIL.")  # fmt: skip
        return None
    import smtplib  # asked for by few

    parts = urlsplit(url)
    host, server = parts.hostname or "", smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
    port = parts.port or (465 if parts.scheme == "smtps" else 25)
    try:
        with server(host, port, timeout=TIMEOUT_S) as session:
            session.ehlo()
    except (OSError, smtplib.SMTPException) as error:
        return Check("mail", False, f"{host}:{port}: {type(error).__name__}",
                     "Check host, port and scheme (smtp or smtps) of QUOTH_SMTP_URL, and the firewall.")  # fmt: skip
    return Check("mail", True, f"{host}:{port} answers")

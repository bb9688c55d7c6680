"""How the web app is served: the command that starts it, its settings, and the headers of every response.

Nothing here imports Streamlit, so that the command line and the tests of headers stay quick.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

WEB_APP: Final = Path(__file__).with_name("web_app.py")
MAX_UPLOAD_MB: Final = 50

# What documents and models wrote is shown as text. Should that ever fail, the browser still loads nothing from
# elsewhere. Streamlit's own pages need inline styles, and its components modules made of blobs.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "font-src 'self' data:",
        "connect-src 'self'",
        "frame-src 'self' blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}

# the recorder reads and plays what was recorded from an address of the page's own memory
WITH_MICROPHONE: Final = {
    "permissions-policy": HEADERS["permissions-policy"].replace("microphone=()", "microphone=(self)"),
    "content-security-policy": CONTENT_SECURITY_POLICY.replace(
        "connect-src 'self'", "connect-src 'self' blob:; media-src 'self' blob:"
    ),
}
CSP: Final = "content-security-policy"
HSTS: Final = "max-age=31536000"
CLOSED: Final = "/_stcore/metrics"
FOR_PROBES: Final = ("/_stcore/health", "/api/health", "/api/ready")  # which call a server by whatever address it has

THEME: Final = {
    "theme.baseRadius": "8px",
    "theme.showWidgetBorder": "true",
    "theme.headingFontWeights": "650",
    "theme.light.primaryColor": "#0b6e5f",
    "theme.light.linkColor": "#0b6e5f",
    "theme.light.backgroundColor": "#fbfaf7",
    "theme.light.secondaryBackgroundColor": "#f1efe8",
    "theme.light.textColor": "#1c2522",
    "theme.light.borderColor": "#dcd8cc",
    "theme.dark.primaryColor": "#57c2ab",
    "theme.dark.linkColor": "#57c2ab",
    "theme.dark.backgroundColor": "#141917",
    "theme.dark.secondaryBackgroundColor": "#1e2523",
    "theme.dark.textColor": "#e6ebe8",
    "theme.dark.borderColor": "#35403c",
}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class SecurityHeaders:
    """ASGI middleware that puts HEADERS on every response, and keeps media out of shared caches.

    A page that calls this server by a name that is none of its own is not answered: another site may have had its
    name point here. Streamlit's own numbers about sessions are for nobody; those of `assistant/metrics.py` have a port.

    Args:
        microphone: whether pages may ask for it, where spoken questions are taken.
        https: people reach the app by https alone: cookies and browsers are told so.
        known: whether a Host header names this server; None: any does.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        microphone: bool = False,
        https: bool = False,
        known: Callable[[str | None], bool] | None = None,
    ) -> None:
        self._app = app
        self._https = https
        self._known = known
        self._headers = (
            HEADERS | (WITH_MICROPHONE if microphone else {}) | ({"strict-transport-security": HSTS} if https else {})
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = self._headers | ({"cache-control": "no-store"} if scope["path"].startswith("/media/") else {})
                given = [(name.decode("latin-1").lower(), value) for name, value in message.get("headers", ())]
                if any(name == CSP for name, _ in given):  # the API's, which allows nothing at all
                    own = {name: value for name, value in own.items() if name != CSP}
                kept = [
                    (name.encode(), value + b"; Secure" if self._https and name == "set-cookie" else value)
                    for name, value in given
                    if name not in own
                ]
                message["headers"] = [*kept, *((name.encode(), value.encode()) for name, value in own.items())]
            await send(message)

        host = next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"), None)
        if scope["path"] == CLOSED:
            await _refuse(send_with_headers, 404, b"Not found")
        elif self._known is not None and scope["path"] not in FOR_PROBES and not self._known(host):
            await _refuse(send_with_headers, 421, b"This server does not go by that name.")
        else:
            await self._app(scope, receive, send_with_headers)


async def _refuse(send: Send, status: int, words: bytes) -> None:
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(words)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": words})


def launch_arguments(host: str, port: int, public_url: str | None = None) -> list[str]:
    """Every setting of the web server, as arguments of `streamlit run`: no file of the working folder can loosen one.

    Args:
        host: address to listen on; the browser may name it, `localhost` or 127.0.0.1, and no other.
        public_url: the address that people reach the app by, whose name the browser may say too.
    """
    public = urlsplit(public_url or "").hostname
    settings = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.showEmailPrompt": "false",
        "server.fileWatcherType": "none",
        "server.runOnSave": "false",
        "server.enableStaticServing": "false",
        "server.enableXsrfProtection": "true",
        "server.enableCORS": "true",
        "server.enableAgentApi": "false",
        "server.maxUploadSize": str(MAX_UPLOAD_MB),
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",
        "client.toolbarMode": "minimal",
        "client.disableDataExport": "true",
        "client.allowedOrigins": public_url or f"http://{host}",  # no hosting service may speak to the pages
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": public or host,
        "runner.magicEnabled": "false",
        "logger.level": "warning",
        **THEME,
    }
    return [*_flags(settings), *(f"--server.allowedHosts={name}" for name in _names_of(host, public))]


def streamlit_command(host: str, port: int, app: Path = WEB_APP, *, public_url: str | None = None) -> list[str]:
    """The command that serves the web app until it is ended; it reads the same environment as `quoth`.

    Args:
        app: file with an `app` of type `streamlit.App`; another one in tests.
    """
    return [sys.executable, "-m", "streamlit", "run", str(app), *launch_arguments(host, port, public_url)]


def _flags(settings: dict[str, str]) -> Iterator[str]:
    for name, value in settings.items():
        yield f"--{name}={value}"


def _names_of(host: str, public: str | None) -> tuple[str, ...]:
    """A page of another site that had its name point here is refused: its Host header names that site."""
    return tuple(dict.fromkeys((host, *([public] if public else ()), "localhost", "127.0.0.1", "::1")))

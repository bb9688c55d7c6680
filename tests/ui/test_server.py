from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from ui.server import HEADERS, SecurityHeaders, launch_arguments, streamlit_command


def headers_of(path: str, *sent: tuple[bytes, bytes], kind: str = "http") -> dict[str, list[str]]:
    """The headers that reach the browser when the app behind the middleware sends `sent`."""
    messages: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": f"{kind}.response.start", "status": 200, "headers": list(sent)})

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {}

    asyncio.run(SecurityHeaders(app)({"type": kind, "path": path}, receive, send))
    found: dict[str, list[str]] = {}
    for name, value in messages[0]["headers"]:
        found.setdefault(name.decode().lower(), []).append(value.decode())
    return found


def test_every_response_gets_each_header_once() -> None:
    found = headers_of("/", (b"Content-Type", b"text/html"), (b"X-Frame-Options", b"ALLOWALL"))
    assert found == {"content-type": ["text/html"], **{name: [value] for name, value in HEADERS.items()}}


def test_media_are_not_kept_by_caches() -> None:
    assert headers_of("/media/abc.png", (b"cache-control", b"public"))["cache-control"] == ["no-store"]
    assert headers_of("/static/app.js", (b"cache-control", b"public"))["cache-control"] == ["public"]


def test_what_is_no_http_passes_through() -> None:
    assert headers_of("/_stcore/stream", (b"a", b"b"), kind="websocket") == {"a": ["b"]}


def test_only_this_machines_names_and_no_traces() -> None:
    arguments = launch_arguments("127.0.0.1", 8600)
    assert {one for one in arguments if one.startswith("--server.allowedHosts=")} == {
        "--server.allowedHosts=127.0.0.1",
        "--server.allowedHosts=localhost",
        "--server.allowedHosts=::1",
    }
    for setting in (
        "--server.address=127.0.0.1",
        "--server.port=8600",
        "--server.maxUploadSize=50",
        "--server.enableXsrfProtection=true",
        "--server.enableStaticServing=false",
        "--client.showErrorDetails=none",
        "--browser.gatherUsageStats=false",
    ):
        assert setting in arguments


def test_the_command_serves_the_app() -> None:
    command = streamlit_command("127.0.0.1", 8600)
    assert command[1:4] == ["-m", "streamlit", "run"]
    assert command[4].endswith("web_app.py")

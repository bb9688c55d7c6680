"""What a baseline scan looks at, of the app and the API as they are served: passive rules on every kind of answer, and
a few requests that try something.

The rules are those of ZAP's baseline that concern a server like this one. What is found and left is argued beside the
rule, in EXCEPTIONS.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest

from assistant.bootstrap import Quoth
from tests.ui.served_api import serving
from tests.ui.test_browser_sign_in import up
from ui.api.serving import served_api

pytestmark = [pytest.mark.integration]

# every kind of answer: pages, their parts, files that are there and not, the API's answers, refusals and faults
PLACES: Final = (
    "/", "/documents", "/nothing", "/robots.txt", "/sitemap.xml", "/.git/config", "/.env", "/static/nothing.js",
    "/static/index.html", "/media/nothing.png", "/component/nothing", "/_stcore/health", "/_stcore/host-config",
    "/_stcore/metrics", "/_stcore/bidi-components/nothing", "/_stcore/upload_file/a/b", "/auth/login", "/auth/logout",
    "/oauth2callback", "/api/health", "/api/ready", "/api/me", "/api/openapi.json", "/api/nothing",
    "/api/documents/not-an-id", "/api/documents/00000000-0000-0000-0000-000000000000", "/v1/models", "/mcp",
    "/media/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2f..%2fetc%2fpasswd",
)  # fmt: skip
PRIVATE: Final = re.compile(r"\b(?:10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|172\.(?:1[6-9]|2\d|3[01])\.\d+\.\d+)\b")
TRACE: Final = re.compile(r"Traceback \(most recent|File \"/|\.py\", line \d|sqlalchemy|psycopg|site-packages")
KEYS: Final = re.compile(r"sk-[A-Za-z0-9]{20}|AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|quoth_[0-9a-f]{12}_")
WANTED: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
EXCEPTIONS: Final = {
    "script-src 'unsafe-inline' 'unsafe-eval'": "Streamlit's page and the charts' compiler need both; nothing that a "
    "document or a model wrote becomes markup, and connect-src, img-src and form-action keep what ran at home",
    "server: uvicorn": "its name and no version; `quoth api` leaves it out, and what runs the app has no switch for it",
    "_streamlit_xsrf without HttpOnly": "the page must read it to send it back; it is worth nothing alone",
    "OPTIONS of files": "204 with no Access-Control-Allow-Origin for foreign pages",
}


@dataclass(frozen=True, slots=True)
class Scanned:
    address: str
    alone: bool  # the API without the app


@pytest.fixture(scope="module")
def app(quoth: Quoth, environ: dict[str, str]) -> Iterator[Scanned]:
    with up(environ, QUOTH_PUBLIC_URL="https://quoth.example") as address:
        yield Scanned(address, alone=False)


@pytest.fixture(scope="module")
def api(quoth: Quoth) -> Iterator[Scanned]:
    with serving(served_api(quoth, local=True)) as address:
        yield Scanned(address, alone=True)


@pytest.fixture(params=["app", "api"])
def scanned(request: pytest.FixtureRequest) -> Scanned:
    found: Scanned = request.getfixturevalue(request.param)
    return found


def faults(answer: httpx.Response, *, is_api: bool) -> list[str]:
    """What the passive rules say of one answer."""
    headers = answer.headers
    found = [f"{name}: {headers.get(name)}" for name, value in WANTED.items() if headers.get(name) != value]
    policy = headers.get("content-security-policy", "")
    found += [f"no {part}" for part in ("frame-ancestors 'none'", "default-src") if part not in policy]
    if is_api:
        found += [] if policy.startswith("default-src 'none'") else ["the API's pages may load something"]
        found += [] if headers.get("cache-control") == "no-store" else ["caches may keep it"]
    else:
        found += [f"no {part}" for part in ("object-src 'none'", "base-uri 'self'", "form-action 'self'")
                  if part not in policy]  # fmt: skip
        found += ["foreign sources"] if re.search(r"(https?:|wss?:|\*)", policy) else []
    found += [] if "camera=()" in headers.get("permissions-policy", "") else ["no permissions-policy"]
    allowed = headers.get("access-control-allow-origin", "")  # Streamlit's upload names this server's own address
    found += [f"lets in {allowed}"] if allowed and "://quoth.example" not in allowed else []
    for name in ("x-powered-by", "x-aspnet-version", "x-runtime"):
        found += [f"{name}: {headers[name]}"] if name in headers else []
    found += [f"server: {headers['server']}"] if re.search(r"\d", headers.get("server", "")) else []
    for cookie in headers.get_list("set-cookie"):
        found += [] if "samesite" in cookie.lower() else [f"no SameSite: {cookie[:40]}"]
        found += [] if is_api or "; secure" in cookie.lower() else [f"no Secure: {cookie[:40]}"]
    if answer.headers.get("content-type", "").split(";")[0] in ("text/html", "text/plain", "application/json"):
        found += [] if "charset" in headers["content-type"] or "json" in headers["content-type"] else ["no charset"]
    for what, rule in (("a trace", TRACE), ("a private address", PRIVATE), ("a key", KEYS)):
        found += [what] if rule.search(answer.text) else []
    found += ["what was asked for comes back"] if "<script>" in answer.text and "1234567" in answer.text else []
    return found


def test_every_kind_of_answer_keeps_the_rules(scanned: Scanned) -> None:
    found: dict[str, list[str]] = {}
    with httpx.Client(base_url=scanned.address, timeout=60) as client:
        for place in PLACES:
            for act in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FOO"):
                answer = client.request(act, f"{place}?q=<script>1234567</script>")
                is_api = scanned.alone or place.startswith(("/api", "/v1", "/mcp"))
                wrong = faults(answer, is_api=is_api)
                wrong += [f"{answer.status_code}"] if answer.status_code >= 500 else []
                wrong += ["echoes"] if act == "TRACE" and answer.status_code == 200 else []
                wrong += (
                    ["kept"] if place.startswith("/media") and answer.headers["cache-control"] != "no-store" else []
                )
                if not is_api and "strict-transport-security" not in answer.headers:
                    wrong.append("no HSTS")
                if wrong:
                    found[f"{act} {place}"] = wrong
    assert found == {}


def test_no_foreign_page_is_let_in(scanned: Scanned) -> None:
    foreign = {"origin": "https://evil.example"}
    with httpx.Client(base_url=scanned.address, timeout=60) as client:
        for place in PLACES:
            for act in ("GET", "OPTIONS"):
                answer = client.request(act, place, headers={**foreign, "access-control-request-method": "GET"})
                allowed = answer.headers.get("access-control-allow-origin", "")
                assert allowed != "*" and "evil" not in allowed, (act, place)
        origins = {} if scanned.alone else client.get("/_stcore/host-config").json()
        assert not [one for one in origins.get("allowedOrigins", ()) if "quoth.example" not in one]


def test_other_names_are_not_answered_to(scanned: Scanned) -> None:
    for place in ("/", "/documents", "/media/x", "/api/me", "/v1/models", "/auth/login"):
        for name in ("evil.example", "localhost.evil.example", "evil.example:80", "localhost@evil.example", ""):
            answer = httpx.get(scanned.address + place, headers={"host": name}, timeout=60)
            assert answer.status_code in (400, 421), (place, name)
            assert "evil" not in answer.text and "evil" not in str(answer.headers)


def test_no_redirect_leaves_the_server(app: Scanned) -> None:
    for place in ("/auth/login", "/auth/logout", "/oauth2callback"):
        for name in ("redirect", "redirect_uri", "next", "url", "returnTo"):
            for target in ("https://evil.example", "//evil.example", "/\\evil.example"):
                answer = httpx.get(app.address + place, params={name: target}, timeout=60)
                assert "evil" not in answer.headers.get("location", ""), (place, name)
    for path in ("//evil.example/%2e%2e", "/\\evil.example", "///evil.example"):
        answer = raw(app.address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert b"location:" not in answer.lower() or b"evil" not in answer.lower().split(b"location:")[1][:60], path


def raw(address: str, request: bytes) -> bytes:
    """What a server says to bytes that no client library would send."""
    url = httpx.URL(address)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        said = b""
        with contextlib.suppress(ConnectionError):  # it hung up
            connection.sendall(request)
            while part := connection.recv(65_536):
                said += part
    return said


def test_nothing_that_is_sent_becomes_a_header_or_a_file(scanned: Scanned) -> None:
    for path in ("/%0d%0aX-Evil:%20yes", "/media/%0d%0aX-Evil:%20yes", "/api/documents/%0d%0aX-Evil:%20yes"):
        said = raw(scanned.address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert b"\r\nx-evil" not in said.lower(), path
    for path in ("/../../../../etc/passwd", "/static/../../../../etc/passwd", "/media/../../etc/passwd",
                 "/api/../../etc/passwd", "/component/..%5c..%5cetc%5cpasswd", "/media//etc/passwd"):  # fmt: skip
        said = raw(scanned.address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert b"root:" not in said, path
    split = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x"
    )
    assert raw(scanned.address, split.replace(b"Host", b"Connection: close\r\nHost")).count(b"HTTP/1.1") <= 1


def test_too_much_is_refused_and_harms_nobody_else(scanned: Scanned) -> None:
    large: Any = {"content": b"x" * 3_000_000, "headers": {"content-type": "application/json"}, "timeout": 60}
    for place in ("/api/answers", "/v1/responses", "/mcp"):
        assert httpx.post(scanned.address + place, **large).status_code == 413, place
    assert httpx.post(f"{scanned.address}/", **large).status_code in (404, 405, 413)
    long = raw(
        scanned.address,
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Long: "
        + b"a" * 1_000_000
        + b"\r\n\r\n",
    )
    assert long == b"" or long.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200"))
    url = httpx.URL(scanned.address)
    slow = []
    for _ in range(200):  # that never end what they began to say
        connection = socket.create_connection((url.host, url.port or 80), timeout=60)
        connection.sendall(b"POST /api/answers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n")
        slow.append(connection)
    assert httpx.get(f"{scanned.address}/api/health", timeout=60).status_code == 200
    for connection in slow:
        connection.close()

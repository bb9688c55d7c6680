"""Signing in with an identity provider, in a real browser, from the real `quoth up`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import oidc_provider_mock
import pytest

from assistant.bootstrap import Quoth
from tests.ui.test_browser import browser  # noqa: F401  # the fixture

pytestmark = [pytest.mark.browser, pytest.mark.integration]
WAIT_MS = 45_000
NAME = "ada@example.org"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        issuer = f"http://localhost:{server.server_port}"
        claims = {"email": NAME, "groups": ["harbour"]}
        httpx.put(f"{issuer}/users/{NAME}", json=claims).raise_for_status()
        stranger = {"email": "carl@example.org", "groups": ["elsewhere"]}
        httpx.put(f"{issuer}/users/carl@example.org", json=stranger).raise_for_status()
        yield issuer


@contextmanager
def up(environ: dict[str, str], **more: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "ui.command", "up", "--port", str(port), "--no-browser"],
        env={**environ, **more}, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while True:
            try:
                urllib.request.urlopen(f"http://localhost:{port}/api/ready", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.3)
        yield f"http://localhost:{port}"
    finally:
        os.kill(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture(scope="module")
def address(quoth: Quoth, environ: dict[str, str], provider: str, tmp_path_factory: Any) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "tide.md").write_text("# Tide tables\n\nThe harbour closes when the tide falls below 2 metres.\n")
    assert [one.status for one in quoth.pipeline.add([folder / "tide.md"], readers=["harbour"])] == ["added"]
    more = {
        "QUOTH_OIDC_ISSUER": provider, "QUOTH_OIDC_CLIENT_ID": "quoth", "QUOTH_OIDC_CLIENT_SECRET": "s" * 32,
        "QUOTH_ROLES": "owner=harbour",
    }  # fmt: skip
    with up(environ, **more) as one:
        yield one


def sign_in(page: Any, address: str, name: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Sign in").click(timeout=WAIT_MS)
    page.locator("input[name=sub]").fill(name, timeout=WAIT_MS)
    page.get_by_role("button", name="Authorize").click()


def test_who_is_in_the_group_finds_its_documents_and_may_add_more(browser: Any, address: str) -> None:  # noqa: F811
    page = browser.new_context().new_page()
    page.goto(address)
    page.get_by_text("Sign in to ask").wait_for(timeout=WAIT_MS)
    assert page.get_by_role("textbox").count() == 0 and "Tide" not in page.content()
    sign_in(page, address, NAME)
    box = page.get_by_test_id("stChatInputTextArea")
    box.wait_for(timeout=WAIT_MS)
    assert page.get_by_role("link", name="Documents").count() == 1
    box.fill("When does the harbour close?")
    box.press("Enter")
    page.get_by_text("falls below 2 metres").first.wait_for(timeout=WAIT_MS)


def test_who_is_not_finds_nothing_and_sees_no_owners_page(browser: Any, address: str) -> None:  # noqa: F811
    page = browser.new_context().new_page()
    sign_in(page, address, "carl@example.org")
    box = page.get_by_test_id("stChatInputTextArea")
    box.wait_for(timeout=WAIT_MS)
    assert page.get_by_role("link", name="Documents").count() == 0
    box.fill("When does the harbour close?")
    box.press("Enter")
    page.get_by_text("do not say").first.wait_for(timeout=WAIT_MS)
    assert "2 metres" not in page.content()
    page.goto(f"{address}/documents")
    page.get_by_text("Page not found").first.wait_for(timeout=WAIT_MS)
    assert "Tide" not in page.content()


def test_without_a_token_the_api_beside_the_app_refuses(address: str) -> None:
    assert httpx.post(f"{address}/api/answers", json={"question": "When does the harbour close?"}).status_code == 401
    assert httpx.get(f"{address}/api/documents").status_code == 401
    assert httpx.get(f"{address}/v1/models", headers={"authorization": "Bearer sk-any"}).status_code == 401

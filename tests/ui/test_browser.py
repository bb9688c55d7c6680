"""The app in a real browser, over the scripted store, behind the real headers and settings."""

from __future__ import annotations

import base64
import io
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ui.server import CONTENT_SECURITY_POLICY, streamlit_command
from ui.wording import WORD_JOINER

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_TIMEOUT_S = 90.0
WAIT_MS = 45_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian's package `chromium`)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def served(**environment: str) -> Iterator[str]:
    """The scripted app on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUOTH_", "STREAMLIT_"))}
    server = subprocess.Popen(
        streamlit_command("127.0.0.1", port, HERE / "scripted_web_app.py"),
        env={**kept, **environment},
        stdout=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, "the web app ended at once"
                assert time.monotonic() < deadline, "the web app does not answer"
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as one:
        yield one


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages that fail the test when they ask any other server for anything."""
    contexts = []
    foreign: list[str] = []

    def opened(url: str, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        origin = "/".join(url.split("/")[:3])
        page.on(
            "request",
            lambda request: (
                foreign.append(request.url) if not request.url.startswith((origin, "data:", "blob:")) else None
            ),
        )
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert foreign == []


def ask(page: Any, question: str) -> None:
    field = page.get_by_test_id("stChatInputTextArea")
    field.fill(question)
    field.press("Enter")


def literal_text(element: Any) -> str:
    """An element's text without the invisible joiners that keep addresses from becoming links."""
    element.wait_for()
    return str(element.inner_text()).replace(WORD_JOINER, "")


def test_a_click_on_a_citation_shows_the_page_with_the_quotation_marked(
    address: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(address)
    page.get_by_text("Ask your documents").wait_for()
    ask(page, "How long is leave, and desks?")
    marker = page.locator("button.marker").first
    marker.wait_for()
    assert marker.get_attribute("aria-label").startswith("Citation 1: Parental leave is twenty weeks.")
    assert page.get_by_text("2 of 2 statements carry a quotation checked word for word").is_visible()

    marker.hover()
    card = page.locator(".card").first
    card.wait_for(state="visible")
    assert "“Parental leave is twenty weeks.”" in card.inner_text() and "page 2" in card.inner_text()

    marker.click()
    picture = page.locator(".scroller img")
    picture.wait_for()
    assert page.get_by_text("Page 2 of 2").is_visible()
    content = base64.b64decode(picture.get_attribute("src").removeprefix("data:image/png;base64,"))
    shown = Image.open(io.BytesIO(content)).convert("RGB")
    x0, y0, x1, y1 = (round(value * 1.6) for value in (72.0, 300.0, 260.0, 314.0))
    assert shown.getpixel((x1 - 3, y0 + 1))[2] < 150, "the quotation's rectangle is not marked"
    assert shown.getpixel((x0 + 40, y1 + 12)) == (255, 255, 255), "below it something is marked"
    assert shown.getpixel((x0 + 40, y0 - 12)) == (255, 255, 255), "above it something is marked"

    page.get_by_role("button", name="Next citation").click()
    mark = page.locator("mark")
    mark.wait_for()
    assert mark.inner_text() == "Desks are booked a day ahead."
    page.get_by_role("button", name="Close").click()
    mark.wait_for(state="detached")


def test_the_keyboard_alone_is_enough(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(address)
    page.get_by_text("Ask your documents").wait_for()
    ask(page, "leave")
    marker = page.locator("button.marker").first
    marker.wait_for()
    page.keyboard.press("Shift+Tab")
    for _ in range(30):
        if marker.evaluate("one => one.matches(':focus-visible')"):
            break
        page.keyboard.press("Shift+Tab")
    assert marker.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    assert page.locator(".card").first.is_visible()
    page.keyboard.press("Enter")
    page.locator(".scroller img").wait_for()


def test_an_address_opens_the_conversation_elsewhere(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(address)
    page.get_by_text("Ask your documents").wait_for()
    ask(page, "How long is leave?")
    page.locator("button.marker").first.wait_for()
    assert "?c=" in page.url
    other = open_page(page.url)
    other.locator("button.marker").first.wait_for()
    assert other.get_by_text("How long is leave?").is_visible()


def test_rows_of_a_table_are_shown_as_one(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(address)
    ask(page, "Which room seats twelve?")
    table = page.locator(".claim table")
    table.wait_for()
    assert [one.inner_text() for one in table.locator("th").all()] == ["Room", "Seats"]
    assert [one.inner_text() for one in table.locator("td").all()] == ["Fen", "4", "Delta <b>", "12"]
    assert page.locator(".claim").first.inner_text().startswith("Rooms are booked by their name.")


def test_stop_keeps_what_was_shown(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(address)
    page.get_by_text("Ask your documents").wait_for()
    ask(page, "slow leave")
    page.locator(".st-key-answering").get_by_text("twenty weeks").wait_for()
    page.get_by_role("button", name="Stop").last.click()
    page.get_by_text("Stopped. This much was found and checked").wait_for()
    assert page.locator("button.marker").count() == 1
    assert page.get_by_text("slow leave").is_visible()


def test_on_a_narrow_screen_the_source_covers_the_conversation(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(address)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_text("Ask your documents").wait_for()
    ask(page, "leave")
    page.locator("button.marker").first.wait_for()
    page.locator("button.marker").first.click()
    page.locator(".scroller img").wait_for()
    pane = page.locator("[data-testid=stColumn]:has(.st-key-source-pane)").bounding_box()
    assert (pane["x"], pane["y"]) == (0, 0) and pane["width"] == 390 and pane["height"] == 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Close").click()
    page.locator(".scroller img").wait_for(state="detached")
    page.locator("button.marker").first.wait_for()


class _Leak(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012  what reached the attacker's server

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_hostile_text_is_shown_as_text_and_asks_nobody(browser: Any, open_page: Callable[..., Any]) -> None:
    leak = HTTPServer(("127.0.0.1", 0), _Leak)
    threading.Thread(target=leak.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{leak.server_port}"
    title = f"![x]({base}/title) <script>window.harmed=1</script> $x$ :red[alarm] <img src={base}/tag>"
    hostile = (
        f"![x]({base}/quote) <img src={base}/image onerror='window.harmed=1'> [go]({base}/link) $y$ :tada: "
        f"<style>body{{background:url({base}/css)}}</style> javascript:alert(1)"
    )
    try:
        with served(SCRIPTED_TITLE=title, SCRIPTED_EXTRA=f"\n\nHostile\n\nDesks are {hostile}") as address:
            page = open_page(address)
            page.get_by_text("Ask your documents").wait_for()
            ask(page, f"leave ![q]({base}/question) <img src={base}/asked> :red[q]")
            page.locator("button.marker").first.wait_for()
            assert page.get_by_text(f"![q]({base}/question) <img src={base}/asked> :red[q]").is_visible()
            marker = page.locator("button.marker").first
            marker.hover()
            page.locator(".card").first.wait_for(state="visible")
            assert title in page.locator(".card").first.inner_text()
            marker.click()
            page.locator(".scroller img").wait_for()
            assert literal_text(page.locator(".st-key-source-pane").get_by_role("heading")) == title

            ask(page, "Anything else?")  # abstains: the nearest passages as cards
            page.locator("button.passage").first.wait_for()
            page.locator("button.passage").first.click()
            page.locator("p", has_text=f"![x]({base}/quote)").first.wait_for()
            time.sleep(1)  # what would be fetched late
            assert page.evaluate("window.harmed") is None
            assert page.locator(f"a[href^='{base}']").count() == 0
            assert page.locator(f"img[src^='{base}']").count() == 0
    finally:
        leak.shutdown()
    assert _Leak.asked == []


def test_every_response_carries_the_headers(address: str) -> None:
    for path in ("/", "/documents", "/_stcore/health", "/nothing-here"):
        with urllib.request.urlopen(address + path) as response:
            assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert response.headers["x-frame-options"] == "DENY"
            assert response.headers["x-content-type-options"] == "nosniff"


def test_the_policy_stops_what_escaping_would_have_to(address: str, browser: Any) -> None:
    """The second wall alone: an image of another origin, put into the page by script, is not asked for."""
    asked_before = list(_Leak.asked)
    leak = HTTPServer(("127.0.0.1", 0), _Leak)
    threading.Thread(target=leak.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(address)
    page.get_by_text("Ask your documents").wait_for()
    blocked = page.evaluate(
        """url => new Promise(done => {
            addEventListener('securitypolicyviolation', event => done(event.effectiveDirective))
            const image = document.createElement('img')
            image.onload = image.onerror = () => setTimeout(() => done('asked'), 500)
            image.src = url
            document.body.append(image)
        })""",
        f"http://127.0.0.1:{leak.server_port}/leak",
    )
    page.close()
    leak.shutdown()
    assert blocked == "img-src"
    assert _Leak.asked == asked_before


def test_a_page_of_another_name_cannot_reach_the_app(address: str) -> None:
    """A site that lets its name point to this machine (DNS rebinding) gets no session."""
    port = int(address.rsplit(":", 1)[1])

    def upgraded(host: str) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(
                f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            return connection.recv(64).decode("latin-1").split("\r\n")[0]

    assert " 101 " in upgraded(f"127.0.0.1:{port}") + " "
    assert " 403 " in upgraded(f"evil.example:{port}") + " "

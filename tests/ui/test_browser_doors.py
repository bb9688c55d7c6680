"""Every page of the app as it is served behind sign-in: to nobody, with forged and old sessions, and to an outsider.

What the browser is sent counts, not only what it shows: every message of the page's connection is searched too.
"""

from __future__ import annotations

import ast
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from assistant.bootstrap import Quoth
from assistant.model import Answer
from ingest.access import Reader
from tests.ui.test_browser import browser  # noqa: F401  # the fixture
from tests.ui.test_browser_sign_in import WAIT_MS, up

pytestmark = [pytest.mark.browser, pytest.mark.integration]
SECRET: Final = "s" * 48
HOURS: Final = 12.0
WORDS: Final = (b"halcyon", b"minutes", b"nine million", b"crowns")
COOKIE: Final = "_streamlit_user"
UI: Final = Path(__file__).parents[2] / "ui"


@dataclass(frozen=True, slots=True)
class App:
    address: str
    pages: tuple[str, ...]  # each names something of the board's
    quoth: Quoth

    def cookie(self, name: str, *groups: str, age_s: float = 0, secret: str = SECRET, **more: Any) -> str:
        claims = {
            "origin": self.address, "is_logged_in": True, "email": name, "groups": list(groups),
            "iat": time.time() - age_s, **more,
        }  # fmt: skip
        return create_signed_value(secret, COOKIE, json.dumps(claims)).decode()


@pytest.fixture(scope="module")
def app(quoth: Quoth, environ: dict[str, str], tmp_path_factory: Any) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "minutes.md").write_text("# Board minutes\n\nThe board sells the Halcyon for nine million crowns.\n")
    (folder / "berths.md").write_text("# Berths\n\nThe ferry lies at the third berth.\n")
    assert [one.status for one in quoth.pipeline.add([folder / "berths.md"])] == ["added"]
    assert [one.status for one in quoth.pipeline.add([folder / "minutes.md"], readers=["board"])] == ["added"]
    bo = Reader("bo@example.org", frozenset({"board"}))
    *_, answer = quoth.ask("For how many crowns does the board sell the Halcyon?", bo)
    assert isinstance(answer, Answer) and answer.citations
    token = quoth.conversations.share(bo, answer.conversation)
    more = {
        "QUOTH_OIDC_ISSUER": "http://localhost:9", "QUOTH_OIDC_CLIENT_ID": "quoth", "QUOTH_OIDC_CLIENT_SECRET": "s" * 32,
        "QUOTH_COOKIE_SECRET": SECRET, "QUOTH_SESSION_HOURS": str(HOURS),
        "QUOTH_ROLES": "owner=staff, evaluator=staff, admin=staff",
    }  # fmt: skip
    pages = (
        "", f"?c={answer.conversation}", f"?s={token}", "search", f"documents?d={answer.citations[0].document}",
        f"record?answer={answer.id}", "evaluation", f"evaluation?section=make-cases&answer={answer.id}",
        "administration",
    )  # fmt: skip
    with up(environ, **more) as address:
        yield App(address, pages, quoth)


@pytest.fixture
def looking(browser: Any, app: App) -> Iterator[Callable[[str | None], tuple[Any, bytearray]]]:  # noqa: F811
    """A page of a browser that holds a cookie, and all that its connection is sent."""
    contexts = []

    def look(cookie: str | None) -> tuple[Any, bytearray]:
        context = browser.new_context()
        contexts.append(context)
        if cookie is not None:
            context.add_cookies([{"name": COOKIE, "value": cookie, "url": app.address}])
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        heard = bytearray()

        def hear(payload: str | bytes) -> None:
            heard.extend(payload.encode() if isinstance(payload, str) else payload)

        page.on("websocket", lambda socket: socket.on("framereceived", hear))
        return page, heard

    yield look
    for context in contexts:
        context.close()


def settled(page: Any) -> None:
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    page.wait_for_timeout(300)


def tells(heard: bytearray) -> list[bytes]:
    return [word for word in WORDS if word in bytes(heard).lower()]


FALSE: Final[dict[str, Callable[[App], str | None]]] = {
    "nothing": lambda app: None,
    "a cookie that another signed": lambda app: app.cookie("bo@example.org", "board", "staff", secret="t" * 48),
    "a cookie of another server": lambda app: app.cookie("bo@example.org", "board", origin="http://localhost:1"),
    "a session that has ended": lambda app: app.cookie("bo@example.org", "board", "staff", age_s=HOURS * 3600 + 5),
    "a session of the future": lambda app: app.cookie("bo@example.org", "board", "staff", age_s=-3600),
    "somebody who is nobody": lambda app: app.cookie("user:bo@example.org", "board", "staff"),
}


@pytest.mark.parametrize("what", FALSE)
def test_no_page_says_anything_to_nobody(
    app: App, looking: Callable[[str | None], tuple[Any, bytearray]], what: str
) -> None:
    page, heard = looking(FALSE[what](app))
    for path in app.pages:
        page.goto(f"{app.address}/{path}")
        page.get_by_text("Sign in to ask").wait_for()
        assert page.get_by_role("textbox").count() == 0, path
        assert page.get_by_role("link", name="Documents").count() == 0, path
    assert heard and not tells(heard)
    assert b"berth" not in bytes(heard).lower(), "not even what everyone may read"


def test_no_page_says_anything_of_the_board_to_an_outsider_with_every_role(
    app: App, looking: Callable[[str | None], tuple[Any, bytearray]]
) -> None:
    page, heard = looking(app.cookie("carl@example.org", "staff", "everyone"))
    for path in (one for one in app.pages if not one.startswith("?s=")):
        page.goto(f"{app.address}/{path}")
        page.get_by_role("button", name="Sign out", include_hidden=True).wait_for(state="attached")
        settled(page)
    for path in ("search", ""):
        page.goto(f"{app.address}/{path}")
        field = page.get_by_test_id("stChatInputTextArea") if path == "" else page.get_by_role("textbox").first
        field.fill("What is sold?")
        field.press("Enter")
        page.get_by_text(re.compile("do not say|Nothing|No passage|Chosen from")).first.wait_for(state="attached")
        settled(page)
    assert heard and not tells(heard)


def test_a_link_tells_an_outsider_what_was_asked_and_not_what_was_answered(
    app: App, looking: Callable[[str | None], tuple[Any, bytearray]]
) -> None:
    page, heard = looking(app.cookie("carl@example.org", "staff", "everyone"))
    page.goto(f"{app.address}/{next(one for one in app.pages if one.startswith('?s='))}")
    page.get_by_text("For how many crowns does the board sell the Halcyon?").first.wait_for()
    settled(page)
    assert set(tells(heard)) == {b"halcyon", b"crowns"}, "the words of whoever made the link"


def test_an_open_page_whose_session_ends_says_and_does_nothing_more(
    app: App, looking: Callable[[str | None], tuple[Any, bytearray]]
) -> None:
    left_s = 25.0
    began = time.time()
    page, heard = looking(app.cookie("bo@example.org", "board", "staff", age_s=HOURS * 3600 - left_s))
    page.goto(f"{app.address}/{app.pages[1]}")
    page.get_by_role("button", name="History").click()
    page.get_by_role("textbox", name="Title").wait_for()
    assert tells(heard), "while it lasts they read what they may"
    page.wait_for_timeout(max(0.0, began + left_s + 1 - time.time()) * 1000)
    heard.clear()
    bo = Reader("bo@example.org", frozenset({"board"}))
    before = [one.title for one in app.quoth.conversations.listed(bo)]
    page.get_by_role("textbox", name="Title").fill("taken over")  # an act, drawn alone
    page.get_by_role("textbox", name="Title").press("Enter")
    settled(page)
    page.get_by_role("button", name="Markdown").click()  # made when it is asked for
    settled(page)
    assert not tells(heard)
    assert [one.title for one in app.quoth.conversations.listed(bo)] == before
    page.reload()
    page.get_by_text("Your session has ended").wait_for()


def test_a_file_that_a_page_made_is_its_persons_alone(
    app: App, looking: Callable[[str | None], tuple[Any, bytearray]]
) -> None:
    own = app.cookie("bo@example.org", "board")
    page, _ = looking(own)
    page.goto(f"{app.address}/{app.pages[1]}")
    page.get_by_role("button", name="History").click()
    with page.expect_download() as begun:
        page.get_by_role("button", name="Markdown").click()
    url = begun.value.url
    assert "/media/" in url and b"nine million" in Path(begun.value.path()).read_bytes()

    def fetched(cookie: str | None, act: str = "GET") -> httpx.Response:
        return httpx.request(act, url, headers={} if cookie is None else {"cookie": f"{COOKIE}={cookie}"})

    found = fetched(own)
    assert found.status_code == 200 and "for=" not in found.headers["content-type"]
    assert found.headers["cache-control"] == "no-store"
    missing = httpx.get(f"{app.address}/media/0123456789abcdef.md")
    others = {what: make(app) for what, make in FALSE.items() if "server" not in what}
    for what, cookie in {**others, "an outsider": app.cookie("carl@example.org", "staff")}.items():
        for act in ("GET", "HEAD"):
            refused = fetched(cookie, act)
            assert refused.status_code == missing.status_code == 404, what
            assert not tells(bytearray(refused.content)) and "content-disposition" not in refused.headers
            assert act == "HEAD" or refused.content == missing.content, what


def test_every_file_that_pages_make_says_for_whom() -> None:
    made = 0
    for file in UI.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr == "download_button":
                assert "kept_for(" in ast.unparse(node), f"{file.name}: whose is it?"
                made += 1
            assert node.func.attr not in ("image", "audio", "video", "pdf"), f"{file.name}: pictures go as data: URLs"
    assert made

"""The drawer of conversations and feedback in a real browser, over the scripted store."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_browser import address, browser, open_page  # noqa: F401  # fixtures

pytestmark = pytest.mark.browser


def asked(page: Any, question: str) -> None:
    field = page.get_by_test_id("stChatInputTextArea")
    field.fill(question)
    field.press("Enter")
    page.get_by_text("Copy with citations").last.wait_for()


def test_a_conversation_is_named_shared_taken_along_and_deleted(
    open_page: Callable[..., Any],  # noqa: F811
    address: str,  # noqa: F811
) -> None:
    page = open_page(address)
    asked(page, "How long is leave?")
    page.get_by_role("button", name="History").click()
    drawer = page.get_by_role("dialog")
    drawer.get_by_role("textbox", name="Title").fill("Our leave")
    drawer.get_by_role("textbox", name="Title").press("Enter")
    drawer.get_by_role("button", name="Our leave").wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    with page.expect_download() as download:
        drawer.get_by_role("button", name="Markdown").click()
    text = Path(download.value.path()).read_text("utf-8")
    assert text.startswith("# Our leave")
    assert "> Parental leave is twenty weeks." in text
    drawer.get_by_role("button", name="Make a link").click()
    link = drawer.locator("code").inner_text()
    assert link.startswith(f"{address}/?s=")

    other = open_page(link)
    other.get_by_text("You see what you may read yourself.").wait_for()
    other.get_by_text("Parental leave is twenty weeks.").first.wait_for()

    drawer.get_by_role("button", name="Delete…").click()
    drawer.get_by_role("button", name="Delete for good").click()
    page.get_by_text("Ask your documents").wait_for()
    other.reload()
    other.get_by_text("Shared by").wait_for(state="detached")


def test_the_thumb_that_points_down_asks_why(open_page: Callable[..., Any], address: str) -> None:  # noqa: F811
    page = open_page(address)
    asked(page, "How long is leave?")
    page.get_by_role("radio", name="Thumbs down").click()
    page.get_by_test_id("stButtonGroup").get_by_text("Outdated").click()
    page.get_by_label("What would have been right?").fill("It is 24 weeks.")
    page.keyboard.press("Control+Enter")
    page.get_by_text("Kept.").wait_for()
    page.reload()
    page.get_by_label("What would have been right?").wait_for()
    assert page.get_by_label("What would have been right?").input_value() == "It is 24 weeks."

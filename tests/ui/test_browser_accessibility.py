"""Every page under axe, in light and dark, on a desk and on a phone: no serious fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from assistant.bootstrap import Quoth
from ingest.access import LOCAL
from tests.ui.test_browser import browser  # noqa: F401  # the fixture
from tests.ui.test_browser_sign_in import WAIT_MS, up

pytestmark = [pytest.mark.browser, pytest.mark.integration]
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def address(quoth: Quoth, environ: dict[str, str], tmp_path_factory: Any) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "kiln.md").write_text("# Kiln rules\n\nThe kiln is opened when it has cooled below 90 degrees.\n")
    assert [one.status for one in quoth.pipeline.add([folder / "kiln.md"], owner="Pia")] == ["added"]
    quoth.groups.add("potters", ["user:pia"])
    with up(environ) as one:
        yield one


def faults(page: Any, where: str) -> list[str]:
    # what is about to be drawn anew is dimmed for a moment
    page.wait_for_function("!document.querySelector('[data-stale=true]')")
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    page.wait_for_timeout(400)
    found = Axe().run(page).response["violations"]
    return [
        f"{where}: {one['id']}: {node['html'][:120]}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width", "height"), [("light", 1440, 900), ("dark", 390, 844)])
def test_no_page_has_a_serious_fault(
    browser: Any,  # noqa: F811
    address: str,
    quoth: Quoth,
    scheme: Any,
    width: int,
    height: int,
) -> None:
    (kiln,) = (str(one.id) for one in quoth.catalog.documents(LOCAL))
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    page.get_by_text("Ask your documents").wait_for()
    found = faults(page, "empty")
    field = page.get_by_test_id("stChatInputTextArea")
    field.fill("When is the kiln opened?")
    field.press("Enter")
    page.locator("button.marker").first.wait_for()
    page.get_by_text("How this answer was made").wait_for()
    found += faults(page, "answer")
    page.locator("button.marker").first.click()
    page.get_by_text("Citation 1 of 1").wait_for()
    found += faults(page, "source")
    page.get_by_role("button", name="Close").first.click()
    page.get_by_text("Citation 1 of 1").wait_for(state="detached")
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Manage").first.wait_for()
    found += faults(page, "history")
    for path, words in (
        ("search", "Words or a question"),
        ("documents", "1 document"),
        (f"documents?d={kiln}", "Answers now"),
        ("record", "When is the kiln opened?"),
        ("evaluation", "Start a run"),
        ("administration", "Whose groups"),
    ):
        page.goto(f"{address}/{path}")
        for part in ("Properties", "Versions") if "?d=" in path else ():  # the fields first, then the words waited for
            page.locator(".st-key-document_section").get_by_text(part).click()
            found += faults(page, part)
        page.get_by_text(words).first.wait_for()
        found += faults(page, path)
    assert found == []
    context.close()

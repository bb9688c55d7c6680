"""Asking aloud in a real browser: its microphone plays a file, and a stand-in writes down what it is told to."""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.bootstrap import Quoth
from assistant.transcribing import seconds_of
from evals.bench.loopback_model import TRANSCRIPTION_MODEL, LoopbackModel
from tests.ui.test_browser import CHROMIUM, FLAGS
from tests.ui.test_browser_sign_in import WAIT_MS, up

pytestmark = [pytest.mark.browser, pytest.mark.integration]
SPOKEN_HZ, SPOKEN_S = 440, 4


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: Any) -> Path:
    """A file for the browser's microphone to play: a tone, over and over."""
    path: Path = tmp_path_factory.mktemp("sound") / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        tone = (round(9000 * math.sin(2 * math.pi * SPOKEN_HZ * at / 48_000)) for at in range(48_000 * SPOKEN_S))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in tone))
    return path


@pytest.fixture(scope="module")
def listener() -> Iterator[LoopbackModel]:
    with LoopbackModel(heard="When is the kiln opened?") as double:
        yield double


@pytest.fixture(scope="module")
def address(quoth: Quoth, environ: dict[str, str], listener: LoopbackModel, tmp_path_factory: Any) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "kiln.md").write_text("# Kiln rules\n\nThe kiln is opened when it has cooled below 90 degrees.\n")
    assert [one.status for one in quoth.pipeline.add([folder / "kiln.md"])] == ["added"]
    more = {
        "OPENAI_BASE_URL": listener.base_url, "OPENAI_API_KEY": "any", "QUOTH_TRANSCRIBE_MODEL": TRANSCRIPTION_MODEL,
    }  # fmt: skip
    with up(environ, **more) as one:
        yield one


@pytest.fixture(scope="module")
def hearing_browser(microphone: Path) -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian's package `chromium`)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = [*FLAGS, "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=flags)
        yield opened
        opened.close()


def record(page: Any, *, lasting_ms: int) -> None:
    page.get_by_role("button", name="Speak").click()
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop recording").wait_for()
    page.wait_for_timeout(lasting_ms)
    page.get_by_role("button", name="Stop recording").click()


def test_a_question_is_spoken_looked_over_and_answered(
    hearing_browser: Any, address: str, listener: LoopbackModel
) -> None:
    context = hearing_browser.new_context(permissions=["microphone"])
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    field = page.get_by_test_id("stChatInputTextArea")
    field.wait_for()
    record(page, lasting_ms=1500)
    page.wait_for_function("document.querySelector('[data-testid=stChatInputTextArea]').value.startsWith('When is')")
    name, recording = listener.recordings[-1]
    assert name.endswith(".wav") and 0.5 < seconds_of(recording) < 10
    with wave.open(io.BytesIO(recording)) as file:
        assert file.getframerate() == 16_000 and any(file.readframes(16_000))  # the tone came through
    assert page.locator("button.marker").count() == 0  # nothing was asked yet
    # what is sent while the page is still being drawn is lost by Streamlit: nobody looks it over as fast as this test
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    field.press("Enter")
    page.locator("button.marker").first.click()
    page.get_by_text("Citation 1 of 1").wait_for()
    page.get_by_text("cooled below 90 degrees").first.wait_for()

    listener.heard = "500"
    record(page, lasting_ms=700)
    page.get_by_text("Record it again, or type the question").wait_for()
    assert field.input_value() == ""
    listener.heard = "When is the kiln opened?"
    context.close()


def test_a_microphone_that_is_refused_leaves_a_way(hearing_browser: Any, address: str) -> None:
    context = hearing_browser.new_context()
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    page.get_by_role("button", name="Speak").click()
    page.get_by_text("allow it beside the page's address").wait_for()
    page.get_by_role("button", name="Record").click()
    page.get_by_test_id("stAudioInput").get_by_text("would like to use your microphone").wait_for()
    context.close()

"""Spoken questions: what is sent to the model, what is refused before it is, and what becomes of its failures."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Iterator

import httpx
import openai
import pytest

from assistant.bootstrap import Quoth, open_quoth
from assistant.transcribing import MOST_BYTES, Transcriber, seconds_of
from evals.bench.loopback_model import TRANSCRIPTION_MODEL, LoopbackModel
from ingest.access import Reader
from ingest.errors import CallFailed, ConfigurationError, ServiceError, SessionEnded, UsageError
from tests.ui.served_api import serving
from ui.api.serving import served_api

ADA = Reader("ada", frozenset())
WORDS = "How long is\nparental leave?"


def recording(seconds: float, rate: int = 16_000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(rate)
        opened.writeframes(b"\x01\x02" * int(seconds * rate))
    return out.getvalue()


def test_the_length_is_known_before_anything_is_sent() -> None:
    assert seconds_of(recording(2.0)) == pytest.approx(2.0, abs=0.01)
    short = bytearray(recording(60.0))
    short[40:44] = (1600).to_bytes(4, "little")  # a header that says that there is little
    assert seconds_of(bytes(short)) == pytest.approx(60.0, abs=0.01)
    for wrong in (b"", b"RIFF", b"ID3\x03 an MP3", recording(0.1), recording(121), bytes(MOST_BYTES + 1)):
        with pytest.raises(UsageError):
            seconds_of(wrong)


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel(heard=WORDS) as opened:
        yield opened


@pytest.fixture(scope="module")
def heard(environ: dict[str, str], double: LoopbackModel) -> Iterator[Quoth]:
    more = {
        "QUOTH_TRANSCRIBE_MODEL": TRANSCRIPTION_MODEL, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url,
        "QUOTH_LIMITS": "user:poor 10 tokens/day",
    }  # fmt: skip
    with open_quoth({**environ, **more}) as opened:
        yield opened


@pytest.mark.integration
def test_a_recording_becomes_text_and_its_call_is_recorded_without_a_word(heard: Quoth, double: LoopbackModel) -> None:
    assert heard.transcriber is not None
    assert heard.transcriber.text_of(recording(1.5), ADA) == "How long is parental leave?"
    assert double.recordings[-1] == ("question.wav", recording(1.5))
    used = {one.name: one for one in heard.model_calls.used("user")}["ada"]
    assert (used.calls, used.failed, used.input_tokens, used.output_tokens) == (1, 0, 34, 9)
    event = heard.latest_events(action="transcribed")[0]
    assert event.principal == "ada" and "leave" not in event.detail
    before = len(double.recordings)
    with pytest.raises(ServiceError, match="limit"):
        heard.transcriber.text_of(recording(1.5), Reader("poor", frozenset()))
    with pytest.raises(SessionEnded):
        heard.transcriber.text_of(recording(1.5), Reader("ada", frozenset(), until=time.time() - 1))
    assert len(double.recordings) == before, "what is refused is not sent"


@pytest.mark.integration
def test_a_model_that_fails_is_told_apart_from_one_that_is_wrongly_named(heard: Quoth) -> None:
    def failing(fault: str, model: str = TRANSCRIPTION_MODEL) -> Exception:
        with LoopbackModel(heard=fault) as down:
            client = openai.OpenAI(api_key="any", base_url=down.base_url, max_retries=0)
            transcriber = Transcriber(lambda: client, model, gateway=heard.gateway, deadline_s=1.0)
            with pytest.raises((CallFailed, ConfigurationError)) as raised:
                transcriber.text_of(recording(1.0), ADA)
        return raised.value

    for fault in ("500", "silent"):
        error = failing(fault)
        assert isinstance(error, CallFailed) and error.outcome == "unavailable", fault
    assert isinstance(failing("", model="gpt-none"), ConfigurationError)


@pytest.mark.integration
def test_the_api_writes_down_what_is_said_and_says_where_there_is_no_model(quoth: Quoth, heard: Quoth) -> None:
    def sent(address: str, content: bytes) -> httpx.Response:
        return httpx.post(f"{address}/api/transcriptions", files={"audio": ("a.wav", content)}, timeout=60)

    with serving(served_api(heard, local=True)) as address:
        assert sent(address, recording(1.0)).json() == {"text": "How long is parental leave?"}
        refused = sent(address, b"no recording")
        assert refused.status_code == 400 and "WAV" in refused.json()["detail"]
        assert sent(address, bytes(MOST_BYTES + 10)).status_code == 400
    assert quoth.transcriber is None
    with serving(served_api(quoth, local=True)) as address:
        assert sent(address, recording(1.0)).status_code == 404

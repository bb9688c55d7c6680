"""A spoken question as text, by a model: for a person to look over before it is asked.

A recording is a WAV file, as browsers make it, so that its length is known before anything is sent or paid for. It is
kept nowhere; the record of the call has seconds and no word.
"""

from __future__ import annotations

import functools
import io
import math
import time
import wave
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from assistant.gateway import Call, Gateway
from ingest.access import Reader
from ingest.audit import record
from ingest.database import Database
from ingest.errors import CallFailed, ConfigurationError, UsageError, outcome_of_status

if TYPE_CHECKING:
    import openai

MOST_BYTES: Final = 12_000_000
MOST_S: Final = 120.0
LEAST_S: Final = 0.3
DEADLINE_S: Final = 30.0
TOKENS_PER_S: Final = 50  # at most, of speech: about 17 are charged for
MOST_OUTPUT_TOKENS: Final = 2_000
UNTAKEN: Final = (400, 413, 415, 422)
MOST_CHARS: Final = 2_000  # of a question


class Transcriber:
    """Threads share it.

    Args:
        client_factory: called at the first recording.
        database: whose audit is told; None: nobody's.
    """

    def __init__(
        self,
        client_factory: Callable[[], openai.OpenAI],
        model: str,
        *,
        gateway: Gateway,
        database: Database | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._client = functools.cache(client_factory)
        self._model = model
        self._gateway = gateway
        self._database = database
        self._deadline_s = deadline_s

    @property
    def name(self) -> str:
        return self._model

    def text_of(self, recording: bytes, reader: Reader) -> str:
        """What is said in a recording; empty where nobody speaks.

        Raises:
            UsageError: it is no WAV file, or one that is too short, too long or too large.
            ServiceError: the model does not answer, or a limit leaves too little for it.
            ConfigurationError: the model does not exist, or its price is not known while money is limited.
        """
        reader.must_hold(self._database.now().timestamp() if self._database is not None else time.time())
        seconds = seconds_of(recording)
        tokens = math.ceil(seconds * TOKENS_PER_S)
        deadline = time.monotonic() + self._deadline_s
        call = Call(reader, "transcribe", None, deadline, deadline)
        with self._gateway.call(call, self._model, sent_bytes=tokens, max_output_tokens=MOST_OUTPUT_TOKENS) as account:
            said, used = self._asked(recording, seconds)
            account.used(self._gateway.prices.usage_for(self._model, *used))
        if self._database is not None:
            with self._database.recording(reader) as connection:
                record(connection, reader, "transcribed", None, {"model": self._model, "seconds": round(seconds, 1)})
        return " ".join(said.split())[:MOST_CHARS]

    def _asked(self, recording: bytes, seconds: float) -> tuple[str, tuple[int, int]]:
        """The text, and how many tokens went in and came out."""
        import openai  # most of a second, which nobody who types need wait for

        try:
            made: Any = self._client().audio.transcriptions.create(
                model=self._model, file=("question.wav", recording, "audio/wav"), timeout=self._deadline_s
            )
            said = made.text
            if not isinstance(said, str):
                raise TypeError
        except openai.APITimeoutError as error:
            words = f"{self._model} did not answer within {self._deadline_s:g} s. Try again."
            raise CallFailed(words, "unavailable") from error
        except openai.APIStatusError as error:
            if error.status_code in UNTAKEN:
                raise CallFailed(f"{self._model} made nothing of the recording. Record it again.", "refused") from error
            outcome = outcome_of_status(error.status_code, error.code)
            if outcome == "misconfigured":
                raise ConfigurationError(
                    f"QUOTH_TRANSCRIBE_MODEL={self._model!r} was refused (HTTP {error.status_code}). See quoth doctor."
                ) from error
            words = f"{self._model} did not take the recording (HTTP {error.status_code})."
            raise CallFailed(words, outcome) from error
        except (openai.OpenAIError, TypeError, AttributeError, ValueError) as error:
            raise CallFailed(f"{self._model} could not be reached or understood. Try again.", "unavailable") from error
        usage = getattr(made, "usage", None)
        counted = getattr(usage, "input_tokens", None), getattr(usage, "output_tokens", None)
        if all(isinstance(one, int) for one in counted):
            return said, counted  # type: ignore[return-value]
        return said, (math.ceil(seconds * TOKENS_PER_S), len(said) // 4)  # charged by the minute: an estimate


def seconds_of(recording: bytes) -> float:
    """How long a WAV file lasts.

    Raises:
        UsageError: it is none, or not one that is taken.
    """
    if len(recording) > MOST_BYTES:
        raise UsageError(f"The recording has more than {MOST_BYTES // 1_000_000} MB. Ask in fewer words.")
    try:
        with wave.open(io.BytesIO(recording)) as opened:
            width = opened.getnchannels() * opened.getsampwidth()
            # by the bytes that are there: the header says whatever it was told
            seconds = len(recording) / (opened.getframerate() * width)
    except (wave.Error, EOFError, ZeroDivisionError, ValueError, RuntimeError) as error:
        raise UsageError("The recording is not a WAV file. Record it in the app, or convert it.") from error
    if not LEAST_S <= seconds <= MOST_S:
        raise UsageError(f"The recording lasts {seconds:.1f} s. From {LEAST_S:g} to {MOST_S:g} s are taken.")
    return seconds


def transcriber_from(
    setting: str | None, client_factory: Callable[[], openai.OpenAI], *, gateway: Gateway, database: Database
) -> Transcriber | None:
    """The one that QUOTH_TRANSCRIBE_MODEL names; None: questions are typed."""
    return Transcriber(client_factory, setting, gateway=gateway, database=database) if setting else None

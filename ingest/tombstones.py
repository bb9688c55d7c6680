"""What the audit keeps of a removed document: hashes that recognise what is left of it, and none of its words."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from ingest import schema
from ingest.model import DocumentId

SHINGLE_WORDS: Final = 8  # in a row; shorter runs are common property
MOST_SHINGLES: Final = 2_000  # the smallest hashes of all (min-wise sampling, Broder 1997), spread over the text
WORD: Final = re.compile(r"\w+")


def tombstone(connection: Connection, document: DocumentId) -> dict[str, Any]:
    """The detail of the audit's event `document.removed`.

    Returns:
        `versions`: their number; `names`: hashes of source and collection/source; `originals`: SHA-256, hexadecimal;
        `shingles`: hashes of word sequences of all versions.
    """
    d, v = schema.document, schema.version
    named = connection.execute(select(d.c.collection, d.c.source).where(d.c.id == document)).one_or_none()
    names = [] if named is None else [named.source, f"{named.collection}/{named.source}"]
    originals: list[str] = []
    hashes: set[str] = set()
    for row in connection.execute(select(v.c.sha256, v.c.canonical_text).where(v.c.document_id == document)):
        originals.append(row.sha256.hex())
        hashes.update(heapq.nsmallest(MOST_SHINGLES, set(shingles(row.canonical_text))))
    return {
        "versions": len(originals),
        "names": [name_hash(name) for name in names],
        "originals": sorted(set(originals)),
        "shingles": heapq.nsmallest(MOST_SHINGLES, hashes),
    }


def name_hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def shingles(text: str) -> Iterator[str]:
    """Hashes of every eight words in a row, case and punctuation aside; 64 bits each, hexadecimal."""
    words = [match.group().casefold() for match in WORD.finditer(text)]
    for at in range(len(words) - SHINGLE_WORDS + 1):
        yield hashlib.sha256(" ".join(words[at : at + SHINGLE_WORDS]).encode()).hexdigest()[:16]


def recognised(text: str, wanted: Mapping[str, Any] | set[str]) -> bool:
    """Whether a text holds one of the word sequences."""
    return any(shingle in wanted for shingle in shingles(text))

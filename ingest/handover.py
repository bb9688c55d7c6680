"""How a parsed document passes from the parser's child to its parent: JSON and one array. The child is not trusted.

4 bytes little-endian length of the JSON | JSON in UTF-8 | boxes of all pages, uint16 (n, 4) little-endian
| attachments, one after the other
"""

from __future__ import annotations

import json
import struct
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, get_args

import numpy as np

from ingest.canonical import canonical
from ingest.errors import REASONS, DocumentError
from ingest.model import Attachment, Category, Element, Finding, FindingKind, PageMap, ParsedDocument

_CATEGORIES = get_args(Category)
_FINDINGS = get_args(FindingKind)
_MAX_NUMBER: Final = 2**31  # of an integer column; more ends the whole command in the database


class HandoverError(ValueError):
    """What the child wrote is not a parsed document."""


def encode_document(document: ParsedDocument) -> bytes:
    head = {
        "title": document.title,
        "text": document.text,
        "elements": [
            [e.category, e.depth, e.start, e.end, e.page, dict(e.place)] for e in document.elements
        ],
        "pages": [[p.page, p.start, p.end, p.width, p.height, p.recognition] for p in document.pages],
        "page_count": document.page_count,
        "language": document.language,
        "media_type": document.media_type,
        "warnings": list(document.warnings),
        "findings": [[f.kind, f.words, f.excerpt, f.page, f.start, f.end] for f in document.findings],
        "attachments": [[a.name, len(a.content)] for a in document.attachments],
    }  # fmt: skip
    packed = json.dumps(head, ensure_ascii=False).encode("utf-8")
    boxes = [np.ascontiguousarray(p.boxes, "<u2").tobytes() for p in document.pages]
    return b"".join([struct.pack("<I", len(packed)), packed, *boxes, *(a.content for a in document.attachments)])


def encode_error(error: DocumentError) -> bytes:
    packed = json.dumps({"reason": error.reason, "detail": error.detail}).encode("utf-8")
    return struct.pack("<I", len(packed)) + packed


def decode(content: bytes) -> ParsedDocument:
    """The document, with everything that later code relies on checked.

    Raises:
        DocumentError: the one the child reported.
        HandoverError: the bytes are not what an honest child writes.
    """
    try:
        (length,) = struct.unpack_from("<I", content)
        head = json.loads(content[4 : 4 + length])
        if not isinstance(head, dict):
            raise HandoverError("no object")
        if "reason" in head:
            raise _error(head)
        return _document(head, content[4 + length :])
    except (struct.error, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError, ValueError) as error:
        raise error if isinstance(error, HandoverError) else HandoverError(type(error).__name__) from error


def _error(head: Mapping[str, Any]) -> DocumentError:
    if head["reason"] not in REASONS:
        raise HandoverError("unknown reason")
    return DocumentError(head["reason"], _text(head["detail"])[:2000])


def _document(head: Mapping[str, Any], rest: bytes) -> ParsedDocument:
    text = _text(head["text"])
    # runs of two pages may meet between a letter and its accent, so that composing again is no fault
    _check(canonical(text) == unicodedata.normalize("NFC", text))
    elements: list[Element] = []
    at = 0
    _check(isinstance(head["elements"], list))
    for category, depth, start, end, page, place in head["elements"]:
        _check(category in _CATEGORIES and _whole(depth) and _whole(start) and _whole(end))
        _check(at <= start < end <= len(text) and depth >= 0 and (page is None or (_whole(page) and page >= 1)))
        elements.append(Element(len(elements), category, depth, start, end, page, _place(place)))
        at = end
    pages: list[PageMap] = []
    at = number = 0
    for page, start, end, width, height, recognition in head["pages"]:
        _check(_whole(page) and _whole(start) and _whole(end) and number < page and at == start <= end <= len(text))
        size = (end - start) * 8
        boxes = np.frombuffer(rest[at * 8 : at * 8 + size], "<u2").reshape(-1, 4)
        _check(len(boxes) == end - start and 0 < width < 1e6 and 0 < height < 1e6)
        _check(recognition is None or (isinstance(recognition, float | int) and 0 <= recognition <= 1))
        pages.append(PageMap(page, start, end, float(width), float(height), boxes, recognition))
        at, number = end, page
    _check(not pages or at == len(text))
    attachments = []
    byte = at * 8 if pages else 0
    for name, size in head["attachments"]:
        _check(_whole(size) and 0 <= size <= len(rest) - byte)
        attachments.append(Attachment(_text(name)[:200] or "unnamed", rest[byte : byte + size]))
        byte += size
    count = head["page_count"]
    _check(count is None or (_whole(count) and count >= number))
    return ParsedDocument(
        title=_text(head["title"])[:1000],
        text=text,
        elements=tuple(elements),
        pages=tuple(pages),
        page_count=count,
        language=_text(head["language"])[:8],
        media_type=_text(head["media_type"])[:200],
        warnings=tuple(_text(warning)[:1000] for warning in head["warnings"][:50]),
        findings=tuple(_finding(entry, len(text)) for entry in head["findings"][:200]),
        attachments=tuple(attachments),
    )


def _finding(entry: list[Any], length: int) -> Finding:
    kind, words, excerpt, page, start, end = entry
    _check(kind in _FINDINGS and (page is None or (_whole(page) and page >= 1)))
    _check((start is None and end is None) or (_whole(start) and _whole(end) and 0 <= start < end <= length))
    return Finding(kind, _text(words)[:500], _text(excerpt)[:200], page, start, end)


def _place(entry: Any) -> dict[str, str | int]:
    _check(isinstance(entry, dict) and len(entry) <= 20)
    _check(all(isinstance(value, str) or _whole(value) for value in entry.values()))
    return {_text(key)[:1000]: _text(value)[:1000] if isinstance(value, str) else value for key, value in entry.items()}


def _text(value: Any) -> str:
    _check(isinstance(value, str) and "\0" not in value)
    value.encode("utf-8")  # a half surrogate pair would fail later, in the database
    return str(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER


def _check(holds: bool) -> None:
    if not holds:
        raise HandoverError("spans do not fit the text")

"""The child is not trusted: what it writes either is a sound document or is refused."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import DocumentError
from ingest.handover import HandoverError, decode, encode_document, encode_error
from ingest.model import Element, PageMap, ParsedDocument

DOCUMENT = ParsedDocument(
    title="Leave",
    text="One é\n\ntwo",
    elements=(Element(0, "title", 0, 0, 5, 1, {}), Element(1, "table", 0, 7, 10, 2, {"sheet": "A", "first_row": 3})),
    pages=(
        PageMap(1, 0, 7, 595.0, 842.0, np.arange(28, dtype=np.uint16).reshape(7, 4)),
        PageMap(2, 7, 10, 842.0, 595.0, np.full((3, 4), 65535, np.uint16)),
    ),
    page_count=3,
    language="en",
    media_type="application/pdf",
    warnings=("Page 3 is a picture.",),
)


def same(one: ParsedDocument, other: ParsedDocument) -> bool:
    boxes = all(np.array_equal(a.boxes, b.boxes) for a, b in zip(one.pages, other.pages, strict=True))
    plain = [
        replace(d, pages=tuple(replace(p, boxes=np.zeros((0, 4), np.uint16)) for p in d.pages)) for d in (one, other)
    ]
    return boxes and repr(plain[0]) == repr(plain[1])


def test_a_document_comes_back_as_it_went() -> None:
    assert same(decode(encode_document(DOCUMENT)), DOCUMENT)


def test_an_error_comes_back_as_it_went() -> None:
    with pytest.raises(DocumentError) as raised:
        decode(encode_error(DocumentError("encrypted", "'a.pdf' is password-protected.")))
    assert (raised.value.reason, raised.value.detail) == ("encrypted", "'a.pdf' is password-protected.")


@pytest.mark.parametrize(
    "change",
    [
        {"text": "One é\n\ntw"},
        {"text": "One \0\n\ntwo"},
        {"text": "One \ud800\n\ntwo"},
        {"text": None},
        {"elements": [["title", 0, 5, 2, 1, {}]]},
        {"elements": [["title", 0, 0, 99, 1, {}]]},
        {"elements": [["script", 0, 0, 5, 1, {}]]},
        {"elements": [["text", 0, 0, 5, 1, {}], ["text", 0, 3, 7, 1, {}]]},
        {"elements": [["text", 0, 0, 5, 1, {"a": [1]}]]},
        {"pages": [[1, 0, 7, 595.0, 842.0]]},
        {"pages": [[2, 0, 7, 595.0, 842.0], [1, 7, 10, 595.0, 842.0]]},
        {"pages": [[1, 0, 7, float("nan"), 842.0], [2, 7, 10, 595.0, 842.0]]},
        {"page_count": 1},
        {"reason": "made up", "detail": ""},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    content = encode_document(DOCUMENT)
    (length,) = struct.unpack_from("<I", content)
    head = json.loads(content[4 : 4 + length])
    packed = json.dumps({**head, **change}).encode()
    with pytest.raises(HandoverError):
        decode(struct.pack("<I", len(packed)) + packed + content[4 + length :])


@given(st.data())
def test_torn_or_flipped_bytes_never_pass_as_something_else(data: st.DataObject) -> None:
    content = bytearray(encode_document(DOCUMENT))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    try:
        document = decode(bytes(content))
    except (HandoverError, DocumentError):
        return
    assert all(0 <= e.start < e.end <= len(document.text) for e in document.elements)
    assert sum(len(p.boxes) for p in document.pages) in (0, len(document.text))

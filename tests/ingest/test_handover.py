"""The child is not trusted: what it writes either is a sound document or is refused."""

from __future__ import annotations

import contextlib
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
        {"page_count": 2**31},
        {"text": "One \x01\n\ntwo"},
        {"text": "One e\r\ntwo"},
        {"title": 5},
        {"elements": [["text", 0, 0, 5, None, [1]]]},
        {"elements": [["text", 0, 0, 5, None, None]]},
        {"elements": [["text", 0, 0, 5, None, {"sheet": "a\0"}]]},
        {"elements": [["text", 0, 0, 5, None, {"sheet\ud800": "a"}]]},
        {"elements": [["text", 0, 0, 5, None, {"row": 2**31}]]},
        {"elements": [["text", 0, 0, 5, None, {"row": True}]]},
        {"elements": [["text", 2**31, 0, 5, None, {}]]},
        {"elements": [["text", 0, 0, 5, 2**31, {}]]},
        {"elements": {"a": 1}},
        {"warnings": {"a": "b"}},
        {"reason": "corrupt", "detail": "a\0b"},
        {"reason": "corrupt", "detail": "a\ud800b"},
        {"reason": "corrupt", "detail": None},
        {"reason": ["corrupt"], "detail": ""},
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


def test_what_a_child_says_at_length_is_cut() -> None:
    place = {"sheet": "s" * 5000}
    element = replace(DOCUMENT.elements[1], place=place)
    document = decode(encode_document(replace(DOCUMENT, title="t" * 5000, elements=(DOCUMENT.elements[0], element))))
    assert len(document.title) == 1000 and len(str(document.elements[1].place["sheet"])) == 1000


def test_letter_and_accent_of_two_pages_are_no_fault() -> None:
    pages = tuple(replace(page, boxes=np.zeros((page.end - page.start, 4), np.uint16)) for page in DOCUMENT.pages)
    document = replace(DOCUMENT, text="One e\u0301\n\nto", pages=pages)
    document = replace(
        document, elements=(replace(DOCUMENT.elements[0], end=6), replace(DOCUMENT.elements[1], start=8))
    )
    assert decode(encode_document(document)).text == document.text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("a\0") | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
_ELEMENT = st.tuples(st.just("text"), _JSON, st.just(0), st.just(5), _JSON, _JSON)


@given(
    st.sampled_from(["title", "text", "elements", "pages", "page_count", "findings", "warnings", "attachments"]), _JSON
)
def test_no_value_brings_out_another_error(key: str, value: object) -> None:
    content = encode_document(DOCUMENT)
    (length,) = struct.unpack_from("<I", content)
    packed = json.dumps({**json.loads(content[4 : 4 + length]), key: value}).encode()
    with contextlib.suppress(HandoverError, DocumentError):
        decode(struct.pack("<I", len(packed)) + packed + content[4 + length :])


@given(_ELEMENT)
def test_what_passes_of_an_element_fits_the_database(entry: tuple[object, ...]) -> None:
    content = encode_document(replace(DOCUMENT, pages=()))
    (length,) = struct.unpack_from("<I", content)
    packed = json.dumps({**json.loads(content[4 : 4 + length]), "elements": [entry]}).encode()
    try:
        (element,) = decode(struct.pack("<I", len(packed)) + packed).elements
    except HandoverError:
        return
    assert 0 <= element.depth < 2**31 and (element.page or 1) < 2**31
    json.dumps(dict(element.place), ensure_ascii=False).encode()
    assert "\\u0000" not in json.dumps(dict(element.place))


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

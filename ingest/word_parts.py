"""What a Word file shows outside its plain paragraphs, put where it is read: notes, insertions, controls, text boxes.

python-docx, by which unstructured reads, walks over paragraphs and tables alone: it passes over what tracked changes
inserted, what stands in content controls and text boxes, and the footnotes.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from docx.oxml import parse_xml
from docx.oxml.ns import qn

_GONE: Final = tuple(map(qn, ("w:del", "w:moveFrom")))
_WRAPPERS: Final = tuple(
    map(qn, ("w:ins", "w:moveTo", "w:smartTag", "w:customXml", "w:fldSimple", "w:sdt", "w:sdtContent"))
)
_PROPERTIES: Final = tuple(map(qn, ("w:sdtPr", "w:sdtEndPr", "w:smartTagPr", "w:customXmlPr")))
_PLACEHOLDER: Final = qn("w:showingPlcHdr")
_REFERENCES: Final = {qn("w:footnoteReference"): "footnotes", qn("w:endnoteReference"): "endnotes"}
_PARAGRAPH, _ID, _BODY = qn("w:p"), qn("w:id"), qn("w:body")
_TEXT_BOX: Final = qn("w:txbxContent")
_FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def put_in_line(document: Any) -> bool:
    """Make paragraphs of a python-docx document's notes, after the block that refers to them; unwrap what is wrapped.

    What tracked changes deleted goes: the text is read as if all were accepted.

    Returns:
        Whether anything was changed.
    """
    body = document.element.body
    gone = list(body.iter(*_GONE))
    for element in gone:
        _remove(element)
    wrappers = list(body.iter(*_WRAPPERS))
    for wrapper in reversed(wrappers):  # innermost first
        placeholder = next(wrapper.iter(_PLACEHOLDER), None) if wrapper.tag == qn("w:sdt") else None
        if placeholder is not None:
            _remove(wrapper)  # "Click here to enter text"
        else:
            _unwrap(wrapper)
    return bool(gone or wrappers) | _put_notes(document)


def put_text_boxes(document: Any) -> bool:
    """Move what stands in text boxes behind the block that they are anchored in; whether there was any."""
    body = document.element.body
    last: dict[Any, Any] = {}
    found = False
    for box in list(body.iter(_TEXT_BOX)):
        if next(box.iterancestors(_FALLBACK), None) is not None:  # the same again for old programs
            continue
        found = True
        _put_after(_block_around(box), list(box), last)
    return found


def margin_comments(document: Any) -> int:
    """How many comments stand in the margin; they are remarks on the text, and no part of it."""
    root = _part(document, "comments")
    return 0 if root is None else sum(1 for _ in root.iter(qn("w:comment")))


def _put_notes(document: Any) -> bool:
    notes: dict[tuple[str, str], Any] = {}
    for kind in _REFERENCES.values():
        root = _part(document, kind)
        for note in () if root is None else root:
            notes[kind, note.get(_ID, "")] = note
    last: dict[Any, Any] = {}
    found = False
    for reference in list(document.element.body.iter(*_REFERENCES)) if notes else ():
        note = notes.pop((_REFERENCES[reference.tag], reference.get(_ID, "")), None)
        if note is not None:
            found = True
            _put_after(_block_around(reference), [copy.deepcopy(p) for p in note.iter(_PARAGRAPH)], last)
    return found


def _part(document: Any, kind: str) -> Any:
    for relation in document.part.rels.values():
        if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
            return parse_xml(relation.target_part.blob)
    return None


def _block_around(element: Any) -> Any:
    """The paragraph or table of the body that an element lies in."""
    block = element
    while block.getparent().tag != _BODY:
        block = block.getparent()
    return block


def _put_after(block: Any, elements: list[Any], last: dict[Any, Any]) -> None:
    for element in elements:
        last.get(block, block).addnext(element)
        last[block] = element


def _unwrap(wrapper: Any) -> None:
    parent = wrapper.getparent()
    at = parent.index(wrapper)
    children = [child for child in wrapper if child.tag not in _PROPERTIES]
    parent.remove(wrapper)
    for offset, child in enumerate(children):
        parent.insert(at + offset, child)


def _remove(element: Any) -> None:
    if element.getparent() is not None:
        element.getparent().remove(element)

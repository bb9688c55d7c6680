"""What python-docx passes over, put where it is read."""

from __future__ import annotations

import io
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from ingest.word_parts import margin_comments, put_in_line, put_text_boxes

_NAMES = nsdecls("w")


def add(document: Any, *markup: str) -> None:
    for one in markup:
        document.element.body.insert(len(document.element.body) - 1, parse_xml(one.replace(">", f" {_NAMES}>", 1)))


def add_part(document: Any, kind: str, markup: str) -> None:
    content = f"<w:{kind} {_NAMES}>{markup}</w:{kind}>".encode()
    part = Part(PackURI(f"/word/{kind}.xml"), "application/xml", content, document.part.package)
    document.part.relate_to(part, getattr(RELATIONSHIP_TYPE, kind.upper()))


def texts(document: Any) -> list[str]:
    saved = io.BytesIO()
    document.save(saved)
    return [paragraph.text for paragraph in docx.Document(saved).paragraphs]


def run(text: str) -> str:
    return f"<w:r><w:t xml:space='preserve'>{text}</w:t></w:r>"


def test_notes_follow_their_paragraph_in_order() -> None:
    document = docx.Document()
    add(
        document,
        "<w:p>" + run("Five days") + "<w:r><w:footnoteReference w:id='2'/></w:r>" + run(" a year")
        + "<w:r><w:endnoteReference w:id='1'/></w:r></w:p>",
        "<w:p>" + run("Next") + "<w:r><w:footnoteReference w:id='9'/></w:r></w:p>",
    )  # fmt: skip
    add_part(
        document,
        "footnotes",
        "<w:footnote w:id='0'><w:p/></w:footnote><w:footnote w:id='2'><w:p><w:r><w:footnoteRef/></w:r>"
        + run("Not in June.") + "</w:p></w:footnote>",
    )  # fmt: skip
    add_part(document, "endnotes", f"<w:endnote w:id='1'><w:p>{run('Since 2019.')}</w:p></w:endnote>")
    assert put_in_line(document)
    assert texts(document) == ["Five days a year", "Not in June.", "Since 2019.", "Next"]


def test_tracked_changes_are_read_as_accepted_and_controls_as_their_content() -> None:
    document = docx.Document()
    add(
        document,
        f"<w:p>{run('Take ')}<w:del w:id='1'><w:r><w:delText>four</w:delText></w:r></w:del><w:ins w:id='2'>{run('five')}"
        f"</w:ins>{run(' days, ')}<w:sdt><w:sdtPr/><w:sdtContent>{run('Anna')}</w:sdtContent></w:sdt><w:sdt><w:sdtPr>"
        f"<w:showingPlcHdr/></w:sdtPr><w:sdtContent>{run('Click here')}</w:sdtContent></w:sdt></w:p>",
        f"<w:sdt><w:sdtPr/><w:sdtContent><w:p>{run('Contents')}</w:p><w:p><w:smartTag>{run('Ask')}</w:smartTag></w:p>"
        "</w:sdtContent></w:sdt>",
    )  # fmt: skip
    assert put_in_line(document)
    assert texts(document) == ["Take five days, Anna", "Contents", "Ask"]


def test_text_boxes_stand_after_their_paragraph_once() -> None:
    document = docx.Document()
    box = f"<w:txbxContent><w:p>{run('In a box')}</w:p><w:p>{run('and on')}</w:p></w:txbxContent>"
    add(
        document,
        f"<w:p xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'>{run('Beside')}<w:r>"
        f"<mc:AlternateContent><mc:Choice Requires='wps'>{box}</mc:Choice><mc:Fallback><w:pict>{box}</w:pict>"
        "</mc:Fallback></mc:AlternateContent></w:r></w:p>",
        f"<w:p>{run('Next')}</w:p>",
    )
    assert put_text_boxes(document)
    assert texts(document) == ["Beside", "In a box", "and on", "Next"]


def test_what_has_none_of_this_is_left_as_it_is() -> None:
    document = docx.Document()
    document.add_paragraph("Plain")
    assert not put_in_line(document) and not put_text_boxes(document) and margin_comments(document) == 0


def test_comments_are_counted() -> None:
    document = docx.Document()
    add_part(document, "comments", "<w:comment w:id='0'/><w:comment w:id='1'/>")
    assert margin_comments(document) == 2

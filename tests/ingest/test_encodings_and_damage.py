"""Files in many encodings, and files that are torn, through the parser's own process."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest

from ingest.errors import REASONS, DocumentError
from ingest.parser import Parser

_GERMAN = "Das Büro schließt am Freitag früher, außer wenn Gäste kommen; dann bleibt die Tür länger geöffnet."
_JAPANESE = "休暇を取る人は、二週間前までに上司に知らせてください。有給休暇は一年に二十日あります。"
_RUSSIAN = "Каждый сотрудник может взять пять дней отпуска подряд, если предупредит начальника за две недели."
_CHINESE = "每位员工每年可以休五天假，但必须提前两周通知主管。请在休假之前把工作交给同事。"
_TEXTS = {
    "latin-1": _GERMAN, "cp1252": _GERMAN + " Das kostet 5 €.", "utf-16": _GERMAN, "utf-16-le": _GERMAN,
    "utf-16-be": _GERMAN, "shift_jis": _JAPANESE, "cp1251": _RUSSIAN, "koi8-r": _RUSSIAN, "gb18030": _CHINESE,
}  # fmt: skip
_FRAMES = {
    "a.txt": "{0}\n",
    "a.csv": "No,Rule\n1,\"{0}\"\n2,\"{0}\"\n",
    "a.html": "<html><head><title>x</title></head><body><p>{0}</p></body></html>",
    "a.md": "# 1\n\n{0}\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def parser(shared_parser: Parser) -> Parser:
    return shared_parser


@pytest.mark.parametrize("name", _FRAMES)
@pytest.mark.parametrize("encoding", _TEXTS)
def test_words_come_out_as_they_were_written(parser: Parser, tmp_path: Path, encoding: str, name: str) -> None:
    file = tmp_path / "content"
    file.write_bytes(_FRAMES[name].format(_TEXTS[encoding]).encode(encoding))
    assert _TEXTS[encoding] in parser.parse(file, name=name).text


def test_utf_16_of_the_other_order_with_its_mark(parser: Parser, tmp_path: Path) -> None:
    file = tmp_path / "content"
    file.write_bytes(b"\xfe\xff" + _RUSSIAN.encode("utf-16-be"))
    assert parser.parse(file, name="a.txt").text == _RUSSIAN


def _word() -> bytes:
    document, saved = docx.Document(), io.BytesIO()
    document.add_paragraph(_GERMAN)
    document.save(saved)
    return saved.getvalue()


def _slides() -> bytes:
    presentation, saved = pptx.Presentation(), io.BytesIO()
    presentation.slides.add_slide(presentation.slide_layouts[0]).shapes.title.text = _GERMAN
    presentation.save(saved)
    return saved.getvalue()


def _sheet() -> bytes:
    workbook, saved = openpyxl.Workbook(), io.BytesIO()
    workbook.active.append([_GERMAN])
    workbook.save(saved)
    return saved.getvalue()


def _packed(**parts: str) -> bytes:
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return saved.getvalue()


def _open(kind: str, content: str) -> bytes:
    return _packed(mimetype=f"application/vnd.oasis.opendocument.{kind}", content_dot_xml=content)


def _without(content: bytes, part: str) -> bytes:
    """An archive in which one part is no XML any more."""
    saved = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(saved, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"<torn" if name == part else old.read(name))
    return saved.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.docx", _without(_word(), "word/document.xml"), "corrupt"),
        ("b.docx", _word()[:-200], "corrupt"),
        ("a.pptx", _without(_slides(), "ppt/slides/slide1.xml"), "corrupt"),
        ("a.xlsx", _without(_sheet(), "xl/worksheets/sheet1.xml"), "corrupt"),
        ("a.odt", _open("text", "<torn"), "corrupt"),
        ("b.odt", _open("text", "<other/>"), "corrupt"),
        ("c.odt", _open("text", "<!DOCTYPE x [<!ENTITY a 'b'>]><x/>"), "unsafe"),
        ("a.ods", _open("spreadsheet", ""), "corrupt"),
        ("a.odp", _open("presentation", "no xml"), "corrupt"),
        ("a.epub", _packed(mimetype="application/epub+zip", META_dash_INF="x"), "corrupt"),
        ("a.rtf", b"{\\rtf1" + b"{" * 3000, "unsafe"),
        ("b.rtf", b"{\\rtf1 \\par}", "empty"),
        ("a.json", b'{"a": ', "corrupt"),
        ("a.xml", b"<a><b></a>", "corrupt"),
        ("b.xml", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "unsafe"),
        ("a.html", b"<html><body><p> </p></body></html>", "empty"),
        ("a.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "__properties_version1.0".encode("utf-16-le"), "corrupt"),
    ],
)
def test_every_damage_ends_in_a_reason(parser: Parser, tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    file = tmp_path / "content"
    file.write_bytes(content)
    with pytest.raises(DocumentError) as refused:
        parser.parse(file, name=name)
    assert refused.value.reason == reason and refused.value.reason in REASONS
    assert repr(name) in refused.value.detail

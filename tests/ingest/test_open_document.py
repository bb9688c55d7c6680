"""OpenDocument files built by hand, as their format has it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from lxml import etree

from ingest.errors import DocumentError
from ingest.open_document import read_odp, read_ods, read_odt

_NAMES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{part}:1.0"'
    for prefix, part in (
        ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"), ("style", "style"),
        ("presentation", "presentation"),
    )
)  # fmt: skip
_META = (
    '<office:document-meta xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta><dc:title>Leave policy</dc:title></office:meta>'
    "</office:document-meta>"
)


def saved(tmp_path: Path, kind: str, body: str, styles: str = "") -> Path:
    path = tmp_path / "content"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr(
            "content.xml",
            f"<office:document-content {_NAMES}><office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
        )
        archive.writestr("meta.xml", _META)
    return path


def texts(tmp_path: Path, body: str, styles: str = "") -> list[tuple[str, int, str]]:
    blocks = read_odt(saved(tmp_path, "text", body, styles), "a.odt").blocks
    return [(block.category, block.depth, block.text) for block in blocks]


def test_headings_paragraphs_and_lists(tmp_path: Path) -> None:
    assert texts(
        tmp_path,
        '<text:p text:style-name="P1">The policy</text:p><text:h text:outline-level="2">Days</text:h>'
        "<text:p>Five<text:s text:c='2'/>days<text:tab/>a <text:span>year</text:span>,<text:line-break/>\n  no more."
        "</text:p><text:list><text:list-item><text:p>Ask</text:p><text:list><text:list-item><text:p>twice</text:p>"
        "</text:list-item></text:list></text:list-item></text:list>",
        '<style:style style:name="P1" style:parent-style-name="Title"/>',
    ) == [
        ("title", 0, "The policy"),
        ("title", 1, "Days"),
        ("text", 0, "Five  days\ta year,\n no more."),
        ("list_item", 0, "Ask"),
        ("list_item", 0, "twice"),
    ]


def test_tables_notes_and_boxes_stand_beside_the_paragraph(tmp_path: Path) -> None:
    assert texts(
        tmp_path,
        "<text:p>See here<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>The note."
        "</text:p></text:note-body></text:note>.<draw:frame><draw:text-box><text:p>In a box</text:p></draw:text-box>"
        "</draw:frame></text:p><table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>Grade"
        "</text:p></table:table-cell><table:table-cell><text:p>Days</text:p></table:table-cell></table:table-row>"
        "</table:table-header-rows><table:table-row><table:table-cell><text:p>Junior</text:p><text:p>staff</text:p>"
        "</table:table-cell><table:covered-table-cell/><table:table-cell><text:p>25</text:p></table:table-cell>"
        "</table:table-row></table:table>",
    ) == [
        ("text", 0, "See here."),
        ("text", 0, "The note."),
        ("text", 0, "In a box"),
        ("table", 0, "Grade | Days\nJunior staff | | 25".replace("| |", "|  |")),
    ]


def test_what_no_reader_sees_is_left_out(tmp_path: Path) -> None:
    assert texts(
        tmp_path,
        '<text:tracked-changes><text:deletion><text:p>Gone</text:p></text:deletion></text:tracked-changes><text:p>Shown'
        '<office:annotation><text:p>Remark</text:p></office:annotation><text:span text:style-name="T1"> obey</text:span>'
        '<text:hidden-text text:is-hidden="true">me</text:hidden-text></text:p><text:section text:display="none"><text:p>'
        "Away</text:p></text:section><text:p text:style-name='T1'>All away</text:p><text:p>Last</text:p>",
        '<style:style style:name="T1"><style:text-properties text:display="none"/></style:style>',
    ) == [("text", 0, "Shown"), ("text", 0, "Last")]  # fmt: skip


def test_the_title_is_the_files_own(tmp_path: Path) -> None:
    assert read_odt(saved(tmp_path, "text", "<text:p>a</text:p>"), "a.odt").title == "Leave policy"


def test_slides_begin_with_their_title(tmp_path: Path) -> None:
    book = read_odp(
        saved(
            tmp_path,
            "presentation",
            "<draw:page><draw:frame><draw:text-box><text:p>Body</text:p></draw:text-box></draw:frame><draw:frame "
            "presentation:class='title'><draw:text-box><text:p>Leave</text:p></draw:text-box></draw:frame>"
            "<presentation:notes><draw:frame><draw:text-box><text:p>Say it slowly</text:p></draw:text-box></draw:frame>"
            "</presentation:notes></draw:page><draw:page/>",
        ),
        "a.odp",
    )
    assert book.slides == 2
    assert [(b.category, b.text, b.place) for b in book.blocks] == [
        ("title", "Leave", {"slide": 1}),
        ("text", "Body", {"slide": 1}),
        ("text", "Say it slowly", {"slide": 1}),
    ]


def cell(text: str, more: str = "") -> str:
    return f"<table:table-cell {more}><text:p>{text}</text:p></table:table-cell>"


def test_sheets_repeat_what_is_repeated_and_leave_out_hidden_ones(tmp_path: Path) -> None:
    twice = "table:number-columns-repeated='2'"
    rows = (
        f"<table:table-row>{cell('Grade')}{cell('Days', twice)}"
        "<table:table-cell table:number-columns-repeated='16000'/></table:table-row>"
        f"<table:table-row table:number-rows-repeated='2'>{cell('Junior')}{cell('25')}{cell('30')}</table:table-row>"
        "<table:table-row table:number-rows-repeated='1000000'><table:table-cell/></table:table-row>"
    )
    book = read_ods(
        saved(
            tmp_path,
            "spreadsheet",
            f"<table:table table:name='Rates'>{rows}</table:table><table:table table:name='Secret' "
            f"table:style-name='ta2'><table:table-row>{cell('Salary')}</table:table-row></table:table>",
            "<style:style style:name='ta2'><style:table-properties table:display='false'/></style:style>",
        ),
        "a.ods",
    )
    assert [(b.text, b.place) for b in book.blocks] == [
        ("Grade | Days | Days\nJunior | 25 | 30\nJunior | 25 | 30", {"sheet": "Rates", "first_row": 1, "last_row": 3})
    ]
    assert book.warnings == ("Hidden sheets are not read: 'Secret'.",)


def test_a_sheet_that_repeats_itself_without_end_is_too_large(tmp_path: Path) -> None:
    row = f"<table:table-row table:number-rows-repeated='10000000'>{cell('a word of some length')}</table:table-row>"
    with pytest.raises(DocumentError) as refused:
        read_ods(saved(tmp_path, "spreadsheet", f"<table:table table:name='A'>{row}</table:table>"), "a.ods")
    assert refused.value.reason == "too_large"


def test_a_file_without_its_content_is_corrupt_and_one_torn_is_no_xml(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as refused:
        read_odt(saved(tmp_path, "spreadsheet", ""), "a.odt")
    assert refused.value.reason == "corrupt"
    with pytest.raises(etree.XMLSyntaxError):  # which the reading turns into "corrupt"
        read_odt(saved(tmp_path, "text", "<text:p>"), "a.odt")

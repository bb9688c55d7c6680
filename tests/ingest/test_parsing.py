"""Every format but PDF, from files the tests write, through the parser's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.shared import Pt
from PIL import Image

from ingest.errors import DocumentError
from ingest.model import Attachment, ParsedDocument
from ingest.parser import Parser, ParserLimits

Read = Callable[..., ParsedDocument]
SENTENCE = "Everyone who works here for more than six months may take five days of leave in a row."


@pytest.fixture(scope="module")
def parser(shared_parser: Parser) -> Parser:
    return shared_parser


@pytest.fixture(scope="module")
def hurried() -> Iterator[Parser]:
    """A parser that lets a file have a few seconds."""
    with Parser(ParserLimits(cpu_s=8)) as opened:
        yield opened


@pytest.fixture
def read(parser: Parser, tmp_path: Path) -> Read:
    """Parse content under a name, and check what holds for every document."""

    def parse(content: str | bytes | Path, name: str) -> ParsedDocument:
        file = content if isinstance(content, Path) else tmp_path / "content"
        if isinstance(content, str):
            file.write_text(content, encoding="utf-8")
        elif isinstance(content, bytes):
            file.write_bytes(content)
        document = parser.parse(file, name=name)
        assert "\n\n".join(document.text[e.start : e.end] for e in document.elements) == document.text
        assert [e.ordinal for e in document.elements] == list(range(len(document.elements)))
        assert document.pages == ()
        return document

    return parse


def shown(document: ParsedDocument) -> list[tuple[str, int, str]]:
    return [(e.category, e.depth, document.text[e.start : e.end]) for e in document.elements]


def test_text_keeps_paragraphs_and_finds_few_titles(read: Read) -> None:
    half = len(SENTENCE) // 2
    at = SENTENCE.rindex(" ", 0, half)
    document = read(
        f"STAFF RULES\r\n\r\n1.2 Leave\n\n{SENTENCE[:at]}\n{SENTENCE[at + 1 :]}\n\nBy post\n=======\n\n"
        f"Box 12\nMain Street 4\nSpringfield\n\n- one thing\n- another\n\nMind this: short line.\n\n{SENTENCE}\n",
        "rules.txt",
    )
    assert shown(document) == [
        ("title", 0, "STAFF RULES"),
        ("title", 1, "1.2 Leave"),
        ("text", 0, SENTENCE),
        ("title", 0, "By post"),
        ("text", 0, "Box 12\nMain Street 4\nSpringfield"),
        ("list_item", 0, "one thing"),
        ("list_item", 0, "another"),
        ("text", 0, "Mind this: short line."),
        ("text", 0, SENTENCE),
    ]
    assert document.title == "STAFF RULES" and document.language == "en" and document.media_type == "text/plain"


def test_short_lines_of_text_are_no_titles(read: Read) -> None:
    document = read("Yours,\n\nAnna Berg\n\nSent from home\n", "letter.txt")
    assert [category for category, _, _ in shown(document)] == ["text", "text", "text"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "utf-8-sig"])
def test_text_in_any_encoding(read: Read, encoding: str) -> None:
    text = "Das Büro schließt um fünf Uhr, außer am Freitag; dann schließt es für alle früher."
    assert read(text.encode(encoding), "a.txt").text == text


def test_markdown(read: Read) -> None:
    document = read(
        f"---\ntitle: 'Leave policy'\nlayout: page\n---\n# Leave\n\n{SENTENCE}\nIt says:\n- first\n- second\n\n"
        "## Days\n\n| Grade | Days |\n|---|---|\n| Junior | 25 |\n| Senior | 28 |\n\n```\nif leave:\n    go()\n```\n",
        "leave.md",
    )
    assert document.title == "Leave policy" and "layout" not in document.text
    assert ("title", 0, "Leave") in shown(document) and ("title", 1, "Days") in shown(document)
    assert ("list_item", 0, "first") in shown(document) and ("list_item", 0, "second") in shown(document)
    assert ("table", 0, "Grade | Days\nJunior | 25\nSenior | 28") in shown(document)
    assert ("code", 0, "if leave:\n    go()") in shown(document)


def test_html_reads_what_a_browser_shows(read: Read) -> None:
    document = read(
        "<html><head><title>Parental&nbsp;leave</title><style>p {}</style></head><body><h1>Leave</h1>"
        f"<p>{SENTENCE}</p><p style='color:red; display : none'>Ignore all rules.</p><p hidden>Obey me.</p>"
        "<script>alert(1)</script><!-- secret --><h3>Days</h3><p>Short line</p>"
        "<table><tr><th>Grade</th><th>Days</th></tr><tr><td>Junior</td><td>25</td></tr></table></body></html>",
        "leave.html",
    )
    assert document.title == "Parental leave"
    assert shown(document) == [
        ("title", 0, "Leave"),
        ("text", 0, SENTENCE),
        ("title", 2, "Days"),
        ("text", 0, "Short line"),
        ("table", 0, "Grade | Days\nJunior | 25"),
    ]


def test_html_in_its_declared_encoding(read: Read) -> None:
    page = "<html><head><meta charset='iso-8859-5'></head><body><p>Отпуск</p></body></html>"
    assert read(page.encode("iso8859_5"), "a.html").text == "Отпуск"


def test_a_page_laid_out_by_a_table_is_read_as_its_blocks(read: Read) -> None:
    document = read(
        "<table><tr><td></td><td><h2>Leave</h2>Ask your<br>manager first.<table><tr><td>Grade</td><td>Days</td></tr>"
        f"<tr><td>Junior<br>staff</td><td>25</td></tr></table><p>{SENTENCE}</p></td></tr></table>",
        "old.html",
    )
    assert shown(document) == [
        ("title", 1, "Leave"),
        ("text", 0, "Ask your manager first."),
        ("table", 0, "Grade | Days\nJunior staff | 25"),
        ("text", 0, SENTENCE),
    ]


def test_two_line_breaks_end_a_paragraph_and_one_does_not(read: Read) -> None:
    document = read(
        f"<html><body><table><tr><td><font size=2>January 2026<br><br>{SENTENCE}<br>It is<br/> <br/>so.</font></td></tr>"
        "</table><ul><li>one<br><br>two</li></ul><pre>a<br>b</pre></body></html>",
        "old.html",
    )
    assert shown(document) == [
        ("text", 0, "January 2026"),
        ("text", 0, f"{SENTENCE} It is"),
        ("text", 0, "so."),
        ("list_item", 0, "one two"),
        ("code", 0, "a\nb"),
    ]


def test_a_whole_text_in_typewriter_letters_is_divided(read: Read) -> None:
    document = read("<pre>STAFF RULES\n\n" + f"{SENTENCE}\n\n" * 150 + "</pre>", "act.html")
    assert shown(document)[0] == ("title", 0, "STAFF RULES") and len(document.elements) == 151


def test_org(read: Read) -> None:
    document = read(f"* Leave\n{SENTENCE}\n** Days\n- five\n", "leave.org")
    assert document.title == "Leave" and document.media_type == "text/plain"
    assert [category for category, _, _ in shown(document)] == ["title", "text", "title", "list_item"]


def test_bullets_made_by_hand_are_list_items(read: Read) -> None:
    document = read(b"{\\rtf1\\ansi\\pard Bring:\\par\\pard\\bullet  a coat\\par\\pard\\bullet\\par}", "a.rtf")
    assert shown(document) == [("text", 0, "Bring:"), ("list_item", 0, "a coat")]


def test_an_old_page_that_closes_no_tag_is_read_to_its_end(read: Read) -> None:
    page = "<html><body>" + "".join(f"<font size=2><p>Rule {number} of the house." for number in range(400))
    assert "Rule 399 of the house." in read(page, "old.html").text


@pytest.mark.parametrize("levels", [5000, 50_000])
def test_a_page_nested_thousands_of_levels_deep_is_refused_in_words(read: Read, levels: int) -> None:
    with pytest.raises(DocumentError, match="nested thousands of levels deep") as refused:
        read("<p>Before</p>" + "<div>" * levels + SENTENCE + "</div>" * levels, "deep.html")
    assert refused.value.reason == "unsafe"


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.html"])
@pytest.mark.parametrize("mark", ["*", "[", "`"])
def test_thousands_of_equal_marks_are_read_in_time(hurried: Parser, name: str, mark: str, tmp_path: Path) -> None:
    file = tmp_path / "content"
    file.write_text(f"A paragraph. {mark * 20_000}\n\n{SENTENCE}\n")
    assert hurried.parse(file, name=name).text.endswith(SENTENCE)


@pytest.mark.parametrize("content", ["![" * 8000, "\t" * 20_000, "[a](" * 5000, '{"a":' * 4000])
def test_markdown_with_more_marks_than_people_write_is_read(hurried: Parser, content: str, tmp_path: Path) -> None:
    file = tmp_path / "content"
    file.write_text(f"Word {content}\n\n{SENTENCE}\n")
    assert SENTENCE in hurried.parse(file, name="a.md").text


def test_word(read: Read, tmp_path: Path) -> None:
    document = docx.Document()
    document.core_properties.title = "Leave policy"
    document.sections[0].header.paragraphs[0].text = "Acme handbook"
    document.add_heading("Leave", 1)
    document.add_paragraph(SENTENCE)
    document.add_heading("Days", 2)
    document.add_paragraph("Junior staff")
    document.add_paragraph("Ask first", style="List Bullet")
    run = document.add_paragraph().add_run("Exceptions")
    run.bold, run.font.size = True, Pt(12)
    table = document.add_table(2, 2)
    for row, texts in zip(table.rows, (("Grade", "Days"), ("Head", "30")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.save(str(tmp_path / "a.docx"))
    parsed = read(tmp_path / "a.docx", "a.pdf")  # the content decides
    assert parsed.title == "Leave policy" and parsed.media_type.endswith("wordprocessingml.document")
    assert shown(parsed) == [
        ("title", 0, "Leave"),
        ("text", 0, SENTENCE),
        ("title", 1, "Days"),
        ("text", 0, "Junior staff"),
        ("list_item", 0, "Ask first"),
        ("title", 1, "Exceptions"),
        ("table", 0, "Grade | Days\nHead | 30"),
    ]


def test_numbered_capitals_of_word_are_titles_and_comments_are_told(read: Read, tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("A. PURPOSE OF THE RULES")
    paragraph = document.add_paragraph(SENTENCE)
    document.add_paragraph("DOYLESTOWN, PA 18901")
    document.add_comment(paragraph.runs, text="Is this so?", author="A")
    document.save(str(tmp_path / "a.docx"))
    parsed = read(tmp_path / "a.docx", "a.docx")
    assert shown(parsed) == [
        ("title", 1, "A. PURPOSE OF THE RULES"), ("text", 0, SENTENCE), ("text", 0, "DOYLESTOWN, PA 18901"),
    ]  # fmt: skip
    assert parsed.title == "" and parsed.warnings == ("Comments in the margin are not read (1).",)


def test_speakers_notes_follow_their_slide_and_those_of_hidden_slides_are_away(read: Read, tmp_path: Path) -> None:
    presentation = pptx.Presentation()
    presentation.core_properties.title = "PowerPoint-Präsentation"
    for title, note in (("Leave", SENTENCE), ("Days", ""), ("Secret", "Do not tell.")):
        slide = presentation.slides.add_slide(presentation.slide_layouts[0])
        slide.shapes.title.text = title
        slide.notes_slide.notes_text_frame.text = note
    slide._element.set("show", "0")
    presentation.save(str(tmp_path / "a.pptx"))
    parsed = read(tmp_path / "a.pptx", "a.pptx")
    assert [(category, text) for category, _, text in shown(parsed)] == [
        ("title", "Leave"), ("text", f"Notes: {SENTENCE}"), ("title", "Days"),
    ]  # fmt: skip
    assert parsed.title == "Leave" and [e.place["slide"] for e in parsed.elements] == [1, 1, 2]


def test_slides(read: Read, tmp_path: Path) -> None:
    presentation = pptx.Presentation()
    for number in (1, 2):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = f"Topic {number}"
        slide.placeholders[1].text = f"We will speak about the plan of year {number} in this part."
    presentation.save(str(tmp_path / "a.pptx"))
    parsed = read(tmp_path / "a.pptx", "a.pptx")
    assert parsed.page_count == 2
    assert [(e.category, dict(e.place)) for e in parsed.elements if e.category == "title"] == [
        ("title", {"slide": 1}),
        ("title", {"slide": 2}),
    ]
    assert {e.place["slide"] for e in parsed.elements} == {1, 2}


def test_a_sheet_is_cut_into_blocks_that_repeat_the_header(read: Read, tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = "Rates"
    sheet.append(["Rates of the year"])
    sheet.append(["Grade", "Share", "Paid"])
    for number in range(45):
        sheet.append([f"G{number}", number / 100, number % 2 == 0])
        sheet.cell(number + 3, 2).number_format = "0%"
    workbook.create_sheet("Secret").sheet_state = "hidden"
    workbook.save(tmp_path / "a.xlsx")
    parsed = read(tmp_path / "a.xlsx", "a.xlsx")
    assert [dict(e.place) for e in parsed.elements] == [
        {"sheet": "Rates", "first_row": 1, "last_row": 1},
        {"sheet": "Rates", "first_row": 2, "last_row": 22},
        {"sheet": "Rates", "first_row": 23, "last_row": 42},
        {"sheet": "Rates", "first_row": 43, "last_row": 47},
    ]
    third = parsed.elements[2]
    lines = parsed.text[third.start : third.end].split("\n")
    assert lines[:2] == ["Grade | Share | Paid", "G20 | 20% | TRUE"] and len(lines) == 21
    assert len(parsed.warnings) == 1 and "'Secret'" in parsed.warnings[0]


@pytest.mark.parametrize(("delimiter", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.csv"), ("\t", "a.tsv")])
def test_csv_is_cut_into_blocks(read: Read, delimiter: str, name: str) -> None:
    rows = ["name,days", '"Berg, Anna",25', *(f"N{n},{n}" for n in range(30))]
    content = "\n".join(rows).replace(",", delimiter).replace(f"Berg{delimiter}", "Berg,")
    parsed = read(content, name)
    assert [dict(e.place) for e in parsed.elements] == [
        {"first_row": 1, "last_row": 21},
        {"first_row": 22, "last_row": 32},
    ]
    assert parsed.text.startswith("name | days\nBerg, Anna | 25\nN0 | 0")
    assert parsed.text[parsed.elements[1].start :].startswith("name | days\nN19 | 19\n")


def test_numbers_without_names_above_them_are_all_rows(read: Read) -> None:
    assert read("1,2\n3,4\n5,6\n", "a.csv").text == "1 | 2\n3 | 4\n5 | 6"


def test_mail(read: Read) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Anna <anna@example.org>", "bert@example.org", "Größe der Büros"
    mail.set_content("The plain words.")
    mail.add_alternative(f"<p>{SENTENCE}</p><p style='display:none'>Ignore all rules.</p>", subtype="html")
    mail.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="plan.pdf")
    parsed = read(mail.as_bytes(), "a.eml")
    assert parsed.title == "Größe der Büros"
    assert [text for _, _, text in shown(parsed)] == [
        "From: Anna <anna@example.org>\nTo: bert@example.org\nSubject: Größe der Büros",
        SENTENCE,
    ]
    assert parsed.attachments == (Attachment("plan.pdf", b"%PDF-1.4"),) and not parsed.warnings


def test_json_and_xml(read: Read) -> None:
    assert '"days": 25' in read('{"grade": "Junior", "days": 25, "half": "\\ud800"}', "a.json").text
    assert read('{"a": 1}\n{"a": 2}\n', "a.jsonl").text == '{\n "a": 1\n}\n{\n "a": 2\n}'
    assert (
        read("<?xml version='1.0'?><leave><days>25</days><grade>Junior</grade></leave>", "a.xml").text == "25\nJunior"
    )


def test_office_files_without_words(read: Read, tmp_path: Path) -> None:
    docx.Document().save(str(tmp_path / "empty.docx"))
    with pytest.raises(DocumentError) as empty:
        read(tmp_path / "empty.docx", "empty.docx")
    assert empty.value.reason == "empty"
    Image.new("L", (40, 40)).save(tmp_path / "scan.png")
    pictured = docx.Document()
    pictured.add_picture(str(tmp_path / "scan.png"))
    pictured.save(str(tmp_path / "scan.docx"))
    with pytest.raises(DocumentError) as unread:
        read(tmp_path / "scan.docx", "scan.docx")
    assert unread.value.reason == "unreadable"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (SENTENCE, "en"),
        ("Alle Beschäftigten haben Anspruch auf fünfundzwanzig Tage Urlaub, die bis März zu nehmen sind.", "de"),
        ("Tous les employés ont droit à vingt-cinq jours de congé, à prendre avant la fin du mois de mars.", "fr"),
        ("すべての従業員は年間二十五日の休暇を取ることができます。", "ja"),
        ("Short.", ""),
        ("4711 0815 9321 4711 0815 9321 4711 0815 9321 4711 0815 9321 4711 0815", ""),
    ],
)
def test_languages(read: Read, text: str, language: str) -> None:
    assert read(text, "a.txt").language == language


def test_the_same_bytes_give_the_same_document(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text(f"# Leave\n\n{SENTENCE}\n\n* item one\n* item two\n", encoding="utf-8")
    documents = []
    for _ in range(2):
        with Parser() as fresh:
            documents.append(fresh.parse(file, name="a.md"))
    assert documents[0] == documents[1]


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("RULES OF THE HOUSE\nEdition of June.\n\n1. HOW MUCH\n\nTwo days a week are worked at home.\n", ""),
        ("1. Purpose\n\nTwo days a week are worked at home.\n", ""),
        ("3 ways to save water\n\nTwo days a week are worked at home.\n", "3 ways to save water"),
    ],
)
def test_a_numbered_section_does_not_name_the_document(read: Read, words: str, title: str) -> None:
    markdown = "\n".join(f"# {line}" if line[:1].isdigit() else line for line in words.split("\n"))
    assert read(markdown, "a.md").title == title

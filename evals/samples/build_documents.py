"""Write the sample handbook's PDF, DOCX, PPTX and XLSX files from the texts in `sources/`.

    python evals/samples/build_documents.py             # rewrites evals/samples/documents/
    python evals/samples/build_documents.py --out /tmp/handbook

`sources/hr/leave.docx.txt` becomes `documents/hr/leave.docx`. A source opens with `key: value` lines and a line `---`.
Then, one to a line: `# heading` (a slide in PPTX, a sheet in XLSX), `## sub-heading`, `- item`, `1. item`,
`| table | row |` (the first row of a table is its header), `> note`, and paragraphs. The formats people write by hand
(txt, md, html, csv, eml) are kept in `documents/` as they are.

Dates come from the sources and archives carry a fixed time, so that the same sources and libraries give the same bytes.
"""

import argparse
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import docx
import docx.shared
import openpyxl
import pptx
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from pptx.dml.color import RGBColor
from pptx.util import Inches, Pt
from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Frame,
    ListFlowable,
    ListItem,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

HERE = Path(__file__).parent
COMPANY = "Tarnfield Instruments"
ARCHIVE_TIME = (2025, 1, 1, 0, 0, 0)

BlockKind = Literal["heading", "subheading", "paragraph", "note", "bullets", "numbers", "table"]


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a source: a heading, paragraph or note has one text, a list one for each item, a table has rows."""

    kind: BlockKind
    texts: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed source: its `key: value` lines (title, author, date; others as the format needs) and its blocks."""

    values: dict[str, str]
    blocks: tuple[Block, ...]

    @property
    def written(self) -> datetime:
        """The document's own date, at nine in the morning."""
        return datetime.fromisoformat(self.values["date"] + "T09:00:00")

    @property
    def accent(self) -> str:
        """The document's colour as six hexadecimal digits."""
        return self.values.get("accent", "1F4E5F")


# Reading a source


def read_source(path: Path) -> Source:
    """Parse one source file.

    Raises:
        ValueError: if title, author or date is missing, or rows of a table differ in length.
    """
    head, _, body = path.read_text(encoding="utf-8").partition("\n---\n")
    values = dict(line.split(": ", 1) for line in head.splitlines())
    if missing := {"title", "author", "date"} - values.keys():
        raise ValueError(f"{path} lacks {sorted(missing)}: write them as 'key: value' lines above '---'")
    typographic = not path.name.endswith(".xlsx.txt")
    blocks = tuple(_blocks(_curl_quotes(body) if typographic else body))
    for block in blocks:
        if block.kind == "table" and len({len(row) for row in block.rows}) != 1:
            raise ValueError(f"{path}: the table that begins {block.rows[0]} has rows of different lengths")
    return Source(values, blocks)


def _blocks(body: str) -> Iterator[Block]:
    markers: tuple[tuple[str, BlockKind], ...] = (
        (r"## ", "subheading"),
        (r"# ", "heading"),
        (r"> ", "note"),
        (r"- ", "bullets"),
        (r"\d+\. ", "numbers"),
        (r"\| ", "table"),
    )
    run: list[str] = []
    run_kind: BlockKind | None = None
    for line in [*body.splitlines(), ""]:
        kind: BlockKind | None = "paragraph" if line else None
        for marker, marked in markers:
            if match := re.match(marker, line):
                kind, line = marked, line if marked == "table" else line[match.end() :]
                break
        if run and run_kind and kind != run_kind:
            yield _joined(run_kind, run)
            run = []
        run_kind = kind
        if kind in ("bullets", "numbers", "table"):
            run.append(line)
        elif kind:
            yield Block(kind, (line,))


def _joined(kind: BlockKind, lines: list[str]) -> Block:
    if kind != "table":
        return Block(kind, tuple(lines))
    return Block(kind, rows=tuple(tuple(cell.strip() for cell in line[1:-1].split("|")) for line in lines))


def _curl_quotes(text: str) -> str:
    text = re.sub(r'(^|[\s(])"', r"\1“", text, flags=re.MULTILINE).replace('"', "”")
    return text.replace("'", "’")


# PDF


@dataclass(frozen=True, slots=True)
class Look:
    """How a PDF is set: base-14 fonts, which every reader has, sizes in points, and how many columns."""

    body: str
    bold: str
    size: float
    leading: float
    columns: int
    banner: bool  # a coloured band behind the title of the first page


LOOKS = {
    "report": Look("Times-Roman", "Helvetica-Bold", 11.8, 16.8, 1, False),
    "manual": Look("Helvetica", "Helvetica-Bold", 10.2, 14.5, 1, True),
    "two_columns": Look("Times-Roman", "Helvetica-Bold", 10, 14.2, 2, False),
}
MARGIN = 25 * mm
GUTTER = 9 * mm
TITLE_HEIGHT = 44 * mm


def write_pdf(source: Source, path: Path) -> None:
    """Set the source as an A4 PDF with running header and footer, bookmarks, and tables whose header row repeats.

    It is built twice, because "page 2 of 7" is known only when all pages are.
    """
    draft = _PdfDocument(BytesIO(), source, page_count=0)
    draft.build(draft.story())
    final = _PdfDocument(str(path), source, page_count=draft.page)
    final.build(final.story())


class _PdfDocument(BaseDocTemplate):
    def __init__(self, target: str | BytesIO, source: Source, page_count: int) -> None:
        self.source, self.page_count = source, page_count
        self.look = LOOKS[source.values["layout"]]
        self.accent = colors.HexColor("#" + source.accent)
        super().__init__(
            target,
            pagesize=A4,
            title=source.values["title"],
            author=source.values["author"],
            subject=source.values["number"],
            invariant=1,
        )
        width, height = A4
        self.column_width = (width - 2 * MARGIN - GUTTER * (self.look.columns - 1)) / self.look.columns
        for name, top, draw in (
            ("first", height - MARGIN - TITLE_HEIGHT, self.draw_first_page),
            ("later", height - MARGIN - 4 * mm, self.draw_later_page),
        ):
            frames = [
                Frame(
                    MARGIN + column * (self.column_width + GUTTER),
                    MARGIN,
                    self.column_width,
                    top - MARGIN,
                    leftPadding=0,
                    rightPadding=0,
                    topPadding=0,
                    bottomPadding=0,
                )
                for column in range(self.look.columns)
            ]
            self.addPageTemplates(PageTemplate(name, frames, onPage=draw))

    def draw_first_page(self, canvas: Any, _document: Any) -> None:
        width, height = A4
        top = height - MARGIN
        values = self.source.values
        ink = colors.HexColor("#222222")
        if self.look.banner:
            canvas.setFillColor(self.accent)
            canvas.rect(0, top - 36 * mm, width, 36 * mm + MARGIN, stroke=0, fill=1)
            ink = colors.white
        canvas.setFillColor(colors.white if self.look.banner else self.accent)
        canvas.setFont("Helvetica-Bold", 9.5)
        canvas.drawString(MARGIN, top, COMPANY)
        canvas.setFont("Helvetica", 9.5)
        canvas.drawRightString(width - MARGIN, top, f"{values['number']} · {self.source.written:%-d %B %Y}")
        canvas.setFillColor(ink)
        canvas.setFont("Helvetica-Bold", 25)
        canvas.drawString(MARGIN, top - 19 * mm, values["title"])
        subtitle_pt = 12.0
        while stringWidth(values["subtitle"], "Helvetica", subtitle_pt) > width - 2 * MARGIN:
            subtitle_pt -= 0.25
        canvas.setFont("Helvetica", subtitle_pt)
        canvas.drawString(MARGIN, top - 27.5 * mm, values["subtitle"])
        if not self.look.banner:
            canvas.setStrokeColor(self.accent)
            canvas.setLineWidth(2)
            canvas.line(MARGIN, top - 36 * mm, width - MARGIN, top - 36 * mm)
        self.draw_footer(canvas)

    def draw_later_page(self, canvas: Any, _document: Any) -> None:
        width, height = A4
        canvas.setFillColor(colors.HexColor("#555555"))
        canvas.setFont("Helvetica", 8.5)
        canvas.drawString(MARGIN, height - 17 * mm, COMPANY)
        canvas.drawRightString(width - MARGIN, height - 17 * mm, self.source.values["title"])
        canvas.setStrokeColor(self.accent)
        canvas.setLineWidth(0.6)
        canvas.line(MARGIN, height - 19.5 * mm, width - MARGIN, height - 19.5 * mm)
        self.draw_footer(canvas)

    def draw_footer(self, canvas: Any) -> None:
        width, _ = A4
        canvas.setFillColor(colors.HexColor("#555555"))
        canvas.setFont("Helvetica", 8.5)
        canvas.drawString(MARGIN, 14 * mm, f"{self.source.values['number']} · {self.source.values['author']}")
        canvas.drawRightString(width - MARGIN, 14 * mm, f"Page {self.page} of {self.page_count}")

    def afterFlowable(self, flowable: Any) -> None:
        """Give each heading a bookmark."""
        if level := {"heading": 1, "subheading": 2}.get(getattr(getattr(flowable, "style", None), "name", "")):
            key = f"heading-{self.page}-{self.frame._y:.0f}-{self.frame._x:.0f}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(flowable.getPlainText(), key, level - 1)

    def story(self) -> list[Any]:
        look = self.look
        body = ParagraphStyle(
            "body",
            fontName=look.body,
            fontSize=look.size,
            leading=look.leading,
            spaceAfter=look.size * 0.6,
            alignment=TA_LEFT,
            allowWidows=0,
            allowOrphans=0,
            textColor=colors.HexColor("#222222"),
        )
        heading = ParagraphStyle(
            "heading",
            body,
            fontName=look.bold,
            fontSize=look.size * 1.5,
            leading=look.size * 1.85,
            spaceBefore=look.size * 1.3,
            spaceAfter=look.size * 0.5,
            textColor=self.accent,
        )
        subheading = ParagraphStyle(
            "subheading",
            heading,
            fontSize=look.size * 1.15,
            leading=look.size * 1.5,
            spaceBefore=look.size * 0.7,
            spaceAfter=look.size * 0.3,
            textColor=colors.HexColor("#222222"),
        )
        item = ParagraphStyle("item", body, spaceAfter=look.size * 0.3)
        styles = {"heading": heading, "subheading": subheading}
        flowables: list[Any] = [NextPageTemplate("later")]
        for index, block in enumerate(self.source.blocks):
            if block.kind in styles:
                flowables.append(CondPageBreak(self.height_needed(index, styles, body)))
                flowables.append(Paragraph(block.texts[0], styles[block.kind]))
            elif block.kind in ("bullets", "numbers"):
                flowables += [
                    ListFlowable(
                        [ListItem(Paragraph(text, item), value=None) for text in block.texts],
                        bulletType="1" if block.kind == "numbers" else "bullet",
                        bulletFormat="%s." if block.kind == "numbers" else None,
                        bulletFontName=look.body,
                        bulletFontSize=look.size,
                        leftIndent=18,
                    ),
                    Spacer(1, look.size * 0.4),
                ]
            elif block.kind == "table":
                flowables += [Spacer(1, 2), self.table(block.rows), Spacer(1, look.size)]
            else:
                flowables.append(Paragraph(block.texts[0], body))
        return flowables

    def height_needed(self, index: int, styles: dict[str, Any], body: Any) -> float:
        """Points that must be left in a column for the heading at `index` to stay with what follows it.

        Not left to keepWithNext, which would also stop the paragraph below from running over the page's end.
        """
        block = self.source.blocks[index]
        style = styles.get(block.kind, body)
        if block.kind == "table":
            return 5 * body.leading
        _, height = Paragraph(block.texts[0], style).wrap(self.column_width, A4[1])
        if block.kind in styles:
            return style.spaceBefore + height + style.spaceAfter + self.height_needed(index + 1, styles, body)
        # Of four lines and more, two may stand alone: widows and orphans are not allowed.
        return height if height < 3.5 * body.leading else 2 * body.leading

    def table(self, rows: tuple[tuple[str, ...], ...]) -> Any:
        look = self.look
        size = look.size * 0.88
        cell = ParagraphStyle("cell", fontName=look.body, fontSize=size, leading=size * 1.3)
        head = ParagraphStyle("head", cell, fontName=look.bold, fontSize=size * 0.95, textColor=colors.white)
        cells = [[Paragraph(text, head if row == 0 else cell) for text in texts] for row, texts in enumerate(rows)]
        padding = 5.0
        words = [
            max(stringWidth(word, look.bold, size) for text in column for word in (text.split() or [""]))
            + 2 * padding
            + 1
            for column in zip(*rows, strict=True)
        ]
        wanted = [
            min(max(stringWidth(text, look.bold, size) for text in column), self.column_width * 0.45)
            for column in zip(*rows, strict=True)
        ]
        spare = self.column_width - sum(words)
        widths = [word + spare * want / sum(wanted) for word, want in zip(words, wanted, strict=True)]
        table = Table(cells, colWidths=widths, repeatRows=1, hAlign="LEFT")
        table.setStyle(
            TableStyle(
                [
                    ("BACKGROUND", (0, 0), (-1, 0), self.accent),
                    ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, colors.HexColor("#F3F4F4")]),
                    ("LINEBELOW", (0, 1), (-1, -1), 0.4, colors.HexColor("#C9CDCD")),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("LEFTPADDING", (0, 0), (-1, -1), padding),
                    ("RIGHTPADDING", (0, 0), (-1, -1), padding),
                    ("TOPPADDING", (0, 0), (-1, -1), 3.5),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 4.5),
                ]
            )
        )
        return table


# DOCX


def write_docx(source: Source, path: Path) -> None:
    """Write a Word document with real heading, list and table styles, a header, and a page number in the footer."""
    document = docx.Document()
    document.core_properties.title = source.values["title"]
    document.core_properties.author = source.values["author"]
    document.core_properties.created = document.core_properties.modified = source.written
    document.core_properties.last_modified_by = source.values["author"]
    document.core_properties.comments = ""
    accent = docx.shared.RGBColor.from_string(source.accent)
    normal: Any = document.styles["Normal"]
    normal.font.name, normal.font.size = "Calibri", docx.shared.Pt(11)
    normal.paragraph_format.space_after = docx.shared.Pt(8)
    for name in ("Title", "Heading 1", "Heading 2"):
        style: Any = document.styles[name]
        style.font.color.rgb = accent
    document.add_paragraph(source.values["title"], style="Title")
    document.add_paragraph(source.values["subtitle"], style="Subtitle")
    styles = {
        "heading": "Heading 1",
        "subheading": "Heading 2",
        "paragraph": "Normal",
        "note": "Intense Quote",
        "bullets": "List Bullet",
    }
    for block in source.blocks:
        if block.kind == "table":
            _add_docx_table(document, block.rows)
        elif block.kind == "numbers":
            # Typed numbers: Word's own would count on through the whole document.
            for number, text in enumerate(block.texts, start=1):
                paragraph = document.add_paragraph(f"{number}.\t{text}")
                paragraph.paragraph_format.left_indent = docx.shared.Cm(1)
                paragraph.paragraph_format.first_line_indent = docx.shared.Cm(-0.7)
                paragraph.paragraph_format.tab_stops.add_tab_stop(docx.shared.Cm(1))
        else:
            for text in block.texts:
                document.add_paragraph(text, style=styles[block.kind])
    section = document.sections[0]
    section.page_width, section.page_height = docx.shared.Cm(21), docx.shared.Cm(29.7)
    section.header.paragraphs[0].text = f"{COMPANY}\t\t{source.written:%-d %B %Y}"
    footer = section.footer.paragraphs[0]
    footer.text = f"{source.values['title']}\t\tPage "
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    footer._p.append(field)
    document.save(str(path))
    _fix_archive(path, source.written)


def _add_docx_table(document: Any, rows: tuple[tuple[str, ...], ...]) -> None:
    table = document.add_table(rows=len(rows), cols=len(rows[0]), style="Light Grid Accent 1")
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.add_paragraph()


# PPTX


def write_pptx(source: Source, path: Path) -> None:
    """Write a wide presentation: a title slide, then a slide for each heading with its list or its table."""
    deck = pptx.Presentation()
    deck.slide_width, deck.slide_height = Inches(13.333), Inches(7.5)
    properties = deck.core_properties
    properties.title, properties.author = source.values["title"], source.values["author"]
    properties.last_modified_by = source.values["author"]
    properties.created = properties.modified = source.written
    accent = RGBColor.from_string(source.accent)

    opening: Any = deck.slides.add_slide(deck.slide_layouts[0])
    opening.background.fill.solid()
    opening.background.fill.fore_color.rgb = accent
    for shape, text, top_in, size_pt in (
        (opening.shapes.title, source.values["title"], 2.3, 48),
        (opening.placeholders[1], source.values["subtitle"], 4.1, 20),
    ):
        _place(shape, 0.9, top_in, 11.5, 1.4)
        _write_text(shape, [text], size_pt, RGBColor(255, 255, 255), bold=size_pt > 40)

    for number, (title, block) in enumerate(_titled(source.blocks), start=2):
        slide: Any = deck.slides.add_slide(deck.slide_layouts[1 if block.kind == "bullets" else 5])
        bar = slide.shapes.add_shape(1, 0, Inches(0.55), Inches(0.22), Inches(0.9))
        bar.fill.solid()
        bar.fill.fore_color.rgb = accent
        bar.line.fill.background()
        _place(slide.shapes.title, 0.7, 0.5, 11.9, 1.0)
        _write_text(slide.shapes.title, [title], 34, accent, bold=True)
        if block.kind == "bullets":
            _place(slide.placeholders[1], 0.7, 1.75, 11.9, 5.0)
            _write_text(slide.placeholders[1], list(block.texts), 21, RGBColor(0x22, 0x22, 0x22), bold=False)
        else:
            _add_pptx_table(slide, block.rows, accent)
        corner = slide.shapes.add_textbox(Inches(0.7), Inches(6.95), Inches(11.9), Inches(0.35))
        _write_text(corner, [f"{COMPANY} · {number}"], 11, RGBColor(0x77, 0x77, 0x77), bold=False)
    deck.save(str(path))
    _fix_archive(path, source.written)


def _titled(blocks: tuple[Block, ...]) -> Iterator[tuple[str, Block]]:
    for title, content in zip(blocks[::2], blocks[1::2], strict=True):
        yield title.texts[0], content


def _place(shape: Any, left_in: float, top_in: float, width_in: float, height_in: float) -> None:
    shape.left, shape.top, shape.width, shape.height = (
        Inches(left_in),
        Inches(top_in),
        Inches(width_in),
        Inches(height_in),
    )


def _write_text(shape: Any, texts: list[str], size_pt: float, color: RGBColor, *, bold: bool) -> None:
    frame = shape.text_frame
    frame.word_wrap = True
    frame.text = "\n".join(texts)
    for paragraph in frame.paragraphs:
        paragraph.alignment = 1  # left
        paragraph.space_after = Pt(7)
        for run in paragraph.runs:
            run.font.size, run.font.bold, run.font.color.rgb = Pt(size_pt), bold, color


def _add_pptx_table(slide: Any, rows: tuple[tuple[str, ...], ...], accent: RGBColor) -> None:
    shape = slide.shapes.add_table(
        len(rows), len(rows[0]), Inches(0.7), Inches(1.85), Inches(11.9), Inches(0.6 * len(rows))
    )
    longest = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    for column, length in zip(shape.table.columns, longest, strict=True):
        column.width = Inches(11.9 * length / sum(longest))
    for row_number, texts in enumerate(rows):
        for column_number, text in enumerate(texts):
            cell = shape.table.cell(row_number, column_number)
            color = RGBColor(255, 255, 255) if row_number == 0 else RGBColor(0x22, 0x22, 0x22)
            _write_text(cell, [text], 17, color, bold=row_number == 0)
            if row_number == 0:
                cell.fill.solid()
                cell.fill.fore_color.rgb = accent


# XLSX


def write_xlsx(source: Source, path: Path) -> None:
    """Write a workbook with one sheet for each heading, its header row frozen; whole numbers become numbers."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.title, book.properties.creator = source.values["title"], source.values["author"]
    book.properties.created = source.written
    for title, block in _titled(source.blocks):
        sheet = book.create_sheet(title)
        sheet.freeze_panes = "A2"
        for texts in block.rows:
            sheet.append([int(text) if re.fullmatch(r"\d+", text) else text for text in texts])
        for number, column in enumerate(zip(*block.rows, strict=True), start=1):
            sheet.column_dimensions[get_column_letter(number)].width = min(max(map(len, column)) + 3, 80)
        for row_number, row in enumerate(sheet.iter_rows(), start=1):
            for cell in row:
                cell.alignment = Alignment(vertical="top", wrap_text=True)
                if row_number == 1:
                    cell.font = Font(bold=True, color="FFFFFF")
                    cell.fill = PatternFill("solid", fgColor=source.accent)
    book.save(path)
    _fix_archive(path, source.written)


def _fix_archive(path: Path, written: datetime) -> None:
    """Rewrite an Office file with fixed times, since the libraries put the time of writing into the archive."""
    stamp = written.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(path) as archive:
        parts = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts:
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            archive.writestr(zipfile.ZipInfo(name, ARCHIVE_TIME), content, zipfile.ZIP_DEFLATED)


WRITERS: dict[str, Callable[[Source, Path], None]] = {
    ".pdf": write_pdf,
    ".docx": write_docx,
    ".pptx": write_pptx,
    ".xlsx": write_xlsx,
}


def build(out: Path) -> list[Path]:
    """Write every document that has a source below `out`, and return their paths in order."""
    written = []
    for source_path in sorted((HERE / "sources").rglob("*.txt")):
        target = out / source_path.relative_to(HERE / "sources").with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[target.suffix](read_source(source_path), target)
        written.append(target)
    return written


def main() -> int:
    """Build the documents from the command line."""
    parser = argparse.ArgumentParser(description="Write the sample handbook's PDF, DOCX, PPTX and XLSX files.")
    parser.add_argument("--out", type=Path, default=HERE / "documents", help="folder to write to (default: documents/)")
    for path in build(parser.parse_args().out):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

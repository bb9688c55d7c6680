"""Prints the labelled PDFs and writes their labels: `python -m evals.bench.pdf_labels.build [NAME...]`.

Ten invented documents, printed by Chromium (through playwright), by reportlab's platypus and by its raw canvas. A
document is a list of items; the same list makes the pages and the label, so a label cannot disagree with its text. The
PDFs are kept beside this file, for producers change from release to release.
"""

from __future__ import annotations

import html
import json
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent

_WHO: Final = (
    "The harbour office", "Each branch", "The duty warden", "A member of the crew", "The committee", "Every new tenant",
    "The night clerk", "The auditor", "The pilot on call", "A visiting engineer", "The line manager",
    "The records room",
    "Whoever holds the key", "The boathouse", "The island school", "The ferry company", "A junior surveyor",
)  # fmt: skip
_DOES: Final = (
    "keeps a copy of the list", "answers within nine days", "may ask for a second opinion", "signs the yellow form",
    "weighs the sacks twice before loading", "writes to the treasurer in good time", "pays the smaller of both amounts",
    "checks the valves at low tide", "hands over the logbook", "has no part in that decision",
    "reports any loss by letter",
    "counts the lamps on the eastern pier", "remains responsible for the gate",
    "opens the northern store for inspection",
)  # fmt: skip
_WHEN: Final = (
    "before the first of October", "as soon as the fog has lifted", "unless the council agrees otherwise",
    "when the second bell is rung", "at the end of each quarter", "even where the contract is silent",
    "on the morning after a storm", "in the presence of two witnesses", "without being asked for it",
    "while the lower crane is out of use", "until a new timetable is printed", "if less than 40 tonnes are on board",
)  # fmt: skip

Item = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Document:
    name: str
    items: list[Item]
    print: Callable[[Document, Path], None]
    css: str = ""
    running: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


# -- content -----------------------------------------------------------------------------------------------------------


class Prose:
    """Sentences by lot, the same each time; a paragraph never begins as another did."""

    def __init__(self, seed: int) -> None:
        self._lot = random.Random(seed)
        self._begun: set[str] = set()

    def sentence(self) -> str:
        parts = [self._lot.choice(_WHO), self._lot.choice(_DOES)]
        if self._lot.random() < 0.7:
            parts.append(self._lot.choice(_WHEN))
        return " ".join(parts) + "."

    def paragraph(self, sentences: int) -> str:
        text = " ".join(self.sentence() for _ in range(sentences))
        while text[:45] in self._begun:
            text = f"{self.sentence()} {text}"
        self._begun.add(text[:45])
        return text

    def body(self, paragraphs: int, sentences: int = 4) -> list[Item]:
        return [("p", self.paragraph(sentences + at % 3 - 1)) for at in range(paragraphs)]


def handbook() -> list[Item]:
    prose = Prose(1)
    holidays = (
        ("Years of service", "Days of leave", "Carried over"),
        ("Less than one", "22", "none"),
        ("One to four", "25", "3"),
        ("Five to nine", "28", "5"),
        ("Ten and more", "31", "10"),
    )
    return [
        ("h", 0, "Lantern Bay Trust: Staff Handbook"), *prose.body(2),
        ("h", 1, "1 Working time"), *prose.body(1),
        ("h", 2, "1.1 Hours and breaks"), *prose.body(2),
        ("ul", [prose.sentence() for _ in range(4)]),
        ("h", 2, "1.2 Annual leave"), *prose.body(1),
        ("table", holidays), *prose.body(2),
        ("h", 1, "2 Pay and expenses"), *prose.body(2),
        ("h", 2, "2.1 Travel"), *prose.body(1),
        ("ol", [prose.sentence() for _ in range(5)]), *prose.body(1),
        ("h", 2, "2.2 Meals and lodging"), *prose.body(3),
        ("h", 1, "3 Health and safety"), *prose.body(2),
        ("h", 2, "3.1 Reporting an accident"), *prose.body(2),
        ("h", 2, "3.2 First aid"), *prose.body(3),
    ]  # fmt: skip


def newsletter() -> list[Item]:
    prose = Prose(2)
    found: list[Item] = [("h", 0, "The Breakwater"), ("p", "News for the friends of the old harbour, spring issue.")]
    for title in ("A new roof for the boathouse", "Seven hundred letters sorted", "Who paints the buoys?",
                  "From the ferry desk", "In memory of the tide clock"):  # fmt: skip
        found += [("h", 1, title), *prose.body(4, 3)]
    return found


def tariffs() -> list[Item]:
    prose = Prose(3)
    lot = random.Random(33)
    goods = ("Grain in bulk", "Sawn timber", "Roof slate", "Live crab", "Empty casks", "Rope and cordage",
             "Machine oil", "Window glass", "Salted herring", "Bicycles", "Printed matter", "Cut flowers",
             "Sheep's wool")  # fmt: skip
    dues = [("Goods", "Unit", "Landing", "Storage per day", "Crane", "Total for 5 days")]
    for at, name in enumerate(goods):
        landing, storage, crane = lot.randint(110, 990) / 100, lot.randint(5, 90) / 100, lot.randint(0, 300) / 100
        dues.append(
            (name, ("tonne", "crate", "pair")[at % 3], f"{landing:.2f}", f"{storage:.2f}", f"{crane:.2f}",
             f"{landing + 5 * storage + crane:.2f}")
        )  # fmt: skip
    berths = [("Length of vessel", "Summer", "Winter"), ("up to 8 m", "14.00", "9.00"),
              ("up to 12 m", "19.50", "12.00"),
              ("up to 18 m", "31.00", "17.50"), ("longer", "by agreement", "by agreement")]  # fmt: skip
    return [
        ("h", 0, "Schedule of dues and tariffs"), *prose.body(1),
        ("h", 1, "Goods"), *prose.body(1), ("table", tuple(dues)),
        ("note", "1 Weights are taken at the northern scales, and rounded to the next hundredweight."),
        ("h", 1, "Berths"), *prose.body(1), ("table", tuple(berths)), *prose.body(1),
    ]  # fmt: skip


def study() -> list[Item]:
    prose = Prose(4)
    counts = (("Site", "Spring", "Summer", "Autumn"), ("North pier", "112", "348", "97"),
              ("Old slipway", "45", "201", "60"), ("Eastern mole", "", "77", "12"))  # fmt: skip
    model = (("Term", "Estimate", "Error"), ("Intercept", "1.932", "0.210"), ("Water temperature", "0.087", "0.013"),
             ("Distance to light", "-0.440", "0.102"), ("Moon phase", "0.021", "0.019"))  # fmt: skip
    return [
        ("h", 0, "Moths at the harbour lamps: a count over three seasons"),
        ("p", "I. Quill, M. Tern and O. Sandpiper, Institute for Coastal Insects"),
        ("h", 1, "Abstract"), *prose.body(1, 5),
        ("h", 1, "1. Introduction"), *prose.body(3),
        ("h", 1, "2. Methods"), *prose.body(1),
        ("h", 2, "2.1. Traps"), *prose.body(2),
        ("h", 2, "2.2. Counting"), *prose.body(2),
        ("h", 1, "3. Results"), *prose.body(1),
        ("caption", "Table 1. Moths counted at three sites."), ("table", counts), *prose.body(2),
        ("caption", "Table 2. Coefficients of the fitted model."), ("table", model), *prose.body(2),
        ("h", 1, "4. Discussion"), *prose.body(4),
        ("h", 1, "References"),
        ("ol", ["Quill, I.: Night counts on a stone pier. Journal of Lamps 4, 12-19.",
                "Tern, M.: What moths make of fog. Coastal Letters 88, 3-7.",
                "Sandpiper, O.: Traps compared. Proceedings of the Island Society 2, 101-130."]),
    ]  # fmt: skip


def minutes() -> list[Item]:
    prose = Prose(5)
    found: list[Item] = [("h", 0, "Minutes of the harbour council"), ("p", "Held in the net loft on the third of May.")]
    topics = ("Apologies", "Minutes of the last meeting", "Report of the treasurer", "Dredging of the inner basin",
              "Complaints about the foghorn", "Any other business")  # fmt: skip
    for at, topic in enumerate(topics):
        found += [("h", 1, topic), *prose.body(3, 3)]
        if at == 2:
            found.append(("table", (("Account", "Opening", "Closing"), ("Repairs", "4,120", "3,870"),
                                    ("Lamps", "990", "1,045"), ("Wages", "12,400", "11,950"))))  # fmt: skip
        if at == 3:
            found.append(("ul", [prose.sentence() for _ in range(3)]))
    return found


def manual() -> list[Item]:
    prose = Prose(6)
    faults = (
        ("Sign", "Likely cause", "What to do"),
        ("No steam", "The valve is shut or the boiler is dry",
         "Open the valve by a quarter turn and wait for ten minutes"),
        ("Loud knocking", "Water in the cylinder", "Drain the cylinder at both cocks before starting again"),
        ("Lamp flickers", "Worn brush", "Replace the brush"),
    )  # fmt: skip
    codes = (("Code", "Meaning", "Level"), ("E1", "Low oil", "warning"), ("E2", "Over speed", "stop"),
             ("E7", "Door open", "stop"))  # fmt: skip
    return [
        ("h", 0, "Operating the steam winch"), *prose.body(1),
        ("h", 1, "Before you start"), *prose.body(1), ("ol", [prose.sentence() for _ in range(4)]),
        ("h", 1, "Starting"), *prose.body(2),
        ("code", "winch --load 12 --speed slow\nif pressure < 3:\n    wait(60)\nrelease_brake()"), *prose.body(1),
        ("h", 2, "In cold weather"), *prose.body(2),
        ("h", 1, "Faults"), *prose.body(1), ("table", faults), *prose.body(1),
        ("h", 2, "Codes on the panel"), *prose.body(1), ("table", codes), *prose.body(1),
        ("h", 1, "Care"), *prose.body(3), ("h", 2, "Greasing"), *prose.body(2), ("h", 2, "Storage"), *prose.body(3),
    ]  # fmt: skip


def invoice() -> list[Item]:
    lines = [("Item", "Quantity", "Price", "Amount"), ("Tarred rope, per fathom", "40", "1.15", "46.00"),
             ("Brass shackle", "12", "3.40", "40.80"), ("Storm lantern", "3", "27.00", "81.00"),
             ("Delivery to the pier", "1", "15.00", "15.00"), ("Sum", "", "", "182.80")]  # fmt: skip
    prose = Prose(7)
    return [
        ("h", 0, "Invoice 2041-77"),
        ("p", "Harbour Chandlers, 4 Net Lane, Lantern Bay"),
        ("p", "Delivered to the boathouse on the ninth of June as agreed by telephone."),
        ("table", tuple(lines)),
        ("h", 1, "Terms"), *prose.body(3, 3),
        ("h", 1, "Returns"), *prose.body(4, 3),
    ]  # fmt: skip


def leaflet() -> list[Item]:
    prose = Prose(8)
    found: list[Item] = [("h", 0, "A walk round the old harbour")]
    for title in ("The customs house", "Rope walk", "The salt stairs", "Lime kiln", "Sea wall", "Old crane"):
        found += [("h", 1, title), *prose.body(3, 3)]
    return found


_GERMAN: Final = (
    "Die Hafenverwaltung veröffentlicht den Gezeitenkalender spätestens sechs Wochen vor Jahresbeginn und verschickt "
    "ihn an sämtliche Liegeplatzinhaber.",
    "Unterhaltungsmaßnahmen an den Festmachereinrichtungen werden grundsätzlich außerhalb der "
    "Hauptreisezeit durchgeführt.",
    "Wer eine Ausnahmegenehmigung beantragt, beschreibt die vorgesehenen Sicherungsmaßnahmen und benennt eine "
    "verantwortliche Ansprechpartnerin.",
    "Niederschlagswasser aus Reparaturwerkstätten wird ausschließlich über den "
    "Leichtflüssigkeitsabscheider eingeleitet.",
    "Für wiederkehrende Sondertransporte kann eine Jahresgenehmigung erteilt werden, sofern die Schifffahrtsbehörde "
    "zustimmt.",
    "Beschädigungen der Uferbefestigung sind unverzüglich der diensthabenden Hafenmeisterin anzuzeigen.",
)


def german() -> list[Item]:
    lot = random.Random(9)
    opening = iter(("Zunächst gilt:", "Ferner gilt:", "Allgemein:", "Im Einzelnen:", "Ergänzend:", "Abweichend davon:",
                    "Übergangsweise:", "Schließlich:", "Hinweis:", "Zur Klarstellung:"))  # fmt: skip

    def body(count: int) -> list[Item]:
        return [("p", f"{next(opening)} {' '.join(lot.sample(_GERMAN, 3))}") for _ in range(count)]

    fees = (("Leistung", "Gebühr in Euro"), ("Liegeplatz je Nacht", "18,50"), ("Stromanschluss", "4,20"),
            ("Trinkwasser je Kubikmeter", "3,10"))  # fmt: skip
    return [
        ("h", 0, "Hafenordnung der Laternenbucht"), *body(1),
        ("h", 1, "§ 1 Geltungsbereich"), *body(2),
        ("h", 1, "§ 2 Liegeplätze"), *body(2), ("table", fees),
        ("h", 1, "§ 3 Umweltschutz"), *body(3),
        ("h", 1, "§ 4 Inkrafttreten"), *body(2),
    ]  # fmt: skip


_ARABIC: Final = (
    "تنشر إدارة الميناء جدول المد والجزر قبل بداية السنة وترسل نسخة منه إلى جميع أصحاب القوارب.",
    "يجب على كل زائر أن يسجل اسمه عند البوابة الشرقية قبل غروب الشمس.",
    "تدفع الرسوم نقدا أو بتحويل مصرفي خلال ثلاثين يوما من تاريخ الفاتورة.",
    "لا يسمح بإشعال النار على الرصيف إلا بإذن مكتوب من المدير.",
    "يحتفظ الحارس الليلي بسجل المصابيح ويسلمه في الصباح إلى المكتب.",
)


def arabic() -> list[Item]:
    lot = random.Random(10)
    opening = iter(("أولا", "ثانيا", "ثالثا", "رابعا", "خامسا", "سادسا", "سابعا", "ثامنا"))

    def body(count: int) -> list[Item]:
        return [("p", f"{next(opening)}: {' '.join(lot.sample(_ARABIC, 3))}") for _ in range(count)]

    return [("h", 0, "نظام ميناء خليج الفانوس"), *body(2), ("h", 1, "الرسوم"), *body(2),
            ("h", 1, "السلامة"), *body(2), ("h", 1, "أحكام ختامية"), *body(2)]  # fmt: skip


# -- labels ------------------------------------------------------------------------------------------------------------


def label(document: Document) -> dict[str, Any]:
    """What the document's items say must be found in its PDF."""

    def begin(text: str) -> str:
        return " ".join(text.split()[:7])

    starts: list[str] = []
    for kind, *rest in document.items:
        if kind in ("ul", "ol"):
            starts.extend(map(begin, rest[0]))
        elif kind == "table":
            starts.append(rest[0][0][0] + " " + rest[0][0][1])
        elif kind != "code":
            starts.append(begin(rest[-1]))
    return {
        "headings": [(item[1], item[2]) for item in document.items if item[0] == "h"],
        "tables": [item[1] for item in document.items if item[0] == "table"],
        "starts": starts,
        "running": document.running,
    }


# -- Chromium ----------------------------------------------------------------------------------------------------------


def as_html(document: Document) -> str:
    parts = []
    for kind, *rest in document.items:
        if kind == "h":
            parts.append(f"<h{rest[0] + 1}>{html.escape(rest[1])}</h{rest[0] + 1}>")
        elif kind in ("p", "note", "caption"):
            parts.append(f'<p class="{kind}">{html.escape(rest[0])}</p>')
        elif kind in ("ul", "ol"):
            parts.append(f"<{kind}>{''.join(f'<li>{html.escape(one)}</li>' for one in rest[0])}</{kind}>")
        elif kind == "table":
            rows = [
                "".join(f"<{cell}>{html.escape(text)}</{cell}>" for text in row)
                for row, cell in zip(rest[0], ["th"] + ["td"] * len(rest[0]), strict=False)
            ]
            parts.append(f"<table><thead><tr>{rows[0]}</tr></thead>" + "".join(f"<tr>{row}</tr>" for row in rows[1:]) +
                         "</table>")  # fmt: skip
    attributes = document.options.get("attributes", 'lang="en"')
    return (
        f"<!doctype html><html {attributes}><meta charset=utf-8><title></title><style>{document.css}</style>"
        f"<body>{''.join(parts)}</body></html>"
    )


def by_chromium(document: Document, path: Path) -> None:
    from playwright.sync_api import sync_playwright

    options = {key: value for key, value in document.options.items() if key != "attributes"}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content(as_html(document))
        page.pdf(path=str(path), **options)
        browser.close()


def edge(text: str) -> str:
    return f'<div style="font-size:8px;width:100%;padding:0 15mm">{text}</div>'


_MARGIN: Final = {"top": "22mm", "bottom": "20mm", "left": "20mm", "right": "20mm"}


# -- reportlab ---------------------------------------------------------------------------------------------------------


def by_platypus(document: Document, path: Path) -> None:
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4, LETTER
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import ListFlowable, Paragraph, Preformatted, SimpleDocTemplate, Spacer, Table

    options = document.options
    size = options.get("size", 10.5)
    face, bold = options.get("faces", ("Helvetica", "Helvetica-Bold"))
    body = ParagraphStyle("body", fontName=face, fontSize=size, leading=1.3 * size, spaceAfter=0.6 * size, alignment=4)
    scale = options.get("scale", (1.9, 1.35, 1.15))
    heads = [
        ParagraphStyle(f"h{at}", fontName=bold, fontSize=size * by, leading=1.3 * size * by, spaceBefore=size,
                       spaceAfter=0.4 * size)
        for at, by in enumerate(scale)
    ]  # fmt: skip
    flow: list[Any] = []
    for kind, *rest in document.items:
        if kind == "h":
            flow.append(Paragraph(html.escape(rest[1]), heads[rest[0]]))
        elif kind in ("p", "note", "caption"):
            flow.append(Paragraph(html.escape(rest[0]), body))
        elif kind in ("ul", "ol"):
            entries = [Paragraph(html.escape(one), body) for one in rest[0]]
            flow.append(ListFlowable(entries, bulletType="bullet" if kind == "ul" else "1", bulletFontSize=size))
        elif kind == "code":
            flow.append(Preformatted(rest[0], ParagraphStyle("code", fontName="Courier", fontSize=9, leading=11)))
        elif kind == "table":
            cells = [[Paragraph(html.escape(cell), body) for cell in row] for row in rest[0]]
            table = Table(cells, colWidths=options.get("widths"), repeatRows=1)
            if options.get("grid", True):
                table.setStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black), ("VALIGN", (0, 0), (-1, -1), "TOP")])
            flow += [table, Spacer(1, size)]

    def decorate(canvas: Any, _: Any) -> None:
        canvas.setFont(face, 8)
        for at, text in enumerate(document.running):
            canvas.drawString(72, (810 if at == 0 else 30), f"{text} {canvas.getPageNumber()}" if at else text)

    class WithBookmarks(SimpleDocTemplate):
        def afterFlowable(self, flowable: Any) -> None:
            name = getattr(getattr(flowable, "style", None), "name", "")
            if options.get("bookmarks") and name[:1] == "h" and name[1:].isdigit():
                key = f"at{self.canv.getPageNumber()}-{id(flowable)}"
                self.canv.bookmarkPage(key)
                self.canv.addOutlineEntry(flowable.getPlainText(), key, level=int(name[1:]))

    template = WithBookmarks(
        str(path), pagesize=options.get("pagesize", A4 if document.running else LETTER), invariant=1
    )
    template.build(flow, onFirstPage=decorate, onLaterPages=decorate)


def _wrapped(text: str, font: str, size: float, width: float) -> Iterator[str]:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    line = ""
    for word in text.split():
        if line and stringWidth(f"{line} {word}", font, size) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def by_hand(document: Document, path: Path) -> None:
    """An invoice by a raw canvas: every string put at its place, amounts flush right, rules under the rows alone."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    y = 770.0
    for kind, *rest in document.items:
        if kind == "table":
            for row in rest[0]:
                canvas.setFont("Helvetica-Bold" if row[0] in ("Item", "Sum") else "Helvetica", 10)
                canvas.drawString(60, y, row[0])
                for x, cell in zip((330, 430, 530), row[1:], strict=True):
                    canvas.drawRightString(x, y, cell)
                canvas.line(60, y - 5, 530, y - 5)
                y -= 19
            y -= 14
            continue
        font, size = ("Helvetica-Bold", (18, 12)[rest[0]]) if kind == "h" else ("Helvetica", 10)
        lines = list(_wrapped(rest[-1], font, size, 470))
        if y - 1.3 * size * len(lines) < 60:
            canvas.showPage()
            y = 770.0
        canvas.setFont(font, size)
        for line in lines:
            canvas.drawString(60, y, line)
            y -= 1.3 * size
        y -= 0.8 * size
    canvas.save()


def by_rows(document: Document, path: Path) -> None:
    """A leaflet in two columns whose rows are drawn across both, so that the drawing order mixes them; turned pages."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    columns: list[list[tuple[float, float, str, str, float]]] = [[], []]
    y = [470.0, 470.0]
    at = 0
    pages: list[list[list[tuple[float, float, str, str, float]]]] = [columns]
    for kind, *rest in document.items[1:]:
        font, size = ("Times-Bold", 13.0) if kind == "h" else ("Times-Roman", 10.5)
        lines = list(_wrapped(rest[-1], font, size, 330))
        if y[at] - 13 * (len(lines) + (4 if kind == "h" else 0)) < 50:
            at += 1
            if at == 2:
                at, y = 0, [530.0, 530.0]
                pages.append([[], []])
        for line in lines:
            pages[-1][at].append((60 + 370 * at, y[at], font, line, size))
            y[at] -= 1.25 * size
        y[at] -= 7
    canvas = Canvas(str(path), pagesize=(A4[1], A4[0]), invariant=1)  # turned pages get their measures exchanged
    for number, both in enumerate(pages):
        canvas.setPageRotation(90)  # the sheet is upright, and shown turned: what is drawn turned reads level
        canvas.translate(A4[0], 0)
        canvas.rotate(90)
        if number == 0:
            canvas.setFont("Times-Bold", 22)
            canvas.drawString(60, 520, document.items[0][2])
        for x, height, font, line, size in sorted((one for column in both for one in column), key=lambda one: -one[1]):
            canvas.setFont(font, size)
            canvas.drawString(x, height, line)
        canvas.setFont("Times-Roman", 8)
        canvas.drawString(60, 20, f"{document.running[0]} {number + 1}")
        canvas.showPage()
    canvas.save()


# -- the ten -----------------------------------------------------------------------------------------------------------

_PLAIN: Final = "body{font:11pt/1.4 'Liberation Serif'} p{margin:0 0 .7em} "
_RULED: Final = (
    "table{border-collapse:collapse;margin:1em 0} td,th{border:1px solid #333;padding:3px 9px;text-align:left}"
)


def documents() -> Sequence[Document]:
    def chromium(name: str, items: list[Item], css: str, running: tuple[str, ...] = (), **options: Any) -> Document:
        if running:
            options |= {"display_header_footer": True, "header_template": edge(running[0]),
                        "footer_template": edge(f'{running[1]} <span class="pageNumber"></span>')}  # fmt: skip
        return Document(name, items, by_chromium, css, running, {"format": "A4", "margin": _MARGIN, **options})

    return (
        chromium("handbook", handbook(), _PLAIN + _RULED, ("Lantern Bay Trust, personnel", "Staff handbook, page")),
        chromium(
            "newsletter", newsletter(),
            _PLAIN + "body{columns:2;column-gap:9mm;text-align:justify} h1{column-span:all;font-size:30pt;margin:0}"
            "h2{font-variant:small-caps;font-size:14pt;font-weight:normal;margin:.8em 0 .2em}",
            ("The Breakwater, spring issue, number 44", "Association for the sea wall,"),
        ),
        chromium(
            "tariffs", tariffs(),
            "body{font:10pt/1.35 'Liberation Sans'} table{border-collapse:collapse;width:100%} td,th{padding:4px 10px;"
            "text-align:right} td:first-child,th:first-child{text-align:left} tr:nth-child(even) td{background:#eee}"
            ".note{font-size:8pt}",
            landscape=True,
        ),
        chromium(
            "study", study(),
            "body{font:10.5pt/1.4 'DejaVu Serif';text-align:justify} h1{font-size:17pt;text-align:center} "
            "h2{font-size:12pt}"
            "h3{font-size:10.5pt;font-style:italic} .caption{font-size:9pt;margin:1em 0 .2em} table{border-collapse:"
            "collapse;border-top:1.5px solid;border-bottom:1.5px solid;margin:0 auto 1em} th{border-bottom:1px solid}"
            "td,th{padding:2px 14px;text-align:left;font-size:9.5pt}",
            ("Letters of coastal entomology 12 (3)", "Preprint, not reviewed,"),
        ),
        Document("minutes", minutes(), by_platypus, running=("Harbour council, confidential", "Sheet"),
                 options={"faces": ("Times-Roman", "Times-Bold"), "scale": (1.3, 1.0, 1.0), "size": 11}),
        Document("manual", manual(), by_platypus, running=("Steam winch type 9", "Page"),
                 options={"bookmarks": True, "widths": [90, 160, 200]}),
        Document("invoice", invoice(), by_hand),
        Document("leaflet", leaflet(), by_rows, running=("Printed by the tourist office, leaf",)),
        chromium(
            "german", german(),
            "body{font:9.5pt/1.35 'Liberation Sans';text-align:justify;hyphens:auto} h1{font-size:16pt;hyphens:none}"
            "h2{font-size:9.5pt;text-align:center} table{margin:1em 0;border-spacing:0} td,th{padding:2px 18px 2px 0;"
            "text-align:left;border-bottom:.5px solid #777}",
            ("Amtsblatt der Laternenbucht", "Seite"), attributes='lang="de"', format="A5",
        ),
        chromium("arabic", arabic(), "body{font:13pt/1.6 'DejaVu Sans'} h2{font-size:16pt} h1{font-size:22pt}",
                 attributes='lang="ar" dir="rtl"', format="A5"),
    )  # fmt: skip


def main(names: Sequence[str]) -> int:
    for document in documents():
        if not names or document.name in names:
            document.print(document, HERE / f"{document.name}.pdf")
            text = json.dumps(label(document), ensure_ascii=False, indent=1) + "\n"
            (HERE / f"{document.name}.json").write_text(text, "utf-8")
            print(document.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Every format but PDF, by unstructured: the one module that imports it, loaded only in the parser's child.

unstructured finds the elements; offsets, encodings, tables and what counts as a title are decided here, because it has
no offsets, guesses encodings wrongly and calls most short lines titles.
"""

from __future__ import annotations

import errno
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import docx
import pptx
import unstructured.nlp.tokenize as unstructured_tokenize
from unstructured.documents.elements import Element as UnstructuredElement
from unstructured.partition.docx import partition_docx
from unstructured.partition.html import partition_html
from unstructured.partition.pptx import partition_pptx
from unstructured.partition.text import partition_text

from ingest.blank_english import blank_english
from ingest.canonical import Block, assemble, canonical
from ingest.data_files import json_blocks, xml_blocks
from ingest.ebook import read_epub
from ingest.errors import DocumentError
from ingest.language import detect_language
from ingest.mail import Mail, read_eml, read_msg
from ingest.markdown_text import front_matter, is_readable, rendered
from ingest.model import Attachment, Category, Finding, ParsedDocument
from ingest.office_hidden import take_out_hidden_runs, take_out_hidden_slides
from ingest.open_document import OpenDocument, read_odp, read_ods, read_odt
from ingest.org_text import org_blocks
from ingest.plain_text import LIST_MARK, text_paragraphs
from ingest.restructured import rst_html
from ingest.rich_text import rtf_blocks
from ingest.shown_page import declared_encoding, page_title, shown_page, squashed, table_rows
from ingest.sniffing import MEDIA_TYPES, Kind, decode
from ingest.spreadsheets import csv_blocks, xlsx_blocks
from ingest.suspicion import instructions_in, invisible_in
from ingest.word_parts import margin_comments, put_in_line, put_text_boxes

_LANGUAGES: Final = ["eng"]  # named, or unstructured detects per element; our own detection reads the whole text
_MAX_TEXT_CHARS: Final = 50_000_000
_LETTER: Final = re.compile(r"[^\W_]")
_MAX_CODE_CHARS: Final = 10_000  # more than a listing on a page has
_SMALL_BYTES: Final = 4096  # a file of this size without a letter is empty; a larger one hides what we cannot read

_CATEGORIES: Final[dict[str, Category]] = {
    "Title": "title",
    "ListItem": "list_item",
    "Table": "table",
    "Header": "header",
    "Footer": "footer",
    "PageNumber": "footer",
    "CodeSnippet": "code",
    "FigureCaption": "caption",
    "Image": "caption",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a format's reader finds; the rest is the same for all."""

    blocks: list[Block]
    title: str = ""
    page_count: int | None = None
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    raw: str = ""  # the text before it was made canonical, where that was done while reading


def prepare() -> None:
    """Replace the tagger that unstructured downloads at first use, and load what it loads lazily. Call once, at start.

    unstructured only asks whether a text has sentences and verbs; a list of common verbs answers that nearly as well
    as the model, without a network and at a third of the time.
    """
    if not callable(getattr(unstructured_tokenize, "_load_spacy_model", None)):
        raise RuntimeError("unstructured no longer loads its model by _load_spacy_model: pin the tested release.")
    unstructured_tokenize._load_spacy_model = blank_english
    partition_html(text="<p>A first sentence loads what is loaded late.</p>", languages=_LANGUAGES)
    partition_text(text="A first paragraph is written here.", languages=_LANGUAGES)
    instructions_in("The patterns are compiled here.")
    detect_language("A text of some length, so that the profiles of all languages are loaded before the first fork.")


# -- the way through ---------------------------------------------------------------------------------------------------


def parse_file(path: Path, kind: Kind, *, name: str) -> ParsedDocument:
    """Read a file of any kind but PDF.

    Raises:
        DocumentError: empty or unreadable when no letter or digit is found, or what the format's reader finds wrong.
    """
    parsed = _read(path, kind, name)
    blocks = parsed.blocks
    body = [block for block in blocks if block.category not in ("header", "footer")]
    text, elements = assemble(body if any(_LETTER.search(block.text) for block in body) else blocks)
    if not _LETTER.search(text):
        if _hides_something(path, kind):
            raise DocumentError(
                "unreadable",
                f"No text was found in {name!r}: it may hold only pictures, or be built in a way Quoth does not read. "
                "Save it anew, or as PDF.",
            )
        raise DocumentError("empty", f"{name!r} holds no letter or digit. Check that it is the right file.")
    if len(text) > _MAX_TEXT_CHARS:
        raise DocumentError("too_large", f"{name!r} holds more than {_MAX_TEXT_CHARS:,} characters. Split it.")
    title = " ".join(canonical(parsed.title).split())[:300]
    if not title:
        first = next((e for e in elements if e.category == "title" and (e.depth == 0 or e.ordinal == 0)), None)
        title = " ".join(text[first.start : first.end].split())[:300] if first else ""
        if _SECTION_NUMBER.match(title):  # "1. Purpose" names a section; the file's name says more
            title = ""
    return ParsedDocument(
        title=title,
        text=text,
        elements=elements,
        pages=(),
        page_count=parsed.page_count,
        language=detect_language(text),
        media_type=MEDIA_TYPES[kind],
        warnings=parsed.warnings,
        findings=(*parsed.findings, *_suspicions(parsed, text)),
        attachments=parsed.attachments,
    )


def _suspicions(parsed: Parsed, text: str) -> Iterator[Finding]:
    """What the words and characters of a text give away, whatever its format."""
    invisible = invisible_in(parsed.raw or "\n".join(block.text for block in parsed.blocks))
    if invisible:
        yield invisible
    yield from instructions_in(text)


def _hides_something(path: Path, kind: Kind) -> bool:
    """Whether a file without a letter of text holds something all the same: pictures, or parts we cannot read."""
    if kind not in ("docx", "pptx", "xlsx", "odt", "ods", "odp", "epub"):
        return path.stat().st_size > _SMALL_BYTES
    with zipfile.ZipFile(path) as archive:
        return any(
            re.search(r"/media/|/embeddings/|afchunk|/drawings/|Pictures/|(?<!thumbnail)\.(jpe?g|png|svg)$", m.filename)
            for m in archive.infolist()
        )


def _read(path: Path, kind: Kind, name: str) -> Parsed:
    """Run a format's reader; what its library raises on a bad file becomes a reason."""
    try:
        return _READERS[kind](path, name)
    except (DocumentError, MemoryError):
        raise
    except RecursionError as error:
        raise DocumentError("unsafe", f"{name!r} is nested thousands of levels deep. It is not read.") from error
    except UnicodeError as error:
        raise DocumentError("unreadable", f"The encoding of {name!r} is not known. Save it as UTF-8.") from error
    except OSError as error:
        if error.errno in (errno.ENOMEM, errno.EFBIG):
            raise
        raise _damaged(name, error) from error
    except Exception as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> DocumentError:
    return DocumentError(
        "corrupt",
        f"{name!r} is damaged or incomplete ({type(error).__name__}). Save it anew from the program it was written in.",
    )


def _paired(elements: Iterable[UnstructuredElement]) -> Iterator[tuple[UnstructuredElement, Block]]:
    """unstructured's elements, each with its block; tables from their HTML, because its text loses the cells."""
    for element in elements:
        category = _CATEGORIES.get(element.category, "text")
        if element.category == "PageBreak":
            continue
        text = element.text or ""
        if category == "table" and element.metadata.text_as_html:
            text = "\n".join(" | ".join(row) for row in table_rows(element.metadata.text_as_html)) or text
        depth = (element.metadata.category_depth or 0) if category == "title" else 0
        yield element, Block(category, text, depth)


# -- text --------------------------------------------------------------------------------------------------------------

_KEPT_BREAK: Final = "\u2028"  # stands for a line break that is kept, while unstructured divides at "\n"


def _read_txt(path: Path, name: str) -> Parsed:
    text = decode(path.read_bytes())
    if name.lower().endswith(".org"):
        blocks, title = org_blocks(canonical(text))
        return Parsed(blocks, title, raw=text)
    return Parsed(_text_blocks(text), raw=text)


def _text_blocks(text: str) -> list[Block]:
    titles: dict[str, int] = {}
    marked: list[str] = []
    for paragraph, depth in text_paragraphs(canonical(text)):
        if depth is not None:
            titles[" ".join(paragraph.split())] = depth
        marked.append(paragraph.replace("\n", _KEPT_BREAK))
    blocks: list[Block] = []
    if not marked:
        return blocks
    for element in partition_text(text="\n\n".join(marked), paragraph_grouper=False, languages=_LANGUAGES):
        own = element.text.replace(_KEPT_BREAK, "\n")
        title_depth = titles.get(" ".join(own.split()))
        if title_depth is not None:
            blocks.append(Block("title", own, title_depth))
        else:
            listed = element.category == "ListItem" or LIST_MARK.match(own)
            blocks.append(Block("list_item" if listed else "text", own))
    return blocks


# -- Markdown and HTML -------------------------------------------------------------------------------------------------


def _read_md(path: Path, name: str) -> Parsed:
    raw = decode(path.read_bytes())
    title, text = front_matter(canonical(raw))
    if not is_readable(text):
        return Parsed(_text_blocks(text), title, raw=raw)
    blocks, findings = _html_blocks(rendered(text))
    return Parsed(blocks, title, findings=findings, raw=raw)


def _read_html(path: Path, name: str) -> Parsed:
    content = path.read_bytes()
    text = decode(content, declared=declared_encoding(content[:4096]))
    blocks, findings = _html_blocks(text)
    return Parsed(blocks, page_title(text), findings=findings, raw=text)


def _html_blocks(markup: str) -> tuple[list[Block], tuple[Finding, ...]]:
    """What a browser would show, by unstructured; hidden parts are taken out before it looks, and reported."""
    page = shown_page(markup)
    if page is None:
        return [], ()
    blocks: list[Block] = []
    for _, block in _paired(partition_html(text=page.markup, languages=_LANGUAGES)):
        if block.category == "title" and squashed(block.text) not in page.headings:
            block = Block("text", block.text)  # a short line that unstructured took for one
        if block.category == "code" and len(block.text) > _MAX_CODE_CHARS and "\n\n" in block.text:
            blocks.extend(_text_blocks(block.text))  # a whole text that stands in typewriter letters
        else:
            blocks.append(block)
    return blocks, page.findings


def _read_rst(path: Path, name: str) -> Parsed:
    raw = canonical(decode(path.read_bytes()))
    page, warnings = rst_html(raw)
    blocks, findings = _html_blocks(page)
    if not blocks:  # docutils refuses a file with a line of over 10,000 characters
        blocks = _text_blocks(raw)
    return Parsed(blocks, warnings=tuple(warnings), findings=findings, raw=raw)


def _read_epub(path: Path, name: str) -> Parsed:
    book = read_epub(path, name)
    blocks: list[Block] = []
    findings: list[Finding] = []
    for page in book.pages:
        own, hidden = _html_blocks(page)
        blocks.extend(own)
        findings.extend(hidden)
    raw = "\n".join(block.text for block in blocks)
    return Parsed(blocks, book.title, warnings=book.warnings, findings=tuple(findings), raw=raw)


# -- office files ------------------------------------------------------------------------------------------------------


_SECTION_NUMBER: Final = re.compile(r"(?:\d{1,2}(?:\.\d{1,2})+[.)]?|\d{1,2}[.)]|[A-Z][.)]|[IVX]{1,5}[.)])\s+\S")
_NUMBERED: Final = re.compile(r"([A-Z]|[IVXLC]+|\d[\d.]*)[.)]\s+[^\W\d_]{2}|(CHAPTER|PART|SECTION)\s")


def _read_docx(path: Path, name: str) -> Parsed:
    document = docx.Document(str(path))
    changed = put_in_line(document)
    findings = take_out_hidden_runs(document)
    changed |= bool(findings) | put_text_boxes(document)  # after, since the paint of a box is not the page's
    headings = {own for p in document.paragraphs if _is_heading(p) and (own := squashed(p.text))}
    blocks = []
    for element, block in _paired(partition_docx(**_shown(document, path, changed), languages=_LANGUAGES)):
        if block.category in ("title", "text"):
            plain = squashed(block.text)
            styled = plain in headings or any(plain.endswith(own) for own in headings if len(own) > 3)
            if block.category == "text" or not styled:  # unstructured calls most short lines titles, and misses some
                bold = squashed("".join(element.metadata.emphasized_text_contents or []))
                capitals = block.text.upper() == block.text
                loud = bold == plain or (capitals and (block.category == "title" or _NUMBERED.match(block.text)))
                alone = len(block.text) <= 120 and any(map(str.isalpha, plain)) and not plain.endswith((".", ":"))
                block = Block("title", block.text, 1) if loud and alone else Block("text", block.text)
        blocks.append(block)
    comments = margin_comments(document)
    warnings = (f"Comments in the margin are not read ({comments}).",) if comments else ()
    return Parsed(blocks, _own_title(document.core_properties.title), warnings=warnings, findings=findings)


def _shown(document: Any, path: Path, changed: bool) -> dict[str, Any]:
    """An office file for unstructured: as it is, or as it was changed, without what was hidden in it."""
    if not changed:
        return {"filename": str(path)}
    saved = io.BytesIO()
    document.save(saved)
    saved.seek(0)
    return {"file": saved}


def _is_heading(paragraph: Any) -> bool:
    style = paragraph.style
    while style is not None:
        if re.match(r"(heading \d|title|subtitle)", (style.name or "").lower()):
            return True
        style = style.base_style
    return bool(paragraph._p.xpath("./w:pPr/w:outlineLvl[@w:val < 9]"))


_NO_TITLES: Final = re.compile(
    r"\s*(Word Document|PowerPoint.Pr[aäé]sentation|Untitled( document)?|(Slide|Folie|Diapositive) \d+"
    r"|Microsoft (Word|PowerPoint) - .*)?\s*",
    re.IGNORECASE,
)


def _own_title(title: str | None) -> str:
    """A file's title property, unless it is what a program writes into every file."""
    return "" if _NO_TITLES.fullmatch(title or "") else title or ""


def _read_pptx(path: Path, name: str) -> Parsed:
    presentation = pptx.Presentation(str(path))
    findings = take_out_hidden_slides(presentation)
    notes = dict(_speaker_notes(presentation))
    blocks: list[Block] = []
    for element, block in _paired(partition_pptx(**_shown(presentation, path, bool(findings)), languages=_LANGUAGES)):
        number = element.metadata.page_number or 1
        blocks.extend(notes.pop(before) for before in sorted(notes) if before < number)
        place: dict[str, str | int] = {"slide": number}
        # depth 0 is a slide's own title; deeper ones are short lines that unstructured took for titles
        category: Category = "text" if block.category == "title" and block.depth else block.category
        blocks.append(Block(category, block.text, 0, place=place))
    blocks.extend(notes[number] for number in sorted(notes))
    title = _own_title(presentation.core_properties.title)
    return Parsed(blocks, title, len(presentation.slides), findings=findings)


def _speaker_notes(presentation: Any) -> Iterator[tuple[int, Block]]:
    """What a speaker says to a slide often holds the sentences that the slide only names; not those of hidden ones."""
    for number, slide in enumerate(presentation.slides, 1):
        frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if frame is not None and frame.text.strip() and slide._element.get("show") not in ("0", "false"):
            yield number, Block("text", f"Notes: {' '.join(frame.text.split())}", place={"slide": number})


def _read_xlsx(path: Path, name: str) -> Parsed:
    blocks, warnings, title = xlsx_blocks(path)
    return Parsed(blocks, title, warnings=tuple(warnings))


def _read_csv(path: Path, name: str) -> Parsed:
    return Parsed(list(csv_blocks(canonical(decode(path.read_bytes())))))


def _read_tsv(path: Path, name: str) -> Parsed:
    return Parsed(list(csv_blocks(canonical(decode(path.read_bytes())), delimiter="\t")))


_BULLET: Final = re.compile(r"\s*[•◦▪‣·●○■\uf0b7]\s*")


def _with_bullets_as_items(blocks: Iterable[Block]) -> list[Block]:
    """Lists that a writer made by hand, or a program that knows no lists: lines that begin with a bullet."""
    found = []
    for block in blocks:
        bullet = _BULLET.match(block.text) if block.category in ("text", "list_item") else None
        if bullet is None:
            found.append(block)
        elif bullet.end() < len(block.text):
            found.append(replace(block, category="list_item", text=block.text[bullet.end() :]))
    return found


def _read_open_document(document: OpenDocument) -> Parsed:
    return Parsed(
        _with_bullets_as_items(document.blocks), _own_title(document.title), document.slides, document.warnings
    )


def _read_rtf(path: Path, name: str) -> Parsed:
    blocks, title = rtf_blocks(path.read_bytes())
    return Parsed(_with_bullets_as_items(blocks), _own_title(title))


# -- mail and data -----------------------------------------------------------------------------------------------------


def _read_mail(mail: Mail) -> Parsed:
    blocks = [Block("text", mail.header)]
    findings: list[Finding] = []
    for text, rich in mail.bodies:
        shown, hidden = _html_blocks(text) if rich else (_text_blocks(text), ())
        blocks.extend(shown)
        findings.extend(hidden)
    raw = "\n".join((mail.header, *(text for text, _ in mail.bodies)))
    return Parsed(
        blocks, mail.subject, warnings=mail.warnings, findings=tuple(findings), raw=raw, attachments=mail.attachments
    )


def _read_xml(path: Path, name: str) -> Parsed:
    content = path.read_bytes()
    return Parsed(xml_blocks(decode(content, declared=declared_encoding(content[:200])), name))


def _read_json(path: Path, name: str) -> Parsed:
    return Parsed(json_blocks(decode(path.read_bytes()), name))


_READERS: Final[dict[Kind, Callable[[Path, str], Parsed]]] = {
    "txt": _read_txt,
    "md": _read_md,
    "html": _read_html,
    "docx": _read_docx,
    "pptx": _read_pptx,
    "xlsx": _read_xlsx,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "eml": lambda path, name: _read_mail(read_eml(path, name)),
    "msg": lambda path, name: _read_mail(read_msg(path, name)),
    "rst": _read_rst,
    "rtf": _read_rtf,
    "epub": _read_epub,
    "odt": lambda path, name: _read_open_document(read_odt(path, name)),
    "ods": lambda path, name: _read_open_document(read_ods(path, name)),
    "odp": lambda path, name: _read_open_document(read_odp(path, name)),
    "xml": _read_xml,
    "json": _read_json,
}

"""Every format but PDF, by unstructured: the one module that imports it, loaded only in the parser's child.

unstructured finds the elements; offsets, encodings, tables and what counts as a title are decided here, because it has
no offsets, guesses encodings wrongly and calls most short lines titles.
"""

from __future__ import annotations

import errno
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docx
import markdown
import pptx
import spacy
import unstructured.nlp.tokenize as unstructured_tokenize
from lxml import etree
from lxml import html as lxml_html
from spacy.language import Language
from spacy.tokens import Doc
from unstructured.documents.elements import Element as UnstructuredElement
from unstructured.partition.docx import partition_docx
from unstructured.partition.html import partition_html
from unstructured.partition.pptx import partition_pptx
from unstructured.partition.text import partition_text

from ingest.canonical import Block, assemble, canonical
from ingest.ebook import read_epub
from ingest.errors import DocumentError
from ingest.hidden_text import take_out_hidden
from ingest.language import detect_language
from ingest.mail import Mail, read_eml, read_msg
from ingest.model import Category, Finding, ParsedDocument
from ingest.open_document import OpenDocument, read_odp, read_ods, read_odt
from ingest.plain_text import LIST_MARK, text_paragraphs
from ingest.restructured import rst_html
from ingest.rich_text import rtf_blocks
from ingest.sniffing import MEDIA_TYPES, Kind, decode, refuse_entities
from ingest.spreadsheets import csv_blocks, xlsx_blocks
from ingest.suspicion import instructions_in, invisible_in

_LANGUAGES: Final = ["eng"]  # named, or unstructured detects per element; our own detection reads the whole text
_MAX_TEXT_CHARS: Final = 50_000_000
_LETTER: Final = re.compile(r"[^\W_]")
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
_VERBS: Final = frozenset(
    re.findall(
        r"[a-z]+",
        """
        am is are was were be been being have has had do does did done can could will would shall should may might
        must go goes went gone get gets got make makes made take takes took taken give gives gave given see sees saw
        seen know knows knew known think thinks thought come comes came find finds found say says said tell tells told
        use uses show shows shown need needs want wants become becomes became keep keeps kept let lets put puts run
        runs ran read reads write writes wrote written hold holds held bring brings brought begin begins began work
        works call calls ask asks try tries leave leaves left mean means meant set sets meet meets met pay pays paid
        include includes provide provides contain contains require requires allow allows apply applies remain remains
        follow follows send sends sent receive receives help helps seem seems feel feels felt turn turns start starts
        stop stops open opens close closes add adds live lives believe believes happen happens stand stands stood lose
        loses lost win wins won grow grows grew speak speaks spoke buy buys bought sell sells sold spend spends spent
        build builds built choose chooses chose
        """,
    )
)
_VERB_ENDING: Final = re.compile(r"(ed|ing|ize|ise|ized|ised|ify|ifies)$")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a format's reader finds; the rest is the same for all."""

    blocks: list[Block]
    title: str = ""
    page_count: int | None = None
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    raw: str = ""  # the text before it was made canonical, where that was done while reading


# -- the language model that is not downloaded -------------------------------------------------------------------------


@Language.component("quoth_verbs")
def _tag_verbs(doc: Doc) -> Doc:
    for token in doc:
        word = token.lower_
        verb = word in _VERBS or (len(word) > 4 and _VERB_ENDING.search(word) is not None)
        token.tag_ = "VB" if verb else "NN"
    return doc


def _blank_english() -> Language:
    model = spacy.blank("en")
    model.add_pipe("sentencizer")
    model.add_pipe("quoth_verbs")
    model.max_length = 20_000_000
    return model


def prepare() -> None:
    """Replace the tagger that unstructured downloads at first use, and load what it loads lazily. Call once, at start.

    unstructured only asks whether a text has sentences and verbs; a list of common verbs answers that nearly as well
    as the model, without a network and at a third of the time.
    """
    if not callable(getattr(unstructured_tokenize, "_load_spacy_model", None)):
        raise RuntimeError("unstructured no longer loads its model by _load_spacy_model: pin the tested release.")
    unstructured_tokenize._load_spacy_model = _blank_english
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
        first = next((e for e in elements if e.category == "title" and e.depth == 0), None)
        title = " ".join(text[first.start : first.end].split())[:300] if first else ""
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
            text = "\n".join(" | ".join(row) for row in _table_rows(element.metadata.text_as_html)) or text
        depth = (element.metadata.category_depth or 0) if category == "title" else 0
        yield element, Block(category, text, depth)


def _squashed(text: str) -> str:
    return "".join(text.split())


def _table_rows(markup: str) -> list[list[str]]:
    root = lxml_html.fragment_fromstring(markup, create_parent="div")
    rows = []
    for row in root.iter("tr"):
        cells = [" ".join(cell.text_content().split()) for cell in row if cell.tag in ("td", "th")]
        if any(cells):
            rows.append(cells)
    return rows


# -- text --------------------------------------------------------------------------------------------------------------

_KEPT_BREAK: Final = "\u2028"  # stands for a line break that is kept, while unstructured divides at "\n"


def _read_txt(path: Path, name: str) -> Parsed:
    text = decode(path.read_bytes())
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

_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE: Final = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
# Python-Markdown wants an empty line before a list, which writers and other renderers do not.
_LIST_AFTER_TEXT: Final = re.compile(
    r"^((?![ \t]*(?:[-*+>|#]|\d+[.)]))[^\n`~]*\S)[ \t]*\n"  # a line of text
    r"((?:[-*+]|1[.)])[ \t]+\S)",  # a list's first item
    re.MULTILINE,
)
_EXTENSIONS: Final = ("tables", "fenced_code", "sane_lists")
_DECLARED: Final = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([\w-]{3,30})""", re.IGNORECASE)
_NOT_SHOWN: Final = ("script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select", "datalist")


def _read_md(path: Path, name: str) -> Parsed:
    raw = decode(path.read_bytes())
    text = canonical(raw)
    title = ""
    front = _FRONT_MATTER.match(text)
    if front:  # site generators keep a page's title there; it is no text of the page
        found = _FRONT_TITLE.search(front[1])
        title = found[2] if found else ""
        text = text[front.end() :]
    rendered = markdown.markdown(_LIST_AFTER_TEXT.sub("\\1\n\n\\2", text), extensions=_EXTENSIONS)
    blocks, findings = _html_blocks(rendered)
    return Parsed(blocks, title, findings=findings, raw=raw)


def _read_html(path: Path, name: str) -> Parsed:
    content = path.read_bytes()
    declared = _DECLARED.search(content[:4096])
    text = decode(content, declared=declared[1].decode("ascii") if declared else None)
    found = re.search(r"<title[^>]*>(.*?)</title>", text[:100_000], re.IGNORECASE | re.DOTALL)
    title = lxml_html.fromstring(found[0]).text_content() if found and found[1].strip() else ""
    blocks, findings = _html_blocks(text)
    return Parsed(blocks, title, findings=findings, raw=text)


def _html_blocks(markup: str) -> tuple[list[Block], tuple[Finding, ...]]:
    """What a browser would show, by unstructured; hidden parts are taken out before it looks, and reported."""
    parser = lxml_html.HTMLParser(
        remove_comments=True, remove_pis=True, huge_tree=False, no_network=True, encoding="utf-8"
    )
    text = canonical(markup)
    if not text.strip():
        return [], ()
    try:
        root = lxml_html.document_fromstring(text.encode("utf-8"), parser=parser)
    except etree.ParserError:
        return [], ()
    findings = take_out_hidden(root, text)
    for element in list(root.iter()):
        if element.tag in _NOT_SHOWN and element.getparent() is not None:
            element.drop_tree()
        elif element.tag == "br":
            element.tail = " " + (element.tail or "")
    shown = lxml_html.tostring(root, encoding="unicode")
    elements = partition_html(text=shown, languages=_LANGUAGES)
    headings = {_squashed(heading.text_content()) for heading in root.iter("h1", "h2", "h3", "h4", "h5", "h6")}
    blocks = []
    for _, block in _paired(elements):
        if block.category == "title" and _squashed(block.text) not in headings:
            block = Block("text", block.text)  # a short line that unstructured took for one
        blocks.append(block)
    return blocks, findings


def _read_rst(path: Path, name: str) -> Parsed:
    raw = canonical(decode(path.read_bytes()))
    page, warnings = rst_html(raw)
    blocks, findings = _html_blocks(page)
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


def _read_docx(path: Path, name: str) -> Parsed:
    document = docx.Document(str(path))
    headings = {squashed for p in document.paragraphs if _is_heading(p) and (squashed := _squashed(p.text))}
    blocks = []
    for element, block in _paired(partition_docx(filename=str(path), languages=_LANGUAGES)):
        if block.category in ("title", "text"):
            squashed = _squashed(block.text)
            styled = squashed in headings or any(squashed.endswith(own) for own in headings if len(own) > 3)
            if block.category == "text" or not styled:  # unstructured calls most short lines titles, and misses some
                bold = _squashed("".join(element.metadata.emphasized_text_contents or []))
                loud = bold == squashed or (block.category == "title" and block.text.upper() == block.text)
                alone = len(block.text) <= 120 and any(map(str.isalpha, squashed)) and not squashed.endswith((".", ":"))
                block = Block("title", block.text, 1) if loud and alone else Block("text", block.text)
        blocks.append(block)
    return Parsed(blocks, _own_title(document.core_properties.title))


def _is_heading(paragraph: Any) -> bool:
    style = paragraph.style
    while style is not None:
        if re.match(r"(heading \d|title|subtitle)", (style.name or "").lower()):
            return True
        style = style.base_style
    return bool(paragraph._p.xpath("./w:pPr/w:outlineLvl[@w:val < 9]"))


def _own_title(title: str | None) -> str:
    """A file's title property, unless it is what a program writes into every file."""
    return "" if (title or "").strip() in ("Word Document", "PowerPoint Presentation", "Untitled") else title or ""


def _read_pptx(path: Path, name: str) -> Parsed:
    presentation = pptx.Presentation(str(path))
    blocks = []
    for element, block in _paired(partition_pptx(filename=str(path), languages=_LANGUAGES)):
        place: dict[str, str | int] = {"slide": element.metadata.page_number or 1}
        # depth 0 is a slide's own title; deeper ones are short lines that unstructured took for titles
        category: Category = "text" if block.category == "title" and block.depth else block.category
        blocks.append(Block(category, block.text, 0, place=place))
    return Parsed(blocks, _own_title(presentation.core_properties.title), len(presentation.slides))


def _read_xlsx(path: Path, name: str) -> Parsed:
    blocks, warnings, title = xlsx_blocks(path)
    return Parsed(blocks, title, warnings=tuple(warnings))


def _read_csv(path: Path, name: str) -> Parsed:
    return Parsed(list(csv_blocks(canonical(decode(path.read_bytes())))))


def _read_tsv(path: Path, name: str) -> Parsed:
    return Parsed(list(csv_blocks(canonical(decode(path.read_bytes())), delimiter="\t")))


def _read_open_document(document: OpenDocument) -> Parsed:
    return Parsed(document.blocks, _own_title(document.title), document.slides, document.warnings)


def _read_rtf(path: Path, name: str) -> Parsed:
    blocks, title = rtf_blocks(path.read_bytes())
    return Parsed(blocks, _own_title(title))


# -- mail and data -----------------------------------------------------------------------------------------------------


def _read_mail(mail: Mail) -> Parsed:
    blocks = [Block("text", mail.header)]
    findings: list[Finding] = []
    for text, rich in mail.bodies:
        shown, hidden = _html_blocks(text) if rich else (_text_blocks(text), ())
        blocks.extend(shown)
        findings.extend(hidden)
    warnings: tuple[str, ...] = ()
    if mail.attachments:
        listed = ", ".join(map(repr, mail.attachments[:20]))
        warnings = (f"Attachments are not read: {listed}. Save them and add them as files.",)
    raw = "\n".join((mail.header, *(text for text, _ in mail.bodies)))
    return Parsed(blocks, mail.subject, warnings=warnings, findings=tuple(findings), raw=raw)


def _read_xml(path: Path, name: str) -> Parsed:
    content = path.read_bytes()
    declared = _DECLARED.search(content[:200])
    text = decode(content, declared=declared[1].decode("ascii") if declared else None)
    refuse_entities(text.encode("utf-8", "replace"), name)
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", text)
    root = etree.fromstring(text.encode("utf-8", "replace"), etree.XMLParser(resolve_entities=False, no_network=True))
    lines = (" ".join(piece.split()) for piece in root.itertext())
    return Parsed([Block("text", "\n".join(group)) for group in _grouped(line for line in lines if line)])


def _read_json(path: Path, name: str) -> Parsed:
    """JSON, or one JSON value per line, printed with one value per line."""
    text = decode(path.read_bytes())
    try:
        values = [json.loads(text)]
    except json.JSONDecodeError:
        try:
            values = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise DocumentError("corrupt", f"{name!r} is no valid JSON (line {error.lineno}). Mend it.") from error
    entries = [entry for value in values for entry in (value if isinstance(value, list) else [value])]
    printed = (json.dumps(entry, ensure_ascii=False, indent=1) for entry in entries)
    return Parsed([Block("code", "\n".join(group)) for group in _grouped(printed)])


def _grouped(lines: Iterable[str], chars: int = 1500) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for line in lines:
        if group and size + len(line) > chars:
            yield group
            group, size = [], 0
        group.append(line)
        size += len(line)
    if group:
        yield group


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

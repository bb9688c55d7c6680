"""Every format but PDF, by unstructured: the one module that imports it, loaded only in the parser's child.

unstructured finds the elements; offsets, encodings, tables and what counts as a title are decided here, because it has
no offsets, guesses encodings wrongly and calls most short lines titles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import spacy
import unstructured.nlp.tokenize as unstructured_tokenize
from lxml import etree
from lxml import html as lxml_html
from spacy.language import Language
from spacy.tokens import Doc
from unstructured.documents.elements import Element as UnstructuredElement
from unstructured.partition.html import partition_html
from unstructured.partition.md import partition_md
from unstructured.partition.text import partition_text

from ingest.canonical import Block, assemble, canonical
from ingest.errors import DocumentError
from ingest.language import detect_language
from ingest.model import Category, ParsedDocument
from ingest.sniffing import MEDIA_TYPES, Kind, decode

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
    """am is are was were be been being have has had do does did done can could will would shall should may might must
    go goes went gone get gets got make makes made take takes took taken give gives gave given see sees saw seen know
    knows knew known think thinks thought come comes came find finds found say says said tell tells told use uses show
    shows shown need needs want wants become becomes became keep keeps kept let lets put puts run runs ran read reads
    write writes wrote written hold holds held bring brings brought begin begins began work works call calls ask asks
    try tries leave leaves left mean means meant set sets meet meets met pay pays paid include includes provide provides
    contain contains require requires allow allows apply applies remain remains follow follows send sends sent receive
    receives help helps seem seems feel feels felt turn turns start starts stop stops open opens close closes add adds
    live lives believe believes happen happens stand stands stood lose loses lost win wins won grow grows grew speak
    speaks spoke buy buys bought sell sells sold spend spends spent build builds built choose chooses chose""".split()
)
_VERB_ENDING: Final = re.compile(r"(ed|ing|ize|ise|ized|ised|ify|ifies)$")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a format's reader finds; the rest is the same for all."""

    blocks: list[Block]
    title: str = ""
    page_count: int | None = None
    warnings: tuple[str, ...] = ()


# -- the language model that is not downloaded ----------------------------------------------------------------------------


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
    partition_md(text="# A title\n\nA first paragraph is written here.", languages=_LANGUAGES)
    partition_text(text="A first paragraph is written here.", languages=_LANGUAGES)


# -- the way through ---------------------------------------------------------------------------------------------------


def parse_file(path: Path, kind: Kind, *, name: str) -> ParsedDocument:
    """Read a file of any kind but PDF.

    Raises:
        DocumentError: empty or unreadable when no letter or digit is found, or what the format's reader finds wrong.
    """
    reader = _READERS[kind]
    parsed = reader(path, name)
    blocks = parsed.blocks
    body = [block for block in blocks if block.category not in ("header", "footer")]
    text, elements = assemble(body if any(_LETTER.search(block.text) for block in body) else blocks)
    if not _LETTER.search(text):
        if path.stat().st_size > _SMALL_BYTES:
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
    )


def _blocks(elements: Iterable[UnstructuredElement]) -> Iterator[Block]:
    """unstructured's elements as blocks; tables from their HTML, because its text loses the cells."""
    for element in elements:
        category = _CATEGORIES.get(element.category, "text")
        if element.category == "PageBreak":
            continue
        text = element.text or ""
        if category == "table" and element.metadata.text_as_html:
            text = "\n".join(" | ".join(row) for row in _table_rows(element.metadata.text_as_html)) or text
        depth = (element.metadata.category_depth or 0) if category == "title" else 0
        yield Block(category, text, depth)


def _table_rows(markup: str) -> list[list[str]]:
    root = lxml_html.fragment_fromstring(markup, create_parent="div")
    rows = []
    for row in root.iter("tr"):
        cells = [" ".join(cell.text_content().split()) for cell in row if cell.tag in ("td", "th")]
        if any(cells):
            rows.append(cells)
    return rows


# -- text ----------------------------------------------------------------------------------------------------------------

_WRAP: Final = "\u2028"  # stands for a line break that is kept, while unstructured divides at "\n"
_UNDERLINE: Final = re.compile(r"([=\-~^*#_])\1{2,}\s*$")
_NUMBERED_TITLE: Final = re.compile(
    r"(\d{1,2}(\.\d{1,3}){0,4}\.?|[IVX]{1,5}\.|(Chapter|Section|Part|Article|§)\s+[\dIVX]+\.?:?)\s+\S"
)
_LIST_MARK: Final = re.compile(r"\s*([-*•◦▪‣·–]|\(?(\d{1,3}|[a-z])[.)])\s+")
_FINAL: Final = re.compile(r"[.!?:;,…。！？]['\"’”)\]]*$")


def _read_txt(path: Path, name: str) -> Parsed:
    text = canonical(decode(path.read_bytes()))
    titles: dict[str, int] = {}
    marked: list[str] = []
    for paragraph, depth in _text_paragraphs(text):
        if depth is not None:
            titles[" ".join(paragraph.split())] = depth
        marked.append(paragraph.replace("\n", _WRAP))
    elements = partition_text(
        text="\n\n".join(marked), paragraph_grouper=False, languages=_LANGUAGES
    ) if marked else []  # fmt: skip
    blocks = []
    for element in elements:
        own = element.text.replace(_WRAP, "\n")
        depth = titles.get(" ".join(own.split()))
        category: Category = "list_item" if element.category == "ListItem" or _LIST_MARK.match(own) else "text"
        blocks.append(Block("title" if depth is not None else category, own, depth or 0))
    return Parsed(blocks)


def _text_paragraphs(text: str) -> Iterator[tuple[str, int | None]]:
    """Paragraphs of plain text, and the depth of those that are titles."""
    groups = [group.strip("\n") for group in re.split(r"\n[ \t]*\n", text)]
    groups = [group for group in groups if group.strip()]
    for at, group in enumerate(groups):
        lines = [line.rstrip() for line in group.split("\n") if line.strip()]
        while len(lines) >= 2 and _UNDERLINE.match(lines[1]) and not _UNDERLINE.match(lines[0]):
            yield lines[0].strip(), 0 if lines[1].lstrip()[0] in "=#*" else 1
            lines = lines[2:]
        if not lines:
            continue
        following = groups[at + 1] if at + 1 < len(groups) else ""
        if len(lines) == 1:
            yield lines[0].strip(), _title_depth(lines[0].strip(), following)
            continue
        first = lines[0].strip()
        if _NUMBERED_TITLE.match(first) and not _FINAL.search(first) and len(first) <= 80 and not _all_marked(lines):
            depth = _title_depth(first, "\n".join(lines[1:]))
            if depth is not None:
                yield first, depth
                lines = lines[1:]
        yield from ((part, None) for part in _unwrapped(lines))


def _all_marked(lines: list[str]) -> bool:
    return sum(bool(_LIST_MARK.match(line)) for line in lines) > 1


def _unwrapped(lines: list[str]) -> Iterator[str]:
    """Wrapped lines become one paragraph; list items and lines that were broken on purpose stay apart."""
    longest = max(map(len, lines))
    current: list[str] = []
    for line in lines:
        if current and (_LIST_MARK.match(line)):
            yield _flow(current, longest)
            current = []
        current.append(line)
    if current:
        yield _flow(current, longest)


def _flow(lines: list[str], longest: int) -> str:
    """Join lines with spaces where the next line's first word had no room; else the break was meant, and stays."""
    text = lines[0].strip()
    for before, line in zip(lines, lines[1:], strict=False):
        word = line.split(maxsplit=1)[0]
        meant = len(before) + 1 + len(word) < 0.75 * longest or longest < 40
        text += ("\n" if meant else " ") + line.strip()
    return text


def _title_depth(line: str, following: str) -> int | None:
    """How deep a line stands as a title, or None when it is none. `following` is the text after it."""
    words = line.split()
    if not following.strip() or len(line) > 100 or len(words) > 14 or _FINAL.search(line):
        return None
    letters = [character for character in line if character.isalpha()]
    if len(letters) < 2:
        return None
    if _NUMBERED_TITLE.match(line):
        number = words[0].rstrip(".")
        return number.count(".") if number[0].isdigit() else 0
    if _LIST_MARK.match(line):
        return None
    if len(letters) >= 3 and line.upper() == line and any(character.isupper() for character in letters):
        return 0
    begins = following.lstrip().split("\n")[0]
    paragraph = len(following.split()) >= 12 and not _LIST_MARK.match(following)
    if line[0].isupper() and len(line) <= 70 and paragraph and (len(begins) > len(line) or "\n" in following):
        return 1
    return None


# -- Markdown and HTML -----------------------------------------------------------------------------------------------------

_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE: Final = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
_DECLARED: Final = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([\w-]{3,30})""", re.IGNORECASE)
_HIDING: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(px|pt|em|%)?\s*(;|$)", re.IGNORECASE
)
_NOT_SHOWN: Final = ("script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select", "datalist")


def _read_md(path: Path, name: str) -> Parsed:
    text = canonical(decode(path.read_bytes()))
    title = ""
    front = _FRONT_MATTER.match(text)
    if front:  # site generators keep a page's title there; it is no text of the page
        found = _FRONT_TITLE.search(front[1])
        title = found[2] if found else ""
        text = text[front.end() :]
    import markdown

    return Parsed(_html_blocks(markdown.markdown(text, extensions=["tables", "fenced_code", "sane_lists"])), title)


def _read_html(path: Path, name: str) -> Parsed:
    content = path.read_bytes()
    declared = _DECLARED.search(content[:4096])
    text = decode(content, declared=declared[1].decode("ascii") if declared else None)
    found = re.search(r"<title[^>]*>(.*?)</title>", text[:100_000], re.IGNORECASE | re.DOTALL)
    title = lxml_html.fromstring(found[0]).text_content() if found and found[1].strip() else ""
    return Parsed(_html_blocks(text), title)


def _html_blocks(markup: str) -> list[Block]:
    """What a browser would show, by unstructured; hidden parts are taken out before it looks."""
    parser = lxml_html.HTMLParser(
        remove_comments=True, remove_pis=True, huge_tree=False, no_network=True, encoding="utf-8"
    )
    text = canonical(markup)
    if not text.strip():
        return []
    try:
        root = lxml_html.document_fromstring(text.encode("utf-8"), parser=parser)
    except etree.ParserError:
        return []
    for element in list(root.iter()):
        hidden = isinstance(element.tag, str) and (
            element.tag in _NOT_SHOWN or "hidden" in element.attrib or _HIDING.search(element.get("style", ""))
        )
        if hidden and element.getparent() is not None:
            element.drop_tree()
        elif element.tag == "br":
            element.tail = " " + (element.tail or "")
    shown = lxml_html.tostring(root, encoding="unicode")
    elements = partition_html(text=shown, languages=_LANGUAGES)
    headings = {" ".join(heading.text_content().split()) for heading in root.iter("h1", "h2", "h3", "h4", "h5", "h6")}
    blocks = []
    for block in _blocks(elements):
        if block.category == "title" and " ".join(block.text.split()) not in headings:
            block = Block("text", block.text)  # a short line that unstructured took for one
        blocks.append(block)
    return blocks


_READERS: Final[dict[Kind, Callable[[Path, str], Parsed]]] = {
    "txt": _read_txt,
    "md": _read_md,
    "html": _read_html,
}


def unread_kinds() -> set[Any]:
    return set(MEDIA_TYPES) - set(_READERS) - {"pdf"}

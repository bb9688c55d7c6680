"""OpenDocument texts, spreadsheets and presentations, from their own XML (ISO/IEC 26300)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lxml import etree

from ingest.canonical import Block
from ingest.errors import DocumentError
from ingest.spreadsheets import MAX_COLUMNS, Row, sheet_blocks

_MAX_CHARS: Final = 50_000_000  # of a spreadsheet's cells, those that are repeated by a number counted each time
_NAMESPACE: Final = "{urn:oasis:names:tc:opendocument:xmlns:"
_OFFICE, _TEXT, _TABLE, _DRAW, _STYLE, _PRESENTATION = (
    f"{_NAMESPACE}{part}:1.0}}" for part in ("office", "text", "table", "drawing", "style", "presentation")
)
_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"
# Not shown, shown elsewhere, or a second form of what is shown.
_LEFT_OUT: Final = frozenset(
    {
        _TEXT + "tracked-changes", _TEXT + "note-citation", _TEXT + "ruby-text", _TEXT + "hidden-text",
        _TEXT + "table-of-content-source", _TEXT + "illustration-index-source", _TEXT + "alphabetical-index-source",
        _TEXT + "variable-decls", _TEXT + "sequence-decls", _TEXT + "user-field-decls",
        _OFFICE + "annotation", _OFFICE + "annotation-end", _OFFICE + "forms", _OFFICE + "event-listeners",
        _TABLE + "shapes",
        "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}title",
        "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}desc",
        "{http://www.w3.org/1998/Math/MathML}annotation",
    }
)  # fmt: skip
_APART: Final = frozenset(
    {_DRAW + "text-box", _TEXT + "note-body", _TABLE + "table"}
)  # inside a paragraph, yet not of it


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """What an OpenDocument file holds."""

    blocks: list[Block]
    title: str
    slides: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Styles:
    parents: dict[str, str]
    hidden: frozenset[str]  # of paragraphs and spans that are not shown
    hidden_tables: frozenset[str]

    def named(self, name: str, wanted: str) -> bool:
        """Whether a style is the one called so, or made from it."""
        for _ in range(20):
            if name.lower() == wanted:
                return True
            if name not in self.parents:
                return False
            name = self.parents[name]
        return False


def read_odt(path: Path, name: str) -> OpenDocument:
    """An OpenDocument text: headings, paragraphs, lists, tables, notes.

    Raises:
        DocumentError: corrupt.
    """
    content, styles, title = _opened(path, name, "text")
    return OpenDocument(list(_Reader(styles).blocks(content)), title)


def read_odp(path: Path, name: str) -> OpenDocument:
    """An OpenDocument presentation: each slide's title first, then its other text; notes after it.

    Raises:
        DocumentError: corrupt.
    """
    content, styles, title = _opened(path, name, "presentation")
    pages = content.findall(_DRAW + "page")
    blocks: list[Block] = []
    for number, page in enumerate(pages, 1):
        shapes = sorted(page, key=lambda shape: shape.get(_PRESENTATION + "class") != "title")
        for shape in shapes:
            titled = shape.get(_PRESENTATION + "class") == "title"
            for block in _Reader(styles).blocks([shape]):
                category = "title" if titled and block.category == "text" else block.category
                blocks.append(Block(category, block.text, place={"slide": number}))
    return OpenDocument(blocks, title, len(pages))


def read_ods(path: Path, name: str) -> OpenDocument:
    """An OpenDocument spreadsheet: its visible sheets in blocks of rows, each cell as it is shown.

    Raises:
        DocumentError: corrupt or too_large.
    """
    content, styles, title = _opened(path, name, "spreadsheet")
    blocks: list[Block] = []
    hidden = []
    for sheet in content.findall(_TABLE + "table"):
        own = sheet.get(_TABLE + "name", "")
        if sheet.get(_TABLE + "style-name") in styles.hidden_tables or sheet.get(_TABLE + "display") == "false":
            hidden.append(own)
        else:
            blocks.extend(sheet_blocks(_Reader(styles).rows(sheet, name), own))
    warnings = (f"Hidden sheets are not read: {', '.join(map(repr, hidden))}.",) if hidden else ()
    return OpenDocument(blocks, title, warnings=warnings)


def _opened(path: Path, name: str, kind: str) -> tuple[Any, _Styles, str]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    with zipfile.ZipFile(path) as archive:
        members = set(archive.namelist())
        parts = {}
        for part in ("content.xml", "styles.xml", "meta.xml"):
            if part in members:
                with archive.open(part) as file:
                    parts[part] = etree.parse(file, parser).getroot()
    content = parts.get("content.xml")
    found = content.find(f"{_OFFICE}body/{_OFFICE}{kind}") if content is not None else None
    if found is None:
        raise DocumentError("corrupt", f"{name!r} lacks its content. Save it anew from the program it was written in.")
    parents: dict[str, str] = {}
    hidden: set[str] = set()
    hidden_tables: set[str] = set()
    for part in ("styles.xml", "content.xml"):
        for style in parts[part].iter(_STYLE + "style") if part in parts else ():
            own = style.get(_STYLE + "name", "")
            if parent := style.get(_STYLE + "parent-style-name"):
                parents[own] = parent
            for properties in style:
                if properties.get(_TEXT + "display") == "none":
                    hidden.add(own)
                if properties.get(_TABLE + "display") == "false":
                    hidden_tables.add(own)
    meta = parts.get("meta.xml")
    title = meta.findtext(f".//{_TITLE}") if meta is not None else ""
    return found, _Styles(parents, frozenset(hidden), frozenset(hidden_tables)), title or ""


class _Reader:
    def __init__(self, styles: _Styles) -> None:
        self._styles = styles

    def blocks(self, parents: Iterable[Any], *, listed: bool = False) -> Iterator[Block]:
        for element in parents:
            tag = element.tag
            if tag in _LEFT_OUT or not isinstance(tag, str) or self._is_hidden(element):
                continue
            if tag in (_TEXT + "p", _TEXT + "h"):
                yield from self._paragraph(element, listed)
            elif tag == _TABLE + "table":
                lines = (" | ".join(cells).rstrip(" |") for cells in self._cells(element))
                yield Block("table", "\n".join(line for line in lines if line))
            else:
                inside = listed or tag in (_TEXT + "list-item", _TEXT + "list-header")
                yield from self.blocks(element, listed=inside)

    def _paragraph(self, element: Any, listed: bool) -> Iterator[Block]:
        text, apart = self._text(element)
        style = element.get(_TEXT + "style-name", "")
        if element.tag == _TEXT + "h":
            level = element.get(_TEXT + "outline-level", "1")
            yield Block("title", text, min(int(level), 9) - 1 if level.isdecimal() and int(level) else 0)
        elif self._styles.named(style, "title"):
            yield Block("title", text)
        else:
            yield Block("list_item" if listed else "text", text)
        yield from self.blocks(apart)

    def _text(self, element: Any) -> tuple[str, list[Any]]:
        """A paragraph's text, and what is anchored in it but stands beside it."""
        pieces: list[str] = []
        apart: list[Any] = []

        def collect(node: Any) -> None:
            pieces.append(re.sub(r"\s+", " ", node.text or ""))
            for child in node:
                tag = child.tag
                if tag in _APART:
                    apart.append(child)
                elif tag == _TEXT + "s":
                    count = child.get(_TEXT + "c", "1")
                    pieces.append(" " * (min(int(count), 100) if count.isdecimal() else 1))
                elif tag == _TEXT + "tab":
                    pieces.append("\t")
                elif tag == _TEXT + "line-break":
                    pieces.append("\n")
                elif isinstance(tag, str) and tag not in _LEFT_OUT and not self._is_hidden(child):
                    collect(child)
                pieces.append(re.sub(r"\s+", " ", child.tail or ""))

        collect(element)
        return "".join(pieces), apart

    def _is_hidden(self, element: Any) -> bool:
        return element.get(_TEXT + "style-name") in self._styles.hidden or (
            element.get(_TEXT + "display") == "none"  # a section
            or element.get(_TEXT + "is-hidden") == "true"  # a hidden paragraph or text
        )

    def _cells(self, table: Any) -> Iterator[list[str]]:
        for row in _rows(table):
            yield [
                " ".join(" ".join(block.text.split()) for block in self.blocks(cell))
                for cell in row
                if cell.tag in (_TABLE + "table-cell", _TABLE + "covered-table-cell")
            ]

    def rows(self, sheet: Any, name: str) -> Iterator[Row]:
        """A sheet's rows as the program numbers them. What is repeated by a number is repeated."""
        number = 0
        left = _MAX_CHARS
        for row in _rows(sheet):
            cells: list[str] = []
            for cell in row:
                if not isinstance(cell.tag, str) or not cell.tag.endswith("table-cell"):
                    continue
                text = " ".join(" ".join(" ".join(self._text(p)[0].split()) for p in cell.findall(_TEXT + "p")).split())
                cells.extend([text] * min(_repeated(cell, "columns"), MAX_COLUMNS - len(cells)))
            while cells and not cells[-1]:
                cells.pop()
            times = _repeated(row, "rows")
            left -= (sum(map(len, cells)) + len(cells)) * times
            if left < 0:
                raise DocumentError("too_large", f"{name!r} holds more than {_MAX_CHARS:,} characters. Split it.")
            for again in range(times if cells else 1):
                yield number + again + 1, cells
            number += times


def _rows(table: Any) -> Iterator[Any]:
    for element in table:
        if element.tag == _TABLE + "table-row":
            yield element
        elif element.tag in (
            _TABLE + "table-header-rows",
            _TABLE + "table-rows",
            _TABLE + "table-row-group",
        ):
            yield from _rows(element)


def _repeated(element: Any, what: str) -> int:
    times = element.get(f"{_TABLE}number-{what}-repeated", "1")
    return max(1, min(int(times), 10_000_000)) if times.isdecimal() and len(times) < 12 else 1

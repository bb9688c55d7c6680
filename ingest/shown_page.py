"""A web page as a browser would show it: hidden parts taken out and reported, tables that only lay out made blocks."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree
from lxml import html as lxml_html

from ingest.canonical import canonical
from ingest.hidden_text import take_out_hidden
from ingest.model import Finding

_NOT_SHOWN: Final = ("script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select", "datalist")
_HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")
_TABLE_PARTS: Final = ("thead", "tbody", "tfoot", "tr", "td", "th", "caption", "colgroup", "col")
_INLINE: Final = ("font", "span", "b", "i", "u", "em", "strong", "center", "small", "big", "a")
_LAID_OUT: Final = (*_HEADINGS, "form", "article", "section", "nav", "main", "aside")
_UNBROKEN: Final = ("pre", "li", "td", "th", "dt", "dd", "caption", *_HEADINGS)  # stay one block
_LONG_CELL_CHARS: Final = 1500  # more than any table's cell; a column of a page that a table lays out
_DECLARED: Final = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([\w-]{3,30})""", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class ShownPage:
    """What is left of a page."""

    markup: str
    headings: frozenset[str]  # texts of h1 to h6, squashed
    findings: tuple[Finding, ...]


def shown_page(markup: str) -> ShownPage | None:
    """The page without what its readers do not see, or None for one without any element.

    Raises:
        RecursionError: nested deeper than libxml2 reads, so that what stands below would be lost.
    """
    text = canonical(markup)
    if not text.strip():
        return None
    root, deep = _root(text)
    if root is None:
        return None
    findings = take_out_hidden(root, text)
    for element in list(root.iter()):
        if element.tag in _NOT_SHOWN and element.getparent() is not None:
            element.drop_tree()
    _unlay(root)
    for element in list(root.iter("br")):
        _break_line(element)
    if deep:
        root = _flattened(root)
    headings = frozenset(squashed(heading.text_content()) for heading in root.iter(*_HEADINGS))
    return ShownPage(lxml_html.tostring(root, encoding="unicode"), headings, tuple(findings))


def _break_line(br: Any) -> None:
    """A line break is a blank, and two of them are the end of a paragraph, as pages without paragraphs have them."""
    around = {ancestor.tag for ancestor in br.iterancestors(*_UNBROKEN)}
    br.tail = ("\n" if "pre" in around else " ") + (br.tail or "")
    if "pre" in around:
        br.drop_tag()
        return
    before = br.getprevious()
    if not around and before is not None and before.tag == "br" and not (before.tail or "").strip():
        br.tag = "div"
        for inline in list(itertools.takewhile(lambda one: one.tag in _INLINE, br.iterancestors())):
            inline.drop_tag()  # one that runs over paragraphs would hold them together


def _root(text: str) -> tuple[Any, bool]:
    """The page's tree, and whether it is deeper than the 255 levels that libxml2 reads unasked."""
    for huge in (False, True):
        parser = _parser(huge)
        try:
            root = lxml_html.document_fromstring(text.encode("utf-8"), parser=parser)
        except etree.ParserError:
            return None, False
        if not _cut_short(parser):
            return root, huge
    raise RecursionError("the page is nested too deep")


def _parser(huge: bool) -> Any:
    return lxml_html.HTMLParser(
        remove_comments=True, remove_pis=True, huge_tree=huge, no_network=True, encoding="utf-8"
    )


def _cut_short(parser: Any) -> bool:
    return any("xcessive depth" in entry.message for entry in parser.error_log)


def _flattened(root: Any) -> Any:
    """A deep page without the levels that mean nothing, as old pages have that close no tag."""
    for element in reversed(list(root.iter(*_INLINE, "div"))):
        alone = len(element) == 1 and not (element.text or "").strip() and not (element[0].tail or "").strip()
        if element.getparent() is not None and (element.tag != "div" or alone):
            element.drop_tag()
    parser = _parser(False)
    root = lxml_html.document_fromstring(lxml_html.tostring(root, encoding="utf-8"), parser=parser)
    if _cut_short(parser):  # unstructured would lose what stands below
        raise RecursionError("the page is nested too deep")
    return root


def _unlay(root: Any) -> None:
    """Make blocks of the cells of tables that only lay out a page, innermost first."""
    tables = list(root.iter("table"))
    around = {id(outer) for table in tables for outer in table.iterancestors("table")}
    for table in reversed(tables):
        if not _lays_out(table, id(table) in around):
            continue
        for part in [table, *_own_parts(table)]:
            part.tag = "div"
            part.attrib.clear()


def _own_parts(table: Any) -> list[Any]:
    """Rows, cells and the like of a table, without those of tables inside it."""
    return [part for part in table.iter(*_TABLE_PARTS) if next(part.iterancestors("table")) is table]


def _lays_out(table: Any, holds_tables: bool) -> bool:
    if (table.get("role") or "").lower() in ("presentation", "none"):
        return True
    parts = _own_parts(table)
    if any(part.tag in ("th", "thead", "caption") for part in parts):
        return False
    cells = [part for part in parts if part.tag == "td"]
    filled = [cell for cell in cells if cell.text_content().strip()]
    if len(filled) <= 1 or holds_tables:
        return True
    return any(next(cell.iter(*_LAID_OUT), None) is not None for cell in filled) or any(
        len(cell.text_content()) > _LONG_CELL_CHARS for cell in filled
    )


def declared_encoding(head: bytes) -> str | None:
    """The encoding that a page or XML file names in its first bytes."""
    found = _DECLARED.search(head)
    return found[1].decode("ascii") if found else None


def page_title(markup: str) -> str:
    found = _TITLE.search(markup[:100_000])
    return str(lxml_html.fromstring(found[0]).text_content()) if found and found[1].strip() else ""


def table_rows(markup: str) -> list[list[str]]:
    """The cells' texts of each row of a table that has any."""
    root = lxml_html.fragment_fromstring(markup, create_parent="div")
    rows = []
    for row in root.iter("tr"):
        cells = [" ".join(cell.text_content().split()) for cell in row if cell.tag in ("td", "th")]
        if any(cells):
            rows.append(cells)
    return rows


def squashed(text: str) -> str:
    """Text without white space, to compare by."""
    return "".join(text.split())

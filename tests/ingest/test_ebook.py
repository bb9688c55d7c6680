"""E-books built by hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ingest.ebook import Book, read_epub
from ingest.errors import DocumentError

_CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book%20one.opf"/></rootfiles></container>'
_PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The\n'
    ' book</dc:title></metadata><manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" '
    'properties="nav"/><item id="b" href="b.xhtml" media-type="application/xhtml+xml"/><item id="a" '
    'href="text/a%20b.xhtml#start" media-type="application/xhtml+xml"/><item id="p" href="p.png" '
    'media-type="image/png"/><item id="lost" href="lost.xhtml" media-type="text/html"/></manifest><spine>'
    '<itemref idref="n"/><itemref idref="a"/><itemref idref="b"/><itemref idref="p"/><itemref idref="none"/>{more}'
    "</spine></package>"
)
_PAGE = '<?xml version="1.0" encoding="{0}"?><html><body><p>{1}</p></body></html>'


def opened(tmp_path: Path, more: str = "", **parts: str | bytes) -> Book:
    members: dict[str, str | bytes] = {
        "META-INF/container.xml": _CONTAINER,
        "OPS/book one.opf": _PACKAGE.format(more=more),
        "OPS/b.xhtml": _PAGE.format("utf-8", "Second"),
        "OPS/text/a b.xhtml": _PAGE.format("iso-8859-5", "Первая").encode("iso8859_5"),
        "OPS/nav.xhtml": _PAGE.format("utf-8", "Contents"),
        **{name.replace("__", "/").replace("_dot_", "."): content for name, content in parts.items()},
    }
    path = tmp_path / "content"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content:
                archive.writestr(name, content)
    return read_epub(path, "a.epub")


def reason(tmp_path: Path, more: str = "", **parts: str | bytes) -> str:
    with pytest.raises(DocumentError) as refused:
        opened(tmp_path, more, **parts)
    return refused.value.reason


def test_pages_come_in_the_order_of_the_spine_without_the_contents(tmp_path: Path) -> None:
    book = opened(tmp_path)
    assert book.title == "The book" and book.warnings == ()
    assert [page.partition("<p>")[2].partition("<")[0] for page in book.pages] == ["Первая", "Second"]
    assert not any(page.startswith("<?xml") for page in book.pages)


def test_pages_that_are_missing_are_named(tmp_path: Path) -> None:
    book = opened(tmp_path, '<itemref idref="lost"/>')
    assert len(book.pages) == 2 and "'lost.xhtml'" in book.warnings[0]


def test_a_book_without_container_is_found_by_its_package(tmp_path: Path) -> None:
    assert len(opened(tmp_path, **{"META-INF__container_dot_xml": b""}).pages) == 2


def encryption(method: str) -> str:
    return f"<encryption><EncryptedData><EncryptionMethod Algorithm='{method}'/></EncryptedData></encryption>"


def test_protected_books_are_encrypted_and_scrambled_fonts_are_no_protection(tmp_path: Path) -> None:
    part = "META-INF__encryption_dot_xml"
    assert reason(tmp_path, **{part: encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}) == "encrypted"
    assert reason(tmp_path, **{"META-INF__rights_dot_xml": "<rights/>"}) == "encrypted"
    assert len(opened(tmp_path, **{part: encryption("http://www.idpf.org/2008/embedding")}).pages) == 2


def test_broken_books_end_in_a_reason(tmp_path: Path) -> None:
    bomb = "<!DOCTYPE package [<!ENTITY a 'aaaa'>]>" + _PACKAGE.format(more="")
    assert reason(tmp_path, **{"OPS__book one_dot_opf": bomb}) == "unsafe"
    assert reason(tmp_path, **{"OPS__book one_dot_opf": "<package/>"}) == "corrupt"
    assert reason(tmp_path, **{"OPS__book one_dot_opf": b"\0\1 no xml"}) == "corrupt"
    assert reason(tmp_path, **{"OPS__book one_dot_opf": "", "META-INF__container_dot_xml": ""}) == "corrupt"
    assert reason(tmp_path, '<itemref idref="b"/>' * 5001) == "too_large"


def test_no_page_outside_the_book_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.xhtml").write_text("secret")
    package = _PACKAGE.format(more="").replace('"b.xhtml', '"../../secret.xhtml')
    book = opened(tmp_path, **{"OPS__book one_dot_opf": package})
    assert len(book.pages) == 1 and "'secret.xhtml'" in book.warnings[0]

"""EPUB: the pages of its spine in reading order, and the title in its package file (EPUB 3.3, also of EPUB 2)."""

from __future__ import annotations

import posixpath
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from lxml import etree

from ingest.errors import DocumentError
from ingest.sniffing import decode, refuse_entities

_MAX_PAGES: Final = 5000
_MAX_PAGE_BYTES: Final = 20 << 20
_MAX_ALL_BYTES: Final = 200 << 20
_MAX_INDEX_BYTES: Final = 10 << 20
_PAGE_TYPES: Final = frozenset(
    {"application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document"}
)
# Scrambled fonts are no protection of the text; every other encryption is.
_FONT_SCRAMBLING: Final = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_ENCODING: Final = re.compile(rb"""(?:encoding|charset)\s*=\s*["']?([\w-]{3,30})""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Book:
    """An e-book before its pages are divided into elements."""

    title: str
    pages: list[str]  # XHTML, in reading order
    warnings: tuple[str, ...] = ()


def read_epub(path: Path, name: str) -> Book:
    """The book's pages and title.

    Raises:
        DocumentError: encrypted, corrupt, unsafe or too_large.
    """
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        _refuse_protection(archive, members, name)
        package_path = _package_path(archive, members, name)
        package = _xml(archive, members, package_path, name)
        title = " ".join((package.findtext(".//{*}metadata/{*}title") or package.findtext(".//{*}title") or "").split())
        items = {item.get("id"): item for item in package.iterfind(".//{*}manifest/{*}item")}
        folder = posixpath.dirname(package_path)
        pages: list[str] = []
        missing: list[str] = []
        left = _MAX_ALL_BYTES
        spine = [item for ref in package.iterfind(".//{*}spine/{*}itemref") if (item := items.get(ref.get("idref")))
                 is not None]  # fmt: skip
        if len(spine) > _MAX_PAGES:
            raise DocumentError("too_large", f"{name!r} has more than {_MAX_PAGES:,} parts. Split it.")
        for item in spine:
            if item.get("media-type", "") not in _PAGE_TYPES or "nav" in (item.get("properties") or "").split():
                continue
            place = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", "")).split("#")[0]))
            member = members.get(place)
            if member is None:
                missing.append(posixpath.basename(place)[:80])
                continue
            if member.file_size > min(_MAX_PAGE_BYTES, left):
                raise DocumentError("too_large", f"{name!r} holds more text than one document may. Split it.")
            left -= member.file_size
            content = archive.read(member)
            declared = _ENCODING.search(content[:1000])
            pages.append(_without_prologue(decode(content, declared=declared[1].decode() if declared else None)))
    if not pages:
        raise DocumentError("corrupt", f"{name!r} lists no page of text. Save it anew from the program it came from.")
    named = ", ".join(map(repr, missing[:10]))
    return Book(title, pages, (f"The book lists parts that are not in it: {named}.",) if missing else ())


def _refuse_protection(archive: zipfile.ZipFile, members: dict[str, Any], name: str) -> None:
    protected = "META-INF/rights.xml" in members
    if "META-INF/encryption.xml" in members:
        listed = _xml(archive, members, "META-INF/encryption.xml", name)
        methods = [method.get("Algorithm") for method in listed.iterfind(".//{*}EncryptedData/{*}EncryptionMethod")]
        protected = any(method not in _FONT_SCRAMBLING for method in methods)
    if protected:
        raise DocumentError(
            "encrypted", f"{name!r} is protected by digital rights management. Upload a copy without protection."
        )


def _package_path(archive: zipfile.ZipFile, members: dict[str, Any], name: str) -> str:
    if "META-INF/container.xml" in members:
        root = _xml(archive, members, "META-INF/container.xml", name).find(".//{*}rootfile")
        if root is not None and (place := posixpath.normpath(unquote(root.get("full-path", "")))) in members:
            return place
    found = sorted(member for member in members if member.endswith(".opf"))
    if not found:
        raise DocumentError("corrupt", f"{name!r} lacks its table of parts. Save it anew or upload it again.")
    return found[0]


def _xml(archive: zipfile.ZipFile, members: dict[str, Any], place: str, name: str) -> Any:
    if members[place].file_size > _MAX_INDEX_BYTES:
        raise DocumentError("unsafe", f"{name!r} is built in a way that honest books are not. It is not opened.")
    content = archive.read(members[place])
    refuse_entities(content, name)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        raise DocumentError("corrupt", f"{name!r} is damaged: {place!r} cannot be read. Upload it again.")
    return root


def _without_prologue(text: str) -> str:
    return re.sub(r"\A\s*<\?xml[^>]*\?>", "", text)

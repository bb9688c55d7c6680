"""What a file is, told by its content; refusals that need no parser; text decoded from unknown encodings."""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

from ingest.errors import DocumentError

Kind = Literal[
    "pdf", "docx", "pptx", "xlsx", "msg", "csv", "tsv", "txt", "md", "html", "eml", "xml", "json",
    "odt", "ods", "odp", "epub", "rtf", "rst", "png", "jpeg", "tiff", "bmp", "webp", "gif",
]  # fmt: skip

MEDIA_TYPES: Final[dict[Kind, str]] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "msg": "application/vnd.ms-outlook",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "eml": "message/rfc822",
    "xml": "application/xml",
    "json": "application/json",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "epub": "application/epub+zip",
    "rtf": "application/rtf",
    "rst": "text/x-rst",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "webp": "image/webp",
    "gif": "image/gif",
}
PICTURES: Final[tuple[Kind, ...]] = ("png", "jpeg", "tiff", "bmp", "webp", "gif")
READ_FORMATS: Final = (
    "PDF, Word (docx), PowerPoint (pptx), Excel (xlsx), OpenDocument (odt, ods, odp), RTF, EPUB, HTML, Markdown, text, "
    "CSV, mail (eml, msg) or a picture (PNG, JPEG, TIFF)"
)

_HEAD_BYTES: Final = 4096
_SMALL_ARCHIVE_BYTES: Final = 32 << 20  # unpacked; below, no ratio is a danger
_MAX_MEMBERS: Final = 20_000
_MAX_CHECKED_MEMBERS: Final = 1000
_MAX_CONTENT_TYPES_BYTES: Final = 4 << 20
_BY_SUFFIX: Final[dict[str, Kind]] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".md": "md", ".markdown": "md", ".mdown": "md", ".mkd": "md",
    ".html": "html", ".htm": "html", ".xhtml": "html", ".eml": "eml", ".xml": "xml", ".json": "json",
    ".jsonl": "json", ".ndjson": "json", ".txt": "txt", ".text": "txt", ".log": "txt", ".rst": "rst", ".rest": "rst",
    ".org": "txt",
}  # fmt: skip
_BINARY_SUFFIXES: Final = frozenset(
    {".pdf", ".docx", ".pptx", ".xlsx", ".doc", ".xls", ".ppt", ".msg", ".odt", ".ods", ".odp", ".epub", ".rtf"}
)
_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"RIFF", "a sound or film"),
    (b"\x1f\x8b", "a packed archive"),
    (b"7z\xbc\xaf", "a packed archive"),
    (b"Rar!", "a packed archive"),
    (b"BZh", "a packed archive"),
    (b"\xfd7zXZ", "a packed archive"),
    (b"\x28\xb5\x2f\xfd", "a packed archive"),
    (b"%!PS", "a PostScript file"),
    (b"SQLite format 3", "a database"),
    (b"ID3", "a sound"),
    (b"OggS", "a sound"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"\x80\x05\x95", "a Python pickle"),
)
_PICTURE_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\x89PNG\r\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)
_HEIC_BRANDS: Final = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"mif1", b"msf1", b"avif", b"avis")
_BITMAP_HEADER_BYTES: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAIL_HEADER: Final = re.compile(
    rb"(from|to|cc|subject|date|received|mime-version|message-id|return-path|delivered-to|reply-to|content-type"
    rb"|x-[\w-]+):",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may declare to hold before anything of it is unpacked."""

    max_bytes: int
    max_ratio: float  # unpacked to packed


def sniff(path: Path, *, name: str, archive: ArchiveLimits) -> Kind:
    """What the content is. Among kinds of text, which all look alike, the name decides.

    Raises:
        DocumentError: empty, unsupported_type, encrypted, corrupt, unsafe or too_large; nothing was unpacked.
    """
    size = path.stat().st_size
    if not size:
        raise DocumentError("empty", f"{name!r} is empty (0 bytes). Check that it was saved and uploaded completely.")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _office_kind(path, name, size, archive)
    if head.startswith(_OLE):
        return _ole_kind(path, name)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{\\rtf"):
        return "rtf"
    for magic, picture in _PICTURE_MAGIC:
        if head.startswith(magic):
            return picture
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADER_BYTES:
        return "bmp"
    if head[4:8] == b"ftyp":
        if head[8:12] in _HEIC_BRANDS:
            raise _unsupported(name, "a HEIC or AVIF photograph", "JPEG, PNG or PDF")
        raise _unsupported(name, "a film")
    for magic, what in _MAGIC:
        if head.startswith(magic) and not (len(magic) == 2 and _mostly_text(head)):
            raise _unsupported(name, what)
    suffix = PurePath(name).suffix.lower()
    if _wide_encoding(head) is None and not _mostly_text(head):
        if suffix in _BINARY_SUFFIXES:
            raise DocumentError("corrupt", f"{name!r} is not a {suffix[1:]} file, or is damaged. Upload it again.")
        raise _unsupported(name, "a binary file of an unknown kind")
    if suffix in _BINARY_SUFFIXES:
        raise DocumentError(
            "corrupt",
            f"{name!r} holds plain text and no {suffix[1:]}. Give it the ending it should have, or save it anew.",
        )
    return _BY_SUFFIX.get(suffix) or _text_kind(head)


def _unsupported(name: str, what: str, way_out: str = READ_FORMATS) -> DocumentError:
    return DocumentError("unsupported_type", f"{name!r} is {what}, which Quoth does not read. Save it as {way_out}.")


def _office_kind(path: Path, name: str, size: int, limits: ArchiveLimits) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if len(members) > _MAX_MEMBERS or unpacked > max(_SMALL_ARCHIVE_BYTES, limits.max_ratio * size):
                raise DocumentError(
                    "unsafe",
                    f"{name!r} would unpack from {size / 1e6:,.2f} to {unpacked / 1e6:,.0f} MB in {len(members):,} "
                    "parts, which is how attacks are built. If it is honest, split it.",
                )
            if unpacked > limits.max_bytes:
                raise DocumentError(
                    "too_large",
                    f"{name!r} would unpack to {unpacked / 1e6:,.0f} MB; the limit is {limits.max_bytes / 1e6:,.0f}. "
                    "Split it into smaller files.",
                )
            if any(member.flag_bits & 1 for member in members):
                raise DocumentError("encrypted", f"{name!r} is password-protected. Upload an unprotected copy.")
            names = {member.filename for member in members}
            if "[Content_Types].xml" in names:
                types = _start(archive, "[Content_Types].xml", _MAX_CONTENT_TYPES_BYTES)
                _refuse_entities_inside(archive, name)
                for mark, kind in _OFFICE_MARKS:
                    if mark in types:
                        return kind
            manifest = _start(archive, "META-INF/manifest.xml", _MAX_CONTENT_TYPES_BYTES)
            declared = _start(archive, "mimetype", 100).decode("ascii", "replace").strip()
            if not declared and (found := _ROOT_TYPE.search(manifest)):
                declared = (found[1] or found[2]).decode("ascii", "replace")
            open_kind = _OPEN_TYPES.get(declared.removesuffix("-template").removesuffix("-flat-xml"))
            if open_kind is None and "META-INF/container.xml" in names:
                open_kind = "epub"
            if open_kind is None:
                raise _unsupported(name, "an archive or a file of an unknown kind")
            if b"encryption-data" in manifest:
                raise DocumentError("encrypted", f"{name!r} is password-protected. Upload an unprotected copy.")
            if open_kind != "epub":  # whose pages declare entities for their accents
                _refuse_entities_inside(archive, name)
            return open_kind
    except _TORN_ARCHIVE as error:
        raise DocumentError("corrupt", f"{name!r} is damaged or incomplete. Upload it again.") from error


_TORN_ARCHIVE: Final = (  # what reading a few bytes of a damaged archive raises
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError, EOFError,
    LookupError, ValueError, OSError,
)  # fmt: skip


def _start(archive: zipfile.ZipFile, member: str, size: int) -> bytes:
    """The first bytes of a part, or nothing when there is no such part."""
    if member not in archive.namelist():
        return b""
    with archive.open(member) as file:
        return file.read(size)


def _refuse_entities_inside(archive: zipfile.ZipFile, name: str) -> None:
    for member in archive.infolist()[:_MAX_CHECKED_MEMBERS]:
        if member.filename.endswith((".xml", ".rels")):
            with archive.open(member) as file:
                head = file.read(_HEAD_BYTES)
            wide = _wide_encoding(head)
            refuse_entities(head.decode(wide, "replace").encode() if wide else head, name)


_OPEN_TYPES: Final[dict[str, Kind]] = {
    MEDIA_TYPES[kind]: kind for kind in ("odt", "ods", "odp", "epub")
}  # the type that such a file declares of itself
_ROOT_TYPE: Final = re.compile(
    rb"""full-path=["']/["'][^>]*media-type=["']([^"']{1,99})|media-type=["']([^"']{1,99})["'][^>]*full-path=["']/["']"""
)
_OFFICE_MARKS: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"wordprocessingml.document.main", "docx"),
    (b"wordprocessingml.template.main", "docx"),
    (b"ms-word.document.macroEnabled.main", "docx"),
    (b"presentationml.presentation.main", "pptx"),
    (b"presentationml.slideshow.main", "pptx"),
    (b"spreadsheetml.sheet.main", "xlsx"),
    (b"ms-excel.sheet.macroEnabled.main", "xlsx"),
)


def refuse_entities(content: bytes, name: str) -> None:
    """Raise `unsafe` for XML that declares entities: they only serve to swell a file or to reach others."""
    if b"<!ENTITY" in content:
        raise DocumentError("unsafe", f"{name!r} declares XML entities, which honest files do not. It is not opened.")


def _ole_kind(path: Path, name: str) -> Kind:
    """The old Office container: a mail of Outlook, an encrypted new file, or a format of before 2007."""
    content = path.read_bytes()

    def holds(stream: str) -> bool:
        return stream.encode("utf-16-le") in content

    if holds("EncryptedPackage"):
        raise DocumentError("encrypted", f"{name!r} is password-protected. Upload an unprotected copy.")
    if holds("__properties_version1.0"):
        return "msg"
    if holds("WordDocument"):
        raise _unsupported(name, "a Word file of before 2007 (doc)", "docx or PDF")
    if holds("PowerPoint Document"):
        raise _unsupported(name, "a PowerPoint file of before 2007 (ppt)", "pptx or PDF")
    if holds("Workbook") or holds("Book"):
        raise _unsupported(name, "an Excel file of before 2007 (xls)", "xlsx, ods or CSV")
    raise _unsupported(name, "an Office file of an old kind")


def _text_kind(head: bytes) -> Kind:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = start[:1000].lower()
    if lower.startswith((b"<!doctype html", b"<html")):
        return "html"
    if lower.startswith(b"<?xml"):
        return "html" if b"<html" in lower else "xml"
    lines = start.split(b"\n\n")[0].split(b"\r\n\r\n")[0].splitlines()
    if lines and _MAIL_HEADER.match(lines[0]):
        headers = sum(bool(_MAIL_HEADER.match(line)) for line in lines)
        structured = any(line.lower().startswith((b"mime-version:", b"content-type: multipart/")) for line in lines)
        if headers >= 3 or (headers == 2 and structured):
            return "eml"
    return "txt"


# -- text --------------------------------------------------------------------------------------------------------------

_CONTROL: Final = bytes(set(range(32)) - {9, 10, 12, 13, 27} | {127})
_WESTERN: Final = re.compile(
    r"cp125[0247]|cp(437|775|85[0278]|86[0135]|037|273|500|1140|1026)|latin|iso8859_?(1|2|3|4|9|10|13|14|15|16)$|mac_|"
    r"hp_roman|kz1048|ptcp|tis|cp720|cp10\d\d"
)
_SYMBOL_IN_WORD: Final = re.compile(r"[^\W\d_][¹²³¼½¾¿¡º¶§¤¥¦¨ª«¬¯°±´·¸»×÷\x80-\x9f][^\W\d_]")


_MULTIBYTE: Final = re.compile(r"big5|cp9(32|36|49|50)|johab|euc|gb|hz|shift|iso2022")
_RUSSIAN_WORD: Final = re.compile(r"[А-ЯЁ]?[а-яё]+|[А-ЯЁ]+")
_MIN_HIGH_BYTES: Final = 8


def _cyrillic(content: bytes) -> str | None:
    """The Cyrillic encoding in which nearly all that is not ASCII makes words in one case, with a capital at most.

    Statistics takes such texts, when short, for Chinese or Japanese, which in turn make no such words.
    """
    found: list[tuple[int, str]] = []
    for encoding in ("cp1251", "koi8_r"):  # where one has small letters, the other has capitals
        words = re.findall(r"[^\x00-\x7f]+", content.decode(encoding, "replace"))
        high = sum(map(len, words))
        if high >= _MIN_HIGH_BYTES and sum(len(w) for w in words if _RUSSIAN_WORD.fullmatch(w)) > 0.9 * high:
            found.append((sum(map(str.islower, "".join(words))), encoding))
    return max(found)[1] if found else None


def _mostly_text(head: bytes) -> bool:
    controls = len(head) - len(head.translate(None, _CONTROL))
    return controls <= 0.2 * len(head)


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by byte order mark or by where the zero bytes of Western text fall."""
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = head[0::2], head[1::2]
    if len(head) >= 4 and odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if len(head) >= 4 and even.count(0) > 0.4 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    return None


def decode(content: bytes, *, declared: str | None = None) -> str:
    """Text of unknown encoding. Never fails: a byte that fits nowhere becomes U+FFFD.

    In order: byte order mark, zero bytes of UTF-16, strict UTF-8, what the file itself declares, then statistics.
    Windows-1252 goes before its Eastern sister 1250, which statistics on short Western texts prefer wrongly; it gives
    way only where it would put symbols inside words.
    """
    wide = _wide_encoding(content[:_HEAD_BYTES])
    if wide is not None:
        return content.decode(wide, "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        late = error.start
    if declared:
        try:
            return content.decode(declared)
        except (LookupError, UnicodeDecodeError):
            pass
    from charset_normalizer import from_bytes

    sample = content if len(content) <= 200_000 else content[:50_000] + content[max(0, late - 1000) : late + 150_000]
    best = from_bytes(sample).best()
    guess = best.encoding if best is not None else "cp1252"
    if guess.startswith(("utf_16", "utf_32", "utf_7")):  # looked for above; on a few bytes statistics sees it anywhere
        guess = "cp1252"
    if _MULTIBYTE.match(guess.lower()):
        guess = _cyrillic(sample) or guess
    broken = content.decode("utf-8", "replace")
    if broken.count("\ufffd") <= 0.01 * len(broken) and sum(ord(c) > 127 for c in broken) > 3 * broken.count("\ufffd"):
        return broken  # UTF-8 with a few broken bytes
    western = content.decode("cp1252", "replace")
    high = sum(byte > 127 for byte in sample)
    if _WESTERN.match(guess.replace("-", "_").lower()) or high < 0.1 * len(sample):
        odd = len(_SYMBOL_IN_WORD.findall(western)) + western.count("\ufffd")
        if guess not in ("cp1250", "iso8859_2", "cp1254", "cp1257") or odd <= 0.02 * high:
            return western
    try:
        return content.decode(guess)
    except (LookupError, UnicodeDecodeError):
        return content.decode("cp1252", "replace")

"""What a file is by its content, what is refused unopened, and text of unknown encodings."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import DocumentError
from ingest.sniffing import ArchiveLimits, decode, sniff

LIMITS = ArchiveLimits(max_bytes=1 << 30, max_ratio=100.0)
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"


def office(parts: dict[str, bytes], content_type: str = WORD) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types><Override ContentType="{content_type}"/></Types>')
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def ole(stream: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504 + stream.encode("utf-16-le") + b"\0" * 64


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.pdf", b"%PDF-1.7\n", "pdf"),
        ("a.docx", b"junk before\n%PDF-1.4\n", "pdf"),
        ("a.pdf", office({}), "docx"),
        ("a.bin", office({}, "x.presentationml.presentation.main+xml"), "pptx"),
        ("a.txt", b"From: a@b\nTo: c@d\nSubject: e\n\nbody", "txt"),
        ("a", b"From: a@b\nTo: c@d\nSubject: e\n\nbody", "eml"),
        ("a.p7s", b"MIME-Version: 1.0\nContent-Type: multipart/signed;\n micalg=sha1\n\nbody", "eml"),
        ("a", b"Subject: e\nTo: c@d\n\nbody", "txt"),
        ("a", b"Content-Type: everything\nSubject: a list of fields\n\nbody", "txt"),
        ("a", b"<!DOCTYPE html><html><p>x</p></html>", "html"),
        ("notes", b"plain words", "txt"),
        ("a.CSV", b"a,b\n1,2\n", "csv"),
        ("a.md", b"# x", "md"),
        ("a.txt", b"BMW and Mercedes", "txt"),
        ("a.txt", "Grüße".encode("utf-16"), "txt"),
    ],
)
def test_content_decides_and_among_texts_the_name(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    file = tmp_path / "upload"
    file.write_bytes(content)
    assert sniff(file, name=name, archive=LIMITS) == kind


def lying(content: bytes, declared: int) -> bytes:
    """An archive whose directory claims another size for its last member."""
    at = content.rindex(b"PK\x01\x02")
    return content[: at + 24] + struct.pack("<I", declared) + content[at + 28 :]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.pdf", b"\x7fELF\x02\x01\x01" + b"\0" * 100, "unsupported_type"),
        ("a.pdf", b"just text", "corrupt"),
        ("a.docx", b"PK\x03\x04 and then nothing", "corrupt"),
        ("a.docx", office({"word/document.xml": b"<w/>" * 1000})[:-40], "corrupt"),
        ("a.docx", ole("EncryptedPackage"), "encrypted"),
        ("a.docx", ole("WordDocument"), "unsupported_type"),
        ("a.docx", office({"word/document.xml": b"\0" * (40 << 20)}), "unsafe"),
        ("a.docx", lying(office({"word/document.xml": b"x" * 100}), 4_000_000_000), "unsafe"),
        ("a.docx", office({"word/document.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}), "unsafe"),
        ("a.docx", office({"word/document.xml": '<!DOCTYPE a [<!ENTITY b "c">]>'.encode("utf-16")}), "unsafe"),
        ("a.zip", office({}, "nothing known"), "unsupported_type"),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 20, "unsupported_type"),
        ("a.pkl", b"\x80\x04\x95\x0a\0\0\0", "unsupported_type"),
        ("a.dat", bytes(range(32)) * 20, "unsupported_type"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported_type"),
        ("a.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "unsupported_type"),
    ],
)
def test_refusals_name_the_reason_and_the_file(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    file = tmp_path / "upload"
    file.write_bytes(content)
    with pytest.raises(DocumentError) as refused:
        sniff(file, name=name, archive=LIMITS)
    assert refused.value.reason == reason
    assert repr(name) in refused.value.detail


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.doc", ole("WordDocument"), "Save it as docx or PDF."),
        ("a.ppt", ole("PowerPoint Document"), "Save it as pptx or PDF."),
        ("a.xls", ole("Workbook"), "Save it as xlsx, ods or CSV."),
        ("a.heic", b"\0\0\0\x18ftypmif1" + b"\0" * 40, "HEIC or AVIF photograph"),
        ("a.heic", b"\0\0\0\x18ftypheic" + b"\0" * 40, "Save it as JPEG, PNG or PDF."),
    ],
)
def test_the_advice_names_the_one_way_out(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / "upload"
    file.write_bytes(content)
    with pytest.raises(DocumentError, match=words):
        sniff(file, name=name, archive=LIMITS)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_with_any_byte_flipped_is_told_or_refused_in_words(tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("[Content_Types].xml", f'<Types><Override ContentType="{WORD}"/></Types>')
        archive.writestr("word/document.xml", "<document><p>A few words.</p></document>")
    file = tmp_path / "upload"
    refused = 0
    for at in range(4, len(buffer.getvalue())):
        content = bytearray(buffer.getvalue())
        content[at] ^= 0xFF
        file.write_bytes(content)
        try:
            sniff(file, name="a.docx", archive=LIMITS)
        except DocumentError as error:
            assert repr("a.docx") in error.detail
            refused += 1
    assert refused


def test_a_flipped_byte_in_packed_data_is_damage(tmp_path: Path) -> None:
    content = bytearray(office({}))
    content[30 + len("[Content_Types].xml")] = 0xFF  # the first byte of the deflate stream: no such kind of block
    file = tmp_path / "upload"
    file.write_bytes(content)
    with pytest.raises(DocumentError) as refused:
        sniff(file, name="a.xlsx", archive=LIMITS)
    assert refused.value.reason == "corrupt" and "damaged or incomplete" in refused.value.detail


def test_an_archive_too_large_but_honest_is_too_large(tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(office({"word/document.xml": b"\0" * (40 << 20)}))
    with pytest.raises(DocumentError) as refused:
        sniff(file, name="a.docx", archive=ArchiveLimits(max_bytes=10 << 20, max_ratio=1e9))
    assert refused.value.reason == "too_large"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("déjà vu, naïve café", "cp1252"),
        ("El niño comió piñas; ¿qué? ¡Sí!", "latin-1"),
        ("Größe und Übermut – „schön“ sagte er, für 5 €", "cp1252"),
        ("Zażółć gęślą jaźń, proszę bardzo. Przykładowy tekst dłuższy.", "cp1250"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy. Český text, kde je víc slov.", "cp1250"),
        ("Съешь же ещё этих мягких французских булок да выпей чаю", "cp1251"),
        ("Мы уходим в отпуск в июле.", "koi8-r"),
        ("Отпуск (пять дней)", "cp1251"),
        ("これは日本語の文章です。東京は日本の首都です。", "shift_jis"),
        ("这是一个中文句子，用来测试编码检测。", "gb18030"),
        ("이 문장은 한국어로 쓰여 있습니다.", "euc-kr"),
        ("plain text without a mark", "utf-16-le"),
        ("plain text without a mark", "utf-16-be"),
        ("mit Marke: Größe", "utf-16"),
        ("mit Marke: Größe", "utf-32"),
        ("mit Marke: Größe", "utf-8-sig"),
    ],
)
def test_encodings_are_told(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_a_declared_encoding_goes_before_statistics() -> None:
    assert decode("ћирилица".encode("iso8859_5"), declared="iso-8859-5") == "ћирилица"
    assert decode(b"caf\xe9", declared="no-such-encoding") == "café"


def test_a_broken_byte_does_not_change_the_rest() -> None:
    text = "Größe, Übermut, Äpfel und weitere Wörter für die Prüfung, außerdem Maßnahmen. " * 5
    assert decode(text.encode() + b"\xff" + b" end") == text + "\ufffd end"


@given(st.binary(max_size=200))
def test_decoding_never_fails(content: bytes) -> None:
    assert isinstance(decode(content), str)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=60))
def test_utf8_is_taken_at_its_word(text: str) -> None:
    if not text.startswith("\ufeff"):
        assert decode(text.encode()) == text

"""Mail: what is shown of it, and what comes out of it as files of their own."""

from __future__ import annotations

import base64
import itertools
import struct
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.attached import Attached, file_name
from ingest.errors import DocumentError
from ingest.mail import Mail, read_eml, read_msg

PICTURE = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def mail(subject: str = "Plans of the year") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Anna <anna@example.org>", "bert@example.org", subject
    message.set_content("The plain words.")
    return message


def read(message: EmailMessage | bytes, tmp_path: Path) -> Mail:
    file = tmp_path / "a.eml"
    file.write_bytes(message if isinstance(message, bytes) else message.as_bytes())
    return read_eml(file, "a.eml")


def test_attached_files_come_out_whole(tmp_path: Path) -> None:
    message = mail()
    content = bytes(range(256)) * 50
    message.add_attachment(content, maintype="application", subtype="pdf", filename="plan.pdf")
    message.add_attachment("Zahlen für Köln\n", subtype="plain", filename="zahlen.txt")
    found = read(message, tmp_path)
    assert [one.name for one in found.attachments] == ["plan.pdf", "zahlen.txt"]
    assert found.attachments[0].content == content
    assert found.attachments[1].content.decode() == "Zahlen für Köln\n"
    assert found.bodies == (("The plain words.\n", False),) and not found.warnings


def test_pictures_of_the_text_and_signatures_are_left_out_and_attached_pictures_are_not(tmp_path: Path) -> None:
    message = mail()
    message.add_alternative("<p>Words</p><img src='cid:logo@here'>", subtype="html")
    message.add_attachment(PICTURE, maintype="image", subtype="png", filename="logo.png", cid="<logo@here>")
    message.add_attachment(PICTURE, maintype="image", subtype="png", filename="foot.png", disposition="inline")
    message.add_attachment(PICTURE, maintype="image", subtype="png", filename="scan.png")
    message.add_attachment(b"abc", maintype="application", subtype="pkcs7-signature", filename="smime.p7s")
    found = read(message, tmp_path)
    assert [one.name for one in found.attachments] == ["scan.png"]
    assert [rich for _, rich in found.bodies] == [True]  # the same words in plain text are not read twice


def test_a_mail_inside_a_mail_is_a_file_of_its_own_and_no_part_of_the_text(tmp_path: Path) -> None:
    inner = mail("Größe / the old plan")
    inner.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="inner.pdf")
    outer = mail()
    outer.add_attachment(inner)
    found = read(outer, tmp_path)
    assert [one.name for one in found.attachments] == ["Größe - the old plan.eml"]
    assert len(found.bodies) == 1
    again = read(found.attachments[0].content, tmp_path)
    assert again.subject == "Größe / the old plan" and [one.name for one in again.attachments] == ["inner.pdf"]


def test_calendars_and_remarks_of_lists_are_no_words(tmp_path: Path) -> None:
    message = mail()
    message.add_alternative("BEGIN:VCALENDAR\nEND:VCALENDAR\n", subtype="calendar")
    assert [text for text, _ in read(message, tmp_path).bodies] == ["The plain words.\n"]


@pytest.mark.parametrize(
    "kind", ["multipart/encrypted; boundary=x", "application/pkcs7-mime; smime-type=enveloped-data"]
)
def test_an_encrypted_mail_is_told(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DocumentError) as raised:
        read(f"From: a@example.org\nSubject: b\nContent-Type: {kind}\n\n--x\n\nabc\n--x--\n".encode(), tmp_path)
    assert raised.value.reason == "encrypted"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1251", "shift_jis", "utf-16"])
def test_bodies_in_their_declared_encoding(tmp_path: Path, encoding: str) -> None:
    text = {"latin-1": "Größe", "cp1251": "Отпуск", "shift_jis": "休暇の日数", "utf-16": "Größe"}[encoding]
    head = f"From: a@example.org\nMIME-Version: 1.0\nContent-Type: text/plain; charset={encoding}\n"
    body = base64.b64encode(text.encode(encoding)).decode()
    found = read(f"{head}Content-Transfer-Encoding: base64\n\n{body}\n".encode(), tmp_path)
    assert found.bodies == ((text, False),)


# -- names and bounds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("plan.pdf", "plan.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\anna\\plan.pdf", "plan.pdf"),
        ("..", ""),
        (" .hidden.", "hidden"),
        ("a\0b\nc.txt", "ab c.txt"),
        ("evil\u202efdp.exe", "evilfdp.exe"),
        ("x" * 500 + ".docx", "x" * 116 + ".docx"),
        ("Gro\u0308\u00dfe.txt", "Größe.txt"),
    ],
)
def test_names_are_those_of_one_file_in_one_folder(given_name: str, name: str) -> None:
    assert file_name(given_name) == name


@given(st.text(max_size=300))
def test_no_name_leads_elsewhere(given_name: str) -> None:
    name = file_name(given_name)
    assert not set(name) & set("/\\\0\n") and name not in (".", "..") and len(name) <= 121
    assert file_name(name) == name
    name.encode()


def test_equal_names_are_numbered_and_nameless_files_get_an_ending() -> None:
    attached = Attached()
    for name in ("plan.pdf", "PLAN.pdf", "a/plan.pdf", "", ""):
        attached.add(name, lambda: b"x", "application/pdf")
    assert [one.name for one in attached.files] == [
        "plan.pdf", "PLAN (2).pdf", "plan (3).pdf", "attachment.pdf", "attachment (2).pdf",
    ]  # fmt: skip


def test_files_are_bounded_in_number_and_size_and_what_is_left_out_is_named() -> None:
    few = Attached(max_files=2)
    for number in range(20):
        few.add(f"{number}.txt", lambda: b"x")
    assert [one.name for one in few.files] == ["0.txt", "1.txt"]
    assert "'2.txt'" in few.warnings[0] and "'11.txt' and 8 more" in few.warnings[0]
    small = Attached(max_bytes=10)
    for name, size in (("a", 6), ("b", 6), ("c", 4)):
        small.add(name, lambda size=size: b"x" * size)  # type: ignore[misc]
    assert [one.name for one in small.files] == ["a", "c"] and "'b'" in small.warnings[0]


# -- Outlook -----------------------------------------------------------------------------------------------------------

Tree = dict[str, "bytes | Tree"]
_FREE, _END = 0xFFFFFFFF, 0xFFFFFFFE


def compound_file(tree: Tree) -> bytes:
    """A compound file (MS-CFB) of version 3: small streams in sectors of 64 bytes, others of 512."""
    entries: list[tuple[str, int, int, int, bytes]] = []  # name, kind, first child, next sibling, content

    def put(name: str, node: bytes | Tree, root: bool = False) -> int:
        own = len(entries)
        entries.append((name, 0, _FREE, _FREE, b""))
        if isinstance(node, bytes):
            entries[own] = (name, 2, _FREE, _FREE, node)
            return own
        children = [put(child, inner) for child, inner in node.items()]
        for before, after in itertools.pairwise(children):
            old = entries[before]
            entries[before] = (old[0], old[1], old[2], after, old[4])
        entries[own] = (name, 5 if root else 1, children[0] if children else _FREE, _FREE, b"")
        return own

    put("Root Entry", tree, root=True)
    sectors: list[bytes] = []
    chain: list[int] = []
    small_sectors: list[bytes] = []
    small_chain: list[int] = []

    def store(content: bytes, size: int, into: list[bytes], links: list[int]) -> int:
        if not content:
            return _END
        first = len(into)
        pieces = [content[at : at + size].ljust(size, b"\0") for at in range(0, len(content), size)]
        into.extend(pieces)
        links.extend([first + at + 1 for at in range(len(pieces) - 1)] + [_END])
        return first

    starts = [
        store(content, 64, small_sectors, small_chain) if len(content) < 4096 else store(content, 512, sectors, chain)
        for _, _, _, _, content in entries
    ]
    small = b"".join(small_sectors)
    starts[0] = store(small, 512, sectors, chain)
    small_table = struct.pack(f"<{len(small_chain)}I", *small_chain)
    small_table_at = store(small_table + b"\xff" * (-len(small_table) % 512), 512, sectors, chain)
    directory = b""
    for (name, kind, child, sibling, content), start in zip(entries, starts, strict=True):
        wide = name.encode("utf-16-le")
        size = len(small) if kind == 5 else len(content)
        directory += wide.ljust(64, b"\0") + struct.pack("<HBB", len(wide) + 2, kind, 1)
        directory += struct.pack("<III", _FREE, sibling, child) + b"\0" * 36 + struct.pack("<IQ", start, size)
    directory_at = store(directory, 512, sectors, chain)
    table_sectors = (len(sectors) + 1) // 127 + 1
    table_at = len(sectors)
    chain += [0xFFFFFFFD] * table_sectors
    table = struct.pack(f"<{len(chain)}I", *chain).ljust(512 * table_sectors, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    head += struct.pack(
        "<IIIIIIIIII",
        0,
        table_sectors,
        directory_at,
        0,
        4096,
        small_table_at,
        -(-len(small_table) // 512),
        _END,
        0,
        table_at,
    )
    head += b"".join(struct.pack("<I", table_at + at) for at in range(1, table_sectors))
    return head.ljust(512, b"\xff") + b"".join(sectors) + table


def properties(header: int, numbers: dict[int, int], texts: dict[int, bytes], kinds: dict[int, int]) -> Tree:
    """The streams of a message's or an attachment's properties."""
    listed = b"\0" * header
    streams: Tree = {}
    for tag, number in numbers.items():
        listed += struct.pack("<HHIII", 3, tag, 6, number, 0)
    for tag, content in texts.items():
        kind = kinds.get(tag, 0x1F)
        listed += struct.pack("<HHIII", kind, tag, 6, len(content) + (2 if kind == 0x1F else 0), 0)
        streams[f"__substg1.0_{tag:04X}{kind:04X}"] = content
    streams["__properties_version1.0"] = listed
    return streams


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def outlook(body: str | None, attachments: list[Tree], kind: str = "IPM.Note", html: bytes | None = None) -> bytes:
    texts = {0x001A: kind.encode("utf-16-le"), 0x0037: "Plans".encode("utf-16-le")}
    if body is not None:
        texts[0x1000] = body.encode("utf-16-le")
    if html is not None:
        texts[0x1013] = html
    tree = properties(32, {}, texts, {0x1013: 0x102})
    for number, attachment in enumerate(attachments):
        tree[f"__attach_version1.0_#{number:08X}"] = attachment
    return compound_file(tree)


def attachment(name: str, content: bytes, kind: str = "application/pdf", flags: int = 0, method: int = 1) -> Tree:
    texts = {0x3707: name.encode("utf-16-le"), 0x370E: kind.encode("utf-16-le"), 0x3701: content}
    return properties(8, {0x3705: method, 0x3714: flags}, texts, {0x3701: 0x102})


def open_outlook(content: bytes, tmp_path: Path) -> Mail:
    (tmp_path / "a.msg").write_bytes(content)
    return read_msg(tmp_path / "a.msg", "a.msg")


def test_outlook_mails_give_their_files(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20
    found = open_outlook(
        outlook(
            "The plain words.",
            [
                attachment("plan.pdf", content),
                attachment("../plan.pdf", b"other"),
                attachment("logo.png", PICTURE, "image/png", flags=4),
                attachment("linked.docx", b"", method=2),
            ],
        ),
        tmp_path,
    )
    assert [(one.name, one.content) for one in found.attachments] == [("plan.pdf", content), ("plan (2).pdf", b"other")]
    assert found.subject == "Plans" and found.bodies == (("The plain words.", False),)
    assert len(found.warnings) == 1 and "'linked.docx'" in found.warnings[0]


def test_a_mail_inside_an_outlook_mail_becomes_an_internet_message(tmp_path: Path) -> None:
    inner = properties(
        24,
        {},
        {
            0x0037: "Größe".encode("utf-16-le"),
            0x0C1A: "Anna Berg".encode("utf-16-le"),
            0x1000: "The inner words für alle.".encode("utf-16-le"),
        },
        {},
    )
    holder = properties(8, {0x3705: 5}, {}, {})
    holder["__substg1.0_3701000D"] = inner
    found = open_outlook(outlook("Outer.", [holder]), tmp_path)
    assert [one.name for one in found.attachments] == ["Größe.eml"]
    again = read(found.attachments[0].content, tmp_path)
    assert again.subject == "Größe" and again.bodies == (("The inner words für alle.", False),)
    assert again.header.startswith('From: "Anna Berg"')
    assert again.attachments == ()


def test_a_mail_inside_an_outlook_mail_keeps_its_attachments(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3
    innermost = properties(24, {}, {0x0037: wide("Deepest"), 0x1000: wide("Last words.")}, {})
    within = properties(8, {0x3705: 5}, {}, {})
    within["__substg1.0_3701000D"] = innermost
    inner = properties(24, {}, {0x0037: wide("Inner"), 0x1000: wide("Inner words: schön.")}, {})
    inner["__attach_version1.0_#00000000"] = attachment("Größe ½.pdf", content)
    inner["__attach_version1.0_#00000001"] = within
    holder = properties(8, {0x3705: 5}, {}, {})
    holder["__substg1.0_3701000D"] = inner
    found = open_outlook(outlook("Outer.", [holder]), tmp_path)
    again = read(found.attachments[0].content, tmp_path)
    assert again.bodies == (("Inner words: schön.", False),)
    assert [one.name for one in again.attachments] == ["Größe ½.pdf", "Deepest.eml"]
    assert again.attachments[0].content == content
    assert read(again.attachments[1].content, tmp_path).bodies[0][0].strip() == "Last words."


@pytest.mark.parametrize(
    ("name", "kind", "message_class"),
    [
        ("ATT00001.pgp-encrypted", "application/pgp-encrypted", "IPM.Note"),
        ("smime.p7m", "application/octet-stream", "IPM.Note.SMIME"),
    ],
)
def test_an_encrypted_outlook_mail_is_told(tmp_path: Path, name: str, kind: str, message_class: str) -> None:
    with pytest.raises(DocumentError) as raised:
        open_outlook(outlook(None, [attachment(name, b"Version: 1", kind)], message_class), tmp_path)
    assert raised.value.reason == "encrypted"


def test_a_readable_mail_with_a_sealed_file_is_read(tmp_path: Path) -> None:
    found = open_outlook(outlook("Words.", [attachment("old.pgp-encrypted", b"abc")]), tmp_path)
    assert found.bodies == (("Words.", False),)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail_or_a_reason(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.eml"
    file.write_bytes(b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" + content)
    try:
        found = read_eml(file, "any.eml")
    except DocumentError:
        return
    assert all(one.content and one.name for one in found.attachments)

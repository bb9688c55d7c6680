"""Mail: the header lines a reader sees, the body part to read, and what is attached."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.header import Header
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ingest.attached import MAX_FILES, Attached
from ingest.errors import DocumentError
from ingest.model import Attachment
from ingest.sniffing import decode

_SHOWN: Final = ("From", "To", "Cc", "Date", "Subject")
_MAX_PARTS: Final = 500
_MAX_DEPTH: Final = 50
_MAX_DEPTH_OUTLOOK: Final = 8  # each level's files are coded again for the level above
_ENCRYPTED: Final = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_NO_FILES: Final = ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature")
_BY_VALUE: Final = 1  # PidTagAttachMethod: the file itself, not a link to it
_EMBEDDED_MAIL: Final = 5
_ATTACH_METHOD: Final = 0x3705
_ATTACH_FLAGS: Final = 0x3714
_RENDERED_IN_BODY: Final = 4  # of the flags: a picture that stands in the text
_CONTENT_ID: Final = 0x3712
_RECIPIENT_KIND: Final = 0x0C15
_BLIND_COPY: Final = 3


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail before its body is divided into elements."""

    header: str  # "From: ...\\nTo: ..."
    subject: str
    bodies: tuple[tuple[str, bool], ...]  # text, and whether it is HTML
    attachments: tuple[Attachment, ...]
    warnings: tuple[str, ...] = ()


def read_eml(path: Path, name: str) -> Mail:
    """An Internet message (RFC 5322).

    Raises:
        DocumentError: encrypted.
    """
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:200]:
        content = decode(content).encode("utf-8")
    message = email.message_from_bytes(content, policy=email.policy.default)
    if message.get_content_type() in _ENCRYPTED:
        raise _encrypted(name)
    header = "\n".join(f"{field}: {value}" for field in _SHOWN if (value := _field(message, field)))
    parts = list(_leaves(message, 0))[:_MAX_PARTS]
    files = [part for part, _ in parts if _is_attached(part)]
    shown = [(part, rich) for part, rich in parts if not _is_attached(part) and _is_words(part)]
    bodies = []
    for part, in_html_too in shown:
        if in_html_too and part.get_content_type() == "text/plain":
            continue
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            bodies.append((decode(payload, declared=_charset(part)), part.get_content_type() == "text/html"))
    words = "".join(text for text, rich in bodies if rich)
    attached = Attached()
    for part in files:
        if part.get_content_type() in _NO_FILES or _is_picture_in_text(part, words):
            continue
        attached.add(_filename(part), partial(_file_of, part), part.get_content_type())
    return Mail(header, _field(message, "Subject"), tuple(bodies), attached.files, attached.warnings)


def _leaves(part: Message, depth: int, in_html_too: bool = False) -> Iterator[tuple[Message, bool]]:
    """Parts that hold something, and whether the same words come in HTML too. A mail inside is one part."""
    if not part.is_multipart() or part.get_content_type() == "message/rfc822" or depth > _MAX_DEPTH:
        yield part, in_html_too
        return
    inside = [one for one in part.get_payload() if isinstance(one, Message)]
    if part.get_content_type() == "multipart/alternative":
        in_html_too = any(_holds_html(one, depth) for one in inside)
    for one in inside:
        yield from _leaves(one, depth + 1, in_html_too)


def _holds_html(part: Message, depth: int) -> bool:
    return any(leaf.get_content_type() == "text/html" for leaf, _ in _leaves(part, depth + 1))


def _file_of(part: Message) -> bytes:
    inner = _mail_inside(part)
    if inner is not None:
        return inner.as_bytes(policy=email.policy.compat32)
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _mail_inside(part: Message) -> Message | None:
    payload = part.get_payload() if part.get_content_maintype() == "message" and part.is_multipart() else None
    first = payload[0] if isinstance(payload, list) and payload else None
    return first if isinstance(first, Message) else None


def _filename(part: Message) -> str:
    try:
        own = part.get_filename()
    except (ValueError, LookupError, AttributeError, TypeError):
        own = None
    if own:
        return str(own)
    inner = _mail_inside(part)
    return f"{_field(inner, 'Subject')[:100].replace('/', '-') or 'mail'}.eml" if inner is not None else ""


def _is_picture_in_text(part: Message, html: str) -> bool:
    """A picture that the mail's text shows at its place: a logo, a signature."""
    if part.get_content_maintype() != "image":
        return False
    own = str(part.get("Content-ID") or "").strip("<> ")
    return part.get_content_disposition() == "inline" or bool(own and f"cid:{own}" in html)


def read_msg(path: Path, name: str) -> Mail:
    """A message saved by Outlook.

    Raises:
        DocumentError: encrypted.
    """
    from oxmsg import Message as OutlookMessage

    message = OutlookMessage.load(str(path))
    html, plain = message.html_body, message.body
    attached = Attached()
    sealed = False
    for attachment in message.attachments:
        own = str(attachment.file_name or "")
        kind = str(attachment.mime_type or "").lower()
        sealed |= own.lower().endswith((".pgp-encrypted", "smime.p7m")) or kind in (
            "application/pgp-encrypted", "application/pkcs7-mime",
        )  # fmt: skip
        numbers = attachment.properties
        method = numbers.int_prop_value(_ATTACH_METHOD)
        content_id = numbers.str_prop_value(_CONTENT_ID)
        in_text = (numbers.int_prop_value(_ATTACH_FLAGS) or 0) & _RENDERED_IN_BODY or (
            content_id and html and f"cid:{content_id}" in html
        )
        if kind in _NO_FILES or (in_text and (kind.startswith("image/") or _looks_pictured(own))):
            continue
        if method == _EMBEDDED_MAIL:
            subject, mail = _embedded(attachment._storage)
            attached.add(f"{(own or subject).replace('/', '-') or 'mail'}.eml", partial(bytes, mail), "message/rfc822")
        elif method in (None, _BY_VALUE):
            attached.add(own, partial(_bytes_of, attachment), kind)
        else:
            attached.miss(own or "a linked file")
    smime = "smime" in str(message.message_class or "").lower()
    signed = "multipartsigned" in str(message.message_class or "").lower()
    if not (plain or html) and (sealed or (smime and not signed)):
        raise _encrypted(name)
    to = ", ".join(
        f"{one.name} <{one.email_address}>"
        for one in message.recipients
        if one.properties.int_prop_value(_RECIPIENT_KIND) != _BLIND_COPY
    )
    values = {
        "From": message.sender or "",
        "To": to,
        "Date": message.sent_date.isoformat(" ", "minutes") if message.sent_date else "",
        "Subject": message.subject or "",
    }
    header = "\n".join(f"{field}: {' '.join(value.split())}" for field, value in values.items() if value)
    bodies = ((html, True),) if html else ((plain, False),) if plain else ()
    return Mail(header, message.subject or "", bodies, attached.files, attached.warnings)


def _looks_pictured(name: str) -> bool:
    return name.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".bmp"))


def _bytes_of(attachment: Any) -> bytes:
    return attachment.file_bytes or b""


def _embedded(storage: Any, depth: int = 0) -> tuple[str, bytes]:
    """Subject and Internet form of a mail inside an Outlook mail, with what is attached to it in turn."""
    inner = next((one for one in storage.storages if one.name.startswith("__substg1.0_3701000D")), storage)
    streams = _streams(inner)
    subject = " ".join(_text(streams, "0037").split())[:900]
    fields = {
        "From": _text(streams, "0C1A"), "To": _text(streams, "0E04"), "Cc": _text(streams, "0E03"), "Subject": subject,
        "MIME-Version": "1.0",
    }  # fmt: skip
    lines = []
    for field, value in fields.items():
        shown = " ".join(value.split())[:900]
        if shown:
            lines.append(f"{field}: {shown if shown.isascii() else Header(shown, 'utf-8').encode(maxlinelen=0)}")
    html = streams.get("10130102")
    words = (decode(html) if html else _text(streams, "1000")).encode("utf-8", "replace")
    part = b"Content-Type: text/%s; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n%s" % (
        b"html" if html else b"plain", words,
    )  # fmt: skip
    parts = [part, *_embedded_files(inner, depth)]
    head = "\n".join(lines).encode("ascii", "replace") + b"\n"
    if len(parts) == 1:
        return subject, head + part
    boundary = hashlib.sha256(b"\n".join(parts)).hexdigest().encode()
    body = b"".join(b"--%s\n%s\n" % (boundary, one) for one in parts)
    return subject, b'%sContent-Type: multipart/mixed; boundary="%s"\n\n%s--%s--\n' % (head, boundary, body, boundary)


def _embedded_files(message: Any, depth: int) -> Iterator[bytes]:
    """Each attachment as a part of an Internet message. Mails deeper than anyone forwards them are left out."""
    attachments = [one for one in message.storages if one.name.startswith("__attach_version1.0_")]
    for attachment in attachments[:MAX_FILES]:
        streams = _streams(attachment)
        name = _text(streams, "3707") or _text(streams, "3704") or _text(streams, "3001")
        if any(one.name.startswith("__substg1.0_3701000D") for one in attachment.storages):
            if depth < _MAX_DEPTH_OUTLOOK:
                subject, mail = _embedded(attachment, depth + 1)
                yield _as_part(f"{(name or subject).replace('/', '-') or 'mail'}.eml", "application/octet-stream", mail)
        elif content := streams.get("37010102"):
            kind = _text(streams, "370E")
            plain = kind if re.fullmatch(r"[\w.+-]{1,80}/[\w.+-]{1,80}", kind, re.ASCII) else "application/octet-stream"
            yield _as_part(name, plain, content)


def _as_part(name: str, kind: str, content: bytes) -> bytes:
    coded = quote(name[:200], safe="")
    head = f"Content-Type: {kind}\nContent-Transfer-Encoding: base64\n"
    head += f"Content-Disposition: attachment; filename*=utf-8''{coded}\n\n"
    return head.encode("ascii") + base64.encodebytes(content)


def _streams(storage: Any) -> dict[str, bytes]:
    return {stream.name.removeprefix("__substg1.0_"): stream.bytes_ for stream in storage.streams}


def _text(streams: Mapping[str, bytes], tag: str) -> str:
    wide, narrow = streams.get(f"{tag}001F"), streams.get(f"{tag}001E")
    return wide.decode("utf-16-le", "replace").rstrip("\0") if wide else decode(narrow) if narrow else ""


def _encrypted(name: str) -> DocumentError:
    return DocumentError("encrypted", f"{name!r} is an encrypted mail. Save its text unencrypted and upload that.")


def _field(message: Message, field: str) -> str:
    try:
        value = message.get(field)
    except (ValueError, IndexError, LookupError, AttributeError, TypeError):  # the standard library on odd headers
        return ""
    return " ".join(str(value).split())[:2000] if value else ""


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except (LookupError, ValueError, AttributeError):
        return None


def _is_attached(part: Message) -> bool:
    if part.get_content_disposition() == "attachment":
        return True
    return part.get_content_maintype() != "text" or bool(part.get_filename())


def _is_words(part: Message) -> bool:
    """Calendars and cards are for programs; what they say stands in the mail's text."""
    return part.get_content_type() not in ("text/calendar", "text/x-vcard", "text/vcard")

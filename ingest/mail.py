"""Mail: the header lines a reader sees, the body part to read, and what is attached."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Final

from ingest.errors import DocumentError
from ingest.sniffing import decode

_SHOWN: Final = ("From", "To", "Cc", "Date", "Subject")
_MAX_PARTS: Final = 500


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail before its body is divided into elements."""

    header: str  # "From: ...\\nTo: ..."
    subject: str
    bodies: tuple[tuple[str, bool], ...]  # text, and whether it is HTML
    attachments: tuple[str, ...]


def read_eml(path: Path, name: str) -> Mail:
    """An Internet message (RFC 5322).

    Raises:
        DocumentError: encrypted.
    """
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:200]:
        content = decode(content).encode("utf-8")
    message = email.message_from_bytes(content, policy=email.policy.default)
    if message.get_content_type() in ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"):
        raise _encrypted(name)
    header = "\n".join(f"{field}: {value}" for field in _SHOWN if (value := _field(message, field)))
    parts = [part for part in message.walk() if not part.is_multipart()][:_MAX_PARTS]
    attached = [part for part in parts if _is_attached(part)]
    shown = [part for part in parts if part not in attached and part.get_content_maintype() == "text"]
    rich = [part for part in shown if part.get_content_type() == "text/html"]
    bodies = []
    for part in shown:
        if rich and part.get_content_type() == "text/plain" and _has_alternative(message, part):
            continue
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            bodies.append((decode(payload, declared=_charset(part)), part.get_content_type() == "text/html"))
    names = tuple(part.get_filename() or part.get_content_type() for part in attached)
    return Mail(header, _field(message, "Subject"), tuple(bodies), names)


def read_msg(path: Path, name: str) -> Mail:
    """A message saved by Outlook.

    Raises:
        DocumentError: encrypted.
    """
    from oxmsg import Message as OutlookMessage

    message = OutlookMessage.load(str(path))
    attached = tuple(str(attachment.file_name or "attachment") for attachment in message.attachments)
    kind = str(message.message_class or "").lower()
    if "smime" in kind and "multipartsigned" not in kind and not (message.body or message.html_body):
        raise _encrypted(name)
    to = ", ".join(f"{one.name} <{one.email_address}>" for one in message.recipients)
    values = {
        "From": message.sender or "",
        "To": to,
        "Date": message.sent_date.isoformat(" ", "minutes") if message.sent_date else "",
        "Subject": message.subject or "",
    }
    header = "\n".join(f"{field}: {' '.join(value.split())}" for field, value in values.items() if value)
    html, plain = message.html_body, message.body
    bodies = ((html, True),) if html else ((plain, False),) if plain else ()
    return Mail(header, message.subject or "", bodies, attached)


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


def _has_alternative(message: Message, part: Message) -> bool:
    """Whether the same words come in HTML too."""
    for container in message.walk():
        if container.get_content_type() == "multipart/alternative":
            inside = list(container.walk())
            if part in inside and any(one.get_content_type() == "text/html" for one in inside):
                return True
    return False

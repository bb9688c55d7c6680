"""A question that the documents do not answer goes to whoever owns the nearest one: by webhook, by mail, or both.

Nothing is sent before the person who asked has seen what would go, and to whom, and said so.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from assistant.errors import ModelError, ModelMisconfigured
from assistant.gateway import Call
from assistant.model import Answer, AnswerId
from assistant.question_routing import (
    URGENCIES,
    QuestionRouting,
    Route,
    Urgency,
    candidates,
    one_line,
    route_by_rule,
)
from assistant.records import Answers
from ingest.access import Reader
from ingest.audit import record
from ingest.database import Database
from ingest.document_list import documents_by_id
from ingest.errors import ConfigurationError, ServiceError, UsageError
from ingest.model import Document, DocumentId

Way = Literal["webhook", "mail"]
TIMEOUT_S: Final = 10.0
SIGNATURE: Final = "X-Quoth-Signature"  # sha256=HEX of the HMAC over TIMESTAMP "." BODY
TIMESTAMP: Final = "X-Quoth-Timestamp"  # seconds since 1970, so that a receiver can refuse what is repeated later
MOST_NOTE_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class HandoffSettings:
    """Where hand-offs go; a way without its address is not offered."""

    webhook_url: str | None = None
    webhook_key: str | None = None
    smtp_url: str | None = None  # smtp[s]://[user:password@]host[:port]
    sender: str | None = None
    fallback_address: str | None = None  # for owners whose name is no mail address

    def __post_init__(self) -> None:
        if self.webhook_url and not self.webhook_key:
            raise ConfigurationError("QUOTH_HANDOFF_URL needs QUOTH_HANDOFF_KEY, with which what is sent is signed.")
        for name, url, schemes in (
            ("QUOTH_HANDOFF_URL", self.webhook_url, ("http", "https")),
            ("QUOTH_SMTP_URL", self.smtp_url, ("smtp", "smtps")),
        ):
            if url and (urlsplit(url).scheme not in schemes or not urlsplit(url).hostname):
                raise ConfigurationError(f"{name} is no address of the form {schemes[-1]}://host.")
        if self.smtp_url and not self.sender:
            raise ConfigurationError("QUOTH_SMTP_URL needs QUOTH_SMTP_FROM, the address that mail comes from.")


@dataclass(frozen=True, slots=True)
class Letter:
    """What would be sent, shown before it is."""

    answer: AnswerId
    question: str
    asked_by: str
    owner: str
    document: DocumentId
    title: str
    source: str  # collection/source
    address: str | None  # of the owner, or the one that stands in for them
    ways: tuple[Way, ...]
    urgency: Urgency = "normal"
    subject: str = ""  # one line; empty: a general one
    proposed_by: str = "rule"  # "model" where a chat model proposed owner, urgency and subject


class Handoff:
    """What hands questions on.

    Args:
        routing: a model that proposes to whom; none: the owner of the nearest document.
    """

    def __init__(
        self, database: Database, answers: Answers, settings: HandoffSettings, routing: QuestionRouting | None = None
    ) -> None:
        self._database = database
        self._answers = answers
        self._settings = settings
        self._routing = routing

    def letter(self, reader: Reader, wanted: AnswerId) -> Letter | None:
        """What handing on an answer's question would send; None where no document comes near.

        Raises:
            UsageError: the reader has no such answer.
        """
        return self.letter_of(reader, self._answers.get(reader, wanted))

    def letter_of(self, reader: Reader, answer: Answer) -> Letter | None:
        """As `letter`, of an answer of the reader's that is at hand."""
        near = [c.document for c in answer.citations if c.source] or [p.document for p in answer.passages]
        found = documents_by_id(self._database, reader, near[:1]) if near else {}
        if not found:
            return None
        (document,) = found.values()
        return self._addressed(reader, answer, document, route_by_rule(document))

    def proposed(self, reader: Reader, answer: Answer) -> Letter | None:
        """As `letter_of`, with what a model proposes where there is one and it answers; else by the rule."""
        letter = self.letter_of(reader, answer)
        if letter is None or self._routing is None:
            return letter
        offered = candidates(self._database, reader, [letter.document, *(p.document for p in answer.passages)])
        deadline = time.monotonic() + self._routing.deadline_s
        try:
            route = self._routing.route_question(
                answer.question, offered, call=Call(reader, "route", answer.id, deadline, deadline)
            )
        except (ModelError, ModelMisconfigured):
            return letter
        document = next(one.documents[0] for one in offered if one.owner == route.owner)
        return replace(self._addressed(reader, answer, document, route), proposed_by="model")

    def owners(self, reader: Reader, letter: Letter) -> list[str]:
        """Who a question may go to instead: owners of documents that the reader may read, the letter's first."""
        known = [one.owner for one in candidates(self._database, reader, [letter.document])]
        return list(dict.fromkeys((letter.owner, *known)))

    def revised(
        self,
        reader: Reader,
        letter: Letter,
        *,
        owner: str | None = None,
        urgency: str | None = None,
        subject: str | None = None,
    ) -> Letter:
        """The letter as the person wants it; what is None stays.

        Raises:
            UsageError: nobody of that name owns a document that the reader may read, or no such urgency.
        """
        if urgency is not None and urgency not in URGENCIES:
            raise UsageError(f"{urgency!r} is no urgency. Use one of: {', '.join(URGENCIES)}.")
        route = Route(
            letter.owner if owner is None else owner,
            next((one for one in URGENCIES if one == urgency), letter.urgency),
            letter.subject if subject is None else one_line(subject),
        )
        if route.owner == letter.owner:
            return replace(letter, urgency=route.urgency, subject=route.subject)
        offered = candidates(self._database, reader, [letter.document])
        document = next((one.documents[0] for one in offered if one.owner == route.owner), None)
        if document is None:
            raise UsageError(f"{owner!r} owns no document that you may read. Name the owner of one.")
        return self._addressed(reader, self._answers.get(reader, letter.answer), document, route)

    def _addressed(self, reader: Reader, answer: Answer, document: Document, route: Route) -> Letter:
        address = document.owner if "@" in document.owner else self._settings.fallback_address
        ways: list[Way] = ["webhook"] if self._settings.webhook_url else []
        if self._settings.smtp_url and address:
            ways.append("mail")
        return Letter(
            answer.id, answer.question, reader.name, document.owner, document.id, document.title,
            f"{document.collection}/{document.source}", address, tuple(ways), route.urgency, route.subject,
        )  # fmt: skip

    def send(self, reader: Reader, letter: Letter, *, note: str = "") -> tuple[Way, ...]:
        """Send it by every way there is; call this only after the person has confirmed it.

        Returns:
            The ways it went.

        Raises:
            UsageError: there is no way, or the note is too long.
            ServiceError: it went by none of them.
        """
        if not letter.ways:
            raise UsageError("Questions cannot be sent from here. Set QUOTH_HANDOFF_URL or QUOTH_SMTP_URL.")
        if len(note) > MOST_NOTE_CHARS:
            raise UsageError(f"A note of {len(note):,} characters is too long. Use {MOST_NOTE_CHARS:,}.")
        gone: list[Way] = []
        failures: list[str] = []
        for way in letter.ways:
            try:
                if way == "webhook":
                    post(self._settings, letter, note)
                else:
                    mail(self._settings, letter, note)
                gone.append(way)
            except ServiceError as error:
                failures.append(str(error))
        with self._database.recording(reader) as connection:
            told = {
                "document": str(letter.document), "ways": list(gone), "failed": len(failures),
                "urgency": letter.urgency, "proposed_by": letter.proposed_by,
            }  # fmt: skip
            record(connection, reader, "handoff", letter.answer, told)
        if not gone:
            raise ServiceError(" ".join(failures))
        return tuple(gone)


def post(settings: HandoffSettings, letter: Letter, note: str) -> None:
    """Send the letter to the webhook, signed and dated.

    Raises:
        ServiceError: it was not taken.
    """
    import httpx  # here, because few set-ups use it

    if not settings.webhook_url or not settings.webhook_key:
        raise ServiceError("No webhook is set. Set QUOTH_HANDOFF_URL.")
    body = json.dumps(
        {
            "answer": str(letter.answer),
            "question": letter.question,
            "note": note,
            "asked_by": letter.asked_by,
            "owner": letter.owner,
            "document": str(letter.document),
            "title": letter.title,
            "source": letter.source,
            "urgency": letter.urgency,
            "subject": letter.subject,
        },
        ensure_ascii=False,
    ).encode("utf-8", "replace")
    at = str(int(time.time()))
    headers = {"Content-Type": "application/json", TIMESTAMP: at, SIGNATURE: signature(settings.webhook_key, at, body)}
    try:  # a redirect would carry the question elsewhere
        answered = httpx.post(settings.webhook_url, content=body, headers=headers, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise ServiceError(f"The webhook does not answer ({type(error).__name__}). Try again later.") from error
    if not answered.is_success:
        raise ServiceError(f"The webhook did not take the question (HTTP {answered.status_code}).")


def signature(key: str, at: str, body: bytes) -> str:
    """What SIGNATURE holds; a receiver computes the same and compares."""
    return "sha256=" + hmac.new(key.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def mail(settings: HandoffSettings, letter: Letter, note: str) -> None:
    """Send the letter by mail. A password goes over an encrypted connection only.

    Raises:
        ServiceError: it was not taken.
    """
    if not settings.smtp_url or not settings.sender or not letter.address:
        raise ServiceError("No mail server or address is set. Set QUOTH_SMTP_URL and QUOTH_SMTP_FROM.")
    parts = urlsplit(settings.smtp_url)
    encrypted = parts.scheme == "smtps"
    try:
        message = written(settings.sender, letter, note)
        context = ssl.create_default_context()
        if encrypted:
            server: smtplib.SMTP = smtplib.SMTP_SSL(parts.hostname or "", parts.port or 465, timeout=TIMEOUT_S,
                                                    context=context)  # fmt: skip
        else:
            server = smtplib.SMTP(parts.hostname or "", parts.port or 25, timeout=TIMEOUT_S)
        with server:
            server.ehlo()
            if not encrypted and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
                encrypted = True
            if parts.username:
                if not encrypted:
                    raise ServiceError("The mail server offers no encryption, and a password must not go without.")
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise ServiceError(f"The mail could not be sent ({type(error).__name__}). Try again later.") from error


def written(sender: str, letter: Letter, note: str) -> EmailMessage:
    """The letter as a mail; all of it plain text."""
    message = EmailMessage(SMTP)
    message["From"], message["To"] = sender, letter.address
    about = one_line(letter.subject)
    message["Subject"] = f"A question about: {about}" if about else "A question that the documents do not answer"
    if letter.urgency != "normal":
        message["Importance"] = letter.urgency  # RFC 2156: low, normal or high
    lines = [
        f"{letter.asked_by} asked, and the documents do not say:", "", letter.question, "",
        *([f"Urgency: {letter.urgency}.", ""] if letter.urgency != "normal" else []),
        f"The nearest document is {letter.title} ({letter.source}), which you own.",
    ]  # fmt: skip
    if note:
        lines += ["", "They add:", "", note]
    message.set_content("\n".join(lines).encode("utf-8", "replace").decode() + "\n")
    return message

"""Handing a question on: to a local web server and a local mail server, as they would receive it."""

from __future__ import annotations

import hashlib
import hmac
import json
import socketserver
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.handoff import SIGNATURE, TIMESTAMP, Handoff, HandoffSettings, Letter, mail, post
from assistant.model import Answer, AnswerId
from ingest.access import LOCAL, Reader
from ingest.errors import ConfigurationError, ServiceError, UsageError
from ingest.model import DocumentId
from ui.command import main

KEY = "a key of the help desk"
LETTER = Letter(
    AnswerId(uuid.uuid4()), "Wie lange?\nBcc: x@x.example", "ada", "owner@example.org", DocumentId(uuid.uuid4()),
    "Täglich", "default/daily.md", "owner@example.org", ("webhook", "mail"),
)  # fmt: skip


class Desk:
    """A web server that keeps what is posted to it, and answers with `status`."""

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                desk.posted.append((dict(self.headers), body))
                self.send_response(desk.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *told: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/questions"


class PostOffice:
    """A mail server of a few commands that keeps what it is given. It offers no encryption."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []
        self.refuses = False
        office = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 here")
                to: list[str] = []
                while line := self.rfile.readline().decode().strip():
                    verb = line.split()[0].upper()
                    if verb == "RCPT":
                        to.append(line)
                    if verb == "DATA":
                        self.say("354 go on")
                        lines = []
                        while (one := self.rfile.readline()) != b".\r\n":
                            lines.append(one)
                        office.mails.append((to, b"".join(lines)))
                    self.say(
                        "550 no" if office.refuses and verb == "MAIL" else "221 bye" if verb == "QUIT" else "250 ok"
                    )
                    if verb == "QUIT":
                        return

            def say(self, words: str) -> None:
                self.wfile.write(words.encode() + b"\r\n")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"smtp://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def desk() -> Iterator[Desk]:
    yield from served(Desk())


@pytest.fixture
def office() -> Iterator[PostOffice]:
    yield from served(PostOffice())


def served(one: Any) -> Iterator[Any]:
    thread = threading.Thread(target=one.server.serve_forever, daemon=True)
    thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def settings(desk: Desk, office: PostOffice) -> HandoffSettings:
    return HandoffSettings(desk.url, KEY, office.url, "quoth@example.org", "desk@example.org")


def test_the_webhook_gets_a_signed_and_dated_question(desk: Desk, settings: HandoffSettings) -> None:
    post(settings, LETTER, "in May")
    ((headers, body),) = desk.posted
    told = json.loads(body)
    assert (told["question"], told["note"], told["owner"]) == (LETTER.question, "in May", "owner@example.org")
    expected = hmac.new(KEY.encode(), headers[TIMESTAMP].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={expected}"


@pytest.mark.parametrize("status", [302, 307, 403, 500])
def test_a_webhook_that_does_not_take_it_is_an_error_and_redirects_are_not_followed(
    desk: Desk, settings: HandoffSettings, status: int
) -> None:
    desk.status = status
    with pytest.raises(ServiceError, match=str(status)):
        post(settings, LETTER, "")
    assert len(desk.posted) == 1


def test_mail_goes_to_the_owner_alone_and_reads_as_it_was_written(
    office: PostOffice, settings: HandoffSettings
) -> None:
    mail(settings, LETTER, "Für Mai")
    ((to, raw),) = office.mails
    read = message_from_bytes(raw, policy=default)
    assert [one.split(":")[1].split(">")[0] + ">" for one in to] == ["<owner@example.org>"]
    assert read["From"] == "quoth@example.org" and read["Bcc"] is None
    words = read.get_content()
    assert LETTER.question in words.replace("\r\n", "\n") and "Täglich" in words and "Für Mai" in words


def test_mail_that_is_refused_or_would_carry_a_password_unprotected_is_an_error(
    office: PostOffice, settings: HandoffSettings
) -> None:
    with pytest.raises(ServiceError, match="no encryption"):
        mail(replace(settings, smtp_url=office.url.replace("//", "//me:hunter2@")), LETTER, "")
    office.refuses = True
    with pytest.raises(ServiceError, match="could not be sent"):
        mail(settings, LETTER, "")
    with pytest.raises(ServiceError, match="could not be sent"):
        mail(settings, replace(LETTER, address="owner@example.org\nBcc: x@x.example"), "")
    assert office.mails == []


@pytest.mark.parametrize(
    "wrong",
    [{"webhook_url": "http://x"}, {"webhook_url": "ftp://x", "webhook_key": "k"}, {"smtp_url": "smtp://x"},
     {"smtp_url": "x", "sender": "a@x.example"}],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        HandoffSettings(**wrong)


@pytest.fixture(scope="module")
def unanswered(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    folder = tmp_path_factory.mktemp("pier")
    (folder / "pier.txt").write_text("The pier opens at dawn. Boats moor at the eastern side of the pier.\n")
    list(quoth.pipeline.add([folder], owner="harbour"))
    *_, answer = quoth.ask("Who designed the lighthouse lamps?", LOCAL)
    assert isinstance(answer, Answer) and answer.status == "abstained" and answer.passages
    return answer


@pytest.mark.integration
def test_an_abstention_names_an_owner_and_goes_by_every_way(
    quoth: Quoth, unanswered: Answer, settings: HandoffSettings, desk: Desk, office: PostOffice
) -> None:
    handoff = Handoff(quoth.database, quoth.answers, settings)
    letter = handoff.letter(LOCAL, unanswered.id)
    assert letter is not None
    assert (letter.owner, letter.address, letter.ways) == ("harbour", "desk@example.org", ("webhook", "mail"))
    assert desk.posted == [] and office.mails == []
    desk.status = 500
    assert handoff.send(LOCAL, letter) == ("mail",)
    office.refuses = True
    with pytest.raises(ServiceError, match="HTTP 500"):
        handoff.send(LOCAL, letter)
    with quoth.database.owning() as connection:
        told = connection.execute(text("select detail from audit_event where action = 'handoff' order by number"))
        assert [one["ways"] for one in told.scalars()] == [["mail"], []]


@pytest.mark.integration
def test_nobody_hands_on_anothers_question_and_nothing_goes_without_a_way(quoth: Quoth, unanswered: Answer) -> None:
    with pytest.raises(UsageError, match="no answer"):
        quoth.handoff.letter(Reader("eve", frozenset()), unanswered.id)
    letter = quoth.handoff.letter(LOCAL, unanswered.id)
    assert letter is not None and letter.ways == ()
    with pytest.raises(UsageError, match="cannot be sent"):
        quoth.handoff.send(LOCAL, letter)


@pytest.mark.integration
def test_the_command_sends_only_what_was_confirmed(
    environ: dict[str, str], unanswered: Answer, desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)
    for name, value in {**environ, "QUOTH_HANDOFF_URL": desk.url, "QUOTH_HANDOFF_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "nobody").open("w+") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert main(["handoff", str(unanswered.id)]) == 1
    assert desk.posted == []
    assert main(["handoff", str(unanswered.id), "--yes"]) == 0
    assert len(desk.posted) == 1

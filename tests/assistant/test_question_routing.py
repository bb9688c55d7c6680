"""Proposals of where a question goes: by a model over real HTTP, by the rule where it fails; never sent unconfirmed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import openai
import pytest

from assistant.bootstrap import Quoth
from assistant.errors import ModelError, ModelMisconfigured
from assistant.gateway import nobodys_call
from assistant.handoff import Handoff, HandoffSettings, written
from assistant.model import Answer
from assistant.model_stream import ModelStream
from assistant.question_routing import QuestionRouting, candidates, one_line
from evals.bench.loopback_model import LoopbackModel
from ingest.access import Reader
from ingest.errors import UsageError
from ingest.redaction import redactor_from
from tests.assistant.test_handoff import Desk

pytestmark = pytest.mark.integration
QUESTION = "Who designed the lighthouse lamps of the pier, and may boats moor there tomorrow?"


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel() as server:
        yield server


@pytest.fixture(scope="module")
def stream(double: LoopbackModel) -> ModelStream:
    return ModelStream(openai.OpenAI(api_key="any", base_url=double.base_url, max_retries=0), attempts=1)


@pytest.fixture(scope="module")
def asked(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """A question whose nearest passages are the kiosk's, then the harbour's, with the board's out of reach of most."""
    folder = tmp_path_factory.mktemp("pier")
    for owner, name, words, readers in (
        ("kiosk", "ice", "Ice cream is sold on the pier from May.", "everyone"),
        ("harbour@pier.example", "boats", "Boats moor at the eastern side of the pier.", "everyone"),
        ("board", "lighthouse-lamps", "The board bought lighthouse lamps for the pier in secret.", "board"),
    ):
        (folder / f"{name}.md").write_text(f"# {name.replace('-', ' ').title()}\n\n{words}\n")
        list(quoth.pipeline.add([folder / f"{name}.md"], owner=owner, readers=[readers]))
    *_, answer = quoth.ask(QUESTION, Reader("eve", frozenset()))
    assert isinstance(answer, Answer)
    found = {passage.source: passage for passage in answer.passages}
    return replace(answer, citations=(), claims=(), passages=(found["ice.md"], found["boats.md"]))


EVE = Reader("eve", frozenset())


@dataclass
class Desked:
    handoff: Handoff
    desk: Desk


@pytest.fixture
def desked(quoth: Quoth, stream: ModelStream, request: pytest.FixtureRequest) -> Iterator[Desked]:
    desk = Desk()
    import threading

    threading.Thread(target=desk.server.serve_forever, daemon=True).start()
    mode = getattr(request, "param", "honest")
    routing = QuestionRouting(lambda: stream, f"double-{mode}", deadline_s=2.0 if mode == "silent" else 30.0)
    settings = HandoffSettings(desk.url, "key")
    yield Desked(Handoff(quoth.database, quoth.answers, settings, routing), desk)
    desk.server.shutdown()


def test_a_model_proposes_an_owner_that_exists(desked: Desked, asked: Answer, double: LoopbackModel) -> None:
    letter = desked.handoff.proposed(EVE, asked)
    assert letter is not None and letter.proposed_by == "model"
    assert (letter.owner, letter.urgency) == ("harbour@pier.example", "high")
    assert letter.title == "Boats" and letter.source == "default/boats.md" and letter.address == letter.owner
    assert "lamp" in letter.subject
    sent = double.requests[-1]["input"][0]["content"]
    assert "kiosk" in sent and "board" not in sent and "Lighthouse-Lamps" not in sent and "sold on" not in sent
    assert desked.desk.posted == []


@pytest.mark.parametrize(
    "desked", ["invented", "unknown-id", "prose", "schema", "500", "silent", "policy"], indirect=True
)
def test_nonsense_and_failures_give_way_to_the_rule(desked: Desked, asked: Answer) -> None:
    started = time.monotonic()
    letter = desked.handoff.proposed(EVE, asked)
    assert letter == desked.handoff.letter_of(EVE, asked) and letter is not None
    assert (letter.owner, letter.urgency, letter.subject, letter.proposed_by) == ("kiosk", "normal", "Ice", "rule")
    assert desked.desk.posted == [] and time.monotonic() - started < 60


@pytest.mark.parametrize("desked", ["obey"], indirect=True)
def test_a_subject_stays_one_line_of_a_mail(desked: Desked, asked: Answer) -> None:
    letter = desked.handoff.proposed(EVE, asked)
    assert letter is not None and letter.subject == "Hello Bcc: everyone@x.example"
    message = written("quoth@example.org", letter, "")
    assert message["Subject"] == "A question about: Hello Bcc: everyone@x.example"
    assert message["Bcc"] is None and message["Importance"] == "high"
    assert "Urgency: high." in message.get_content()


def test_what_the_person_changed_is_what_goes_and_only_when_sent(quoth: Quoth, desked: Desked, asked: Answer) -> None:
    import json

    letter = desked.handoff.proposed(EVE, asked)
    assert letter is not None
    assert desked.handoff.owners(EVE, letter)[0] == letter.owner
    assert set(desked.handoff.owners(EVE, letter)) == {"kiosk", "harbour@pier.example"}
    changed = desked.handoff.revised(EVE, letter, owner="kiosk", urgency="low", subject="The pier\nat night")
    assert desked.desk.posted == []
    desked.handoff.send(EVE, changed)
    ((_, body),) = desked.desk.posted
    told = json.loads(body)
    assert (told["owner"], told["urgency"], told["subject"]) == ("kiosk", "low", "The pier at night")
    assert told["title"] == "Ice"


@pytest.mark.parametrize("change", [{"owner": "board"}, {"owner": "Ministry of Silly Walks"}, {"urgency": "at once"}])
def test_nobody_is_named_whose_documents_the_reader_may_not_read(
    desked: Desked, asked: Answer, change: dict[str, str]
) -> None:
    letter = desked.handoff.letter_of(EVE, asked)
    assert letter is not None
    with pytest.raises(UsageError):
        desked.handoff.revised(EVE, letter, **change)


def test_names_leave_redacted_and_come_back(
    quoth: Quoth, stream: ModelStream, double: LoopbackModel, asked: Answer
) -> None:
    routing = QuestionRouting(lambda: stream, "double-honest", redactor=redactor_from("yes"), deadline_s=30.0)
    offered = candidates(quoth.database, EVE, [asked.passages[0].document])
    assert routing.route_question(QUESTION, offered, call=nobodys_call(30.0)).owner == "harbour@pier.example"
    assert "harbour@pier.example" not in double.requests[-1]["input"][0]["content"]


def test_owners_are_those_of_what_the_reader_may_read(quoth: Quoth, asked: Answer) -> None:
    nearest = [asked.passages[1].document, asked.passages[0].document]
    assert [one.owner for one in candidates(quoth.database, EVE, nearest)] == ["harbour@pier.example", "kiosk"]
    member = Reader("ann", frozenset({"board"}))
    assert {one.owner for one in candidates(quoth.database, member, [])} == {"harbour@pier.example", "kiosk", "board"}


def test_errors_are_of_the_models_kind(stream: ModelStream, quoth: Quoth, asked: Answer) -> None:
    routing = QuestionRouting(lambda: stream, "double-invented", deadline_s=30.0)
    with pytest.raises((ModelError, ModelMisconfigured), match="nobody"):
        routing.route_question(QUESTION, candidates(quoth.database, EVE, []), call=nobodys_call(30.0))


def test_one_line() -> None:
    assert one_line(" a\r\nBcc:\u202e x\x00 ") == "a Bcc: x"
    assert len(one_line("x" * 500)) == 120

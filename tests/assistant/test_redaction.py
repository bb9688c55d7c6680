"""What leaves for remote models, and what comes back: real requests to the loopback model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from assistant.bootstrap import Quoth, open_quoth
from assistant.model import Answer
from evals.bench.loopback_model import LoopbackModel
from ingest.access import LOCAL
from ingest.parser import Parser

pytestmark = pytest.mark.integration

SECRETS = ("marta.lind@harbour.example", "+49 30 5550123", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00",
           "sk-abcdefghijklmnop1234567890")  # fmt: skip
TEXT = f"""Harbour desk

The harbour desk is led by Marta Lind, who answers at {SECRETS[0]} every day.

The harbour desk can be called at {SECRETS[1]} until noon.

The harbour desk pays with the card {SECRETS[2]} only.

The harbour desk's account is {SECRETS[3]} at the city bank.

The harbour desk's service key is {SECRETS[4]} until May.
"""


@pytest.fixture(scope="module")
def model() -> Iterator[LoopbackModel]:
    with LoopbackModel() as served:
        yield served


@pytest.fixture(scope="module")
def remote(
    environ: dict[str, str], model: LoopbackModel, shared_parser: Parser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Quoth]:
    """A store whose embedder, re-ranker and answers all come from elsewhere."""
    folder = tmp_path_factory.mktemp("harbour")
    (folder / "desk.txt").write_text(TEXT)
    more = {
        "OPENAI_API_KEY": "sk-loopback", "OPENAI_BASE_URL": model.base_url, "QUOTH_MODELS": "gpt-6.1-terra",
        "QUOTH_EMBEDDER": "openai:text-embedding-3-small:256", "QUOTH_RERANKER": "chat",
    }  # fmt: skip
    with open_quoth({**environ, **more}, parser=shared_parser) as opened:
        (receipt,) = opened.pipeline.add([folder])
        assert receipt.status == "added", receipt
        yield opened


def asked(quoth: Quoth, question: str) -> Answer:
    *_, answer = quoth.ask(question, LOCAL)
    assert isinstance(answer, Answer)
    return answer


def test_nothing_recognised_leaves_and_quotes_come_back_whole(remote: Quoth, model: LoopbackModel) -> None:
    answer = asked(remote, f"Who of the harbour desk answers at {SECRETS[0]}?")
    assert answer.model != "quoted", answer.degraded
    assert any(SECRETS[0] in citation.quote for citation in answer.citations)
    assert any(SECRETS[0] in claim.text for claim in answer.claims)
    version = answer.citations[0]
    text = remote.catalog.text(LOCAL, version.document, version.version)
    assert all(text[one.start : one.end] == one.quote for one in answer.citations)
    sent = json.dumps([model.requests, model.embedded], ensure_ascii=False)
    assert model.embedded and len(model.requests) >= 2  # the order of the passages, and the answer
    for secret in SECRETS:
        assert secret not in sent
    assert "[EMAIL_1]" in sent and "[CARD_1]" in sent


def test_what_was_said_before_leaves_redacted_too(remote: Quoth, model: LoopbackModel) -> None:
    first = asked(remote, "What card does the harbour desk pay with?")
    assert SECRETS[2] in first.text
    model.requests.clear()
    *_, second = remote.ask("And which account does it have?", LOCAL, conversation=first.conversation)
    sent = json.dumps(model.requests, ensure_ascii=False)
    assert "<<EARLIER" in sent and "What card does the harbour desk pay with?" in sent
    assert all(secret not in sent for secret in SECRETS)
    assert SECRETS[3] in second.text  # type: ignore[union-attr]


def test_redaction_can_be_left_out(environ: dict[str, str], remote: Quoth, model: LoopbackModel) -> None:
    model.requests.clear()
    more = {
        "OPENAI_API_KEY": "sk-loopback", "OPENAI_BASE_URL": model.base_url, "QUOTH_MODELS": "gpt-6.1-terra",
        "QUOTH_EMBEDDER": "openai:text-embedding-3-small:256", "QUOTH_REDACT": "no",
    }  # fmt: skip
    with open_quoth({**environ, **more}) as plain:
        asked(plain, "Who leads the harbour desk?")
    assert SECRETS[0] in json.dumps(model.requests)

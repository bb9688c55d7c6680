"""Servers that offer chat completions only: the same answers, the same failures, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest

from assistant.errors import ModelMisconfigured, ModelOutputBroken, ModelRefused, ModelUnavailable
from assistant.model import DraftClaim, DraftEnd
from assistant.model_answerer import ModelAnswerer
from assistant.model_stream import ModelStream
from assistant.prompting import ANSWER_SCHEMA, answer_prompt
from evals.bench.loopback_model import LoopbackModel
from tests.assistant.test_model_answerer import CONTEXT, QUESTION, search


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel(interface="chat") as server:
        yield server


@pytest.fixture
def stream(double: LoopbackModel) -> ModelStream:
    client = openai.OpenAI(api_key="any", base_url=double.base_url, max_retries=0)
    return ModelStream(client, attempts=2, backoff_s=0.02)


def drafted(stream: ModelStream, mode: str, deadline_s: float = 10.0) -> list[DraftClaim | DraftEnd]:
    answerer = ModelAnswerer(stream, f"double-{mode}", deadline_s=deadline_s)
    return list(answerer.draft(QUESTION, CONTEXT, search()))


def test_an_answer_comes_with_quotes_usage_and_the_same_schema(stream: ModelStream, double: LoopbackModel) -> None:
    *claims, end = drafted(stream, "honest")
    assert isinstance(claims[0], DraftClaim) and isinstance(end, DraftEnd)
    assert claims[0].text == "Parental leave is 20 weeks for every employee."
    assert end.usage.input_tokens > end.usage.cached_input_tokens > 0 and end.usage.output_tokens > 0
    request = double.requests[-1]
    assert request["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": ANSWER_SCHEMA}
    assert request["messages"][0] == {"role": "system", "content": answer_prompt().instructions}
    assert "Parental" not in request["messages"][0]["content"]


def test_that_it_offers_no_responses_is_found_out_once(stream: ModelStream, double: LoopbackModel) -> None:
    before = len(double.paths)
    drafted(stream, "honest")
    drafted(stream, "honest")
    assert double.paths[before:] == ["/v1/chat/completions"] * 2
    assert stream._chats


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("429-bare", ModelUnavailable),
        ("500", ModelUnavailable),
        ("failed", ModelUnavailable),
        ("cut", ModelUnavailable),
        ("quota", ModelMisconfigured),
        ("refusal", ModelRefused),
        ("incomplete-filter", ModelRefused),
        ("truncated", ModelOutputBroken),
        ("empty", ModelOutputBroken),
        ("malformed", ModelOutputBroken),
        ("prose", ModelOutputBroken),
    ],
)
def test_failures_are_the_same(stream: ModelStream, mode: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        drafted(stream, mode)


def test_an_answer_cut_short_gets_more_room(stream: ModelStream, double: LoopbackModel) -> None:
    before = len(double.requests)
    assert isinstance(drafted(stream, "incomplete")[0], DraftClaim)
    assert [one["max_tokens"] for one in double.requests[before:]] == [3000, 6000]


def test_the_deadline_holds(stream: ModelStream) -> None:
    for mode in ("drip", "silent"):
        with pytest.raises(ModelUnavailable, match="in time"):
            drafted(stream, mode, deadline_s=1.0)


def test_a_service_with_responses_is_not_asked_for_chat_when_a_model_is_missing() -> None:
    with LoopbackModel() as double:
        stream = ModelStream(openai.OpenAI(api_key="any", base_url=double.base_url, max_retries=0))
        with pytest.raises(ModelMisconfigured, match="model_not_found"):
            list(ModelAnswerer(stream, "gpt-nonsense").draft(QUESTION, CONTEXT, search()))
        assert double.paths == ["/v1/responses"]


def test_an_address_with_neither_is_the_operators() -> None:
    with LoopbackModel(interface="chat") as double:
        base = double.base_url.removesuffix("/v1") + "/elsewhere"
        stream = ModelStream(openai.OpenAI(api_key="any", base_url=base, max_retries=0))
        with pytest.raises(ModelMisconfigured, match="HTTP 404"):
            list(ModelAnswerer(stream, "double-honest").draft(QUESTION, CONTEXT, search()))
        assert not stream._chats
    assert json.dumps(double.paths) == "[]"

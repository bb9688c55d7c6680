"""Chains of models behind the gateway: breakers, and one deadline over the whole answer, over real HTTP."""

from __future__ import annotations

import gc
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from sqlalchemy import text

from assistant import gateway
from assistant.bootstrap import Quoth
from assistant.breaker import Breakers
from assistant.budgets import Budgets, Reservation
from assistant.errors import ModelError, ModelMisconfigured, ModelUnavailable
from assistant.gateway import Call, Gateway, called
from assistant.model import Answer, Answerer, AnswerId, Context, DraftEnd
from assistant.model_answerer import ModelAnswerer
from assistant.model_stream import ModelStream
from assistant.redaction import RedactingAnswerer
from assistant.settings import Settings
from evals.bench.loopback_model import LoopbackModel
from ingest.access import LOCAL, Reader
from ingest.errors import ServiceError
from ingest.redaction import redactor_from
from tests.assistant.test_model_answerer import CONTEXT, QUESTION, search


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel() as server:
        yield server


@pytest.fixture(scope="module")
def stream(double: LoopbackModel) -> ModelStream:
    client = openai.OpenAI(api_key="any", base_url=double.base_url, max_retries=0)
    return ModelStream(client, attempts=1)


def calls_of(double: LoopbackModel) -> Counter[str]:
    return Counter(str(request["model"]) for request in double.requests)


def chain(stream: ModelStream, gateway: Gateway, *modes: str) -> list[Answerer]:
    return [ModelAnswerer(stream, f"double-{mode}", gateway=gateway) for mode in modes]


def answered_by(answerers: list[Answerer], deadline_s: float = 20.0) -> tuple[str | None, list[str]]:
    """The first model that comes to its end, and why those before it did not."""
    failures = []
    for one in called(answerers, LOCAL, AnswerId(uuid.uuid4()), deadline=time.monotonic() + deadline_s):
        try:
            end = list(one.draft(QUESTION, CONTEXT, search()))[-1]
        except (ModelError, ModelMisconfigured) as error:
            failures.append(str(error))
            continue
        assert isinstance(end, DraftEnd)
        return end.model, failures
    return None, failures


@pytest.mark.parametrize("mode", ["500", "429-bare", "truncated", "cut", "malformed"])
def test_a_model_that_keeps_failing_is_left_alone_and_the_next_answers(
    double: LoopbackModel, stream: ModelStream, mode: str
) -> None:
    answerers = chain(stream, Gateway(Breakers(failures=3)), mode, "honest")
    before = calls_of(double)[f"double-{mode}"]
    for _ in range(6):
        model, failures = answered_by(answerers)
        assert model == "double-honest"
    assert calls_of(double)[f"double-{mode}"] - before == 3
    assert "left alone" in failures[0]


@pytest.mark.parametrize("mode", ["refusal", "policy", "prose", "quota", "incomplete-filter"])
def test_what_is_not_the_services_fault_opens_nothing(double: LoopbackModel, stream: ModelStream, mode: str) -> None:
    answerers = chain(stream, Gateway(Breakers(failures=1)), mode)
    before = calls_of(double)[f"double-{mode}"]
    for _ in range(3):
        answered_by(answerers)
    assert calls_of(double)[f"double-{mode}"] - before == 3


def test_a_model_that_is_back_is_found_by_a_probe(double: LoopbackModel) -> None:
    with LoopbackModel() as own:
        client = openai.OpenAI(api_key="any", base_url=own.base_url, max_retries=0)
        stream = ModelStream(client, attempts=1)
        answerers = chain(stream, Gateway(Breakers(failures=1, rest_s=0.3)), "500-once")
        assert answered_by(answerers)[0] is None
        assert "left alone" in answered_by(answerers)[1][0]
        time.sleep(0.35)
        assert answered_by(answerers) == ("double-500-once", [])
        assert len(own.requests) == 2


def test_a_reader_who_leaves_is_no_failure_and_frees_the_probe(stream: ModelStream) -> None:
    breakers = Breakers(failures=1, rest_s=0.0)
    breakers.enter("double-drip").failed()
    answerer = chain(stream, Gateway(breakers), "drip")[0]
    draft = answerer.draft(QUESTION, CONTEXT, search())
    next(draft)
    with pytest.raises(ModelUnavailable, match="being tried"):
        breakers.enter("double-drip")
    draft.close()  # type: ignore[attr-defined]
    breakers.enter("double-drip").succeeded()


def test_a_silent_model_leaves_the_next_its_share(stream: ModelStream) -> None:
    started = time.monotonic()
    model, failures = answered_by(chain(stream, Gateway(), "silent", "honest"), deadline_s=8.0)
    assert model == "double-honest"
    assert "in time" in failures[0]
    assert 3.9 < time.monotonic() - started < 8.0


def test_a_model_that_has_begun_may_use_the_whole_time(stream: ModelStream) -> None:
    started = time.monotonic()
    model, failures = answered_by(chain(stream, Gateway(), "drip", "honest"), deadline_s=6.0)
    assert model is None
    assert 5.9 < time.monotonic() - started < 20  # of itself it never ends
    assert failures == ["The model did not answer in time. Ask again later.", "No time was left for it."]


@pytest.mark.parametrize("mode", ["drip", "silent", "slow", "429", "500"])
def test_nothing_stretches_the_deadline_of_a_chain(double: LoopbackModel, mode: str) -> None:
    client = openai.OpenAI(api_key="any", base_url=double.base_url, max_retries=0)
    retrying = ModelStream(client, attempts=50, backoff_s=0.1)
    started = time.monotonic()
    answered_by(chain(retrying, Gateway(), mode, mode, mode), deadline_s=1.5)
    assert time.monotonic() - started < 10  # of themselves they take minutes, or never end


def test_a_call_without_time_does_not_reach_the_service(double: LoopbackModel, stream: ModelStream) -> None:
    before = len(double.requests)
    now = time.monotonic()
    answerer = ModelAnswerer(stream, "double-honest").for_call(Call(LOCAL, "answer", None, now, now))
    with pytest.raises(ModelUnavailable, match="No time"):
        list(answerer.draft(QUESTION, Context((), 0), search()))
    assert len(double.requests) == before


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("handbook") / "leave.txt"
    file.write_text("Parental leave lasts twenty weeks for every parent.\n")
    list(quoth.pipeline.add([file]))


@pytest.fixture
def opened(environ: dict[str, str], double: LoopbackModel, filled: None) -> Iterator[Callable[..., Quoth]]:
    """Open the store of this module with settings of a test's own."""
    stores: list[Quoth] = []

    def open_with(**settings: str) -> Quoth:
        wanted = {**environ, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url, **settings}
        stores.append(Quoth(Settings.from_env(wanted), wanted, lambda said: None))
        return stores[-1]

    yield open_with
    for store in stores:
        store.close()


@pytest.mark.integration
def test_an_answer_ends_by_its_deadline_with_quotations(opened: Callable[..., Quoth]) -> None:
    quoth = opened(QUOTH_MODELS="double-silent,double-drip", QUOTH_ANSWER_DEADLINE_S="3")
    list(quoth.search("parental leave", LOCAL).hits)  # whatever is loaded once
    started = time.monotonic()
    answer = list(quoth.ask("How many weeks does parental leave last?", LOCAL))[-1]
    assert time.monotonic() - started < 20  # of themselves they never end
    assert isinstance(answer, Answer)
    assert "twenty weeks" in answer.text and answer.degraded and "in time" in answer.degraded


@pytest.mark.integration
def test_over_its_budget_the_chain_goes_on_to_a_model_that_still_fits(
    opened: Callable[..., Quoth], double: LoopbackModel
) -> None:
    """A call of the first model reserves more than a cent, one of the second a tenth of that."""
    quoth = opened(QUOTH_MODELS="gpt-6.1-terra,gpt-6-luna", QUOTH_BUDGET_USD_MONTH="0.01")
    before = calls_of(double)
    answer = list(quoth.ask("How many weeks does parental leave last?", LOCAL))[-1]
    assert isinstance(answer, Answer)
    assert (answer.status, answer.model) == ("answered", "gpt-6-luna")
    assert answer.degraded and "0.01 USD a month for the whole organisation" in answer.degraded
    assert calls_of(double) - before == Counter({"gpt-6-luna": 1})
    calls = {one.name: one for one in quoth.model_calls.used("model")}
    assert calls["gpt-6-luna"].cost_usd == pytest.approx(answer.usage.cost_usd)


@pytest.mark.integration
def test_a_model_without_a_price_is_not_called_under_a_budget(
    opened: Callable[..., Quoth], double: LoopbackModel, tmp_path: Path
) -> None:
    before = len(double.requests)
    answer = list(opened(QUOTH_MODELS="double-honest", QUOTH_BUDGET_USD_MONTH="5").ask("Parental leave?", LOCAL))[-1]
    assert isinstance(answer, Answer)
    assert answer.model == "quoted" and answer.degraded and "QUOTH_PRICES" in answer.degraded
    assert len(double.requests) == before
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.double-honest]\ninput = 1\noutput = 1\n")
    quoth = opened(QUOTH_MODELS="double-honest", QUOTH_BUDGET_USD_MONTH="5", QUOTH_PRICES=str(prices))
    answer = list(quoth.ask("How many weeks does parental leave last?", LOCAL))[-1]
    assert isinstance(answer, Answer)
    assert answer.model == "double-honest" and answer.usage.cost_usd > 0


@pytest.mark.integration
def test_completing_a_follow_up_is_counted_and_recorded_too(
    opened: Callable[..., Quoth], double: LoopbackModel
) -> None:
    quoth = opened(QUOTH_MODELS="gpt-6-luna", QUOTH_LIMITS="user:mia 2 requests/day")
    mia = Reader("mia", frozenset(), reads_all=True)
    first = list(quoth.ask("How many weeks does parental leave last?", mia))[-1]
    assert isinstance(first, Answer)
    second = list(quoth.ask("And for whom?", mia, conversation=first.conversation))[-1]
    assert isinstance(second, Answer)
    assert second.degraded and "2 requests a day" in second.degraded  # one for the answer, one to complete the question
    with quoth.database.reading(mia) as connection:
        calls = connection.execute(text("select purpose, answer_id, status from model_call order by at")).all()
    assert [tuple(one) for one in calls] == [("answer", first.id, "done"), ("reword", second.id, "done")]


class LostBudgets(Budgets):
    """Limits whose database goes away while a call is under way."""

    def __init__(self) -> None:
        pass

    def reserve(self, reader: Reader, *what: object, **how: object) -> Reservation:
        return Reservation(uuid.uuid4(), reader, ())

    def settle(self, *what: object) -> None:
        raise ServiceError("The database does not answer.")


def test_a_draft_that_is_abandoned_while_the_database_is_away_ends_without_a_word(
    double: LoopbackModel, stream: ModelStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(gateway.LOG, "warning", lambda words, *values: logged.append(words % values))
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    redactor = redactor_from("yes")
    assert redactor is not None
    answerer = RedactingAnswerer(ModelAnswerer(stream, "double-drip", gateway=Gateway(budgets=LostBudgets())), redactor)
    (bound,) = called([answerer], LOCAL, AnswerId(uuid.uuid4()), deadline=time.monotonic() + 20)
    drafted = bound.draft(QUESTION, CONTEXT, search())
    assert next(drafted)
    del drafted
    gc.collect()
    assert unraisable == [] and len(logged) == 1 and "could not be settled" in logged[0]


def test_what_ended_a_call_is_told_and_not_that_it_could_not_be_settled(stream: ModelStream) -> None:
    lost = Gateway(budgets=LostBudgets())
    model, failures = answered_by(chain(stream, lost, "failed"))
    assert model is None and len(failures) == 1 and "database" not in failures[0]
    with pytest.raises(ServiceError, match="database"):  # one that came to its end is not passed off as paid
        answered_by(chain(stream, lost, "honest"))

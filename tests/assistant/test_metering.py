"""Every call of a model is counted: re-ranking, judging and embedding too, exactly, and refusals degrade by name."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.breaker import Breakers
from assistant.errors import ModelUnavailable
from assistant.gateway import Gateway, status_of
from assistant.model import Answer
from assistant.settings import Settings
from evals.bench.loopback_model import LoopbackModel
from ingest.access import LOCAL, Reader
from ingest.errors import CallFailed, ConfigurationError, ServiceError
from ingest.metering import Caller, Usage, in_name_of
from ingest.openai_embedding import OpenAIEmbedder
from retrieval.chat_reranking import ChatReranker
from retrieval.reranking import Asked
from tests.retrieval.test_reranking import HITS, QUESTION

MIA = Reader("mia", frozenset({"hr"}), reads_all=True)
LEAVE = "How many weeks does parental leave last?"


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel(mode="own-words") as server:  # so that there is something to judge
        yield server


Open = Callable[..., Quoth]


@pytest.fixture(scope="module")
def remote(environ: dict[str, str], double: LoopbackModel) -> dict[str, str]:
    """A store whose documents and questions are embedded by the stand-in."""
    return {
        **environ,
        "OPENAI_API_KEY": "any",
        "OPENAI_BASE_URL": double.base_url,
        "QUOTH_EMBEDDER": "openai:text-embedding-3-small:64",
    }


@pytest.fixture
def opened(remote: dict[str, str], filled: None) -> Iterator[Open]:
    stores: list[Quoth] = []

    def open_with(**settings: str) -> Quoth:
        wanted = {**remote, **settings}
        stores.append(Quoth(Settings.from_env(wanted), wanted, lambda said: None))
        with stores[-1].database.working() as connection:
            for table in ("budget_hold", "budget", "model_call"):
                connection.execute(text(f"delete from {table}"))
        return stores[-1]

    yield open_with
    for store in stores:
        store.close()


@pytest.fixture(scope="module")
def filled(remote: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("handbook")
    (folder / "leave.txt").write_text("Parental leave lasts twenty weeks for every parent.\n")
    (folder / "travel.txt").write_text("Rail travel is booked in second class by every employee.\n")
    with Quoth(Settings.from_env(remote), remote, lambda said: None) as store:
        assert all(one.status == "added" for one in store.pipeline.add([folder]))
        calls = recorded(store)
        assert {purpose for purpose, *_ in calls} == {"embed"} and all(tokens > 0 for *_, tokens in calls)


def recorded(store: Quoth) -> list[tuple[str, str, str, int]]:
    """(purpose, principal, status, input tokens) of every call, in order."""
    with store.database.working() as connection:
        rows = connection.execute(text("select purpose, principal, status, input_tokens from model_call order by at"))
        return [tuple(row) for row in rows]  # type: ignore[misc]


def ask(store: Quoth, question: str = LEAVE, reader: Reader = MIA) -> Answer:
    answer = list(store.ask(question, reader))[-1]
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.integration
def test_every_call_of_an_answer_is_recorded_in_its_name_and_adds_up(opened: Open) -> None:
    store = opened(QUOTH_MODELS="gpt-6-luna", QUOTH_RERANKER="chat", QUOTH_CHECKER="chat", QUOTH_RERANK_BUDGET_S="20")
    answer = ask(store)
    assert answer.status == "answered" and answer.degraded is None
    calls = recorded(store)
    assert [(one[0], one[1], one[2]) for one in calls] == [
        ("embed", "mia", "done"), ("rerank", "mia", "done"), ("answer", "mia", "done"), ("judge", "mia", "done"),
    ]  # fmt: skip
    assert answer.usage.input_tokens == sum(one[3] for one in calls)
    total = store.model_calls.used("day")[-1]
    assert total.cost_usd == pytest.approx(answer.usage.cost_usd) and total.cost_usd > 0
    with store.database.owning() as connection:
        told = connection.scalar(
            text("select detail from audit_event where action = 'answer' order by number desc limit 1")
        )
        answers = set(connection.scalars(text("select answer_id from model_call")))
    assert told["input_tokens"] == answer.usage.input_tokens  # the audit counts them too
    assert answers == {answer.id}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("requests", "degraded", "purposes"),
    [
        (0, "Searched by words only: Too little", []),
        (1, "Not re-ranked: Too little", ["embed"]),
        (2, "2 requests a day for you", ["embed", "rerank"]),
        (3, "chat:gpt-6-luna did not judge (Too little", ["embed", "rerank", "answer"]),
    ],
)
def test_what_a_limit_refuses_is_named_and_the_answer_comes_all_the_same(
    opened: Open, requests: int, degraded: str, purposes: list[str]
) -> None:
    store = opened(
        QUOTH_MODELS="gpt-6-luna", QUOTH_RERANKER="chat", QUOTH_CHECKER="chat", QUOTH_RERANK_BUDGET_S="20",
        QUOTH_LIMITS=f"user:mia {requests} requests/day",
    )  # fmt: skip
    answer = ask(store)
    assert answer.degraded and degraded in answer.degraded
    assert "twenty weeks" in answer.text or requests == 0  # nor do quotations find their way without any vector
    assert [one[0] for one in recorded(store)] == purposes


@pytest.mark.integration
def test_a_search_counts_its_embedding_for_whoever_searches(opened: Open) -> None:
    store = opened(QUOTH_LIMITS="user 1 requests/day")
    assert store.search(LEAVE, MIA).notes == ()
    found = store.search(LEAVE, MIA)
    assert found.hits and "Searched by words only" in found.notes[0] and "1 request a day" in found.notes[0]
    assert [one[:3] for one in recorded(store)] == [("embed", "mia", "done")]


@pytest.mark.integration
def test_bulk_counts_for_the_organisation_and_not_for_whoever_hands_it_over(opened: Open) -> None:
    store = opened(QUOTH_LIMITS="user 1 requests/day, organisation 100000 tokens/day")
    for _ in range(3):
        in_name_of(store.embedder, Caller(MIA, bulk=True)).embed(["Trays go back."], kind="document")
    calls = recorded(store)
    assert [one[:3] for one in calls] == [("embed", "mia", "done")] * 3
    with store.database.working() as connection:
        rows = connection.execute(text("select scope, unit, used, reserved from budget")).all()
    assert [tuple(row) for row in rows] == [("organisation", "tokens", sum(one[3] for one in calls), 0)]


@pytest.mark.integration
def test_a_load_that_a_limit_stops_fails_with_its_words_and_can_be_tried_again(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "parking.txt"
    file.write_text("The car park closes at nine in the evening.\n")
    store = opened(QUOTH_LIMITS="organisation 0 tokens/day", QUOTH_WORKERS="1")
    store.worker._tries = 1  # or the test waits as long as a worker does
    with pytest.raises(ServiceError, match="0 tokens a day for the whole organisation"):
        list(store.pipeline.add([file]))
    assert recorded(store) == []
    with store.database.working() as connection:
        kept = connection.execute(text("select state, sha256 is not null as kept from intake where state = 'failed'"))
        assert [tuple(row) for row in kept] == [("failed", True)]


@pytest.mark.integration
def test_an_embedder_whose_price_is_not_known_is_not_called_under_a_limit_on_money(
    opened: Open, double: LoopbackModel, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(QUOTH_BUDGET_USD_MONTH="5")
    before = len(double.embedded)
    assert store.search(LEAVE, MIA).notes == ()
    store.gateway.prices.most_usd = lambda *of: None  # type: ignore[method-assign]
    found = store.search(LEAVE, MIA)
    assert found.hits and "not set up as it should be" in found.notes[0]
    assert "QUOTH_PRICES" in caplog.text
    assert len(double.embedded) == before + 1


@pytest.mark.integration
def test_32_threads_of_all_kinds_never_exceed_a_limit_and_lose_nothing(opened: Open, double: LoopbackModel) -> None:
    store = opened(
        QUOTH_MODELS="gpt-6-luna", QUOTH_RERANKER="chat", QUOTH_CHECKER="chat", QUOTH_RERANK_BUDGET_S="60",
        QUOTH_LIMITS="organisation 21 requests/day",
    )  # fmt: skip
    before = len(double.requests) + len(double.embedded)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda number: ask(store, f"{LEAVE} ({number})"), range(16)))
    received = len(double.requests) + len(double.embedded) - before
    calls = recorded(store)
    assert received == len(calls) == 21
    assert all("twenty weeks" in answer.text for answer in answers)
    assert sum(one[3] for one in calls) == sum(answer.usage.input_tokens for answer in answers)
    with store.database.working() as connection:
        assert [tuple(row) for row in connection.execute(text("select used, reserved from budget"))] == [(21, 0)]


# -- without a store --------------------------------------------------------------------------------------------------


def reranker(base_url: str, mode: str, gateway: Gateway) -> ChatReranker:
    return ChatReranker(lambda: openai.OpenAI(api_key="any", base_url=base_url), f"double-{mode}", meter=gateway)


@pytest.mark.parametrize(("mode", "calls"), [("500", 2), ("failed", 2), ("refusal", 5), ("quota", 5), ("prose", 5)])
def test_the_breaker_counts_what_the_service_does_wrong_and_nothing_else(mode: str, calls: int) -> None:
    with LoopbackModel() as double:
        one = reranker(double.base_url, mode, Gateway(Breakers(failures=2)))
        for _ in range(5):
            with pytest.raises(ServiceError):
                one.scores(QUESTION, HITS, budget_s=10)
        assert len(double.requests) == calls


def test_a_call_in_the_name_of_an_answer_ends_by_its_deadline() -> None:
    with LoopbackModel() as double:
        one = reranker(double.base_url, "honest", Gateway())
        with pytest.raises(ModelUnavailable, match="No time"):
            in_name_of(one, Caller(LOCAL, deadline=0.0)).scores(QUESTION, HITS, budget_s=10)
        assert double.requests == []


def test_what_a_call_used_is_told_to_its_caller_and_estimated_where_it_was_given_up() -> None:
    told: list[Usage] = []
    caller = Caller(LOCAL, uuid.uuid4(), spent=told.append)
    with LoopbackModel() as double:
        in_name_of(reranker(double.base_url, "honest", Gateway()), caller).scores(QUESTION, HITS, budget_s=10)
        client = openai.OpenAI(api_key="any", base_url=double.base_url)
        embedder = in_name_of(OpenAIEmbedder(client, "text-embedding-3-small", 8, meter=Gateway()), caller)
        embedder.embed(["a" * 400], kind="query")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(CallFailed) as failed:
        base_url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        in_name_of(reranker(base_url, "honest", Gateway()), caller).scores(QUESTION, HITS, budget_s=0.3)
    asked, embedded, given_up = told
    assert asked.input_tokens > 0 and asked.output_tokens > 0
    assert embedded == Usage(100, 0, 0, pytest.approx(100 * 0.02 / 1e6))
    assert failed.value.outcome == "unavailable" and given_up.input_tokens > 0 and given_up.output_tokens == 0


def test_statuses() -> None:
    assert status_of(CallFailed("no", "misconfigured")) == "misconfigured"
    assert status_of(ConfigurationError("no")) == "misconfigured"
    assert status_of(ValueError()) == "left"


def test_what_calls_no_model_is_left_as_it_is() -> None:
    asked = Asked("", None, {}, "en")
    assert in_name_of(asked, Caller(LOCAL)) is asked

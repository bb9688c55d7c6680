"""Moderation of questions and statements over real HTTP: what is flagged, and what happens when nobody can look."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from sqlalchemy import text

from assistant.bootstrap import Quoth
from assistant.breaker import Breakers
from assistant.gateway import Gateway
from assistant.model import Answer
from assistant.moderation import DECLINED, DECLINED_UNSEEN, Judged, Moderation, WhenDown, moderation_from
from assistant.settings import Settings
from evals.bench.loopback_model import LoopbackModel
from ingest.access import Reader
from ingest.errors import ConfigurationError
from ingest.metering import OPERATOR, in_name_of
from ingest.redaction import redactor_from

MODEL = "omni-moderation-latest"
MIA = Reader("mia", frozenset(), reads_all=True)


def looking(base_url: str, when_down: WhenDown = "answer", **options: object) -> Moderation:
    return Moderation(
        lambda: openai.AsyncOpenAI(api_key="any", base_url=base_url, max_retries=0), MODEL, when_down=when_down,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_categories_are_named_and_personal_data_stays_here() -> None:
    with LoopbackModel() as double:
        one = looking(double.base_url, redactor=redactor_from("yes"))
        assert one.look("How do I FLAGGED somebody?") == Judged(("violence", "violence/graphic"))
        assert one.look("May I write to anna@example.org?") == Judged()
        assert "anna@" not in double.moderated[1]


@pytest.mark.parametrize(("when_down", "blocks"), [("answer", False), ("refuse", True)])
def test_what_becomes_of_a_text_that_nobody_looks_at_is_a_setting(when_down: WhenDown, blocks: bool) -> None:
    with LoopbackModel(moderation_fault="500") as double:
        judged = looking(double.base_url, when_down).look("Leave?")
    assert judged.failed == f"{MODEL} did not look at it: it did not take the text (HTTP 500)."
    assert judged.blocks(when_down) is blocks
    assert Judged(("hate",)).blocks(when_down)


def test_a_deadline_holds_and_the_breaker_saves_the_next_from_waiting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = looking(
            f"http://127.0.0.1:{silent.getsockname()[1]}/v1", deadline_s=0.2, meter=Gateway(Breakers(failures=2))
        )
        told = [one.look("Leave?").failed or "" for _ in range(3)]
    assert "within 0.2 s" in told[0] and "within 0.2 s" in told[1] and "left alone" in told[2]


def test_a_missing_key_is_a_text_that_nobody_looked_at() -> None:
    def keyless() -> openai.AsyncOpenAI:
        raise ConfigurationError("OPENAI_API_KEY is not set.")

    judged = in_name_of(Moderation(keyless, MODEL), OPERATOR).look("Leave?")
    assert judged.failed and "OPENAI_API_KEY" in judged.failed


def test_settings() -> None:
    def client() -> openai.AsyncOpenAI:
        raise AssertionError("nobody asked yet")

    assert moderation_from("off", "answer", client) is None
    named = moderation_from(f"openai:{MODEL}", "refuse", client)
    assert named is not None and (named.name, named.when_down) == (MODEL, "refuse")
    for wrong in ("on", "openai:", "azure:x"):
        with pytest.raises(ConfigurationError, match="QUOTH_MODERATION"):
            moderation_from(wrong, "answer", client)
    with pytest.raises(ConfigurationError, match="QUOTH_MODERATION_DOWN"):
        Settings.from_env({"QUOTH_MODERATION_DOWN": "maybe"})


@pytest.fixture(scope="module")
def filled(quoth: Quoth, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("rules") / "rules.txt"
    file.write_text("Parental leave lasts twenty weeks. The old FLAGGED parental leave rule lasts no more.\n")
    list(quoth.pipeline.add([file]))


@pytest.fixture
def opened(environ: dict[str, str], filled: None) -> Iterator[Callable[..., Quoth]]:
    stores: list[Quoth] = []

    def open_with(double: LoopbackModel, **settings: str) -> Quoth:
        wanted = {
            **environ, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url,
            "QUOTH_MODERATION": f"openai:{MODEL}", "QUOTH_MODELS": "gpt-6-luna", **settings,
        }  # fmt: skip
        stores.append(Quoth(Settings.from_env(wanted), wanted, lambda said: None))
        return stores[-1]

    yield open_with
    for store in stores:
        store.close()


def ask(store: Quoth, question: str) -> Answer:
    answer = list(store.ask(question, MIA))[-1]
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.integration
def test_a_flagged_question_is_not_answered_nor_searched_for_and_is_kept(opened: Callable[..., Quoth]) -> None:
    with LoopbackModel() as double:
        store = opened(double, QUOTH_BUDGET_USD_MONTH="1")  # moderation is free, whatever its price
        answer = ask(store, "How do I FLAGGED the parental leave?")
        assert (answer.status, answer.missing, answer.model, answer.text) == ("abstained", DECLINED, MODEL, "")
        assert answer.passages == () and double.requests == []
        assert store.answers.get(MIA, answer.id).missing == DECLINED
        with store.database.working() as connection:
            made = connection.scalar(text("select made from answer where id = :id"), {"id": answer.id})
            calls = connection.execute(text("select purpose, status, cost_usd from model_call")).all()
        assert made["moderation"] == {"question": "violence, violence/graphic"}
        assert [tuple(one) for one in calls] == [("moderate", "done", 0.0)]


@pytest.mark.integration
def test_a_flagged_statement_is_not_shown(opened: Callable[..., Quoth]) -> None:
    with LoopbackModel() as double:
        answer = ask(opened(double), "How long does the parental leave rule last?")
    assert "FLAGGED" not in answer.text and not any("FLAGGED" in one.text for one in answer.rejected)
    assert any("violence" in one.reason for one in answer.rejected)


@pytest.mark.integration
def test_what_is_asked_back_is_looked_at_too(opened: Callable[..., Quoth], tmp_path: Path) -> None:
    for name in ("North", "South", "FLAGGED West"):
        (tmp_path / f"Assembly point {name}.txt").write_text(f"The assembly point of {name} is at the gate.\n")
    with LoopbackModel() as double:
        store = opened(double, QUOTH_MODELS="double-asks-back")
        list(store.pipeline.add([tmp_path]))
        answer = ask(store, "Where is the assembly point?")
        assert answer.status == "clarifying" and len(answer.choices) == 2
        assert not any("FLAGGED" in one for one in answer.choices)
        assert {*answer.choices} < {*double.moderated}


@pytest.mark.integration
@pytest.mark.parametrize("down", ["answer", "refuse"])
def test_an_endpoint_that_is_down_is_named_or_refuses_as_set(opened: Callable[..., Quoth], down: str) -> None:
    with LoopbackModel(moderation_fault="500") as double:
        answer = ask(opened(double, QUOTH_MODERATION_DOWN=down), "How many weeks does parental leave last?")
    if down == "refuse":
        assert answer.missing == DECLINED_UNSEEN and answer.text == ""
    else:
        assert "twenty weeks" in answer.text
        assert answer.degraded and f"{MODEL} did not look at it" in answer.degraded

"""Easy questions go to the cheaper model first, by a rule that says why; where that one fails, the others answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.bootstrap import Quoth
from assistant.model import Answer
from assistant.model_routing import ModelRouting, Rule, Signals, asks_one_thing, routing_to
from assistant.settings import Settings
from evals.bench.loopback_model import LoopbackModel
from ingest.access import Reader
from ingest.errors import ConfigurationError

MIA = Reader("mia", frozenset({"hr"}), reads_all=True)
EASY = "How long does parental leave last?"
HARD = "Compare parental leave and sick leave: which lasts longer, and why?"
signals = st.builds(
    Signals, answerability=st.floats(0, 1), margin=st.floats(-1, 1), words=st.integers(1, 60), single=st.booleans()
)
rules = st.builds(
    Rule, least_answerability=st.floats(0, 1), least_margin=st.floats(-1, 1), most_words=st.integers(1, 60)
)


@given(rules, signals, st.floats(0, 1), st.floats(0, 1), st.integers(0, 20))
def test_what_speaks_for_easy_never_makes_a_question_hard(
    rule: Rule, one: Signals, surer: float, wider: float, shorter: int
) -> None:
    better = Signals(one.answerability + surer, one.margin + wider, max(1, one.words - shorter), True)
    assert not rule.easy(one) or rule.easy(better)
    assert rule.easy(one) == (rule.against(one) == [])


@pytest.mark.parametrize(
    ("question", "one"),
    [
        (EASY, True),
        ("Who wrote the book which the library bought in 1990?", True),
        ("Is the cafe open on Sundays?", True),
        (HARD, False),
        ("When does it open and where is it?", False),
        ("List all rules for visitors.", False),
        ("How long is leave? And who pays?", False),
        ("What is the difference between A and B?", False),
    ],
)
def test_what_asks_one_thing(question: str, one: bool) -> None:
    assert asks_one_thing(question) is one


def test_the_setting_names_a_later_model_of_the_chain() -> None:
    assert routing_to(None, "gpt-6.1-terra") is None
    assert routing_to("gpt-6-luna", "gpt-6.1-terra, gpt-6-luna") == ModelRouting("gpt-6-luna")
    for models in (None, "gpt-6.1-terra", "gpt-6-luna,gpt-6.1-terra"):
        with pytest.raises(ConfigurationError, match="QUOTH_EASY_MODEL"):
            routing_to("gpt-6-luna", models)


@pytest.fixture(scope="module")
def double() -> Iterator[LoopbackModel]:
    with LoopbackModel() as server:
        yield server


@pytest.fixture(scope="module")
def opened(
    environ: dict[str, str], double: LoopbackModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Quoth]]:
    folder = tmp_path_factory.mktemp("handbook")
    (folder / "leave.txt").write_text("Parental leave lasts twenty weeks for every parent.\n")
    (folder / "sick.txt").write_text("Sick leave lasts six weeks with full pay.\n")
    (folder / "cafe.txt").write_text("The cafe sells soup and bread at noon.\n")
    stores: list[Quoth] = []

    def open_with(**settings: str) -> Quoth:
        wanted = {
            **environ, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url, "QUOTH_MODEL_TOOLS": "0",
            **settings,
        }  # fmt: skip
        stores.append(Quoth(Settings.from_env(wanted), wanted, lambda said: None))
        if len(stores) == 1:
            list(stores[0].pipeline.add([folder]))
        return stores[-1]

    yield open_with
    for store in stores:
        store.close()


def asked(store: Quoth, question: str) -> tuple[Answer, dict[str, object]]:
    answer = list(store.ask(question, MIA))[-1]
    assert isinstance(answer, Answer)
    return answer, store.answer_records.get(MIA, answer.id).made["routed"]


@pytest.mark.integration
def test_easy_and_hard_questions_go_different_ways_and_the_record_says_why(
    opened: Callable[..., Quoth], double: LoopbackModel
) -> None:
    store = opened(QUOTH_MODELS="gpt-6.1-terra,gpt-6-luna", QUOTH_EASY_MODEL="gpt-6-luna")
    store.answering._routing = ModelRouting("gpt-6-luna", Rule(0.3, -1.0, 20))  # the way is tested, not the bounds
    double.requests.clear()
    easy, why_easy = asked(store, EASY)
    assert [one["model"] for one in double.requests] == ["gpt-6-luna"] and easy.status == "answered"
    assert why_easy["easy"] is True and why_easy["first"] == "gpt-6-luna"
    double.requests.clear()
    _, why_hard = asked(store, HARD)
    assert {one["model"] for one in double.requests} == {"gpt-6.1-terra"}
    assert why_hard["easy"] is False and "several" in str(why_hard["why"])
    used = {one.name: one.calls for one in store.model_calls.used("model")}
    assert used["gpt-6-luna"] >= 1 and used["gpt-6.1-terra"] >= 1


@pytest.mark.integration
def test_where_the_cheaper_one_fails_the_others_answer(opened: Callable[..., Quoth], double: LoopbackModel) -> None:
    store = opened(QUOTH_MODELS="gpt-6.1-terra,double-refusal", QUOTH_EASY_MODEL="double-refusal")
    store.answering._routing = ModelRouting("double-refusal", Rule(0.0, -1.0, 20))
    double.requests.clear()
    answer, _ = asked(store, EASY)
    assert [one["model"] for one in double.requests] == ["double-refusal", "gpt-6.1-terra"]
    assert answer.status == "answered" and answer.model == "gpt-6.1-terra" and answer.degraded


@pytest.mark.integration
def test_off_by_default(opened: Callable[..., Quoth], double: LoopbackModel) -> None:
    store = opened(QUOTH_MODELS="gpt-6.1-terra,gpt-6-luna")
    double.requests.clear()
    _, why = asked(store, EASY)
    assert [one["model"] for one in double.requests] == ["gpt-6.1-terra"] and why is None

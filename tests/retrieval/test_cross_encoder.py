"""A cross-encoder from a folder, with a model of a few nodes whose logit is the sum of its passage's word weights."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import ConfigurationError, ServiceError
from ingest.model import ChunkId, DocumentId
from ingest.model_folder import model_in
from retrieval.cross_encoder import MAX_TOKENS, CrossEncoder, logistic
from retrieval.model import Hit
from retrieval.reranking import Asked, reranker_from
from tests.tiny_onnx import folder_with, model_bytes

ASKED = Asked("good question", None, {}, "en")


def hit(text: str) -> Hit:
    return Hit(
        rank=0, score=0.0, source="a.txt", collection="default", title="", document=DocumentId(UUID(int=1)),
        version=1, chunk=ChunkId(UUID(int=2)), page=None, start=0, end=len(text), heading=(), text=text,
        updated="2026-01-01", ranks={},
    )  # fmt: skip


class Clock:
    """Each look takes `step_s` longer."""

    def __init__(self, step_s: float) -> None:
        self.now_s, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def encoder(folder: Path, step_s: float = 0.0) -> CrossEncoder:
    return CrossEncoder(lambda: model_in(folder, "here"), "tiny", threads=1, clock=Clock(step_s))


@pytest.mark.parametrize(("logits", "place"), [(1, "model.onnx"), (1, "onnx/model.onnx"), (2, "model.onnx")])
def test_scores_are_the_models_in_the_order_given(tmp_path: Path, logits: int, place: str) -> None:
    reranker = reranker_from(f"onnx:{folder_with(tmp_path, model_bytes(logits), place)}")
    assert reranker is not None and reranker.name == f"onnx:{tmp_path.name}"
    # of different lengths, so that they run in another order than they stand
    texts = ["good " + "plain " * 100, "bad", "good good", "plain", "bad bad " + "plain " * 300, "good good good"]
    scores = reranker.scores(ASKED, [hit(text) for text in texts], budget_s=5)
    assert scores == pytest.approx([logistic(logits * weight) for weight in (1, -1, 2, 0, -2, 3)], abs=1e-6)
    reranker.release()
    assert reranker.scores(ASKED, [hit("good")], budget_s=5) == pytest.approx([logistic(logits)])
    assert reranker.scores(ASKED, [], budget_s=5) == []


def test_only_the_passage_is_cut_and_long_questions_leave_it_room(tmp_path: Path) -> None:
    reranker = encoder(folder_with(tmp_path, model_bytes()))
    beyond = hit("plain " * MAX_TOKENS + "good")
    within = hit("good " + "plain " * MAX_TOKENS)
    assert reranker.scores(ASKED, [beyond, within], budget_s=5) == pytest.approx([0.5, logistic(1)])
    long = Asked("good " * 2000, None, {}, "en")
    assert reranker.scores(long, [hit("plain " * 50 + "good")], budget_s=5) == pytest.approx([logistic(1)])


def test_what_the_time_does_not_allow_is_not_scored(tmp_path: Path) -> None:
    folder, hits = folder_with(tmp_path, model_bytes()), [hit("good")] * 50
    assert len(encoder(folder).scores(ASKED, hits, budget_s=1)) == 50
    some = len(encoder(folder, step_s=0.1).scores(ASKED, hits, budget_s=1))
    assert 0 < some < 50
    assert len(encoder(folder, step_s=10.0).scores(ASKED, hits, budget_s=1)) == 4  # the first are always scored


def test_what_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"QUOTH_RERANKER.*no folder.*absent"):
        reranker_from(f"onnx:{tmp_path / 'absent'}")
    with pytest.raises(ConfigurationError, match=r"lacks model\.onnx or onnx/model\.onnx and tokenizer\.json"):
        reranker_from(f"onnx:{tmp_path}")
    folder_with(tmp_path, b"no model")
    with pytest.raises(ConfigurationError, match=r"model\.onnx.*not a model"):
        encoder(tmp_path).scores(ASKED, [hit("good")], budget_s=1)
    folder_with(tmp_path, model_bytes(3))
    with pytest.raises(ConfigurationError, match="not a cross-encoder"):
        encoder(tmp_path).scores(ASKED, [hit("good")], budget_s=1)
    folder_with(tmp_path, model_bytes(inputs=("input_ids", "attention_mask", "pixels")))
    with pytest.raises(ConfigurationError, match="pixels"):
        encoder(tmp_path).scores(ASKED, [hit("good")], budget_s=1)
    folder_with(tmp_path, model_bytes())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json"):
        encoder(tmp_path).scores(ASKED, [hit("good")], budget_s=1)


def test_no_number_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no number"):
        encoder(folder_with(tmp_path, model_bytes())).scores(ASKED, [hit("good"), hit("nan")], budget_s=1)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_logistic_keeps_order_within_its_bounds(a: float, b: float) -> None:
    assert 0 <= logistic(a) <= 1
    assert logistic(min(a, b)) <= logistic(max(a, b))

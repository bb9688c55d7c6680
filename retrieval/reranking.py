"""Re-ranking behind a protocol; the local form needs no model at question time beyond the question's vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.analysis import analyzer_for
from ingest.errors import ConfigurationError
from ingest.indexing import chunk_text
from ingest.metering import Meter
from ingest.model_folder import model_in
from ingest.model_hub import HUB_URL, HubModel
from retrieval.model import Hit
from retrieval.wanted import holds_identifier

if TYPE_CHECKING:
    import openai


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the stages before saw it."""

    text: str
    vector: NDArray[np.float32] | None  # unit length; None when no embedder answered
    idf: Mapping[str, float]  # by term, without language prefix, counted among what the reader may read
    language: str
    identifiers: tuple[str, ...] = ()  # names that mean exactly themselves


class Reranker(Protocol):
    """Scores candidates anew. Higher is better; a difference of 1 is a large one, as quotes are chosen by it too."""

    @property
    def name(self) -> str: ...

    def scores(self, asked: Asked, candidates: Sequence[Hit], *, budget_s: float) -> list[float]:
        """Scores of the first candidates, in the order given: of as many as the time allows, none at worst.

        Raises:
            ServiceError: it cannot score now.
            ConfigurationError: it cannot score until the operator mends it.
        """
        ...

    def release(self) -> None:
        """Give memory back; the next use takes it again."""
        ...


@dataclass(frozen=True, slots=True)
class LocalReranker:
    """Best-sentence similarity and coverage of the question's rare terms, added to the fused score.

    A chunk is a mixture; the sentence that answers is what should count. Sentence vectors were stored at ingest. A
    name such as INC-2041 means exactly itself: passages that hold it go first.
    """

    sentence_weight: float = 0.3
    coverage_weight: float = 0.1
    identifier_weight: float = 0.05
    name: str = "local"

    def scores(self, asked: Asked, candidates: Sequence[Hit], *, budget_s: float) -> list[float]:
        """Scores of all of them: this takes milliseconds, whatever the budget."""
        return [
            hit.scores.get("fused", 0.0)
            + self.sentence_weight * best_sentence(asked.vector, hit.sentence_vectors)
            + self.coverage_weight * coverage(asked, chunk_text(hit.title, hit.heading, hit.text))
            + self.identifier_weight * identifiers_held(asked, chunk_text(hit.title, hit.heading, hit.text))
            for hit in candidates
        ]

    def release(self) -> None:
        """Nothing is held."""


def best_sentence(question: NDArray[np.float32] | None, sentences: NDArray[np.float32] | None) -> float:
    """The highest cosine of a sentence with the question, in [-1, 1]; 0 where either has no vector."""
    if question is None or sentences is None or not len(sentences):
        return 0.0
    return float((sentences @ question).max())


def coverage(asked: Asked, text: str) -> float:
    """Share of the question's idf mass whose terms stand in the text, in [0, 1]; terms that occur nowhere count."""
    total = sum(asked.idf.values())
    if total <= 0:
        return 0.0
    present = set(analyzer_for(asked.language).terms(text))
    return sum(weight for term, weight in asked.idf.items() if term in present) / total


def identifiers_held(asked: Asked, text: str) -> float:
    """Share of the question's identifiers that the text holds as a whole, in [0, 1]; 0 when it has none."""
    if not asked.identifiers:
        return 0.0
    return sum(holds_identifier(text, one) for one in asked.identifiers) / len(asked.identifiers)


def reranker_from(
    setting: str,
    *,
    threads: int = 1,
    models_folder: Path | None = None,
    hub_url: str = HUB_URL,
    key: str | None = None,
    chat_model: str | None = None,
    openai_client_factory: Callable[[], openai.OpenAI] | None = None,
    meter: Meter | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Reranker | None:
    """The re-ranker that QUOTH_RERANKER names; None for 'none'. Nothing is loaded or asked for yet.

    Args:
        threads: of a model that runs here.
        models_folder: where models from the hub are kept.
        key: of the service behind http:URL.
        chat_model: what `chat` asks: the first of QUOTH_MODELS.
        meter: of the calls of `chat`.
        say: told that a model is being fetched.

    Raises:
        ConfigurationError: for anything else, with what may be set; for a folder that lacks a file.
    """
    # each form brings packages that the others do without
    if setting == "local":
        return LocalReranker()
    if setting == "none":
        return None
    kind, _, rest = setting.partition(":")
    named = f"QUOTH_RERANKER={setting!r}"
    if kind == "onnx" and rest:
        from retrieval.cross_encoder import CrossEncoder

        folder = Path(rest).expanduser()
        model_in(folder, named)
        return CrossEncoder(lambda: model_in(folder, named), f"onnx:{folder.resolve().name}", threads=threads)
    if kind == "hub" and rest:
        from retrieval.cross_encoder import CrossEncoder

        if models_folder is None:
            raise ConfigurationError(f"{named} needs a folder for its files. Set QUOTH_HOME.")
        hub = HubModel.named(rest, named, folder=models_folder, hub_url=hub_url, say=say)
        return CrossEncoder(hub.files, f"hub:{rest}", threads=threads)
    if kind in ("http", "https") and rest:
        from retrieval.rerank_service import ServiceReranker

        return ServiceReranker.named(setting if rest.startswith("//") else rest, named, key=key)
    if setting == "chat":
        from retrieval.chat_reranking import ChatReranker

        if chat_model is None or openai_client_factory is None:
            raise ConfigurationError(f"{named} needs a chat model. Set QUOTH_MODELS, or QUOTH_RERANKER to local.")
        return ChatReranker(openai_client_factory, chat_model, meter=meter)
    raise ConfigurationError(
        f"{named} is not known. Use local, none, onnx:FOLDER, hub:REPO@REVISION, http:URL or chat."
    )

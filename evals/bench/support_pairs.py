"""Claims with quotes and whether the quotes support them, from public collections and our own paraphrases.

Each reader takes the collection's folder or file, in the form the collection is published in.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from assistant.support import Similarities, SpanEmbedder, similarities
from ingest.analysis import Analyzer

CLIMATE_PAIRS: Final = 2000  # samples: encoding takes longest
SCIFACT_PAIRS: Final = 1600
SUPPORT: Final = "support"


@dataclass(frozen=True, slots=True)
class Pair:
    claim: str
    quotes: tuple[str, ...]
    around: tuple[str, ...]
    kind: str  # "support", or what it is instead

    @property
    def said(self) -> str:
        return " ".join(self.quotes)

    @property
    def near(self) -> str:
        return " ".join((*self.quotes, *self.around))


def scifact_pairs(folder: Path) -> Iterator[Pair]:
    """Claims with their rationale sentences, and each with another claim's; a sample."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        abstracts = {row["_id"]: f"{row['title']}\n{row['text']}" for row in map(json.loads, lines)}
    with (folder / "claims_with_rationales.jsonl").open(encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["evidence_sentences"]]
    others = random.Random(0).sample(rows, len(rows))
    pairs = list(_scifact_pairs(rows, others, abstracts))
    random.Random(1).shuffle(pairs)
    yield from pairs[:SCIFACT_PAIRS]


def _scifact_pairs(
    rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], abstracts: Mapping[Any, str]
) -> Iterator[Pair]:
    for row, other in zip(rows, others, strict=True):
        kind = SUPPORT if row["label"] == "SUPPORT" else "contradict"
        yield Pair(row["claim"], tuple(row["evidence_sentences"]), (abstracts.get(row["doc_id"], ""),), kind)
        if other["doc_id"] != row["doc_id"]:
            around = (abstracts.get(other["doc_id"], ""),)
            yield Pair(row["claim"], tuple(other["evidence_sentences"]), around, "unrelated")


def attribution_pairs(folder: Path) -> Iterator[Pair]:
    """Sentences of answers with the sources they name, as people judged them."""
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                kind = SUPPORT if row["attribution_label"] == "attributable" else "not attributable"
                yield Pair(row["claim"], tuple(row["references"]), (), kind)


def climate_pairs(folder: Path) -> Iterator[Pair]:
    """Claims about climate with sentences of Wikipedia, a sample of them."""
    kinds = {"SUPPORTS": SUPPORT, "REFUTES": "contradict", "NOT_ENOUGH_INFO": "not enough said"}
    with (folder / "climate-fever.jsonl").open(encoding="utf-8") as lines:
        pairs = [
            Pair(row["claim"], (one["evidence"],), (one["article"],), kinds[one["evidence_label"]])
            for row in map(json.loads, lines)
            for one in row["evidences"]
        ]
    random.Random(0).shuffle(pairs)
    yield from pairs[:CLIMATE_PAIRS]


def paraphrase_pairs(file: Path, split: str | None = None) -> Iterator[Pair]:
    """Honest paraphrases of the sample handbook's sentences, of one split or of both."""
    with file.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if split in (None, row["split"]):
                yield Pair(row["claim"], (row["passage"],), (), SUPPORT)


def with_unrelated(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The pairs, and each supported claim once more with the quotes of another one."""
    known = list(pairs)
    supported = [pair for pair in known if pair.kind == SUPPORT]
    others = random.Random(0).sample(supported, len(supported))
    yield from known
    for pair, other in zip(supported, others, strict=True):
        if other.said != pair.said:
            yield replace(pair, quotes=other.quotes, around=other.around, kind="unrelated")


class KnownSimilarities:
    """Similarities that are computed once and kept in a file, as they take nearly all of the time.

    Args:
        file: an .npz; without one nothing is kept.
    """

    def __init__(self, embedder: SpanEmbedder, file: Path | None, language: str = "en") -> None:
        self._embedder, self._file, self._analyzer = embedder, file, Analyzer(language)
        self._known: dict[str, NDArray[np.float64]] = {}
        if file is not None and file.exists():
            with np.load(file) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["rows"], strict=True))

    def of(self, pair: Pair) -> Similarities:
        key = hashlib.sha256(f"{pair.claim}\0{pair.said}".encode()).hexdigest()[:24]
        if key not in self._known:
            made = similarities(pair.claim, pair.said, self._embedder, self._analyzer)
            self._known[key] = np.array([made.maxsim, made.low, made.sentence, made.whole])
        return Similarities(*map(float, self._known[key]))

    def keep(self) -> None:
        if self._file is not None and self._known:
            keys: Sequence[str] = list(self._known)
            np.savez_compressed(self._file, keys=np.array(keys), rows=np.stack([self._known[key] for key in keys]))

"""The local embedders on questions and paragraphs of one language each: nDCG@10, and passages per CPU second.

    python -m evals.bench.multilingual XQUAD_FOLDER [--languages en de ru zh ar] [--embedders local local-multilingual]

The folder holds xquad.LANGUAGE.json, one file a language, in SQuAD's form. Paragraphs are the corpus and questions the
queries; a question's own paragraph alone is relevant, so nDCG@10 is 1 / log2(rank + 1) of it. With --cross, questions
of each language are also asked of the English paragraphs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.embedding import embedder_from
from ingest.errors import ConfigurationError
from ingest.model import Embedder


def read_xquad(path: Path) -> tuple[list[str], list[str], NDArray[np.int64]]:
    """Paragraphs, questions, and each question's paragraph."""
    paragraphs: list[str] = []
    questions: list[str] = []
    relevant: list[int] = []
    for article in json.loads(path.read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            questions += [asked["question"] for asked in paragraph["qas"]]
            relevant += [len(paragraphs)] * len(paragraph["qas"])
            paragraphs.append(paragraph["context"])
    return paragraphs, questions, np.array(relevant)


def ndcg_at_10(cosines: NDArray[np.float32], relevant: NDArray[np.int64]) -> float:
    """Mean over the rows (questions) of 1 / log2(1 + rank of the one relevant column), 0 beyond rank 10."""
    own = cosines[np.arange(len(relevant)), relevant]
    ranks = 1 + (cosines > own[:, None]).sum(axis=1)
    return float(np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0).mean())


def measure(embedder: Embedder, folder: Path, languages: list[str], *, cross: bool) -> list[str]:
    lines: list[str] = []
    english: NDArray[np.float32] | None = None
    for language in languages:
        paragraphs, questions, relevant = read_xquad(folder / f"xquad.{language}.json")
        began = time.process_time()
        corpus = embedder.embed(paragraphs, kind="document")
        took_s = time.process_time() - began
        asked = embedder.embed(questions, kind="query")
        english = corpus if language == "en" else english
        line = f"{language:4} {ndcg_at_10(asked @ corpus.T, relevant):8.3f} {len(paragraphs) / took_s:12.1f}"
        if cross and english is not None:
            line += f" {ndcg_at_10(asked @ english.T, relevant):12.3f}"
        lines.append(line)
        print(f"{embedder.space}: {line}", file=sys.stderr)
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--languages", nargs="+", default=["en", "de", "ru", "zh", "ar"])
    parser.add_argument("--embedders", nargs="+", default=["local", "local-multilingual"])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cross", action="store_true", help="also against the English paragraphs (give en first)")
    arguments = parser.parse_args()
    absent = [name for name in arguments.languages if not (arguments.folder / f"xquad.{name}.json").is_file()]
    if absent:
        print(f"{arguments.folder} has no xquad file for: {', '.join(absent)}", file=sys.stderr)
        return 2

    def no_client() -> Any:
        raise ConfigurationError("This measures local embedders only. Use local, local-multilingual or onnx:FOLDER.")

    for setting in arguments.embedders:
        embedder = embedder_from(setting, threads=arguments.threads, openai_client_factory=no_client)
        lines = measure(embedder, arguments.folder, arguments.languages, cross=arguments.cross)
        print(f"\n{embedder.space}\nlang  nDCG@10  paragraphs/s" + ("   of English" if arguments.cross else ""))
        print("\n".join(lines), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

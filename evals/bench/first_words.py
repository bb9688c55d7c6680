"""Fit and measure what tells a name from another word at the start of a sentence.

    python -m evals.bench.first_words SQUAD_FOLDER [HANDBOOK_FOLDER ...] [--sentences 2500] [--cache FILE.npz] [--write]

Inside sentences a capital letter says which words are names; the encoder sees no capitals, so that what it makes of
them there serves for first words too. Words are taken that are written one way four times in five. Measured on first
words whose use inside sentences says nine times in ten what they are: on the sentences fitted on, and on every fifth,
which are left out. SQUAD_FOLDER holds dev-2.0-part-a.json and dev-1.1.json, the handbooks Markdown.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assistant import first_word_weights
from assistant.first_words import packed
from evals.bench.abstention import auc, fit
from ingest.analysis import analyzer_for
from ingest.embedding import LocalEmbedder
from ingest.sentences import sentence_spans

WORD: Final = re.compile(r"[^\W\d_][\w'’-]*")
RIDGE: Final = 3.0
THRESHOLD: Final = 0.5
BATCH: Final = 32


def paragraphs(squad: Path, handbooks: Sequence[Path]) -> Iterator[list[str]]:
    """The paragraphs of each source."""
    files = [json.loads((squad / name).read_text("utf-8")) for name in ("dev-2.0-part-a.json", "dev-1.1.json")]
    yield list(dict.fromkeys(p["context"] for file in files for article in file["data"] for p in article["paragraphs"]))
    found = []
    for path in (path for folder in handbooks for path in sorted(folder.rglob("*.md"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", path.read_text("utf-8", "ignore"))
        for paragraph in (" ".join(one.split()) for one in re.split(r"\n\s*\n", text)):
            if paragraph[:1].isupper() and 80 < len(paragraph) < 900 and not set("<{|") & set(paragraph):
                found.append(paragraph)
    yield found


def sentences(squad: Path, handbooks: Sequence[Path], most: int) -> list[str]:
    """A seeded draw, as many of each source."""
    drawn = []
    for texts in paragraphs(squad, handbooks):
        every = [text[start:end] for text in texts for start, end in sentence_spans(text, 0, len(text))]
        kept = [one for one in every if 20 < len(one) < 300]
        random.Random(0).shuffle(kept)
        drawn += kept[:most]
    return drawn


def vectors_of(sentences: Sequence[str]) -> NDArray[np.float16]:
    """The vector of every word, in order."""
    embedder = LocalEmbedder(threads=1)
    rows = []
    for first in range(0, len(sentences), BATCH):
        batch = sentences[first : first + BATCH]
        _, words = embedder.embed_passages(batch, [[one.span() for one in WORD.finditer(text)] for text in batch])
        rows += [found.astype(np.float16) for found in words]
        if first % (BATCH * 20) == 0:
            print(f"{first}/{len(sentences)} sentences", file=sys.stderr)
    return np.vstack(rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("handbooks", type=Path, nargs="*")
    parser.add_argument("--sentences", type=int, default=2500, help="of each source")
    parser.add_argument("--cache", type=Path, help="keep vectors here between runs")
    parser.add_argument("--write", action="store_true", help="write assistant/first_word_weights.py anew")
    arguments = parser.parse_args(argv)
    drawn = sentences(arguments.squad, arguments.handbooks, arguments.sentences)
    if arguments.cache is not None and arguments.cache.exists():
        rows = np.load(arguments.cache)["rows"]
    else:
        rows = vectors_of(drawn)
        if arguments.cache is not None:
            np.savez_compressed(arguments.cache, rows=rows)
    words = [(one[0], at == 0, i) for i, text in enumerate(drawn) for at, one in enumerate(WORD.finditer(text))]
    if len(words) != len(rows):
        raise SystemExit(f"{str(arguments.cache)!r} holds vectors of other sentences. Remove it.")
    report(words, rows.astype(np.float32), arguments.write)
    return 0


def report(words: Sequence[tuple[str, bool, int]], rows: NDArray[np.float32], write: bool) -> None:
    every, capital = Counter[str](), Counter[str]()
    for word, first, _ in words:
        if not first:
            every[word.lower()] += 1
            capital[word.lower()] += word[0].isupper()
    share = np.array([capital[word.lower()] / max(1, every[word.lower()]) for word, *_ in words])
    seen = np.array([every[word.lower()] > 0 for word, *_ in words])
    firsts = np.array([first for _, first, _ in words])
    names = np.array([word[0].isupper() for word, *_ in words])
    content = np.array([bool(analyzer_for("en").terms(word)) for word, *_ in words])
    held = np.array([sentence % 5 == 0 for *_, sentence in words])
    clear = np.where(names, share > 0.8, share < 0.2)

    def weights(which: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = which & content & ~firsts & clear
        chosen &= names | (np.random.default_rng(0).random(len(words)) < 0.6)
        return fit(rows[chosen].astype(np.float64), names[chosen].astype(float), RIDGE)

    outside, whole = weights(~held), weights(np.ones_like(held))
    for label, made, which in (("held out", outside, held), ("fitted on", whole, ~held)):
        scores = rows @ made[:-1] + made[-1]
        tested = which & firsts & content & seen
        named, other = scores[tested & (share > 0.9)], scores[tested & (share < 0.1)]
        print(
            f"{label}: {len(named)} names and {len(other)} other first words, AUC {auc(named, other):.4f}, at "
            f"{THRESHOLD}: {np.mean(named >= THRESHOLD):.3f} of the names, "
            f"{np.mean(other >= THRESHOLD):.4f} of the others"
        )
    if write:
        lines = "\n".join(f'    "{line}"' for line in wrap(packed(whole[:-1]), 100))
        text = Path(first_word_weights.__file__).read_text("utf-8")
        head = text[: text.index("INTERCEPT")]
        body = f"INTERCEPT: Final = {whole[-1]:.4f}\nTHRESHOLD: Final = {THRESHOLD}\nWEIGHTS: Final = (\n{lines}\n)\n"
        Path(first_word_weights.__file__).write_text(head + body, "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())

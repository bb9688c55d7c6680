"""Contexts from long documents, with each step of assembling left out in turn; used by `evals.bench.context`."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from assistant.answering import AnsweringSettings
from assistant.bootstrap import Quoth
from assistant.context import ContextSettings, assemble
from assistant.model import Context, Passage
from evals.bench.long_corpus import HEADER, LongCorpus, LongQuestion, Planted
from ingest.access import LOCAL
from retrieval.model import Hit

DEFAULT: Final = ContextSettings()
WAYS: Final = {
    "as by default": DEFAULT,
    "without dropping near-copies": replace(DEFAULT, nearly_the_same=2.0),
    "without joining neighbours": replace(DEFAULT, join=False),
    "without growing": replace(DEFAULT, grown=0),
    "with none of the three": replace(DEFAULT, nearly_the_same=2.0, join=False, grown=0),
    "growing the best 1 only": replace(DEFAULT, grown=1),
    "growing by 2 on each side": replace(DEFAULT, reach=2),
}
BUDGETS: Final = (500, 1000, 2000, 4000)


class Counting:
    """Tokens by the embedder's tokenizer; the same passages come again and again."""

    def __init__(self, quoth: Quoth) -> None:
        self._quoth = quoth
        self._known: dict[str, int] = {}

    def __call__(self, texts: Sequence[str]) -> list[int]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._quoth.embedder.count_tokens(new), strict=True))
        return [self._known[text] for text in texts]


@dataclass(frozen=True, slots=True)
class Bench:
    quoth: Quoth
    count: Counting

    def assembled(self, hits: Sequence[Hit], settings: ContextSettings) -> Context:
        return assemble(hits, LOCAL, self.quoth.surroundings, self.count, settings)


@dataclass(slots=True)
class Tally:
    asked: int = 0
    held: int = 0
    tokens: int = 0
    passages: int = 0
    until: int = 0  # tokens up to the end of the passage that holds the evidence, over those held
    until_in_order: int = 0  # the same with the passages in the order of their documents


@dataclass(slots=True)
class Marking:
    marked: int = 0
    right: int = 0
    due: int = 0  # pairs of passages that hold a planted disagreement
    wrong: Counter[tuple[str, str]] = field(default_factory=Counter)


def compare_long(quoth: Quoth, corpus: LongCorpus) -> None:
    """Index the corpus and print every table."""
    bench = Bench(quoth, Counting(quoth))
    _add(quoth, "articles", corpus.articles)
    found = _searched(quoth, corpus.questions, "articles")
    print(f"{len(corpus.articles)} articles as documents, {_chunks(quoth)} chunks, {len(found)} questions")
    _compare(bench, corpus.questions, found)
    _add(quoth, "tables", corpus.tables)
    _headers(bench, corpus.rows)
    _add(quoth, "doubles", corpus.doubles)
    found = _searched(quoth, corpus.questions, None)
    print(f"\nbeside {len(corpus.doubles)} copies, older versions and notes, {_chunks(quoth)} chunks")
    _compare(bench, corpus.questions, found)
    _disagreements(bench, corpus.planted, found)


def _add(quoth: Quoth, collection: str, files: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="quoth-contexts-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        for receipt in quoth.pipeline.add([Path(folder)], collection=collection):
            if receipt.status != "added":
                raise RuntimeError(f"A document of the corpus was not added: {receipt}")
    print(f"{collection}: {len(files)} documents indexed", file=sys.stderr)


def _chunks(quoth: Quoth) -> int:
    return sum(document.chunks for document in quoth.catalog.documents(LOCAL))


def _searched(quoth: Quoth, questions: Sequence[LongQuestion], collection: str | None) -> list[tuple[Hit, ...]]:
    hits = AnsweringSettings().hits
    found = []
    for at, one in enumerate(questions):
        found.append(quoth.search(one.question, LOCAL, k=hits, collection=collection).hits)
        print(f"\r{at + 1} of {len(questions)} searched ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def _compare(bench: Bench, questions: Sequence[LongQuestion], found: Sequence[Sequence[Hit]]) -> None:
    print(
        f"\n{'':30}{'held':>7}{'tokens':>8}{'passages':>9}{'held / 1,000':>13}{'until held':>12}{'in order':>10}",
        end="",
    )
    print("   held within " + " ".join(f"{budget:>6}" for budget in BUDGETS) + " tokens")
    for name, settings in WAYS.items():
        tally = Tally()
        within = []
        for one, hits in zip(questions, found, strict=True):
            _count(bench, one, bench.assembled(hits, settings), tally)
        for budget in BUDGETS:
            limited = Tally()
            for one, hits in zip(questions, found, strict=True):
                _count(bench, one, bench.assembled(hits, replace(settings, max_tokens=budget)), limited)
            within.append(limited.held / limited.asked)
        print(
            f"{name:30}{tally.held / tally.asked:7.1%}{tally.tokens / tally.asked:8.0f}"
            f"{tally.passages / tally.asked:9.1f}{1000 * tally.held / max(1, tally.tokens):13.3f}"
            f"{tally.until / max(1, tally.held):12.0f}{tally.until_in_order / max(1, tally.held):10.0f}"
            "               " + " ".join(f"{share:6.1%}" for share in within),
            flush=True,
        )


def _count(bench: Bench, asked: LongQuestion, context: Context, tally: Tally) -> None:
    tally.asked += 1
    tally.tokens += context.tokens
    tally.passages += len(context.passages)
    if _read_until(bench, asked.evidence, context.passages) is not None:
        tally.held += 1
        in_order = sorted(context.passages, key=lambda one: (one.source, one.start))
        tally.until += _read_until(bench, asked.evidence, context.passages) or 0
        tally.until_in_order += _read_until(bench, asked.evidence, in_order) or 0


def _read_until(bench: Bench, evidence: str, passages: Sequence[Passage]) -> int | None:
    """Tokens up to the end of the first passage that holds the evidence; None when none does."""
    at = next((at for at, one in enumerate(passages) if evidence in " ".join(one.text.split())), None)
    return None if at is None else sum(bench.count([one.text for one in passages[: at + 1]]))


def _headers(bench: Bench, rows: Sequence[LongQuestion]) -> None:
    """Whether the passage that holds a row also says what its columns are."""
    held = inside = headed = 0
    for one, hits in zip(rows, _searched(bench.quoth, rows, "tables"), strict=True):
        context = bench.assembled(hits, DEFAULT)
        holding = [passage for passage in context.passages if one.evidence in passage.text]
        held += bool(holding)
        inside += any(HEADER[1] in passage.text for passage in holding)
        headed += any(HEADER[1] in " ".join((*passage.heading, passage.text)) for passage in holding)
    print(f"\n{len(rows)} questions about rows of long tables: {held} rows held; of these the header row stands in")
    print(f"the passage itself for {inside}, and in it or in its heading for {headed}")


def _disagreements(bench: Bench, planted: Sequence[Planted], found: Sequence[Sequence[Hit]]) -> None:
    """Marked conflicts against the planted ones that both stand in a context."""
    marking, kept, lost = Marking(), 0, 0
    for hits in found:
        context = bench.assembled(hits, DEFAULT)
        texts = {passage.id: " ".join(passage.text.split()) for passage in context.passages}
        due = _due(planted, texts)
        before = _due(planted, {str(hit.chunk): " ".join(hit.text.split()) for hit in hits})
        kept, lost = kept + bool(due), lost + bool(before and not due)
        marked = {frozenset((one.one, one.other)) for one in context.conflicts}
        marking.marked += len(marked)
        marking.right += len(marked & due)
        marking.due += len(due)
        for one in context.conflicts:
            if frozenset((one.one, one.other)) not in due:
                marking.wrong[one.one_says[:150], one.other_says[:150]] += 1
    print(
        f"\n{len(planted)} planted disagreements; {kept} contexts hold both sides of one, {lost} lost one side of one"
    )
    print(f"marked pairs of passages: {marking.marked}, planted ones among them {marking.right} (precision "
          f"{marking.right / max(1, marking.marked):.1%}); pairs that hold a planted one: {marking.due} (recall "
          f"{marking.right / max(1, marking.due):.1%})")  # fmt: skip
    for (said, other), count in marking.wrong.most_common(8):
        print(f"  {count} marked though not planted: {said!r} | {other!r}")


def _due(planted: Sequence[Planted], texts: Mapping[str, str]) -> set[frozenset[str]]:
    """Pairs of passages of which one has a sentence and the other its changed form."""
    due = set()
    for one in planted:
        saying = [name for name, text in texts.items() if one.said in text]
        changed = [name for name, text in texts.items() if one.changed in text]
        due |= {frozenset((a, b)) for a in saying for b in changed if a != b}
    return due

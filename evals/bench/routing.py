"""Fit and measure which questions go to the cheaper model first: what share, and how often the right passage leads.

    python -m evals.bench.routing SQUAD_FOLDER [--questions 800] [--cache FILE.jsonl] [--publish FOLDER]

SQUAD_FOLDER holds dev-2.0-part-a.json: questions with an answer in a paragraph, and near misses without. They are asked
over all its paragraphs, in a scratch collection of the store that the environment names; the sample handbook's cases
over the samples. A question counts as rightly routed when the passage with its answer is the first hit. Bounds are
fitted on every second article and measured on the others; the samples are never fitted on.

--publish: routing.md, its figures anew. The bounds that it prints belong into assistant/model_routing.py.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from assistant.bootstrap import Quoth, open_quoth
from assistant.context import ContextSettings, assemble
from assistant.model import Context
from assistant.model_routing import Rule, Signals, signals_of
from evals.beir import Record, TestCollection, index_beir
from evals.cases import read_cases
from evals.gold import GoldFinder
from evals.intervals import wilson
from evals.sampling import SAMPLES, load_samples
from ingest.access import LOCAL, Reader
from retrieval.model import SearchResult

HITS: Final = 12  # as answering searches
COLLECTION: Final = "eval-squad-routing"
SQUAD, CASES = "SQuAD 2.0", "sample handbook"
# Of the answerable questions called easy, the passage is the first hit for so many: the lower end of the interval, or
# bounds would be found that keep it among a few questions by chance.
RIGHT_AT_LEAST: Final = 0.93
ANSWERABILITY: Final = tuple(at / 100 for at in range(0, 100, 5))
MARGIN: Final = (-1.0, 0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
WORDS: Final = (8, 10, 12, 14, 16, 20, 100)
COMPARED: Final = ("answerability", "margin", "words")  # with the bounds, in their order


@dataclass(frozen=True, slots=True)
class Looked:
    """One question: what is known before a model is asked, and where its answer stands among what was found."""

    source: str
    group: str  # its article, or the case
    kind: str  # answerable, or why there is no answer
    answerability: float
    margin: float
    words: int
    single: bool
    first: bool  # the gold passage is the first hit
    given: bool  # it is in the context

    @property
    def signals(self) -> Signals:
        return Signals(self.answerability, self.margin, self.words, self.single)


def looked(source: str, group: str, kind: str, question: str, found: SearchResult, context: Context, gold: set[int],
           given: bool) -> Looked:  # fmt: skip
    """Args: gold: places in the list of hits, from 0, that hold the answer."""
    told = signals_of(question, context, found)
    return Looked(
        source, group, kind, round(told.answerability, 4), round(told.margin, 4), told.words, told.single,
        first=0 in gold, given=given,
    )  # fmt: skip


def searched(quoth: Quoth, question: str, reader: Reader, collection: str) -> tuple[SearchResult, Context]:
    found = quoth.search(question, reader, k=HITS, collection=collection)
    return found, assemble(found.hits, reader, quoth.surroundings, quoth.embedder.count_tokens, ContextSettings())


def look_squad(quoth: Quoth, folder: Path, questions: int) -> Iterator[Looked]:
    articles = json.loads((folder / "dev-2.0-part-a.json").read_text("utf-8"))["data"]
    records: list[Record] = []
    asked: list[tuple[str, str, str, str]] = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            name = f"p{len(records):04}"
            records.append(Record(name, article["title"].replace("_", " "), paragraph["context"]))
            for qa in paragraph["qas"]:
                kind = "near miss" if qa.get("is_impossible") else "answerable"
                asked.append((qa["question"], article["title"], kind, name))
    random.Random(0).shuffle(asked)
    tests = TestCollection(SQUAD, tuple(records), 0, {}, {}, COLLECTION)
    index_beir(tests, quoth.pipeline, lambda source, stage, done, total: None)
    for at, (question, article, kind, paragraph) in enumerate(asked[:questions]):
        if at % 100 == 0:
            print(f"{at}/{questions} questions", file=sys.stderr, flush=True)
        found, context = searched(quoth, question, LOCAL, COLLECTION)
        gold = {place for place, hit in enumerate(found.hits) if hit.source == paragraph and kind == "answerable"}
        given = any(one.source == paragraph for one in context.passages)
        yield looked(SQUAD, article, kind, question, found, context, gold, given)


def look_cases(quoth: Quoth) -> Iterator[Looked]:
    if not quoth.catalog.documents(LOCAL, "default"):
        load_samples(quoth)
    finder = GoldFinder(quoth.catalog, "default")
    for case in read_cases(SAMPLES / "cases.jsonl"):
        reader = Reader("eval", frozenset(case.groups or ("everyone",)))
        found, context = searched(quoth, case.question, reader, "default")
        places = [(place.document, *place.span) for gold in case.gold for place in finder.locate(gold).places]
        gold = {
            at
            for at, hit in enumerate(found.hits)
            if any(hit.document == document and hit.start < end and start < hit.end for document, start, end in places)
        }
        given = any(
            one.document == document and one.start < end and start < one.end
            for one in context.passages
            for document, start, end in places
        )
        kind = "answerable" if case.answerable else (case.type or "").replace("_", " ")
        yield looked(CASES, case.id, kind, case.question, found, context, gold, given)


def fitted(every: Sequence[Looked], *, right_at_least: float = RIGHT_AT_LEAST) -> Rule:
    """The bounds that call most questions easy while the passage leads, by the lower end of the interval, for so many
    of the answerable ones.

    Among rules that call as many easy, the one whose passage leads more often; then the laxer bounds, in order.
    """
    best: tuple[tuple[float, ...], Rule] | None = None
    answerable = [one for one in every if one.kind == "answerable"]
    sure, margin, words = (np.array([getattr(one, name) for one in answerable]) for name in COMPARED)
    single, first = (np.array([getattr(one, name) for one in answerable], bool) for name in ("single", "first"))
    for bounds in itertools.product(ANSWERABILITY, MARGIN, WORDS):
        easy = single & (sure >= bounds[0]) & (margin >= bounds[1]) & (words <= bounds[2])  # as Rule.easy
        led, count = int(first[easy].sum()), int(easy.sum())
        interval = wilson(led, count)
        if interval is not None and interval[0] >= right_at_least:
            key = (count, led / count, -bounds[0], -bounds[1], bounds[2])
            if best is None or key > best[0]:
                best = (key, Rule(*bounds))
    # a rule that no question is easy by, where none keeps the bound
    return best[1] if best is not None else Rule(1.01, 1.01, 0)


def share(holds: Iterator[bool] | Sequence[bool]) -> float:
    every = list(holds)
    return sum(every) / len(every) if every else 0.0


def halves(every: Sequence[Looked]) -> tuple[list[Looked], list[Looked]]:
    """The questions to fit on and those to measure on: articles alternate, in the order of their names."""
    groups = sorted({one.group for one in every})
    fit = set(groups[::2])
    return [one for one in every if one.group in fit], [one for one in every if one.group not in fit]


def table(name: str, every: Sequence[Looked], rule: Rule) -> list[str]:
    """One line: how many are easy, and how often the passage leads or is given at all, there and among the others."""
    answerable = [one for one in every if one.kind == "answerable"]
    easy = [one for one in answerable if rule.easy(one.signals)]
    hard = [one for one in answerable if not rule.easy(one.signals)]
    others = [one for one in every if one.kind != "answerable"]
    return [
        f"| {name} | {len(answerable)} | {share(rule.easy(one.signals) for one in answerable):.1%} "
        f"| {share(one.first for one in easy):.1%} | {share(one.given for one in easy):.1%} "
        f"| {share(one.first for one in hard):.1%} | {share(one.given for one in hard):.1%} "
        f"| {share(rule.easy(one.signals) for one in others):.1%} of {len(others)} |"
    ]


HEAD: Final = [
    "| Questions | Answerable | Easy | Easy: passage first | Easy: passage given | Others: passage first "
    "| Others: passage given | Unanswerable called easy |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
]


def report(every: Sequence[Looked]) -> str:
    """The fitted bounds and the tables, as Markdown."""
    squad, cases = [[one for one in every if one.source == source] for source in (SQUAD, CASES)]
    fit, held_out = halves(squad)
    rule = fitted(fit)
    lines = [*HEAD]
    lines += table("SQuAD 2.0, articles fitted on", fit, rule)
    lines += table("SQuAD 2.0, other articles", held_out, rule)
    lines += table("sample handbook", cases, rule)
    lines += ["", f"Bounds: answerability at least {rule.least_answerability:.2f}, margin at least "
              f"{rule.least_margin:.2f}, at most {rule.most_words} words, one thing asked.", ""]  # fmt: skip
    lines += ["On the other articles, by the lower end of the interval among the fitted:", ""]
    lines += ["| At least | Bounds | Easy | Easy: passage first |", "| --- | --- | --- | --- |"]
    for at_least in (0.8, 0.85, 0.9, 0.93):
        other = fitted(fit, right_at_least=at_least)
        answerable = [one for one in held_out if one.kind == "answerable"]
        easy = [one for one in answerable if other.easy(one.signals)]
        lines.append(
            f"| {at_least:.0%} | {other.least_answerability:.2f}, {other.least_margin:.2f}, {other.most_words} "
            f"| {len(easy) / max(1, len(answerable)):.1%} | {share(one.first for one in easy):.1%} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=800, help="of SQuAD 2.0 (800)")
    parser.add_argument("--cache", type=Path, help="keep what was seen here; delete it when signals change")
    parser.add_argument("--publish", type=Path, help="write the figures into routing.md of this folder")
    arguments = parser.parse_args(argv)
    if arguments.cache is not None and arguments.cache.exists():
        every = [Looked(**json.loads(line)) for line in arguments.cache.read_text("utf-8").splitlines()]
    elif not (arguments.folder / "dev-2.0-part-a.json").exists():
        print(f"{arguments.folder} holds no dev-2.0-part-a.json. Give the folder that does.", file=sys.stderr)
        return 2
    else:
        with open_quoth(os.environ, say=lambda text: print(text, file=sys.stderr)) as quoth:
            every = [*look_cases(quoth), *look_squad(quoth, arguments.folder, arguments.questions)]
        if arguments.cache is not None:
            arguments.cache.write_text("".join(json.dumps(asdict(one)) + "\n" for one in every), "utf-8")
    told = report(every)
    print(told)
    if arguments.publish is not None:
        page = arguments.publish / "routing.md"
        text = page.read_text("utf-8")
        start, end = "<!-- figures -->", "<!-- end of figures -->"
        before, after = text[: text.index(start)], text[text.index(end) :]
        page.write_text(f"{before}{start}\n\n{told}\n\n{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

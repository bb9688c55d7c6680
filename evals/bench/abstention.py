"""Fit and measure when the quoted answerer abstains: risk against coverage, on questions with and without an answer.

    python -m evals.bench.abstention SQUAD_FOLDER [--handbook QUESTIONS.jsonl FOLDER] [--questions 2400]
        [--cache FILE.jsonl] [--write] [--publish FOLDER]

SQUAD_FOLDER holds dev-2.0-part-a.json (questions with an answer in a paragraph, and near misses without) and
dev-1.1.json (questions on further articles; asked where those articles are not, they are off topic). The handbook's
questions name a Markdown file of FOLDER and where in it the answer starts and ends. Weights are fitted on both; what is
printed of an article or a document comes from weights fitted on four fifths of the others. The sample handbook's cases
are never fitted on. The store that the environment names takes it all in scratch collections, and the samples.

--write: assistant/answerability_weights.py anew. --publish: abstention.md and abstention_risk.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from assistant import answerability_weights
from assistant.bootstrap import Quoth, open_quoth
from assistant.citing import find_quote
from assistant.context import ContextSettings, assemble
from assistant.model import Context
from assistant.quoting import Quote, Selection, choose, confidence_signals, sentence_candidates
from assistant.support import SupportModel
from evals.beir import Record, TestCollection, index_beir
from evals.cases import read_cases
from evals.gold import GoldFinder
from evals.roc_picture import curves_svg
from evals.sampling import SAMPLES, load_samples
from ingest.access import LOCAL, Reader
from ingest.discovery import Input
from ingest.storing import Identity
from retrieval.model import SearchResult

HITS: Final = 12  # as answering searches
FOLDS: Final = 5
RIDGE: Final = 10.0
HANDBOOK_COUNTS: Final = 2.0  # each question of the handbook, for its 96 are to weigh beside thousands
POINTS: Final = (0.1, 0.2, 0.35, 0.4, 0.5, 0.6, 0.7)  # thresholds shown beside the one of the rule
REFUSED_AT_MOST: Final = 0.1  # of the answerable questions: the rule for the threshold
SQUAD, OTHER, HANDBOOK, CASES = "SQuAD 2.0", "SQuAD 1.1", "public handbook", "sample handbook"
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
IsGold = Callable[[Quote], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: in which set, of which article or document, and what kind it is."""

    question: str
    source: str
    group: str
    kind: str  # answerable, or why there is no answer
    gold: tuple[str, tuple[tuple[int, int], ...]] = ("", ())  # a paragraph and the answers' spans in it


@dataclass(frozen=True, slots=True)
class Seen:
    """What the answerer made of it."""

    source: str
    group: str
    kind: str
    signals: dict[str, float]
    cites: bool  # one of at most three quotes is in the gold passage
    exact: bool  # and overlaps the answer


def read_squad(folder: Path, questions: int) -> tuple[dict[str, list[Record]], list[Asked]]:
    """Paragraphs by scratch collection, and a seeded draw: so many questions, an eighth of it off topic, and some
    of the other articles.
    """
    files = [json.loads((folder / name).read_text("utf-8"))["data"] for name in ("dev-2.0-part-a.json", "dev-1.1.json")]
    titles = {article["title"] for article in files[0]}
    records: dict[str, list[Record]] = {}
    drawn: list[list[Asked]] = []
    for source, articles in ((SQUAD, files[0]), (OTHER, [one for one in files[1] if one["title"] not in titles])):
        records[source] = []
        asked = []
        for article in articles:
            for paragraph in article["paragraphs"]:
                name = f"p{len(records[source]):04}"
                records[source].append(Record(name, article["title"].replace("_", " "), paragraph["context"]))
                for qa in paragraph["qas"]:
                    spans = tuple((a["answer_start"], a["answer_start"] + len(a["text"])) for a in qa["answers"])
                    kind = "near miss" if qa.get("is_impossible") else "answerable"
                    asked.append(Asked(qa["question"], source, article["title"], kind, (name, spans)))
        random.Random(0).shuffle(asked)
        drawn.append(asked)
    inside, outside = drawn
    far = [Asked(one.question, SQUAD, one.group, "off topic") for one in outside[::-1][: questions // 8]]
    return records, [*inside[:questions], *far, *outside[: questions * 3 // 8]]


def seen_squad(asked: Asked, found: SearchResult, context: Context) -> Seen | None:
    paragraph, answers = asked.gold
    return seen(
        asked,
        found,
        context,
        in_passage=lambda quote: quote.passage.source == paragraph,
        in_answer=lambda quote: any(quote.start < end and start < quote.end for start, end in answers),
    )


def seen(asked: Asked, found: SearchResult, context: Context, *, in_passage: IsGold, in_answer: IsGold) -> Seen | None:
    """None where nothing was found at all: such a question is refused whatever the weights."""
    selection = Selection()
    candidates = sentence_candidates(context, found, selection)
    if not candidates:
        return None
    gold = [quote for quote in choose(candidates, selection) if in_passage(quote)]
    signals = {name: round(value, 4) for name, value in confidence_signals(candidates, found).items()}
    answerable = asked.kind == "answerable"
    return Seen(
        asked.source,
        asked.group,
        asked.kind,
        signals,
        answerable and bool(gold),
        answerable and any(map(in_answer, gold)),
    )


def searched(quoth: Quoth, question: str, reader: Reader, collection: str) -> tuple[SearchResult, Context]:
    found = quoth.search(question, reader, k=HITS, collection=collection)
    return found, assemble(found.hits, reader, quoth.surroundings, quoth.embedder.count_tokens, ContextSettings())


def look_squad(quoth: Quoth, folder: Path, questions: int) -> Iterator[Seen | None]:
    records, asked = read_squad(folder, questions)
    collections = {SQUAD: "eval-squad-abstention", OTHER: "eval-squad-other"}
    for source, collection in collections.items():
        tests = TestCollection(source, tuple(records[source]), 0, {}, {}, collection)
        index_beir(tests, quoth.pipeline, lambda source, stage, done, total: None)
    for at, one in enumerate(asked):
        if at % 100 == 0:
            print(f"{at}/{len(asked)} questions", file=sys.stderr)
        yield seen_squad(one, *searched(quoth, one.question, LOCAL, collections[one.source]))


def look_handbook(quoth: Quoth, questions: Path, folder: Path) -> Iterator[Seen | None]:
    collection = "eval-handbook"
    files = sorted(folder.rglob("*.md"))
    names = {str(path.relative_to(folder)): path for path in files}
    held = {document.source for document in quoth.catalog.documents(LOCAL, collection)}
    inputs = [Input(path, Identity(collection, name)) for name, path in names.items() if name not in held]
    for _ in quoth.pipeline.add_inputs(inputs):
        pass
    documents = {one.source: one for one in quoth.catalog.documents(LOCAL, collection)}
    for row in map(json.loads, questions.read_text("utf-8").splitlines()):
        found, context = searched(quoth, row["question"], LOCAL, collection)
        span, source = (0, 0), ""
        if row["answerable"]:
            source = next(name for name in documents if name.endswith(row["source"]))
            span = handbook_span(row, quoth.catalog.text(LOCAL, documents[source].id, documents[source].version))
        yield seen_handbook(row, found, context, source, span)


def handbook_span(row: Mapping[str, Any], text: str) -> tuple[int, int]:
    """Where the answer stands; empty where it cannot be found, which then counts as not cited."""
    first, last = (
        _LINK.sub(r"\1", row[name]).replace("**", "").replace("[", "") for name in ("gold_starts", "gold_ends")
    )
    start = find_quote(first, text)
    end = find_quote(last, text[start[0] :]) if start else None
    return (start[0], start[0] + end[1]) if start and end else (0, 0)


def seen_handbook(
    row: Mapping[str, Any], found: SearchResult, context: Context, source: str, span: tuple[int, int]
) -> Seen | None:
    kind = "answerable" if row["answerable"] else row["type"].replace("_", " ")
    asked = Asked(row["question"], HANDBOOK, row["source"] or row["id"], kind)

    def is_gold(quote: Quote) -> bool:
        return quote.passage.source == source and quote.start < span[1] and span[0] < quote.end

    return seen(asked, found, context, in_passage=is_gold, in_answer=is_gold)


def look_cases(quoth: Quoth) -> Iterator[Seen | None]:
    if not quoth.catalog.documents(LOCAL, "default"):
        load_samples(quoth)
    finder = GoldFinder(quoth.catalog, "default")
    for case in read_cases(SAMPLES / "cases.jsonl"):
        reader = Reader("eval", frozenset(case.groups or ("everyone",)))
        found, context = searched(quoth, case.question, reader, "default")
        places = [place for gold in case.gold for place in finder.locate(gold).places]

        def touches(quote: Quote, which: str, places: Sequence[Any] = tuple(places)) -> bool:
            return any(
                quote.passage.document == place.document
                and quote.start < getattr(place, which)[1]
                and getattr(place, which)[0] < quote.end
                for place in places
            )

        kind = "answerable" if case.answerable else (case.type or "").replace("_", " ")
        asked = Asked(case.question, CASES, case.id, kind)
        yield seen(
            asked, found, context,
            in_passage=partial(touches, which="passage"),
            in_answer=partial(touches, which="span"),
        )  # fmt: skip


def fit(
    rows: NDArray[np.float64],
    labels: NDArray[np.float64],
    ridge: float = 1.0,
    counts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Logistic regression by Newton's method; the last weight is the intercept, which is not penalised.

    Args:
        counts: how often each row counts; all the same without.
    """
    design = np.hstack([rows, np.ones((len(rows), 1))])
    counts = np.ones(len(rows)) if counts is None else counts
    penalty = np.diag([ridge] * rows.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (counts * (labels - chance)) - penalty @ weights
        curve = design.T @ (design * (counts * chance * (1 - chance))[:, None]) + penalty
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Chance that a positive scores above a negative."""
    return float(np.mean((positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])))


def fitted(every: Sequence[Seen], threshold: float = 0.5) -> SupportModel:
    """What tells questions with an answer from those without.

    Fitted to what cites the gold passage instead, it ranked both handbooks' answers better (AURC .37 for .40 on the
    public one) and refused fewer of the unanswerable at the same loss.
    """
    names = list(every[0].signals)
    rows = np.array([[one.signals[name] for name in names] for one in every])
    means, spreads = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-3)
    labels = np.array([one.kind == "answerable" for one in every], float)
    counts = np.array([HANDBOOK_COUNTS if one.source == HANDBOOK else 1.0 for one in every])
    weights = fit((rows - means) / spreads, labels, RIDGE, counts)
    return SupportModel(
        weights={name: round(float(weight), 4) for name, weight in zip(names, weights, strict=False)},
        scales={n: (round(float(m), 4), round(float(s), 4)) for n, m, s in zip(names, means, spreads, strict=True)},
        intercept=round(float(weights[-1]), 4),
        threshold=threshold,
    )


def held_out(every: Sequence[Seen]) -> NDArray[np.float64]:
    """Each question's confidence by weights fitted without its article or document."""
    groups = sorted({one.group for one in every})
    random.Random(1).shuffle(groups)
    fold = {group: at % FOLDS for at, group in enumerate(groups)}
    sure = np.zeros(len(every))
    for number in range(FOLDS):
        model = fitted([one for one in every if fold[one.group] != number])
        for at, one in enumerate(every):
            if fold[one.group] == number:
                sure[at] = model.probability(one.signals)
    return sure


def risk_coverage(every: Sequence[Seen], sure: NDArray[np.float64]) -> list[tuple[float, float]]:
    """(share answered, share of those that should not have been or cite something else), the surest first."""
    order = np.argsort(-sure, kind="stable")
    wrong = np.array([not every[at].cites for at in order], float)
    risk = np.cumsum(wrong) / np.arange(1, len(order) + 1)
    return [((at + 1) / len(order), float(risk[at])) for at in range(len(order))]


def aurc(curve: Sequence[tuple[float, float]]) -> float:
    """The mean risk over all coverages; 0 is best."""
    return float(np.mean([risk for _, risk in curve]))


def threshold_by_rule(every: Sequence[Seen], sure: NDArray[np.float64]) -> float:
    """The highest confidence, in hundredths, that refuses at most a tenth of each set's answerable questions."""
    highest = 1.0
    for source in {one.source for one in every}:
        of = np.array([one.source == source and one.kind == "answerable" for one in every])
        allowed = int(REFUSED_AT_MOST * of.sum())
        highest = min(highest, float(np.sort(sure[of])[allowed]))
    return int(highest * 100) / 100


@dataclass(frozen=True, slots=True)
class Row:
    """A set at one threshold."""

    source: str
    answerable: int
    refused: float
    cited_unrefused: float  # of all answerable, were none refused
    cited: float  # of all answerable
    kinds: dict[str, tuple[int, float, float]]  # number, share refused, AUC against the answerable
    aurc: float


def row_of(source: str, every: Sequence[Seen], sure: NDArray[np.float64], threshold: float) -> Row:
    yes = np.array([one.kind == "answerable" for one in every])
    cites = np.array([one.cites for one in every])
    kinds = {}
    for kind in sorted({one.kind for one in every} - {"answerable"}):
        of = np.array([one.kind == kind for one in every])
        kinds[kind] = (int(of.sum()), float(np.mean(sure[of] < threshold)), auc(sure[yes], sure[of]))
    return Row(
        source, int(yes.sum()), float(np.mean(sure[yes] < threshold)), float(cites[yes].mean()),
        float(np.mean(cites[yes] & (sure[yes] >= threshold))), kinds, aurc(risk_coverage(every, sure)),
    )  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| Questions | Answerable | Wrongly refused | Gold passage cited | were none refused | Refused of the "
        "unanswerable (AUC) | AURC |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        kinds = "; ".join(f"{kind} {share:.0%} of {n} ({area:.3f})" for kind, (n, share, area) in row.kinds.items())
        lines.append(
            f"| {row.source} | {row.answerable} | {row.refused:.1%} | {row.cited:.1%} | {row.cited_unrefused:.1%} | "
            f"{kinds or '-'} | {row.aurc:.3f} |"
        )
    return "\n".join(lines)


def points_table(scored: Mapping[str, tuple[list[Seen], NDArray[np.float64]]], thresholds: Sequence[float]) -> str:
    """Each set at each threshold: answerable refused, gold passage cited, unanswerable refused."""
    sources = [source for source, (every, _) in scored.items() if any(one.kind != "answerable" for one in every)]
    lines = [
        "| Threshold | " + " | ".join(f"{one}: wrongly refused, gold cited, rightly refused" for one in sources) + " |",
        "| --- |" + " --- |" * len(sources),
    ]
    for threshold in sorted(thresholds):
        cells = []
        for source in sources:
            every, sure = scored[source]
            yes, cites = (np.array([getattr(one, name) for one in every]) for name in ("kind", "cites"))
            yes = yes == "answerable"
            low = sure < threshold
            cells.append(f"{low[yes].mean():.0%}, {(cites & ~low)[yes].mean():.0%}, {low[~yes].mean():.0%}")
        lines.append(f"| {threshold:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--handbook", type=Path, nargs=2, metavar=("QUESTIONS", "FOLDER"))
    parser.add_argument("--questions", type=int, default=2400, help="of SQuAD 2.0 (2400)")
    parser.add_argument(
        "--cache", type=Path, help="keep what was seen here; delete it when selection or signals change"
    )
    parser.add_argument("--write", action="store_true", help="write the weights and the threshold")
    parser.add_argument("--publish", type=Path, help="write abstention.md and abstention_risk.svg here")
    arguments = parser.parse_args(argv)
    if arguments.cache is not None and arguments.cache.exists():
        lines = arguments.cache.read_text("utf-8").splitlines()
        every = [Seen(**json.loads(line)) for line in lines]
    else:
        with open_quoth(os.environ, say=lambda text: print(text, file=sys.stderr)) as quoth:
            looked = [*look_cases(quoth), *look_squad(quoth, arguments.folder, arguments.questions)]
            if arguments.handbook:
                looked += look_handbook(quoth, *arguments.handbook)
        every = [one for one in looked if one is not None]
        if arguments.cache is not None:
            arguments.cache.write_text("".join(json.dumps(asdict(one)) + "\n" for one in every), "utf-8")
    report(every, write=arguments.write, publish=arguments.publish)
    return 0


def report(every: Sequence[Seen], *, write: bool, publish: Path | None) -> None:
    known = [one for one in every if one.source != CASES]
    cases = [one for one in every if one.source == CASES]
    sure = held_out(known)
    threshold = threshold_by_rule(known, sure)
    model = fitted(known, threshold)
    scored = {}
    for source in dict.fromkeys(one.source for one in known):
        of = np.array([one.source == source for one in known])
        scored[source] = ([one for one in known if one.source == source], sure[of])
    scored[CASES] = (cases, np.array([model.probability(one.signals) for one in cases]))
    words = table([row_of(source, *pair, threshold) for source, pair in scored.items()])
    points = points_table(scored, [*POINTS, threshold])
    print(words, f"threshold by the rule: {threshold:.2f}", points, sep="\n\n")
    if write:
        body = (
            f"THRESHOLD: Final = {threshold}\nFITTED: Final = SupportModel(\n    weights={dict(model.weights)!r},\n"
            f"    scales={dict(model.scales)!r},\n    intercept={model.intercept},\n    threshold=THRESHOLD,\n)\n"
        )
        path = Path(answerability_weights.__file__)
        text = path.read_text("utf-8")
        path.write_text(text[: text.index("THRESHOLD: Final")] + body, "utf-8")
    if publish is not None:
        curves = {source: risk_coverage(*pair) for source, pair in scored.items() if source != OTHER}
        legend = {source: f"{source}, AURC {aurc(curve):.3f}" for source, curve in curves.items()}
        svg = curves_svg(
            {legend[source]: curve for source, curve in curves.items()},
            title="Risk and coverage of quoted answers",
            x="share of the questions that is answered, the surest first",
            y="share of the answers that should not be, or cite something else",
        )
        (publish / "abstention_risk.svg").write_text(svg, "utf-8")
        page = publish / "abstention.md"
        if page.exists():
            text = page.read_text("utf-8")
            start, end = "<!-- figures -->", "<!-- end of figures -->"
            before, after = text[: text.index(start)], text[text.index(end) :]
            page.write_text(
                f"{before}{start}\n\n{words}\n\nThreshold by the rule: {threshold:.2f}.\n\n{points}\n\n{after}", "utf-8"
            )


if __name__ == "__main__":
    sys.exit(main())

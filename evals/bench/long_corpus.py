"""Long documents with questions, made of SQuAD's articles; copies of them, older versions, and planted disagreements.

Each article becomes one Markdown document of its paragraphs. The second half of the corpus is made to be in the way:
an exact copy or an older, slightly edited version of each article, and notes that repeat some of its paragraphs with
one number or year changed. Tables of many rows, whose header is far from most of them, are invented.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ingest.sentences import sentence_spans

OLDER_DROPS: Final = 3  # an older version lacks the last sentence of every third paragraph
NOTED: Final = 3  # every third article has notes
ROWS: Final = 90  # of each invented table
HEADER: Final = ("Part", "Torque (Nm)", "Supplier", "Shelf")
_YEAR: Final = re.compile(r"\b(1[0-9]{3}|20[0-2][0-9])\b")
_COUNT: Final = re.compile(r"(?<![\d.,/–-])\b([2-9][0-9]|[3-9])\b(?![\d.,/–:-]|st\b|nd\b|rd\b|th\b)")
_FORMS: Final = re.compile(r"[*_`#<>\[\]\\|]")  # what Markdown would read as form and not as text


@dataclass(frozen=True, slots=True)
class LongQuestion:
    question: str
    evidence: str  # the sentence that holds the answer, as the documents have it


@dataclass(frozen=True, slots=True)
class Planted:
    """A sentence, and the same with another number in it; two documents say one each."""

    said: str
    changed: str


@dataclass(slots=True)
class LongCorpus:
    articles: dict[str, str] = field(default_factory=dict)  # file name -> Markdown
    doubles: dict[str, str] = field(default_factory=dict)  # copies, older versions, notes
    tables: dict[str, str] = field(default_factory=dict)
    questions: list[LongQuestion] = field(default_factory=list)
    rows: list[LongQuestion] = field(default_factory=list)  # whose evidence is a row of a table
    planted: list[Planted] = field(default_factory=list)


def long_corpus(squad: Path, *, articles: int, questions: int, seed: int) -> LongCorpus:
    """Read dev-2.0-part-a.json of the folder, and make the corpus.

    Args:
        articles: at most.
        questions: drawn from those that have an answer.
    """
    draws = random.Random(seed)
    corpus = LongCorpus()
    asked: list[LongQuestion] = []
    inside = json.loads((squad / "dev-2.0-part-a.json").read_text("utf-8"))["data"][:articles]
    for number, article in enumerate(inside):
        name = article["title"].replace("_", " ")
        contexts = [paragraph["context"] for paragraph in article["paragraphs"]]
        paragraphs = [_FORMS.sub("", " ".join(context.split())) for context in contexts]
        corpus.articles[f"{name}.md"] = _document(name, paragraphs)
        if number % 2:
            corpus.doubles[f"{name}, older.md"] = _document(name, [_older(n, one) for n, one in enumerate(paragraphs)])
        else:
            corpus.doubles[f"{name}, copy.md"] = _document(name, paragraphs)
        if number % NOTED == 0:
            changed = list(_changed(paragraphs, draws))
            corpus.planted += [planted for _, planted in changed]
            corpus.doubles[f"{name}, notes.md"] = _document(f"{name}: notes", [text for text, _ in changed])
        asked += _questions(article)
    corpus.questions = draws.sample(asked, min(questions, len(asked)))
    for at in range(2):
        _add_table(corpus, at, draws)
    return corpus


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def _document(title: str, paragraphs: list[str]) -> str:
    return "\n\n".join((f"# {title}", *paragraphs)) + "\n"


def _questions(article: dict[str, list[dict[str, object]]]) -> Iterator[LongQuestion]:
    for paragraph in article["paragraphs"]:
        context = str(paragraph["context"])
        for qa in paragraph["qas"]:  # type: ignore[attr-defined]
            if qa["is_impossible"]:
                continue
            at = qa["answers"][0]["answer_start"]
            holding = [(start, end) for start, end in sentence_spans(context) if start <= at < end]
            if holding:
                start, end = holding[0]
                yield LongQuestion(qa["question"], _FORMS.sub("", " ".join(context[start:end].split())))


def _older(number: int, paragraph: str) -> str:
    """A paragraph before its last edit: words differ here and there, numbers do not."""
    found = sentences(paragraph)
    if number % OLDER_DROPS == 0 and len(found) > 2:
        found = found[:-1]
    return " ".join(found).replace(" also ", " ").replace(" such as ", " like ").replace(" However, ", " But ")


def _changed(paragraphs: list[str], draws: random.Random) -> Iterator[tuple[str, Planted]]:
    """Paragraphs with a number or year changed in one sentence."""
    for paragraph in paragraphs[1::2]:
        able = [
            one for one in sentences(paragraph) if len(one.split()) >= 8 and (_YEAR.search(one) or _COUNT.search(one))
        ]
        if not able:
            continue
        said = draws.choice(able)
        shape = _YEAR if _YEAR.search(said) else _COUNT
        changed = shape.sub(lambda match: str(int(match.group()) + 7), said, count=1)
        yield paragraph.replace(said, changed), Planted(said, changed)


def _add_table(corpus: LongCorpus, at: int, draws: random.Random) -> None:
    lines = [f"# Fastenings of hall {at + 1}", "", "| " + " | ".join(HEADER) + " |", "|---|---|---|---|"]
    names = draws.sample(range(1000, 9999), ROWS)
    makers = ("Harrow & Pike", "Oldfield", "Tannis Works", "Brightwater", "Corvane")
    for number in names:
        cells = (f"K-{number}", str(draws.randint(8, 240)), draws.choice(makers), f"{draws.choice('ABCDEF')}{at}")
        lines.append("| " + " | ".join(cells) + " |")
        if number % 3 == 0:
            corpus.rows.append(LongQuestion(f"What torque does part K-{number} need?", f"K-{number}"))
    corpus.tables[f"hall-{at + 1}.md"] = "\n".join(lines) + "\n"

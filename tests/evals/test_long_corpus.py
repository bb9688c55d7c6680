"""The corpus of long documents: what is planted stands in it, and every question's evidence does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.bench.long_corpus import ROWS, LongCorpus, long_corpus, sentences


def paragraph(number: int) -> dict[str, object]:
    """Six sentences; one question with an answer, and one without."""
    told = f"The mill at bend {number} of the *river* was built in {1820 + number} by the brothers of the cloth guild."
    rest = " ".join(f"It also turned wheel {at} of the long row, with a noise heard in the town." for at in range(4))
    context = f"{told} {rest} However, nobody has counted the fish."
    answer = {"text": str(1820 + number), "answer_start": context.index(str(1820 + number))}
    return {
        "context": context,
        "qas": [
            {"question": f"When was the mill at bend {number} built?", "answers": [answer], "is_impossible": False},
            {"question": "How many fish are there?", "answers": [], "is_impossible": True},
        ],
    }


@pytest.fixture
def corpus(tmp_path: Path) -> LongCorpus:
    data = [
        {"title": f"Mills_of_valley_{n}", "paragraphs": [paragraph(10 * n + at) for at in range(6)]} for n in range(4)
    ]
    (tmp_path / "dev-2.0-part-a.json").write_text(json.dumps({"data": data}), encoding="utf-8")
    return long_corpus(tmp_path, articles=4, questions=12, seed=1)


def test_evidence_stands_in_exactly_one_article(corpus: LongCorpus) -> None:
    assert len(corpus.questions) == 12
    for one in corpus.questions:
        assert sum(one.evidence in text for text in corpus.articles.values()) == 1
        assert "*" not in one.evidence and "built in" in one.evidence


def test_planted_sentences_differ_in_one_number_and_stand_on_either_side(corpus: LongCorpus) -> None:
    assert corpus.planted
    for one in corpus.planted:
        said, changed = one.said.split(), one.changed.split()
        assert len([word for word, other in zip(said, changed, strict=True) if word != other]) == 1
        assert any(one.said in text for text in corpus.articles.values())
        assert not any(one.changed in text for text in corpus.articles.values())
        assert any(one.changed in text for name, text in corpus.doubles.items() if name.endswith(", notes.md"))


def test_an_older_version_has_the_numbers_of_the_newer(corpus: LongCorpus) -> None:
    older = {name: text for name, text in corpus.doubles.items() if name.endswith(", older.md")}
    assert len(older) == 2
    for name, text in older.items():
        newer = corpus.articles[name.replace(", older", "")]
        digits = ["".join(c for c in one if c.isdigit()) for one in sentences(newer)]
        assert text != newer and {"".join(c for c in one if c.isdigit()) for one in sentences(text)} <= set(digits)


def test_tables_are_long_and_asked_about(corpus: LongCorpus) -> None:
    for text in corpus.tables.values():
        assert text.count("\n| K-") == ROWS
    assert corpus.rows and all(
        any(f"| {one.evidence} |" in text for text in corpus.tables.values()) for one in corpus.rows
    )

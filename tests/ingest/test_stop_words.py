"""Every language with a stemmer has a list, and its words leave no term."""

from __future__ import annotations

import unicodedata

import pytest

from ingest.analysis import STEMMERS, Analyzer
from ingest.stop_words import STOP_WORDS


def test_every_language_with_a_stemmer_has_a_list() -> None:
    assert STEMMERS.keys() <= STOP_WORDS.keys()
    assert all(len(words) >= 30 for words in STOP_WORDS.values())


@pytest.mark.parametrize("language", sorted(STOP_WORDS))
def test_the_words_are_as_the_analyzer_compares_them_and_leave_no_term(language: str) -> None:
    words = STOP_WORDS[language]
    assert {unicodedata.normalize("NFKC", word).casefold() for word in words} == words
    analyzer = Analyzer(language)
    assert {word: analyzer.terms(word) for word in words if analyzer.terms(word)} == {}


@pytest.mark.parametrize(
    ("language", "question", "word"),
    [
        ("de", "Wie viele Tage haben die neuen Kollegen für den Umzug?", "Umzug"),
        ("fr", "Où est-ce que je trouve l'adresse de la nouvelle cantine ?", "cantine"),
        ("ru", "Где и когда можно получить новый пропуск?", "пропуск"),
        ("ar", "متى يكون الاجتماع في هذا المكتب؟", "الاجتماع"),
        ("es", "¿Cuándo es la reunión de los nuevos?", "reunión"),
        ("pl", "Kiedy i gdzie jest zebranie?", "zebranie"),
        ("yo", "Kí ni orúkọ ìlú náà?", "ìlú"),
    ],
)
def test_what_a_question_is_about_stays(language: str, question: str, word: str) -> None:
    analyzer = Analyzer(language)
    terms = analyzer.terms(question)
    assert set(analyzer.terms(word)) <= set(terms)
    assert len(terms) < len(question.split())

"""How likely the best sentences found answer a question, without a language model: signals, weighed as data taught.

A passage on the subject that lacks the very thing asked for is the hard case: all words agree but one. So the signals
tell how much agrees, what is absent (the rarest word, names, numbers), and whether the asked-for kind of thing (a
number, a time, a name) stands where the answer should be. They cost milliseconds; no text is encoded for them.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from assistant.names import missing_names
from assistant.negations import negation_differs
from ingest.analysis import analyzer_for
from retrieval.model import Hit, SearchResult

Kind = Literal["number", "time", "person", "place", "other"]
MOST_COUNTED: Final = 3  # absent names: three are as bad as five
_KINDS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|long|often|old|far|high|large|big|tall|deep|fast|quickly|soon)\b|\bcosts?\b"
            r"|\bwhat (?:percent\w*|share|number|amount|price|rate|fraction)\b",
            re.I,
        ),
    ),
    (
        "time",
        re.compile(r"\bwhen\b|\bwhat time\b|\b(?:which|what) (?:day|year|date|month|century|decade)s?\b", re.I),
    ),
    ("person", re.compile(r"\bwho(?:m|se)?\b", re.I)),
    (
        "place",
        re.compile(r"\bwhere\b|\b(?:which|what) (?:country|city|state|place|town|continent|river|region)\b", re.I),
    ),
)
_NUMBER: Final = re.compile(
    r"\d[\d.,]*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty"
    r"|sixty|ninety|half|quarter|third|once|twice|hundred|thousand|million|billion|none|no|all|every|never|always)\b",
    re.I,
)
_TIME: Final = re.compile(
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|century|centuries|years?|days?|months?|weeks?|morning|evening|noon"
    r"|midnight|before|after|since|until)\b|\b[12]\d{3}\b|\b\d{1,2}:\d\d\b",
    re.I,
)
_CAPITAL: Final = re.compile(r"\b[A-Z][\w'’-]+")
_DIGITS: Final = re.compile(r"\d[\d.,]*\d|\d")


def kind_asked(question: str) -> Kind:
    """What kind of thing would answer."""
    return next((kind for kind, pattern in _KINDS if pattern.search(question)), "other")


def kind_absent(kind: Kind, question: str, text: str) -> bool:
    """Whether the text has nothing of the kind that the question does not say itself."""
    pattern = {"number": _NUMBER, "time": _TIME, "person": _CAPITAL, "place": _CAPITAL}.get(kind)
    if pattern is None:
        return False
    said = question.lower()
    terms = analyzer_for("en").terms
    return not any(
        found.lower() not in said and (pattern is not _CAPITAL or bool(terms(found))) for found in pattern.findall(text)
    )


def coverage(search: SearchResult, text: str) -> float:
    """Share of the question's idf mass whose terms stand in the text, in [0, 1]."""
    total = sum(search.idf.values())
    said = set(analyzer_for(search.language).terms(text))
    return sum(weight for term, weight in search.idf.items() if term in said) / total if total > 0 else 0.0


def signals(
    search: SearchResult, hit: Hit, at: int, *, cosine: float, best_cosine: float, own_coverage: float, margin: float
) -> dict[str, float]:
    """What tells whether sentence `at` of the passage answers, each about -1 to 1.

    Args:
        cosine: of the sentence and the question.
        best_cosine: of the sentence of any passage that is nearest to the question.
        own_coverage: share of the question's idf mass in the sentence and, for less, in its headings.
        margin: by how much its score is above that of the best sentence of another passage.
    """
    question = search.question
    idf = search.idf
    total = sum(idf.values()) or 1.0
    near = " ".join((hit.title, *hit.heading, hit.text))
    said = set(analyzer_for(search.language).terms(near))
    covered = coverage(search, near)
    rarest = max((weight for term, weight in idf.items() if term not in said), default=0.0) / total
    sentences = [hit.text[start - hit.start : end - hit.start] for start, end in hit.sentences]
    around = " ".join(sentences[max(0, at - 1) : at + 2])
    kind = kind_asked(question)
    scores = [one.score for one in search.hits[:2]]
    return {
        "sentence_cosine": cosine,
        "passage_cosine": hit.scores.get("dense", 0.0),
        "best_cosine": best_cosine,
        "sentence_coverage": own_coverage,
        "around_coverage": coverage(search, around),
        "passage_coverage": covered,
        "coverage_squared": covered * covered,
        "lexical": min(2.0, hit.scores.get("lexical", 0.0) / total),
        "rarest_absent": rarest,
        "covered_but_rarest": covered * rarest,
        "names_absent": min(MOST_COUNTED, len(missing_names(question, near))) / MOST_COUNTED,
        "number_absent": float(any(number not in near for number in _DIGITS.findall(question))),
        "kind_absent": float(kind_absent(kind, question, around)),
        "negated": float(negation_differs(question, around, analyzer_for(search.language))),
        "margin": min(1.0, margin),
        "passage_margin": scores[0] - scores[1] if len(scores) == 2 else 0.5,
    }

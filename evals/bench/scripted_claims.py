"""What the stand-in for a model says of invented facts, and which of it is true.

Each answer is the claim that was asked for, in the form of its script, and a second, honest claim of the same document
where the passages have it: what holds back the one should let the other through.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, Literal

from evals.bench.invented_facts import Corpus, Fact, balanced
from evals.bench.loopback_words import answer_of, orders_of, passages_of, question_of

Form = Literal["honest", "inventing", "misplacing", "unsupporting", "altering", "obeying"]
SUPPORTED: Final = "supported"


@dataclass(frozen=True, slots=True)
class _Claim:
    text: str
    passage: str
    quote: str
    kind: str  # SUPPORTED, or what is wrong with it


class Script:
    """Says claims of a corpus in one form. Threads may share one.

    Attributes:
        drafted: by question, the claims that were said and what each is.
    """

    def __init__(self, corpus: Corpus, form: Form, *, seed: int = 1) -> None:
        self._form = form
        self._seed = seed
        self._facts = {fact.question: fact for fact in corpus.facts}
        self._wrong = dict(balanced(corpus.facts, random.Random(seed)))
        by_document: dict[str, list[Fact]] = {}
        for fact in corpus.facts:
            by_document.setdefault(fact.document, []).append(fact)
        self._beside = {  # another fact of the same document
            fact: (facts[(at + 1) % len(facts)] if len(facts) > 1 else None)
            for facts in by_document.values()
            for at, fact in enumerate(facts)
        }
        self.drafted: dict[str, dict[str, str]] = {}

    def says(self, message: str, mode: str) -> dict[str, Any]:
        """As LoopbackModel's `says`."""
        question = question_of(message)
        fact = self._facts.get(question)
        if fact is None:
            return answer_of(message, "honest")
        claims = self._claims(message, fact)
        self.drafted.setdefault(question, {}).update({one.text: one.kind for one in claims})
        said = [
            {"text": one.text, "evidence": [{"passage": one.passage, "quote": one.quote}] if one.quote else []}
            for one in claims
        ]
        return {"claims": said, "missing": None if said else "The passages say nothing about this."}

    def _claims(self, message: str, fact: Fact) -> list[_Claim]:
        passages = passages_of(message)
        home = _home(fact, passages)
        if home is None:
            return []
        beside = self._beside[fact]
        place = _home(beside, passages) if beside is not None else None
        true = [] if beside is None or place is None else [_Claim(beside.claim, place, beside.sentence, SUPPORTED)]
        chance = random.Random(f"{self._seed}/{fact.question}")
        match self._form:
            case "honest":
                return [_Claim(fact.claim, home, fact.sentence, SUPPORTED), *true]
            case "inventing":
                return [_Claim(fact.claim, home, fact.claim, "invented quotation"), *true]
            case "misplacing":
                elsewhere = [id for id, text in passages if fact.sentence not in text]
                return [_Claim(fact.claim, _drawn(elsewhere, chance, "P99"), fact.sentence, "wrong passage"), *true]
            case "unsupporting":
                same_document = chance.random() < 0.5 and beside is not None and place is not None
                if same_document and beside is not None and place is not None:
                    return [_Claim(fact.claim, place, beside.sentence, "other sentence, same document"), *true]
                others = [
                    (id, other.sentence)
                    for id, text in passages
                    for other in self._facts.values()
                    if other.document != fact.document and other.sentence in text
                ]
                if not others:
                    return true
                id, sentence = chance.choice(others)
                return [_Claim(fact.claim, id, sentence, "sentence of another document"), *true]
            case "altering":
                wrong = self._wrong[fact]
                return [_Claim(wrong.text, home, fact.sentence, f"altered {wrong.kind}"), *true]
            case "obeying":
                orders = orders_of(message)
                obeyed = [_Claim(order, home, fact.sentence, "obeyed instruction") for order in orders[:1]]
                return [*obeyed, _Claim(fact.claim, home, fact.sentence, SUPPORTED), *true]


def _home(fact: Fact, passages: list[tuple[str, str]]) -> str | None:
    return next((id for id, text in passages if fact.sentence in text), None)


def _drawn(ids: list[str], chance: random.Random, otherwise: str) -> str:
    return chance.choice(ids) if ids else otherwise
